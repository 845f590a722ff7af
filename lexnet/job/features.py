"""What the head is fitted on: the frozen net's features, of the net cut short and of changed copies too."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lexnet.check.duplicates import Pair
from lexnet.config import TTA_VIEWS
from lexnet.data.groups import units
from lexnet.data.manifest import Manifest
from lexnet.export.places import Place
from lexnet.files import write_atomic
from lexnet.job.events import Note
from lexnet.job.folder import LATENCIES
from lexnet.job.job import Job
from lexnet.job.learned import Looked
from lexnet.runtime.engines import open_engine
from lexnet.transfer.cut import Probed, called, choose_cut, columns, probe_stages, reason
from lexnet.transfer.probe import Examples
from lexnet.transfer.trunk import Trunk
from lexnet.transfer.views import answering, augmented, colour_axes

TIMES = 23


def unit_of(manifest: Manifest, near: Sequence[Pair]) -> NDArray[np.int64]:
    """(N,) the lowest row of all that stays with a picture: its group, its copies, the near ones too."""
    return units(manifest, [pair.rows for pair in near])


def examples_of(manifest: Manifest, near: Sequence[Pair], features: NDArray[np.float32]) -> Examples:
    """What a head is fitted on: a row for each picture, near copies never on both sides of a fold."""
    return Examples(
        features=features,
        labels=manifest.labels,
        weights=manifest.weights,
        units=list(manifest.digests.take(unit_of(manifest, near))),
    )


def up_to_the_cut(
    job: Job, looked: Looked, manifest: Manifest
) -> tuple[Trunk, Examples, NDArray[np.float64] | None, list[Probed]]:
    """The net up to where the plan says, or where probes say that it may end; what a head is fitted on there;
    the colour axes of `with_views`; and what a head makes of each stage, where that was asked.

    The first look has what comes out of every stage; only a net that ends elsewhere looks again.
    """
    trunk, cut = looked.trunk, job.plan.config.cut
    assert trunk is not None and looked.extraction is not None
    stages, every = trunk.places(), looked.extraction.stages
    if cut == "auto":
        examples, axes = with_views(job, trunk, manifest, examples_of(manifest, looked.near, every))
        end, curve = _probed(job, stages, manifest, examples)
        return job.trunk(end.stage), examples.part(columns(stages, end)), axes, curve
    short = job.trunk(None if cut == "none" else cut)
    there = next((one for one in stages if one.stage == short.cut), None)
    if there is not None:
        features = np.ascontiguousarray(every[:, columns(stages, there)])
    else:
        features = job.extract(short, manifest, f"net up to {cut}").features
    return short, *with_views(job, short, manifest, examples_of(manifest, looked.near, features)), []


def _probed(
    job: Job, stages: list[Place], manifest: Manifest, examples: Examples
) -> tuple[Place, list[Probed]]:
    """Where the net may end, by a head after each stage, and what they came to."""
    config, classes = job.plan.config, len(manifest.classes)
    with job.clock.step("probes"):
        curve = probe_stages(
            stages,
            examples.take(manifest.where("train")),
            classes,
            config.probe,
            config.seed,
            job.workers,
            partial(job.progress, "probes"),
        )
    chosen = cheapest(job, curve, classes, lambda one: latency(job, one))
    job.tell(Note(why(job, curve, chosen, classes)))
    if config.split.folds is not None:
        job.warn("the cut was chosen on pictures that are measured in turn: that accuracy is a little high")
    return chosen.place, curve


def cheapest(job: Job, curve: list[Probed], classes: int, latency: Callable[[Probed], float]) -> Probed:
    """The cheapest place that is shown to lose at most a point, within the plan's limits."""
    config = job.plan.config
    return choose_cut(
        curve,
        classes,
        tta_views=TTA_VIEWS[config.tta],
        max_macs=config.max_macs,
        max_size=config.max_size,
        latency=latency,
        max_latency=config.max_latency,
    )


def why(job: Job, curve: list[Probed], chosen: Probed, classes: int) -> str:
    """The choice in one line, with the limits that it keeps to and what it would be without them."""
    config, text = job.plan.config, reason(curve, chosen)
    limits = {name: getattr(config, name) for name in ("max_macs", "max_size", "max_latency")}
    given = ", ".join(f"{name}={limit:,.10g}" for name, limit in limits.items() if limit is not None)
    if not given:
        return text
    free = choose_cut(curve, classes)
    if free is chosen:
        return f"{text}; within {given}"
    return f"{text}; within {given}, without which it would be {called(free)}, {100 * free.accuracy:.1f} %"


def latency(job: Job, probed: Probed) -> float:
    """Milliseconds that one picture takes in the net up to there, measured once for all of a run."""
    name = f"{job.plan.net()} {probed.place.stage}"
    file = None if job.keep is None else job.keep / LATENCIES
    kept: dict[str, float] = json.loads(file.read_text("utf-8")) if file and file.exists() else {}
    if name not in kept:
        kept[name] = _measured(job, probed)
        if file:
            write_atomic(file, json.dumps(kept))
    return kept[name]


def _measured(job: Job, probed: Probed) -> float:
    """The median of some, one at a time."""
    trunk, choice = job.trunk(probed.place.stage), job.plan.config.engine
    engine = open_engine("auto" if choice == "torch" else choice, trunk.graph, 1)  # no bundle runs in torch
    views = TTA_VIEWS[job.plan.config.tta]
    pixels = np.zeros((views, *trunk.spec.shape), np.uint8)
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
        views[fitted] = job.extract(trunk, manifest.take(fitted), "changed copies", look=look).stages
        examples = replace(examples, views=views)
    return with_tta_views(job, trunk, manifest, examples), axes


def with_tta_views(job: Job, trunk: Trunk, manifest: Manifest, examples: Examples) -> Examples:
    """The examples with the views to answer by, where there are several of each picture."""
    tta = job.plan.config.tta
    if tta == "none":
        return examples
    look = answering(replace(trunk.spec, tta=tta))
    return replace(examples, tta_views=job.extract(trunk, manifest, "views to answer by", look=look).stages)
