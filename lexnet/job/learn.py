"""From admitted pictures to a verified bundle, with everything that was measured on the way."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexnet.augment.recipes import breaks_labels
from lexnet.check.examine import near_copies
from lexnet.config import PreprocessSpec, Recipe, available_cores, tail_epochs
from lexnet.data.groups import units
from lexnet.data.loader import load_row_views
from lexnet.data.manifest import Manifest, refuse_bad
from lexnet.data.splits import choose as choose_pictures
from lexnet.data.splits import is_divided
from lexnet.errors import DataError, PictureError
from lexnet.evaluate.metrics import score
from lexnet.export.bundle import pack_bundle
from lexnet.export.graph import append_head
from lexnet.export.parity import check_parity
from lexnet.job.divide import divide
from lexnet.job.events import Listener, Note, Progress, Warned
from lexnet.job.features import Clock, Job, cut_short, with_views
from lexnet.job.learned import Learned, Looked
from lexnet.job.plan import Plan, decided
from lexnet.job.records import Findings, bundle_facts, run_metrics
from lexnet.job.specimens import golden_pictures, training_sheet, worst_mistakes
from lexnet.report.page import Mistake
from lexnet.runtime.engines import Engine, OnnxRuntime
from lexnet.runtime.stream import stream
from lexnet.transfer.cross_validate import cross_validate
from lexnet.transfer.cut import Probed
from lexnet.transfer.probe import Examples, Probe, fit_probe
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


def learn(
    manifest: Manifest,
    plan: Plan,
    clock: Clock,
    tell: Listener,
    keep: Path | None = None,
    deadline: float | None = None,
) -> Outcome:
    """Trains on the train part, measures on what was held out, and verifies the file that ships.

    In the folder `keep` lies what an interrupted training goes on from. All should be done when the
    clock of `time.perf_counter` stands at `deadline`.

    Raises `DataError` for pictures that turn out to be damaged, unless the plan says to go on, and
    `ParityError` where the exported graph disagrees with training.
    """
    plan_before, asked, workers = plan, plan.config, plan.config.workers or available_cores()
    job = Job(plan=plan, clock=clock, tell=tell, workers=workers, deadline=deadline)
    _warn_of_recipe(plan, manifest, tell)
    job, admitted, looked = _chosen(job, manifest, keep)
    plan, config, recipe = job.plan, job.plan.config, job.plan.recipe()
    if recipe != plan_before.recipe():
        _warn_of_recipe(plan, admitted, tell)
    refuse_bad(looked.manifest.skipped, config.skip_bad)
    given, near = is_divided(admitted), looked.near
    if given and not is_divided(looked.manifest):
        raise DataError("no usable picture is left to measure the accuracy on; mend or add some")
    manifest = divide(looked.manifest, near, config, tell)
    if config.class_weight == "balanced":
        manifest = manifest.balanced()
    part = "test" if len(manifest.where("test")) else "val"
    held_out = manifest.where(part)
    if not len(held_out):
        raise DataError("no usable picture is left to measure the accuracy on; mend or add some")
    if config.mode != "probe" and not len(manifest.where("val")):
        raise DataError(
            f"mode={config.mode} needs a val part to calibrate on, and there is none; raise --val from "
            f"{config.split.val:g}, or add pictures"
        )
    if config.mode == "tail":
        epochs = tail_epochs(config.fit, len(manifest.where("train")))
        plan = replace(plan, config=replace(config, fit=replace(config.fit, epochs=epochs)))
        job, config = replace(job, plan=plan), plan.config
    probe, trunk, curve = None, looked.trunk, list[Probed]()
    spec = replace(looked.spec, tta=config.tta)
    if trunk is None or looked.extraction is None:
        from lexnet.job.whole import learn_scratch, measured

        spec = measured(job, manifest, spec)
        learned = learn_scratch(job, spec, manifest, held_out, keep)
    else:
        extraction = replace(looked.extraction, manifest=manifest)
        names = units(manifest, [(pair.first, pair.second) for pair in near])
        examples = Examples(
            features=extraction.features,
            labels=manifest.labels,
            weights=manifest.weights,
            units=list(manifest.digests.take(names)),
        )
        axes = None
        if config.mode == "probe":
            trunk, examples, curve = cut_short(job, trunk, manifest, examples)
            examples, axes = with_views(job, trunk, manifest, examples)
            if config.max_latency is not None:  # what was measured is not measured again
                config = replace(
                    config, cut=trunk.cut or "none", max_macs=None, max_size=None, max_latency=None
                )
                plan = replace(plan, config=config)
        with clock.step("head"):
            probe = fit_probe(
                examples.take(manifest.where("train")),
                len(manifest.classes),
                config.probe,
                config.seed,
                workers,
                lambda done, total: job.progress("head", done, total),
            )
        if config.mode == "tail":
            from lexnet.job.tail import learn_tail  # loads torch

            learned = learn_tail(job, trunk, manifest, probe, held_out, keep)
            if asked.mode == "auto" and not _pays(learned, probe, examples, manifest):
                why = "mode probe: the tail is not right more often on the val part"
                tell(Note(why))
                again = decided(plan_before, mode="probe", why=why, limit=config.split.limit)
                return learn(admitted, again, clock, tell, keep)
        elif config.mode == "finetune":
            from lexnet.job.whole import learn_whole

            learned = learn_whole(job, trunk, manifest, probe, held_out, keep)
        else:
            learned = _probed(trunk, probe, examples, manifest, held_out, axes)
    validation = None
    if config.split.folds is not None:
        with clock.step("folds"):  # on all but what the source itself keeps back to measure on
            rows = np.asarray([i for i, p in enumerate(manifest.parts) if not given or p != part], np.int64)
            validation = cross_validate(
                examples.take(rows),
                manifest.classes,
                config,
                workers,
                lambda done, total: job.progress("folds", done, total),
            )
    with clock.step("verify"):
        headed = append_head(learned.graph, learned.weight, learned.bias, learned.temperature)
        engine = OnnxRuntime(headed.graph, workers)
        exported = _run(engine, spec, manifest, held_out, tell)
        parity = check_parity(learned.held_out, exported, [manifest.paths[i] for i in held_out])
    plain = replace(spec, tta="none")
    found = Findings(
        plan=plan,
        trunk=trunk,
        spec=spec,
        learned=learned,
        curve=curve,
        manifest=manifest,
        extraction=looked.extraction,
        probe=probe,
        headed=headed,
        part=part,
        scores=score(exported, manifest.labels[held_out], manifest.classes),
        parity=parity,
        validation=validation,
    )
    with clock.step("bundle"):
        pictures = golden_pictures(config.golden, manifest, held_out, plain, config.seed)
        golden = [(pixels, engine.run(pixels[None])["probabilities"][0]) for pixels in pictures]
        bundle = pack_bundle(headed.graph, bundle_facts(found), golden)
        mistakes = worst_mistakes(exported, manifest, held_out, plain)
        seen = training_sheet(plan, manifest, plain, learned.axes) if recipe != Recipe() else None
    metrics = run_metrics(found)
    metrics["bundle_bytes"] = len(bundle)
    metrics["verification"]["golden"] = len(golden)
    if learned.stopped:
        plan = replace(plan, config=replace(plan.config, fit=replace(plan.config.fit, steps=learned.steps)))
    return Outcome(
        plan=plan,
        bundle=bundle,
        metrics=metrics,
        manifest=manifest,
        probabilities=exported,
        held_out=held_out,
        mistakes=mistakes,
        seen=seen,
    )


def _warn_of_recipe(plan: Plan, manifest: Manifest, tell: Listener) -> None:
    for risk in breaks_labels(plan.recipe(), manifest.classes):
        tell(Warned(f"recipe {plan.recipe_name()} may change what a picture shows: {risk}"))


def _chosen(job: Job, manifest: Manifest, keep: Path | None) -> tuple[Job, Manifest, Looked]:
    """The job with nothing left open, its pictures, and each of them looked at once."""
    asked = job.plan.config
    if asked.mode != "auto" and asked.budget is None:
        return job, manifest, _look(job, manifest)
    from lexnet.job import budget, choose  # load torch

    looked, plan = None, choose.kept_choice(keep)
    if plan is None:
        plan = choose.without_a_look(job, manifest) or job.plan
        if plan.config.budget is not None:
            job = replace(job, plan=plan)
            plan, reserve = budget.choose_within(job, manifest)
            job = replace(job, reserve=reserve)
        elif plan.config.mode == "auto":
            looked = _look(job, manifest)
            plan = choose.with_a_pilot(job, looked)
    job = choose.keep_choice(job, keep, plan)
    if plan.config.split.limit != asked.split.limit:
        manifest = choose_pictures(manifest, plan.config.split, asked.seed)
    return job, manifest, looked or _look(job, manifest)


def _look(job: Job, manifest: Manifest) -> Looked:
    """Every picture once: by the frozen net, or for a new one by the eye that finds copies."""
    if job.plan.config.mode == "scratch":
        from lexnet.job.whole import look_at  # loads torch

        return look_at(job, manifest)
    job.progress("frozen net", 0, len(manifest))
    with job.clock.step("frozen net"):
        trunk = job.trunk()
    extraction = job.extract(trunk, manifest, "frozen net")
    refuse_bad(extraction.manifest.skipped, job.plan.config.skip_bad)
    with job.clock.step("near copies"):
        near = near_copies(extraction, job.plan.config.workers, job.warn, job.progress)
    return Looked(
        manifest=extraction.manifest, near=near, spec=trunk.spec, trunk=trunk, extraction=extraction
    )


def _pays(learned: Learned, probe: Probe, examples: Examples, manifest: Manifest) -> bool:
    """Whether what was trained is right on more of the validation part than the head it began with."""
    val = manifest.where("val")
    before = probe.probabilities(examples.take(val).measured()).argmax(axis=1) == manifest.labels[val]
    return bool((learned.val.argmax(axis=1) == manifest.labels[val]).sum() > before.sum())


def _probed(
    trunk: Trunk,
    probe: Probe,
    examples: Examples,
    manifest: Manifest,
    held_out: NDArray[np.int64],
    axes: NDArray[np.float64] | None,
) -> Learned:
    """The frozen net with its new head."""
    answers = [
        probe.probabilities(examples.take(rows).measured()) for rows in (held_out, manifest.where("val"))
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
