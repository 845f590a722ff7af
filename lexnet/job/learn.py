"""From admitted pictures to a verified bundle, with everything that was measured on the way."""

import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

from lexnet.config import TAIL_STEPS, available_cores, seconds, tail_epochs
from lexnet.data.manifest import Manifest, refuse_bad
from lexnet.data.splits import is_divided
from lexnet.errors import DataError
from lexnet.job.divide import divide
from lexnet.job.events import Event, Listener, Note, Warned
from lexnet.job.features import examples_of, up_to_the_cut, with_tta_views
from lexnet.job.folder import HEAD
from lexnet.job.job import Clock, Job, OutOfTime
from lexnet.job.learned import Looked, Taught
from lexnet.job.look import look
from lexnet.job.plan import Plan, decided
from lexnet.job.ship import Outcome, keep_head, shipped, with_head
from lexnet.transfer.cut import Probed
from lexnet.transfer.probe import Examples, Probe, fit_probe, load_solver
from lexnet.transfer.trunk import Trunk


def learn(
    manifest: Manifest,
    plan: Plan,
    clock: Clock,
    tell: Listener,
    keep: Path | None = None,
    before: float = 0.0,
) -> Outcome:
    """Trains on the train part, measures on what was held out, and verifies the file that ships.

    In the folder `keep` lies what an interrupted training goes on from. A budget counts from so many seconds
    `before` the clock.

    Raises `DataError` for pictures that turn out to be damaged, unless the plan says to go on, and
    `ParityError` where the exported graph disagrees with training.
    """
    if plan.config.fit.device == "cuda":
        from lexnet.job.whole import device_of  # loads torch

        device_of(plan.config.fit)  # or it would be refused after a look at every picture
    if plan.config.mode != "scratch" and plan.config.budget is None:  # nor is anything timed meanwhile
        threading.Thread(target=load_solver).start()
    workers, budget = plan.config.workers or available_cores(), plan.config.budget
    deadline = None if budget is None else clock.start + seconds(budget) - before
    job = Job(plan=plan, clock=clock, tell=tell, workers=workers, keep=keep, deadline=deadline)
    _warn_of_changes(job, manifest)
    job, admitted, looked, rivals = look(job, manifest)
    divided = _divided(job, admitted, looked)
    if plan.config.mode == "auto" and job.plan.config.mode == "tail":
        taught, divided = _tail_or_head(job, plan, admitted, looked, divided)
        judged = True
    else:
        if job.plan.recipe() != plan.recipe():
            _warn_of_changes(job, admitted)
        taught, judged = _taught(job, looked, divided, tried=False), job.plan.judged
        _warn_of_no_gain(taught, divided)
    settled = replace(taught.job, plan=replace(taught.job.plan, judged=judged))
    taught = replace(taught, job=settled, curve=rivals or taught.curve)
    return shipped(taught, looked, divided, is_divided(admitted))


def _tail_or_head(
    job: Job, asked: Plan, admitted: Manifest, looked: Looked, divided: Manifest
) -> tuple[Taught, Manifest]:
    """A tail, if it is right on more of the val part than the head that it began with, else a head; and the
    pictures in their parts, as that one is taught."""
    held: list[Event] = []  # warnings of what may be thrown away

    def tell(event: Event) -> None:
        (held.append if isinstance(event, Warned) else job.tell)(event)

    trying = replace(job, tell=tell)
    if job.plan.recipe() != asked.recipe():
        _warn_of_changes(trying, admitted)
    taught = _taught(trying, looked, divided, tried=True)
    gain, seen = _beside_the_head(taught, divided)
    why = f"mode {'tail' if gain > 0 else 'probe'}: {seen}"
    job.tell(Note(why))
    if gain > 0:
        for event in held:
            job.tell(event)
        return replace(taught, job=replace(taught.job, tell=job.tell)), divided
    config = job.plan.config
    head = replace(job, plan=decided(asked, mode="probe", net=config.net, why=why, limit=config.split.limit))
    divided = _divided(head, admitted, looked)  # no part has to calibrate a head
    return _taught(head, looked, divided, tried=False), divided


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
        from lexnet.job.scratch import learn_scratch, measured  # loads torch

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
    anew = config.mode in ("tail", "finetune") and not config.fit.raised
    if job.keep is not None and anew and not flawless:
        keep_head(job, job.keep / HEAD, looked, manifest, trunk, probe, examples)
    if config.mode == "tail" and not flawless:
        from lexnet.job.tail import learn_tail

        try:
            learned = learn_tail(job, trunk, manifest, probe, timely=tried)
        except OutOfTime:
            learned = with_head(trunk, probe, examples, manifest, None)
    elif config.mode == "finetune":
        from lexnet.job.whole import learn_whole

        learned = learn_whole(job, trunk, manifest, probe)
    else:
        learned = with_head(trunk, probe, examples, manifest, axes)
    return Taught(
        job=job, spec=spec, learned=learned, trunk=trunk, probe=probe, examples=examples, curve=curve
    )


def _warn_of_changes(job: Job, manifest: Manifest) -> None:
    for risk in job.plan.risks(manifest.classes):
        job.warn(risk)


def _warn_of_no_gain(taught: Taught, manifest: Manifest) -> None:
    """Where what was trained is right no more often than what was there without it."""
    job, mode = taught.job, taught.job.plan.config.mode
    if mode in ("tail", "finetune"):
        gain, seen = _beside_the_head(taught, manifest)
        if gain < 0:
            job.warn(f"mode {mode}: {seen}, which is better; give it more time, or take --mode probe")
        elif gain == 0:
            job.tell(Note(f"mode {mode}: {seen}; --mode probe takes less time"))
    if mode == "scratch":
        truth = manifest.labels[manifest.where("val")]
        usual = int(manifest.counts("train").argmax())
        if (taught.learned.val.argmax(axis=1) == truth).sum() <= (truth == usual).sum():
            job.warn(
                f"on the val part the net does no better than always answering {manifest.classes[usual]!r}: "
                "it has learned nothing yet; give it more --epochs or time"
            )


def _beside_the_head(taught: Taught, manifest: Manifest) -> tuple[int, str]:
    """On how many more val pictures what was trained is right than the head that it began with; in words."""
    assert taught.trunk is not None and taught.probe is not None and taught.examples is not None
    then = _hits(taught.job, taught.trunk, taught.probe, taught.examples, manifest)
    truth = manifest.labels[manifest.where("val")]
    if not taught.learned.steps and then < len(truth):
        return 0, "no time was left to train a tail in"
    now = int((taught.learned.val.argmax(axis=1) == truth).sum())
    if then == len(truth):
        return now - then, f"a linear head is right on all {then:,} val pictures"
    seen = f"after training {now:,} of {len(truth):,} val pictures are right, with a linear head {then:,}"
    return now - then, seen


def _hits(job: Job, trunk: Trunk, probe: Probe, examples: Examples, manifest: Manifest) -> int:
    """On how many val pictures the head is right."""
    val = manifest.where("val")
    seen = with_tta_views(job, trunk, manifest.take(val), examples.take(val))
    answers = probe.probabilities(seen.measured()).argmax(axis=1)
    return int((answers == manifest.labels[val]).sum())
