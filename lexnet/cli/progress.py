"""Progress bars with an ETA on stderr: only on a terminal, only for what takes over a second."""

import sys
import time
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

PATIENCE = 1.0  # seconds before a bar appears


class Bars:
    """One bar a step; `update` may be called as often as one likes."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
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
        self._step, self._since = "", 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def update(self, step: str, done: int, total: int) -> None:
        """`done` of `total` pictures; with a total of 0 the bar only shows that something goes on."""
        if not sys.stderr.isatty():
            return
        now = time.monotonic()
        if step != self._step:
            self._step, self._since = step, now
            if self._task is not None:
                self._bars.remove_task(self._task)
                self._task = None
        if self._task is None and (now - self._since > PATIENCE or total == 0):
            self._bars.start()
            self._task = self._bars.add_task(step, total=total or None, completed=done)
        if self._task is not None:
            self._bars.update(self._task, completed=done, total=total or None)

    def print(self, text: str) -> None:
        """A line of text on stderr, above the bar."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
