"""From a trained classifier to the bundle that ships: one graph, verified on what was held out, and facts.

trunk ─ head ─ one graph ─ ONNX Runtime ─ as training says, picture by picture ─ bundle
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexnet.config import FitConfig, PreprocessSpec, Recipe
from lexnet.data.loader import load_row_views
from lexnet.data.manifest import Manifest
from lexnet.errors import LexNetError
from lexnet.evaluate.metrics import score
from lexnet.export.bundle import pack_bundle
from lexnet.export.graph import append_head
from lexnet.export.parity import check_parity
from lexnet.files import write_atomic
from lexnet.job.divide import known_before
from lexnet.job.events import Listener, Note, Progress, percent
from lexnet.job.features import unit_of
from lexnet.job.folder import HEAD
from lexnet.job.job import Job
from lexnet.job.learned import Learned, Looked, Taught
from lexnet.job.plan import Plan
from lexnet.job.records import RunFindings, bundle_facts, run_metrics
from lexnet.job.specimens import golden_pictures, training_sheet, worst_mistakes
from lexnet.report.page import Mistake
from lexnet.runtime.engines import Engine, OnnxRuntime
from lexnet.runtime.stream import sound, stream
from lexnet.transfer.cross_validate import CrossValidation, cross_validate
from lexnet.transfer.probe import Examples, Probe
from lexnet.transfer.trunk import Trunk


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run has to show."""

    plan: Plan
    """With nothing left open: what runs again to the same bundle."""
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
    given: bool
    """Whether the source itself has parts."""


def shipped(taught: Taught, looked: Looked, manifest: Manifest, given: bool) -> Outcome:
    """The verified bundle, and all that is said of it; `given` where the source itself has parts."""
    job, learned, spec = taught.job, taught.learned, taught.spec
    config, held_out = job.plan.config, manifest.held_out()
    calibrated = "train" if config.mode == "probe" else "val"
    rows = manifest.where(calibrated)
    if count := int(known_before(manifest, config)[rows].sum()):
        decided = ", and what was chosen by these pictures not the best" if job.plan.judged else ""
        job.warn(
            f"{count:,} of the {len(rows):,} {calibrated} pictures were among those that {config.from_} was "
            f"trained on: the probabilities may be too sure{decided}"
        )
    validation = _cross_validated(taught, manifest, given)
    with job.clock.step("verify"):
        headed = append_head(learned.graph, learned.weight, learned.bias, learned.temperature)
        engine = OnnxRuntime(headed.graph, job.workers)
        exported = _run(engine, spec, manifest, held_out, job.tell)
        parity = check_parity(learned.held_out, exported, [manifest.paths[i] for i in held_out])
    together = unit_of(manifest, looked.near)[held_out]
    found = RunFindings(
        taught=taught,
        looked=looked,
        manifest=manifest,
        headed=headed,
        seen_before=int(known_before(manifest, config)[held_out].sum()),
        scores=score(exported, manifest.labels[held_out], manifest.classes, units=together),
        parity=parity,
        validation=validation,
    )
    with job.clock.step("bundle"):
        plain = replace(spec, tta="none")
        pictures = golden_pictures(config.golden, manifest, held_out, plain, config.seed)
        golden = [(pixels, engine.run(pixels[None])["probabilities"][0]) for pixels in pictures]
        bundle = pack_bundle(headed.graph, bundle_facts(found), golden)
        mistakes = worst_mistakes(exported, manifest, held_out, plain)
        changed = job.plan.recipe() != Recipe()
        epochs = int(learned.epochs[-1]["epoch"]) if learned.epochs else None
        seen = training_sheet(job.plan, manifest, plain, learned.axes, epochs) if changed else None
    metrics = run_metrics(found)
    metrics["bundle_bytes"] = len(bundle)
    metrics["verification"]["golden"] = len(golden)
    return Outcome(
        plan=replace(job.plan, config=replace(config, fit=_as_it_was(config.fit, learned))),
        bundle=bundle,
        metrics=metrics,
        manifest=manifest,
        probabilities=exported,
        held_out=held_out,
        mistakes=mistakes,
        seen=seen,
        given=given,
    )


def _cross_validated(taught: Taught, manifest: Manifest, given: bool) -> CrossValidation | None:
    """The head measured in turn on all but what the source itself keeps back, where that was asked for."""
    job, config = taught.job, taught.job.plan.config
    if config.split.folds is None or taught.examples is None:
        return None
    kept_back = manifest.held_out_part() if given else None
    rows = np.asarray([i for i, part in enumerate(manifest.parts) if part != kept_back], np.int64)
    with job.clock.step("folds"):
        found = cross_validate(
            taught.examples.take(rows), manifest.classes, config, job.workers, partial(job.progress, "folds")
        )
    if found.folds < config.split.folds:
        job.warn(f"--folds {config.split.folds} are {found.folds} here: a class has no more pictures")
    return found


def keep_head(
    job: Job, file: Path, looked: Looked, manifest: Manifest, trunk: Trunk, probe: Probe, examples: Examples
) -> None:
    """A bundle of the head alone, to use until the rest is trained: measured on the val part, so that nobody
    sees the test part before the end."""
    untested = manifest.with_parts("" if part == "test" else part for part in manifest.parts)
    config = replace(job.plan.config, mode="probe", cut="none", recipe="none", views=None, tta="none")
    quiet = replace(
        job,
        plan=replace(job.plan, config=replace(config, fit=FitConfig())),
        tell=lambda event: job.tell(event) if isinstance(event, Progress) else None,
    )
    learned = with_head(trunk, probe, examples, untested, None)
    head = Taught(job=quiet, spec=looked.spec, learned=learned, trunk=trunk, probe=probe, examples=examples)
    try:
        outcome = shipped(head, looked, untested, True)
        write_atomic(file, outcome.bundle)
    except LexNetError as error:  # what ships at the end may be sound all the same
        job.warn(f"no {HEAD} is there to use meanwhile: {error}")
        return
    hits = percent(outcome.metrics["accuracy"])
    meanwhile = f"{HEAD} in the run's folder is there to use meanwhile: right on {hits} of the val pictures"
    job.tell(Note(meanwhile, lasting=False))


def with_head(
    trunk: Trunk,
    probe: Probe,
    examples: Examples,
    manifest: Manifest,
    axes: NDArray[np.float64] | None,
) -> Learned:
    """The frozen net with its new head."""
    answers = [
        probe.probabilities(examples.take(rows).measured())
        for rows in (manifest.held_out(), manifest.where("val"))
    ]
    return Learned(
        graph=trunk.graph,
        weight=probe.weight,
        bias=probe.bias,
        temperature=probe.temperature,
        held_out=answers[0],
        val=answers[1],
        axes=axes,
    )


def _as_it_was(fit: FitConfig, learned: Learned) -> FitConfig:
    """With what was decided while training went on, so that it comes out the same again."""
    if learned.stopped:
        fit = replace(fit, steps=learned.steps)
    return fit if learned.compile is None else replace(fit, compile=learned.compile)


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
    for done, result in enumerate(sound(pictures), start=1):
        results.append(result["probabilities"][0])
        tell(Progress("verify", done, len(rows)))
    return np.stack(results)
