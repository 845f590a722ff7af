"""What the head is fitted on: the frozen net's features, of the net cut short and of changed copies too."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lexnet.check.duplicates import Pair
from lexnet.config import LOOKS, PreprocessSpec
from lexnet.data.groups import units
from lexnet.data.loader import seen_again
from lexnet.data.manifest import Manifest
from lexnet.job.events import Listener, Note, Progress, Warned
from lexnet.job.plan import Plan
from lexnet.runtime.engines import open_engine
from lexnet.transfer.cut import Probed, choose_cut, default_cut, places, probe_stages, reason
from lexnet.transfer.extract import Extraction, extract
from lexnet.transfer.probe import Examples
from lexnet.transfer.trunk import Trunk, open_trunk
from lexnet.transfer.views import Look, answering, augmented, colour_axes

if TYPE_CHECKING:
    from lexnet.nets.net import Net

TIMES = 23


@dataclass
class Clock:
    """Seconds spent in each step, in order."""

    steps: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Adds what happens inside to the step."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.steps[name] = self.steps.get(name, 0.0) + time.perf_counter() - start


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

    def late(self) -> bool:
        """Whether training has to end now for the rest to be done in time."""
        return self.deadline is not None and time.perf_counter() > self.deadline - self.reserve

    def warn(self, text: str) -> None:
        """Tells of something that is not as it should be."""
        self.tell(Warned(text))

    def progress(self, step: str, done: int, total: int) -> None:
        """Tells how far a step is."""
        self.tell(Progress(step, done, total))

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

    def tail_cut(self, net: "Net", spec: PreprocessSpec) -> str:
        """The last stage that a tail leaves as it is: the user's, or the one that nobody has to choose."""
        chosen = self.plan.config.cut
        if chosen not in ("auto", "none"):
            return chosen
        return default_cut(places(net, spec.size, spec.channels))

    def extract(
        self,
        trunk: Trunk,
        manifest: Manifest,
        step: str,
        *,
        look: Look | None = None,
        output: str = "features",
    ) -> Extraction:
        """The features of these pictures, timed and told as a step of its own."""
        with self.clock.step(step):
            found = extract(
                trunk,
                manifest,
                self.plan.config.engine,
                self.workers,
                look=look,
                output=output,
                warn=self.warn,
                progress=lambda done, total: self.progress(step, done, total),
            )
        if look is not None or trunk.cut is not None or output != "features":  # not the first look
            seen_again(manifest, found.manifest)
        return found


def examples_of(manifest: Manifest, near: Sequence[Pair], features: NDArray[np.float32]) -> Examples:
    """What a head is fitted on: a row for each picture, near copies never on both sides of a fold."""
    unit_of = units(manifest, [(pair.first, pair.second) for pair in near])
    return Examples(
        features=features,
        labels=manifest.labels,
        weights=manifest.weights,
        units=list(manifest.digests.take(unit_of)),
    )


def cut_short(
    job: Job, trunk: Trunk, manifest: Manifest, examples: Examples
) -> tuple[Trunk, Examples, list[Probed]]:
    """The net up to where the plan says, or where probes say that it may end, and its features."""
    config, train = job.plan.config, manifest.where("train")
    cut, curve = config.cut, []
    if cut == "auto":
        stages = places(trunk.torch_net(), trunk.spec.size, trunk.spec.channels)
        probing, some = job.trunk(every_stage=True), manifest.take(train, [])
        pooled = job.extract(probing, some, "every stage", output="stages").features
        with job.clock.step("probes"):
            curve = probe_stages(
                stages,
                pooled,
                examples.take(train),
                len(manifest.classes),
                config.probe,
                config.seed,
                job.workers,
                lambda done, total: job.progress("probes", done, total),
            )
        chosen = choose_within(job, curve, len(manifest.classes), lambda one: latency(job, one))
        job.tell(Note(reason(curve, chosen)))
        if config.split.folds is not None:
            job.warn(
                "the cut was chosen on pictures that are measured in turn: that accuracy is a little high"
            )
        cut = chosen.place.stage or "none"
    if cut == "none":
        return trunk, examples, curve
    short = job.trunk(cut)
    features = job.extract(short, manifest, f"net up to {cut}").features
    return short, replace(examples, features=features), curve


def choose_within(job: Job, curve: list[Probed], classes: int, latency: Callable[[Probed], float]) -> Probed:
    """The cheapest place that is no worse, within the plan's limits."""
    config = job.plan.config
    limits = config.max_macs, config.max_size, latency, config.max_latency
    return choose_cut(curve, classes, LOOKS[config.tta], *limits)


def latency(job: Job, probed: Probed) -> float:
    """Milliseconds that one picture takes in the net up to there: the median of some, one at a time."""
    trunk, choice = job.trunk(probed.place.stage), job.plan.config.engine
    engine = open_engine("auto" if choice == "torch" else choice, trunk.graph, 1)  # no bundle runs in torch
    looks = LOOKS[job.plan.config.tta]
    pixels = np.zeros((looks, trunk.spec.size, trunk.spec.size, trunk.spec.channels), np.uint8)
    times = []
    for _ in range(TIMES):
        start = time.perf_counter()
        engine.run(pixels)
        times.append(1000 * (time.perf_counter() - start))
    return float(np.median(times[3:]))


def with_views(
    job: Job, trunk: Trunk, manifest: Manifest, examples: Examples
) -> tuple[Examples, NDArray[np.float64] | None]:
    """The examples with changed copies of the training pictures, and with the views to answer by.

    Also the principal axes of the training pictures' colours, where the recipe shifts along them.
    """
    config, recipe, axes = job.plan.config, job.plan.recipe(), None
    if config.views is not None:
        train = manifest.where("train")
        axes = colour_axes(recipe, manifest, train, trunk.spec, config.seed)
        look = augmented(recipe, config.seed, config.views, axes)
        fitted = train if config.split.folds is None else np.arange(len(manifest))  # those of any fold
        views = np.full((len(manifest), config.views, examples.features.shape[1]), np.nan, np.float32)
        views[fitted] = job.extract(trunk, manifest.take(fitted, []), "changed copies", look=look).features
        examples = replace(examples, views=views)
    return with_looks(job, trunk, manifest, examples), axes


def with_looks(job: Job, trunk: Trunk, manifest: Manifest, examples: Examples) -> Examples:
    """The examples with the views to answer by, where there are several of each picture."""
    tta = job.plan.config.tta
    if tta == "none":
        return examples
    look = answering(replace(trunk.spec, tta=tta))
    return replace(examples, looks=job.extract(trunk, manifest, "views to answer by", look=look).features)
