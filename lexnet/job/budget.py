"""How long each way to learn would take on this machine, by what was measured, and which fits."""

import math
import time
from dataclasses import replace

from lexnet.config import MODES, TTA_VIEWS, VIEWS, Mode, ProbeConfig, Recipe, TrainConfig, tail_epochs
from lexnet.data.manifest import PARTS, Manifest
from lexnet.data.splits import assign_parts, is_divided, with_val
from lexnet.job.choose import too_few
from lexnet.job.events import Choices, Option
from lexnet.job.finish import apart
from lexnet.job.job import Job
from lexnet.job.measure import Speeds, measure, tail_recipe
from lexnet.job.plan import Plan, decided
from lexnet.train.finder import STEPS
from lexnet.transfer.tail import JUDGE_AT_MOST

FIXED = 5.0  # seconds that opening the engine, the bundle, its verification and the report take
SMALL = 1.0  # seconds that the bundle of a head alone takes, and its verification
HEAD = 1e-4  # seconds a picture and class: the head's usual cross-validation
USUAL_FITS = len(ProbeConfig.candidates) * (ProbeConfig.cv - 1)  # each to that share of the pictures
SPARE = 1.15  # times what was measured must fit
TAILS = ((4, 1.0), (3, 0.8), (3, 0.65), (2, 0.5), (2, 0.35), (1, 0.2))
"""(views, share of the usual epochs) of a tail, from the best to the quickest."""
LEAST = 10  # times the number of classes: a probe is cut down to no fewer pictures
STAGES = 8  # of a net, or so
WORTH = 2.0  # seconds: to spare fewer no picture is left out
MEASURED = 300  # times a picture's look: what measuring the training of a tail takes


def options(job: Job, manifest: Manifest) -> tuple[list[Option], float]:
    """Every way that the plan leaves open, with how long it takes: tails (the longest first), a whole net, a
    new one, and a head last.

    Also the seconds of that after the training. Where there is time for a head at most, nothing else is
    measured.
    """
    config, tta_views = job.plan.config, TTA_VIEWS[job.plan.config.tta]
    train, val, test = _counts(job, manifest)
    n, classes = train + val + test, len(manifest.classes)
    fits = len(config.probe.candidates) * (config.probe.cv - 1)
    head = HEAD * train * classes * fits / USUAL_FITS

    def bare(speeds: Speeds) -> float:
        """A head on the frozen net's features, and nothing more."""
        first = n * speeds.new * (speeds.look + speeds.decode)
        return FIXED + first + head + tta_views * test * speeds.look

    def more(speeds: Speeds) -> float:
        """What else a probe is told to do: changed copies, views to answer by, a cut, folds.

        Of the cuts only one that is not after a stage needs a second pass.
        """
        views = (config.views or VIEWS) if job.plan.recipe() != Recipe() else 0
        folds, inside = config.split.folds, config.cut == "stem" or "." in config.cut
        copied = (n if folds else train) * views * speeds.view
        fitted = head * ((1 + views) * (1 + (folds or 0) * config.split.repeats) - 1)
        staged = n * speeds.look * inside + head * STAGES * (1 + views) * (config.cut == "auto")
        return copied + fitted + staged + (tta_views > 1) * n * tta_views * speeds.look

    def probe(speeds: Speeds) -> Option:
        return Option(mode="probe", seconds=bare(speeds) + more(speeds))

    few = job.deadline is not None and too_few(train, val) is not None

    def enough(speeds: Speeds) -> bool:
        """A head is all, or there is no time to measure more and then fit one."""
        then = probe(speeds)
        if not speeds.tail:
            then = replace(then, seconds=then.seconds + MEASURED * speeds.look)
        return config.mode == "probe" or (config.mode == "auto" and (few or not _fits(job, then)))

    with job.clock.step("measure"), apart(job.workers):
        speeds = measure(job, manifest, enough)
    if enough(speeds):
        return [probe(speeds)], SPARE * (FIXED + tta_views * test * speeds.look)
    begun = bare(speeds)
    kept = (SMALL + val * speeds.look) * (job.keep is not None)  # a bundle of the head to use until then
    judged = tta_views * (val + test) * (speeds.decode + speeds.forward)
    undone = head + more(speeds) if config.mode == "auto" else 0.0  # where the tail turns out to be no better
    found = []
    for views, epochs in _tails(job.plan, train):
        judgings = epochs if config.fit.patience is not None else min(epochs, JUDGE_AT_MOST)
        trained = (epochs * train + judgings * val / 3) * speeds.tail  # forth alone is a third of it
        took = begun + kept + undone + judged + (train * (views or 1) + val) * speeds.view + trained
        found.append(Option(mode="tail", seconds=took, epochs=epochs, views=views))
    if speeds.whole:
        mode: Mode = "scratch" if config.mode == "scratch" else "finetune"
        before = FIXED + n * (speeds.look + 2 * speeds.decode) if mode == "scratch" else begun + kept
        epochs, fit = config.fit.epochs or int(MODES[mode]["epochs"]), config.fit.resolved(mode)
        before += STEPS * min(fit.batch_size, train) * speeds.whole if fit.find_lr else 0.0
        each = train * speeds.whole + val * speeds.forward
        found.append(
            Option(mode=mode, seconds=before + judged + epochs * each, epochs=epochs, epoch_seconds=each)
        )
    found.append(probe(speeds))
    verified = tta_views * test * max(speeds.look, speeds.decode + speeds.forward / 2)
    reserve = SPARE * (FIXED + judged + verified)
    return [one for one in found if config.mode in (one.mode, "auto")], reserve


def within_budget(job: Job, manifest: Manifest) -> tuple[Plan, float]:
    """The best that fits into the plan's budget, or of a mode that was asked for as much as fits.

    Also the seconds that will be needed once the weights are trained.
    """
    config = job.plan.config
    found, reserve = options(job, manifest)
    chosen, left = choose_from(job, manifest, found), _left(job)
    fits = f"the best that fits into {config.budget}"
    if chosen.seconds > left:
        fits = "the quickest"
        job.warn(
            f"budget={config.budget} will not be kept to: mode {chosen.mode} takes some "
            f"{chosen.seconds:.0f} s, and {max(0.0, left):.0f} s are left; give more time, or a --limit"
        )
    few = heads_only(job, manifest) if chosen.mode == "probe" else None
    left_open = [f"mode {chosen.mode}"] if config.mode == "auto" else []
    left_open += [f"epochs {chosen.epochs}"] if chosen.epochs and config.fit.epochs is None else []
    left_open += [f"views {chosen.views}"] if chosen.views and config.views is None else []
    why = [few or f"{', '.join(left_open)}: {fits}"] if left_open else []
    why += [f"{chosen.limit:,} pictures: more would take longer than {config.budget}"] if chosen.limit else []
    plan = decided(
        job.plan,
        mode=chosen.mode,
        why="; ".join(why),
        epochs=chosen.epochs,
        views=chosen.views,
        limit=chosen.limit,
    )
    return plan, reserve


def choose_from(job: Job, manifest: Manifest, found: list[Option]) -> Option:
    """What is chosen of what was found, which is told, with the time that is left."""
    chosen, left = best(job, manifest, found), None if job.deadline is None else _left(job)
    job.tell(Choices(tuple(dict.fromkeys([*found, chosen])), chosen, left))
    return chosen


def best(job: Job, manifest: Manifest, found: list[Option]) -> Option:
    """The first of these that can be done in time; where none can, the quickest, cut down to what can."""
    config = job.plan.config
    wanted = [one for one in found if config.mode != "auto" or one.mode in ("tail", "probe")]
    fitting = [one for one in wanted if _fits(job, one)]
    return fitting[0] if fitting else _shorter(wanted[-1], _left(job), config, manifest)


def _left(job: Job) -> float:
    """Seconds until the deadline; infinite without one."""
    return math.inf if job.deadline is None else job.deadline - time.perf_counter()


def _fits(job: Job, option: Option) -> bool:
    return option.seconds * SPARE <= _left(job)


def _shorter(option: Option, left: float, config: TrainConfig, manifest: Manifest) -> Option:
    """As many epochs as fit, and where not even one does as many pictures."""
    if option.epochs and option.epoch_seconds and not config.fit.epochs:
        before = option.seconds - option.epochs * option.epoch_seconds
        epochs = int((left / SPARE - before) / option.epoch_seconds)
        option = replace(
            option, epochs=max(1, epochs), seconds=before + max(1, epochs) * option.epoch_seconds
        )
        if epochs >= 1:
            return option
    share = max(0.0, (left / SPARE - FIXED) / max(option.seconds - FIXED, 1e-9))
    least = LEAST * len(manifest.classes)
    limit = max(least, int(len(manifest) * share))
    fewer = replace(option, limit=limit, seconds=FIXED + (option.seconds - FIXED) * limit / len(manifest))
    spared = option.seconds - fewer.seconds
    kept = limit >= len(manifest) or config.split.limit is not None or spared < WORTH
    return option if kept else fewer


def _tails(plan: Plan, pictures: int) -> list[tuple[int | None, int]]:
    """(views, epochs) that leave alone what the user gave; no views where the recipe changes nothing."""
    config, changed = plan.config, tail_recipe(plan) != Recipe()
    usual = tail_epochs(config.fit, pictures)
    found = [
        (config.views or views if changed else None, config.fit.epochs or max(1, round(share * usual)))
        for views, share in TAILS
    ]
    return list(dict.fromkeys(found))


def heads_only(job: Job, manifest: Manifest) -> str | None:
    """Why nothing but a head is chosen of these pictures, where the mode is open and that is so."""
    if job.plan.config.mode != "auto":
        return None
    train, val, _ = _counts(job, manifest)
    return too_few(train, val)


def _counts(job: Job, manifest: Manifest) -> tuple[int, int, int]:
    config = job.plan.config
    divided = assign_parts(manifest, config.split, config.seed)
    if is_divided(manifest) and not len(divided.where("val")):
        divided = with_val(divided, config.split.val, config.seed)
    train, val, test = (len(divided.where(part)) for part in PARTS)
    return train, val, test
