"""From admitted pictures to a verified bundle, with everything that was measured on the way."""

import threading
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexnet.config import TAIL_STEPS, FitConfig, PreprocessSpec, Recipe, available_cores, tail_epochs
from lexnet.data.loader import load_row_views
from lexnet.data.manifest import Manifest, refuse_bad
from lexnet.data.splits import is_divided
from lexnet.errors import DataError
from lexnet.evaluate.metrics import score
from lexnet.export.bundle import pack_bundle
from lexnet.export.graph import append_head
from lexnet.export.parity import check_parity
from lexnet.files import write_atomic
from lexnet.job.divide import divide, known_before
from lexnet.job.events import Event, Listener, Note, Progress, Warned, percent
from lexnet.job.features import examples_of, unit_of, up_to_the_cut, with_tta_views
from lexnet.job.folder import HEAD
from lexnet.job.job import Clock, Job
from lexnet.job.learned import Learned, Looked
from lexnet.job.look import look
from lexnet.job.plan import Plan, decided
from lexnet.job.records import Findings, bundle_facts, run_metrics, run_of, stages
from lexnet.job.specimens import golden_pictures, training_sheet, worst_mistakes
from lexnet.report.page import Mistake
from lexnet.runtime.engines import Engine, OnnxRuntime
from lexnet.runtime.stream import sound, stream
from lexnet.transfer.cross_validate import cross_validate
from lexnet.transfer.cut import Probed
from lexnet.transfer.probe import Examples, Probe, fit_probe, load_solver
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
    if plan.config.mode != "scratch" and plan.config.budget is None:  # nor is anything timed meanwhile
        threading.Thread(target=load_solver).start()
    workers = plan.config.workers or available_cores()
    job = Job(plan=plan, clock=clock, tell=tell, workers=workers, keep=keep, deadline=deadline)
    _warn_of_changes(job, manifest)
    job, admitted, looked, rivals = look(job, manifest)
    divided = _divided(job, admitted, looked)
    tried = plan.config.mode == "auto" and job.plan.config.mode == "tail"
    held: list[Event] = []  # warnings of what may be thrown away
    if tried:
        job = replace(job, tell=lambda event: (held.append if isinstance(event, Warned) else tell)(event))
    if job.plan.recipe() != plan.recipe():
        _warn_of_changes(job, admitted)
    taught = _taught(job, looked, divided, tried)
    better, seen = _beside_the_head(taught, divided) if tried else (True, "")
    if tried:
        why = f"mode {'tail' if better else 'probe'}: {seen}"
        tell(Note(why))
    if not better:
        again = decided(
            plan, mode="probe", net=job.plan.config.net, why=why, limit=job.plan.config.split.limit
        )
        outcome = learn(admitted, again, clock, tell, keep)
        before = {"trunk": run_of(looked.extraction)} | ({"stages": stages(rivals)} if rivals else {})
        return replace(outcome, metrics=outcome.metrics | before)
    if not tried:
        _warn_of_no_gain(taught, divided)
    for event in held:
        tell(event)
    taught = replace(taught, job=replace(taught.job, tell=tell), curve=rivals or taught.curve)
    return _shipped(taught, looked, divided, is_divided(admitted))


@dataclass(frozen=True, kw_only=True)
class Taught:
    """A trained classifier, and what it was trained with."""

    job: Job
    """With the plan that it follows, nothing left open."""
    spec: PreprocessSpec
    """How its pictures are prepared."""
    learned: Learned
    trunk: Trunk | None = None
    """The frozen net that it started from, cut short where the plan says so."""
    probe: Probe | None = None
    examples: Examples | None = None
    """What the probe was fitted on."""
    curve: list[Probed] = field(default_factory=list)


def _divided(job: Job, admitted: Manifest, looked: Looked) -> Manifest:
    """The pictures in their parts, of which one is there to measure on."""
    config = job.plan.config
    refuse_bad(looked.manifest.skipped, config.skip_bad)
    nothing = DataError("no usable picture is left to measure the accuracy on; mend or add some")
    if is_divided(admitted) and not is_divided(looked.manifest):
        raise nothing
    manifest = divide(looked.manifest, looked.near, config, job.tell)
    if manifest.held_out_part() not in ("test", "val"):
        raise nothing
    if config.mode != "probe" and not len(manifest.where("val")):
        raise DataError(
            f"mode={config.mode} needs a val part to calibrate on, and there is none; raise --val from "
            f"{config.split.val:g}, or add pictures"
        )
    return manifest


def _taught(job: Job, looked: Looked, manifest: Manifest, tried: bool) -> Taught:
    """What the plan's mode comes to. A tail that is only tried is not trained where its head is flawless."""
    plan, config = job.plan, job.plan.config
    spec, trunk, extraction = replace(looked.spec, tta=config.tta), looked.trunk, looked.extraction
    if trunk is None or extraction is None:
        from lexnet.job.whole import learn_scratch, measured  # loads torch

        spec = measured(job, manifest, spec)
        return Taught(job=job, spec=spec, learned=learn_scratch(job, spec, manifest))
    curve, axes = list[Probed](), None
    if config.mode == "probe":
        trunk, examples, axes, curve = up_to_the_cut(job, looked, manifest)
        if config.max_latency is not None:  # what was measured is not measured again
            config = replace(config, cut=trunk.cut or "none", max_macs=None, max_size=None, max_latency=None)
    else:
        trunk, examples = job.trunk(), examples_of(manifest, looked.near, extraction.features)
    if config.mode == "tail":
        epochs = tail_epochs(config.fit, len(manifest.where("train")))
        if config.fit.epochs is None and epochs > config.fit.resolved("tail").epochs:
            job.tell(Note(f"epochs {epochs}: with few pictures as many as give a tail {TAIL_STEPS} steps"))
        config = replace(config, fit=replace(config.fit, epochs=epochs))
    job = replace(job, plan=replace(plan, config=config))
    with job.clock.step("head"):
        probe = fit_probe(
            examples.take(manifest.where("train")),
            len(manifest.classes),
            config.probe,
            config.seed,
            job.workers,
            partial(job.progress, "head"),
        )
    job.tell(
        Note(f"head C {probe.C:g}: the least log loss of {len(probe.candidates)} tried, by cross-validation")
    )
    flawless = tried and _hits(job, trunk, probe, examples, manifest) == len(manifest.where("val"))
    if job.keep is not None and config.mode in ("tail", "finetune") and not flawless:
        _keep_head(job, job.keep / HEAD, looked, manifest, trunk, probe, examples)
    if config.mode == "tail" and not flawless:
        from lexnet.job.tail import learn_tail

        learned = learn_tail(job, trunk, manifest, probe)
    elif config.mode == "finetune":
        from lexnet.job.whole import learn_whole

        learned = learn_whole(job, trunk, manifest, probe)
    else:
        learned = _probed(trunk, probe, examples, manifest, axes)
    return Taught(
        job=job, spec=spec, learned=learned, trunk=trunk, probe=probe, examples=examples, curve=curve
    )


def _keep_head(
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
    learned = _probed(trunk, probe, examples, untested, None)
    head = Taught(job=quiet, spec=looked.spec, learned=learned, trunk=trunk, probe=probe, examples=examples)
    outcome = _shipped(head, looked, untested, True)
    write_atomic(file, outcome.bundle)
    hits = percent(outcome.metrics["accuracy"])
    job.tell(
        Note(f"{HEAD} in the run's folder is there to use meanwhile: right on {hits} of the val pictures")
    )


def _shipped(taught: Taught, looked: Looked, manifest: Manifest, given: bool) -> Outcome:
    """The verified bundle, and all that is said of it; `given` where the source itself has parts."""
    job, learned, spec = taught.job, taught.learned, taught.spec
    config, part, held_out = job.plan.config, manifest.held_out_part(), manifest.held_out()
    calibrated = "train" if config.mode == "probe" else "val"
    rows = manifest.where(calibrated)
    if count := int(known_before(manifest, config)[rows].sum()):
        job.warn(
            f"{count:,} of the {len(rows):,} {calibrated} pictures were among those that {config.from_} was "
            "trained on: the probabilities may be too sure"
        )
    validation = None
    if config.split.folds is not None and taught.examples is not None:
        with job.clock.step("folds"):  # on all but what the source itself keeps back to measure on
            rows = np.asarray([i for i, p in enumerate(manifest.parts) if not given or p != part], np.int64)
            validation = cross_validate(
                taught.examples.take(rows),
                manifest.classes,
                config,
                job.workers,
                partial(job.progress, "folds"),
            )
        if validation.folds < config.split.folds:
            job.warn(
                f"--folds {config.split.folds} are {validation.folds} here: a class has no more pictures"
            )
    with job.clock.step("verify"):
        headed = append_head(learned.graph, learned.weight, learned.bias, learned.temperature)
        engine = OnnxRuntime(headed.graph, job.workers)
        exported = _run(engine, spec, manifest, held_out, job.tell)
        parity = check_parity(learned.held_out, exported, [manifest.paths[i] for i in held_out])
    together = unit_of(manifest, looked.near)[held_out]
    found = Findings(
        plan=job.plan,
        trunk=taught.trunk,
        looking=looked.trunk,
        spec=spec,
        learned=learned,
        curve=taught.curve,
        manifest=manifest,
        extraction=looked.extraction,
        probe=taught.probe,
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


def _as_it_was(fit: FitConfig, learned: Learned) -> FitConfig:
    """With what was decided while training went on, so that it comes out the same again."""
    if learned.stopped:
        fit = replace(fit, steps=learned.steps)
    return fit if learned.compile is None else replace(fit, compile=learned.compile)


def _warn_of_changes(job: Job, manifest: Manifest) -> None:
    for risk in job.plan.risks(manifest.classes):
        job.warn(risk)


def _warn_of_no_gain(taught: Taught, manifest: Manifest) -> None:
    """Where what was trained is right no more often than what was there without it."""
    job, mode = taught.job, taught.job.plan.config.mode
    if mode in ("tail", "finetune"):
        better, seen = _beside_the_head(taught, manifest)
        if not better:
            job.tell(Note(f"mode {mode}: {seen}; --mode probe takes less time"))
    if mode == "scratch":
        truth = manifest.labels[manifest.where("val")]
        usual = int(manifest.counts("train").argmax())
        if (taught.learned.val.argmax(axis=1) == truth).sum() <= (truth == usual).sum():
            job.warn(
                f"on the val part the net does no better than always answering {manifest.classes[usual]!r}: "
                "it has learned nothing yet; give it more --epochs or time"
            )


def _beside_the_head(taught: Taught, manifest: Manifest) -> tuple[bool, str]:
    """Whether what was trained is right on more of the validation part than the head that it began with, and
    on how many each is."""
    assert taught.trunk is not None and taught.probe is not None and taught.examples is not None
    then = _hits(taught.job, taught.trunk, taught.probe, taught.examples, manifest)
    truth = manifest.labels[manifest.where("val")]
    if then == len(truth):
        return False, f"a linear head is right on all {then:,} val pictures"
    now = int((taught.learned.val.argmax(axis=1) == truth).sum())
    seen = f"after training {now:,} of {len(truth):,} val pictures are right, with a linear head {then:,}"
    return now > then, seen


def _hits(job: Job, trunk: Trunk, probe: Probe, examples: Examples, manifest: Manifest) -> int:
    """On how many val pictures the head is right."""
    val = manifest.where("val")
    seen = with_tta_views(job, trunk, manifest.take(val), examples.take(val))
    answers = probe.probabilities(seen.measured()).argmax(axis=1)
    return int((answers == manifest.labels[val]).sum())


def _probed(
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
