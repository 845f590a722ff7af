"""What the job tells whoever listens; it prints nothing itself."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from lexnet.config import Mode
from lexnet.data.manifest import Manifest


def percent(share: float | None) -> str:
    """A share in per cent with one decimal; 100.0 only where it is exactly 1."""
    if share is None:
        return "-"
    shown = f"{100 * share:.1f}"
    return f"{'99.9' if shown == '100.0' and share < 1 else shown} %"


def counted(number: int, noun: str) -> str:
    """1 → 1 epoch, 3068 → 3,068 epochs"""
    return f"{number:,} {noun}{'s' * (number != 1)}"


@dataclass(frozen=True)
class Found:
    """The pictures were listed."""

    manifest: Manifest = field(repr=False)

    def __str__(self) -> str:
        return f"{len(self.manifest):,} pictures of {len(self.manifest.classes):,} classes"


@dataclass(frozen=True)
class Note:
    """Something decided, with its reason."""

    text: str
    lasting: bool = True
    """Whether it is still true once the run has ended, and so part of its record."""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Warned:
    """Something the user should know and may want to change."""

    text: str

    def __str__(self) -> str:
        return f"warning: {self.text}"


@dataclass(frozen=True)
class Progress:
    """`done` of `total` pictures, or fits of the head, in a step that may take a while."""

    step: str
    done: int
    total: int

    def __str__(self) -> str:
        return f"{self.step}: {self.done:,} of {self.total:,}"


@dataclass(frozen=True)
class Judged:
    """The net was measured after an epoch of training."""

    epochs: int
    """That there are to be."""
    record: dict[str, float]
    """As in the run's history: epoch (from 1), loss, lr, val_accuracy, val_log_loss."""

    def __str__(self) -> str:
        seen = self.record
        text = f"epoch {round(seen['epoch'])} of {self.epochs}: loss {seen['loss']:.3f}"
        if "val_accuracy" not in seen:
            return text
        return (
            f"{text}, val accuracy {percent(seen['val_accuracy'])}, val log loss {seen['val_log_loss']:.3f}"
        )


@dataclass(frozen=True, kw_only=True)
class Option:
    """One way to learn, and how long all of the run would take that way."""

    mode: Mode
    seconds: float
    epochs: int | None = None
    views: int | None = None
    limit: int | None = None
    """Trains on only this many pictures."""
    epoch_seconds: float | None = None
    """Of `seconds`, what one epoch of whole nets takes."""

    def __str__(self) -> str:
        return ", ".join(
            text
            for text in (
                self.epochs and counted(self.epochs, "epoch"),
                self.views and f"{counted(self.views, 'view')} of each picture",
                self.limit and f"only {counted(self.limit, 'picture')}",
            )
            if text
        )


@dataclass(frozen=True)
class Choices:
    """What there is to choose from, by what was measured here, and what was chosen."""

    options: tuple[Option, ...]
    chosen: Option | None
    seconds: float | None
    """That there are for all of it, where there is a limit."""

    def __str__(self) -> str:
        each = (f"{one.mode} {f'({one}) ' * bool(str(one))}{one.seconds:.0f} s" for one in self.options)
        return f"choices: {', '.join(each)}" + (f"; taken: {self.chosen.mode}" if self.chosen else "")


Event = Found | Note | Warned | Progress | Judged | Choices
Listener = Callable[[Event], None]


class Narrator:
    """Says each thing in a line, a step's name when it begins: for notebooks and logs."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._step = say, ""

    def __call__(self, event: Event) -> None:
        if not isinstance(event, Progress):
            self._say(str(event))
        elif event.step != self._step:
            self._step = event.step
            self._say(f"{event.step} ({event.total:,})")


class Heard:
    """A listener that keeps what was decided and what was warned of, and passes on each once, worded so."""

    def __init__(self, tell: Listener, wording: Callable[[str], str] = str) -> None:
        self._tell, self._wording = tell, wording
        self.decisions, self.warnings = list[str](), list[str]()

    def __call__(self, event: Event) -> None:
        if isinstance(event, Note | Warned):
            event = replace(event, text=self._wording(event.text))
            texts = self.warnings if isinstance(event, Warned) else self.decisions
            if event.text in texts:  # where a tail is not kept, much is said again of its head
                return
            if isinstance(event, Warned) or event.lasting:
                texts.append(event.text)
        self._tell(event)


def ignore(event: Event) -> None:
    """For when nobody listens."""
