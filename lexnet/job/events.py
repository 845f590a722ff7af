"""What the job tells whoever listens; it prints nothing itself."""

from collections.abc import Callable
from dataclasses import dataclass

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


Event = Found | Note | Warned | Progress
Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """For when nobody listens."""
