"""What a case study is: a claim, an experiment whose settings stand before its result, and a verdict.

claim ─ settings ─ experiment, over seeds ─ findings, each by a stated test ─ verdict ─ a page
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lexnet.job.events import Listener, Progress, ignore


@dataclass(frozen=True)
class Finding:
    """One part of a claim, and what became of it."""

    claim: str
    holds: bool | None
    """None where it is not shown at this size, either way."""
    seen: str
    """The numbers, with their doubt."""
    test: str
    """By what they are judged."""


@dataclass(frozen=True)
class Table:
    """Rows of text; all but the first column are numbers."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Figure:
    """A drawing."""

    caption: str
    svg: str


@dataclass(frozen=True, kw_only=True)
class Study:
    """What an experiment came to."""

    findings: Sequence[Finding]
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    numbers: dict[str, Any] = field(default_factory=dict)
    """All that was measured, for programs."""

    @property
    def holds(self) -> bool | None:
        """Whether every part of the claim holds; False where one fails, else None where one is not shown."""
        found = [finding.holds for finding in self.findings]
        return False if False in found else None if None in found else True


@dataclass(frozen=True, kw_only=True)
class Lab:
    """Where an experiment is done."""

    workers: int
    data: Path | None = None
    """The user's own pictures by class, for a case that takes some."""
    tell: Listener = ignore

    def progress(self, step: str, done: int, total: int) -> None:
        """Tells how far a step is."""
        self.tell(Progress(step, done, total))


@dataclass(frozen=True, kw_only=True)
class Case:
    """A claim and its experiment."""

    title: str
    claim: str
    """As the lectures have it."""
    source: str
    short: Any
    """The settings of at most five minutes on two cores: a dataclass, printed with the result."""
    full: Any
    study: Callable[[Any, Lab], Study]
    published: Any = None
    """Settings as the paper has them, where it takes a GPU: the long version with pictures of one's own."""
