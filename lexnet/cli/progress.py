"""A progress bar with an ETA on stderr, on a terminal only; it is gone when its step is done."""

import sys
import threading
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from lexnet.cli.say import plain


class PipedConsole(Console):
    """A console that says when nobody reads any more, as a plain print does."""

    def on_broken_pipe(self) -> None:
        """rich would end the program with 1."""
        raise BrokenPipeError


class Bars:
    """One bar a step; `update` may be called as often as one likes."""

    def __init__(self) -> None:
        self._console = PipedConsole(stderr=True)
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._task: TaskID | None = None
        self._step = ("", 0)
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._bars.stop()

    def update(self, step: str, done: int, total: int) -> None:
        """`done` of `total`; another step takes the place of the last."""
        if not sys.stderr.isatty():
            return
        with self._lock:
            if self._task is None:
                self._bars.start()
            if self._task is None or (step, total) != self._step:
                if self._task is not None:
                    self._bars.remove_task(self._task)
                self._step, self._task = (step, total), self._bars.add_task(step, total=total)
            self._bars.update(self._task, completed=done)

    def print(self, text: str) -> None:
        """A line of text on stderr, above the bar."""
        self._console.print(plain(text), markup=False, emoji=False, highlight=False, soft_wrap=True)
