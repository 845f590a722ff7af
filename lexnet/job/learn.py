"""From admitted pictures to a verified bundle, with everything that was measured on the way."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexnet.augment.recipes import breaks_labels
from lexnet.check.examine import near_copies
from lexnet.config import PreprocessSpec, Recipe, available_cores
from lexnet.data.groups import units
from lexnet.data.loader import load_row_views
from lexnet.data.manifest import Manifest, refuse_bad
from lexnet.data.splits import is_divided
from lexnet.errors import DataError, PictureError
from lexnet.evaluate.metrics import score
from lexnet.export.bundle import pack_bundle
from lexnet.export.graph import append_head
from lexnet.export.parity import check_parity
from lexnet.job.divide import divide
from lexnet.job.events import Listener, Progress, Warned
from lexnet.job.plan import Plan
from lexnet.job.records import Findings, bundle_facts, run_metrics
from lexnet.job.specimens import golden_pictures, training_sheet, worst_mistakes
from lexnet.report.page import Mistake
from lexnet.runtime.engines import Engine, OnnxRuntime
from lexnet.runtime.stream import stream
from lexnet.transfer.cross_validate import cross_validate
from lexnet.transfer.probe import Examples, fit_probe
from lexnet.transfer.trunk import extract, open_trunk
from lexnet.transfer.views import Look, answering, augmented, colour_axes


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run has to show."""

    bundle: bytes
    metrics: dict[str, Any]
    """metrics.json without what depends on where the run is written."""
    manifest: Manifest
    probabilities: NDArray[np.float32]
    """(N, classes) for the held-out pictures, as the bundle gives them."""
    held_out: NDArray[np.int64]
    """(N,) their rows in the manifest."""
    mistakes: list[Mistake]
    seen: bytes | None
    """A contact sheet of what training saw, where a recipe changed it."""


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


def learn(manifest: Manifest, plan: Plan, clock: Clock, tell: Listener) -> Outcome:
    """Trains on the train part, measures on what was held out, and verifies the file that ships.

    Raises `DataError` for pictures that turn out to be damaged, unless the plan says to go on, and
    `ParityError` where the exported graph disagrees with training.
    """
    config = plan.config
    workers = config.workers or available_cores()
    recipe = plan.recipe()
    for risk in breaks_labels(recipe, manifest.classes):
        tell(Warned(f"recipe {plan.recipe_name()} may change what a picture shows: {risk}"))
    with clock.step("frozen net"):
        tell(Progress("frozen net", 0, len(manifest)))
        trunk = open_trunk(config.net, config.size, lambda text: tell(Warned(text)))
        extraction = extract(
            trunk,
            manifest,
            config.engine,
            workers,
            warn=lambda text: tell(Warned(text)),
            progress=lambda done, total: tell(Progress("frozen net", done, total)),
        )
    refuse_bad(extraction.manifest.skipped, config.skip_bad)
    if is_divided(manifest) and not is_divided(extraction.manifest):
        raise DataError("no usable picture is left to measure the accuracy on; mend or add some")
    with clock.step("near copies"):
        near = near_copies(
            extraction,
            config.workers,
            lambda text: tell(Warned(text)),
            lambda step, done, total: tell(Progress(step, done, total)),
        )
    given = is_divided(manifest)
    manifest = divide(extraction.manifest, near, config, tell)
    extraction = replace(extraction, manifest=manifest)
    spec = replace(trunk.spec, tta=config.tta)
    part = "test" if len(manifest.where("test")) else "val"
    held_out = manifest.where(part)
    if not len(held_out):
        raise DataError("no usable picture is left to measure the accuracy on; mend or add some")
    examples = Examples(
        features=extraction.features,
        labels=manifest.labels,
        weights=manifest.weights,
        units=list(manifest.digests.take(units(manifest, [(pair.first, pair.second) for pair in near]))),
    )
    train = manifest.where("train")

    def features_of(look: Look, rows: NDArray[np.int64], step: str) -> NDArray[np.float32]:
        with clock.step(step):
            return extract(
                trunk,
                manifest.take(rows, []),
                config.engine,
                workers,
                look=look,
                warn=lambda text: tell(Warned(text)),
                progress=lambda done, total: tell(Progress(step, done, total)),
            ).features

    axes = None
    if recipe != Recipe():
        axes = colour_axes(recipe, manifest, train, trunk.spec, config.seed)
        views = np.zeros((len(manifest), config.views, extraction.features.shape[1]), np.float32)
        views[train] = features_of(
            augmented(recipe, config.seed, config.views, axes), train, "changed copies"
        )
        examples = replace(examples, views=views)
    if config.tta != "none":
        every = np.arange(len(manifest))
        examples = replace(examples, looks=features_of(answering(spec), every, "views to answer by"))
    with clock.step("head"):
        probe = fit_probe(
            examples.take(train),
            len(manifest.classes),
            config.probe,
            config.seed,
            workers,
            lambda done, total: tell(Progress("head", done, total)),
        )
    validation = None
    if config.split.folds is not None:
        with clock.step("folds"):  # on all but what the source itself keeps back to measure on
            rows = np.asarray([i for i, p in enumerate(manifest.parts) if not given or p != part], np.int64)
            validation = cross_validate(
                examples.take(rows),
                manifest.classes,
                config,
                workers,
                lambda done, total: tell(Progress("folds", done, total)),
            )
    with clock.step("verify"):
        headed = append_head(trunk.graph, probe.weight, probe.bias, probe.temperature)
        engine = OnnxRuntime(headed.graph, workers)
        exported = _run(engine, spec, manifest, held_out, tell)
        measured = probe.probabilities(examples.take(held_out).measured())
        parity = check_parity(measured, exported, [manifest.paths[i] for i in held_out])
    found = Findings(
        plan=plan,
        trunk=trunk,
        spec=spec,
        axes=axes,
        examples=examples,
        extraction=extraction,
        probe=probe,
        headed=headed,
        part=part,
        scores=score(exported, manifest.labels[held_out], manifest.classes),
        parity=parity,
        validation=validation,
    )
    with clock.step("bundle"):
        pictures = golden_pictures(config.golden, manifest, held_out, trunk.spec, config.seed)
        golden = [(pixels, engine.run(pixels[None])["probabilities"][0]) for pixels in pictures]
        bundle = pack_bundle(headed.graph, bundle_facts(found), golden)
        mistakes = worst_mistakes(exported, manifest, held_out, trunk.spec)
        seen = training_sheet(plan, manifest, trunk.spec, axes) if recipe != Recipe() else None
    metrics = run_metrics(found)
    metrics["bundle_bytes"] = len(bundle)
    metrics["verification"]["golden"] = len(golden)
    return Outcome(
        bundle=bundle,
        metrics=metrics,
        manifest=manifest,
        probabilities=exported,
        held_out=held_out,
        mistakes=mistakes,
        seen=seen,
    )


def _run(
    engine: Engine,
    spec: PreprocessSpec,
    manifest: Manifest,
    rows: NDArray[np.int64],
    tell: Listener,
) -> NDArray[np.float32]:
    """(N, classes) probabilities of the exported graph, from the files themselves."""
    results = []
    pictures = stream(rows, lambda i: load_row_views(manifest, int(i), spec), engine)
    for done, (_, result) in enumerate(pictures, start=1):
        if isinstance(result, PictureError):
            raise result
        results.append(result["probabilities"][0])
        tell(Progress("verify", done, len(rows)))
    return np.stack(results)
