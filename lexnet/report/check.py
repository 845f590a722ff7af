"""What `lexnet check` found, as one HTML document with the pictures side by side.

Its one script lets a person choose what becomes of each picture, and saves that as a file of corrections. It
loads and sends nothing, and the page's content policy allows it alone, by its digest.
"""

import base64
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from hashlib import sha256
from importlib import resources
from typing import Any

from lexnet.data.fixes import COLUMNS, PROPOSALS, Fix
from lexnet.report.page import fill


@dataclass(frozen=True, kw_only=True)
class Shot:
    """A picture on the page."""

    path: str
    label: str
    part: str
    thumbnail: bytes | None
    """A small JPEG or PNG; None where it cannot be decoded."""
    row: int | None
    """Of the corrections, what becomes of this picture for this fault; None for a file that is no picture."""


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


def render_check(
    facts: dict[str, Any], sections: Sequence[Section], fixes: Sequence[Fix], classes: Sequence[str]
) -> str:
    """`facts`: data, pictures, classes, seconds and fixes (the name of the file of corrections). One of the
    `fixes` that proposes "" is of a picture that is shown, but has no row in the file.
    """
    script = resources.files(__package__).joinpath("check.js").read_text("utf-8")
    return fill(
        "check.html.j2",
        f=facts,
        sections=sections,
        found=[s for s in sections if s.count],
        columns=COLUMNS,
        proposals=PROPOSALS,
        fixes=fixes,
        dropped={fix.path for fix in fixes if fix.proposal == "drop"},
        rows=[astuple(fix) for fix in fixes],
        classes=classes,
        script=script,
        script_hash=base64.b64encode(sha256(script.encode()).digest()).decode("ascii"),
    )
