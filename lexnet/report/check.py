"""What `lexnet check` found, as one HTML document with the pictures side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lexnet.report.page import fill


@dataclass(frozen=True, kw_only=True)
class Shot:
    """A picture on the page."""

    path: str
    label: str
    part: str
    thumbnail: bytes | None
    """A small JPEG or PNG; None where it cannot be decoded."""
    proposal: str = ""
    """What the file of corrections says of it; "" for nothing."""


@dataclass(frozen=True)
class Case:
    """One finding: the pictures it is about, and what is to be said of them."""

    shots: Sequence[Shot]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Section:
    """All findings of one fault; `count` may be more than `cases` shows."""

    name: str
    meaning: str
    blocking: bool
    count: int
    cases: Sequence[Case]


def render_check(facts: dict[str, Any], sections: Sequence[Section]) -> str:
    """`facts`: data, pictures, classes, seconds and fixes (the name of the file of corrections)."""
    return fill("check.html.j2", f=facts, sections=sections, found=[s for s in sections if s.count])
