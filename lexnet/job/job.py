"""A plan at work: its clock, who listens, and the steps that all modes share."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lexnet.data.loader import seen_again
from lexnet.data.manifest import Manifest
from lexnet.job.events import Judged, Listener, Progress, Warned
from lexnet.job.folder import CHECKPOINT
from lexnet.job.plan import Plan
from lexnet.transfer.cut import default_cut
from lexnet.transfer.extract import Extraction, extract
from lexnet.transfer.trunk import Trunk, open_trunk
from lexnet.transfer.views import Look

if TYPE_CHECKING:
    from lexnet.train.loop import Watch


@dataclass
class Clock:
    """Seconds spent in each step, in order, and since when."""

    start: float = field(default_factory=time.perf_counter)
    steps: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Adds what happens inside to the step."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.steps[name] = self.steps.get(name, 0.0) + time.perf_counter() - start


class OutOfTime(Exception):
    """There is no time left for what was begun, and something else may be done in its place."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A plan at work: what every step of it needs."""

    plan: Plan
    clock: Clock
    tell: Listener
    workers: int
    deadline: float | None = None
    """When all should be done, by `time.perf_counter`."""
    reserve: float = 15.0
    """Seconds before that which calibrating, verifying and writing need."""
    keep: Path | None = None
    """The folder of what an interrupted run goes on from, if it is kept."""

    @property
    def checkpoint(self) -> Path | None:
        """The file that training goes on from."""
        return self.keep and self.keep / CHECKPOINT

    def late(self) -> bool:
        """Whether training has to end now for the rest to be done in time."""
        return self.deadline is not None and time.perf_counter() > self.deadline - self.reserve

    def warn(self, text: str) -> None:
        """Tells of something that is not as it should be."""
        self.tell(Warned(text))

    def progress(self, step: str, done: int, total: int) -> None:
        """Tells how far a step is."""
        self.tell(Progress(step, done, total))

    def epoch(self, record: dict[str, float]) -> None:
        """Tells what an epoch came to."""
        epochs = self.plan.config.fit.resolved(self.plan.config.mode).epochs
        self.tell(Judged(epochs, record))

    def watch(self) -> "Watch":
        """Looks on while a net is trained."""
        from lexnet.train.loop import Watch  # loads torch

        return Watch(partial(self.progress, "train"), self.epoch, self.late)

    def trunk(self, cut: str | None = None, *, pooled: bool = True, every_stage: bool = False) -> Trunk:
        """The plan's net, frozen, whole or up to a stage."""
        config = self.plan.config
        return open_trunk(
            self.plan.weights(),
            config.size,
            self.warn,
            channels=config.channels,
            cut=cut,
            pooled=pooled,
            every_stage=every_stage,
        )

    def looking(self) -> Trunk:
        """The net that looks at each picture first: at every stage: a cut there needs no other look."""
        return self.trunk(every_stage=True)

    def tail_cut(self, trunk: Trunk) -> str:
        """The last stage that a tail leaves as it is: the user's, or the one that nobody has to choose."""
        chosen = self.plan.config.cut
        if chosen not in ("auto", "none"):
            return chosen
        return default_cut(trunk.places())

    def extract(
        self,
        trunk: Trunk,
        manifest: Manifest,
        step: str,
        *,
        look: Look | None = None,
        first: bool = False,
        timely: bool = False,
    ) -> Extraction:
        """The features of these pictures, timed and told as a step of its own.

        Raises `DataError` for a picture that cannot be had any more, unless this is the first look, and
        `OutOfTime` where it has to be `timely` and no time is left.
        """

        def progress(done: int, total: int) -> None:
            if timely and self.late():
                raise OutOfTime
            self.progress(step, done, total)

        with self.clock.step(step):
            found = extract(
                trunk,
                manifest,
                self.plan.config.engine,
                self.workers,
                look=look,
                warn=self.warn,
                progress=progress,
            )
        if not first:
            seen_again(manifest, found.manifest)
        return found
