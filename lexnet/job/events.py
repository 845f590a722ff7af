"""What the job tells whoever listens; it prints nothing itself."""

from collections.abc import Callable
from dataclasses import dataclass

from lexnet.config import Mode
from lexnet.data.manifest import Manifest


@dataclass(frozen=True)
class Found:
    """The pictures were listed."""

    manifest: Manifest


@dataclass(frozen=True)
class Note:
    """Something decided, with its reason."""

    text: str


@dataclass(frozen=True)
class Warned:
    """Something the user should know and may want to change."""

    text: str


@dataclass(frozen=True)
class Progress:
    """`done` of `total` pictures, or fits of the head, in a step that may take a while."""

    step: str
    done: int
    total: int


@dataclass(frozen=True)
class Judged:
    """The net was measured behind an epoch of training."""

    epochs: int
    """That there are to be."""
    record: dict[str, float]
    """As in the run's history: epoch (from 0), loss, lr, val_accuracy, val_log_loss."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """One way to learn, and how long all of the run would take that way."""

    mode: Mode
    seconds: float
    epochs: int | None = None
    views: int | None = None
    limit: int | None = None
    """Of so many pictures only."""
    epoch_seconds: float | None = None
    """Of `seconds`, what one epoch of whole nets takes."""


@dataclass(frozen=True)
class Choices:
    """What there is to choose from, by what was measured here, and what was chosen."""

    options: tuple[Option, ...]
    chosen: Option | None
    seconds: float | None
    """That there are for all of it, where there is a limit."""


Event = Found | Note | Warned | Progress | Judged | Choices
Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """For when nobody listens."""
