"""What the user left open, decided by measuring: probe or tail, and what fits into a budget.

    no budget   look at every picture ─ pilot on some ─ probe, or the tail where it gains more than noise
    a budget    measure this machine for seconds ─ time of each choice ─ the best that fits

A choice is kept in the run's folder: whoever goes on with the run goes on with the choice.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lexnet.check.headers import TINY, tiny
from lexnet.config import TAIL_STEPS, ProbeConfig, TrainConfig, tail_epochs
from lexnet.data.manifest import Manifest
from lexnet.data.splits import MIN_TRAIN, stratified
from lexnet.files import write_atomic
from lexnet.job.divide import divide
from lexnet.job.events import ignore
from lexnet.job.features import examples_of
from lexnet.job.finish import apart
from lexnet.job.folder import CHOICE, RESERVE
from lexnet.job.job import Job
from lexnet.job.learned import Looked
from lexnet.job.plan import NEW_NET, Plan, announce, decided, read_plan
from lexnet.transfer.pilot import Trial, try_tail
from lexnet.transfer.tail import Activated

PILOT = 1000  # pictures that a tail is tried on
LEAST_TO_TRAIN = 100  # under which a head is all that they can teach
NEARLY_ALL = 0.99
MANY = 2000  # tiny pictures that are enough to learn from scratch


def kept_choice(keep: Path | None) -> tuple[Plan, float] | None:
    """What was chosen when the run was begun, and the seconds that are kept back after the training."""
    if keep is None or not all((keep / name).exists() for name in (RESERVE, CHOICE)):
        return None
    reserve, judged, *reasons = json.loads((keep / RESERVE).read_text("utf-8"))
    return replace(read_plan(keep / CHOICE), reasons=tuple(reasons), judged=judged), reserve


def keep_choice(job: Job, plan: Plan) -> Job:
    """The job with what was chosen, which is kept from now on and told."""
    announce(plan, job.tell)
    if job.keep is not None:
        write_atomic(job.keep / RESERVE, json.dumps([job.reserve, plan.judged, *plan.reasons]))
        write_atomic(job.keep / CHOICE, plan.to_yaml())
    return replace(job, plan=plan)


def without_a_look(plan: Plan, manifest: Manifest) -> Plan | None:
    """For pictures nearly all so small that photographs' features say little of them: a net of their own."""
    config = plan.config
    if config.mode != "auto" or config.net != "auto" or config.size or config.views or len(manifest) < MANY:
        return None
    if config.probe != ProbeConfig():  # somebody wants a head
        return None
    if not config.split.val and not len(manifest.where("val")):  # which it is calibrated on
        return None
    if tiny(manifest).mean() < NEARLY_ALL:
        return None
    why = f"mode scratch: {len(manifest):,} pictures under {TINY} px are enough for a small net of their own"
    return decided(plan, mode="scratch", net=NEW_NET, why=why, budget=config.budget)


def too_few(train: int, val: int) -> str | None:
    """Why only a head is worth training on this few pictures, or None."""
    if train >= LEAST_TO_TRAIN and val:
        return None
    return f"mode probe: {train} training and {val} validation pictures are too few to train more on"


def with_a_pilot(job: Job, looked: Looked) -> Plan:
    """Probe or tail, by what a tail gains on some pictures, none of them of the test part."""
    config = decided(job.plan, mode="tail").config
    divided = divide(looked.manifest, looked.near, config, ignore)
    train, val = divided.where("train"), divided.where("val")
    if why := too_few(len(train), len(val)):
        return decided(job.plan, mode="probe", why=why)
    fit = config.fit.resolved("tail")
    if len(train) * fit.epochs <= TAIL_STEPS * fit.batch_size:
        why = (
            f"mode tail: with {len(train):,} pictures trying it is training it; it is kept if more of the "
            f"{len(val):,} val pictures are right than with a linear head"
        )
        return decided(job.plan, mode="tail", why=why)
    pairs = [pair.rows for pair in looked.near]
    some, taught = pilot_rows(divided, pairs, config.seed)
    if np.bincount(divided.labels[some[:taught]], minlength=len(divided.classes)).min() < MIN_TRAIN:
        why = f"mode probe: some {PILOT:,} pictures to try a tail on do not hold {MIN_TRAIN} of each class"
        return decided(job.plan, mode="probe", why=f"{why}; --mode tail trains it all the same")
    trial = _pilot(job, looked, divided, config, some, taught)
    more = tail_epochs(config.fit, len(train)) * len(train) * trial.seconds
    seen = f"{100 * trial.gain:+.1f} points where it was tried (standard error {100 * trial.noise:.1f})"
    if trial.pays:
        why = f"mode tail: {seen}; {config.views or 1} views to look at, then some {_span(more)} of training"
        return decided(job.plan, mode="tail", why=why)
    why = f"mode probe: a tail would gain {seen}, which may be noise; --mode tail trains it all the same"
    return replace(decided(job.plan, mode="probe", why=why), judged=True)


def pilot_rows(
    divided: Manifest, pairs: Sequence[tuple[int, int]], seed: int
) -> tuple[NDArray[np.int64], int]:
    """Rows of some `PILOT` training pictures, then of at most half as many val ones; and how many of the
    first the trial trains on (the rest judge): a share of each class, and before that two units of each."""
    most_of_one = max(1, PILOT * 4 // 5 // (MIN_TRAIN * len(divided.classes)))
    train, val = (
        [rows[:most_of_one] for rows in _spread(stratified(divided, divided.where(part), seed, pairs))]
        for part in ("train", "val")
    )
    ends = np.cumsum([len(rows) for rows in train])
    most = min(PILOT, int(ends[-1]))
    judging, last = np.searchsorted(ends, [most * 4 // 5, most]) + 1
    tried, others = ([row for rows in some for row in rows] for some in (train[:last], val))
    return np.asarray(tried + others[: PILOT // 2], np.int64), int(ends[judging - 1])


def _spread(of_class: list[list[list[int]]]) -> list[list[int]]:
    """The units of all classes in an order of which each beginning holds each class's share."""
    placed = [
        (place / len(mine) if place >= MIN_TRAIN else 0.0, place, label)
        for label, mine in enumerate(of_class)
        for place in range(len(mine))
    ]
    return [of_class[label][place] for _, place, label in sorted(placed)]


def _pilot(
    job: Job, looked: Looked, divided: Manifest, config: TrainConfig, rows: NDArray[np.int64], taught: int
) -> Trial:
    """A tail trained on the first of these rows, and judged on the others."""
    trunk, extraction = looked.trunk, looked.extraction
    assert trunk is not None and extraction is not None
    some = divided.take(rows)
    examples = examples_of(divided, looked.near, extraction.features).take(rows)
    cut = job.tail_cut(trunk)
    seen = job.extract(job.trunk(cut, pooled=False), some, "pilot's activations")
    fit = config.fit.resolved("tail")
    epochs = -(-TAIL_STEPS // 2 * fit.batch_size // taught)
    with job.clock.step("pilot"), apart(job.workers):
        return try_tail(
            trunk,
            cut,
            Activated(extraction=seen, labels=some.labels, weights=some.weights, rows=np.arange(len(some))),
            examples,
            taught,
            len(some.classes),
            config.probe,
            replace(fit, epochs=epochs, steps=None, patience=None),
            config.seed,
            job.workers,
            partial(job.progress, "pilot"),
        )


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
