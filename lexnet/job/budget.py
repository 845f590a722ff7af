"""How long each way to learn would take on this machine, from a few seconds of measuring, and which fits.

48 pictures ─ decode ─ frozen net      seconds a picture
16 made-up ones ─ forth and back       through the tail and the whole net, where there is time for them
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from lexnet.check.headers import headers
from lexnet.config import LOOKS, MODES, VIEWS, Fit, Mode, Recipe, TrainConfig, tail_epochs
from lexnet.cost import cost
from lexnet.data.loader import load_row, read_row
from lexnet.data.manifest import PARTS, Manifest
from lexnet.data.random import address
from lexnet.data.splits import assign_parts, is_divided, with_val
from lexnet.job.choose import too_few
from lexnet.job.events import Choices, Option
from lexnet.job.finish import apart
from lexnet.job.job import Job
from lexnet.job.plan import Plan, decided
from lexnet.job.whole import device_of, new_spec, open_eye
from lexnet.nets.fold import depthwise_frozen, fold_norms, laid_out
from lexnet.runtime.engines import open_engine
from lexnet.runtime.stream import in_order
from lexnet.train.loop import mixed
from lexnet.train.optimiser import make_optimiser
from lexnet.transfer.extract import frozen_engine
from lexnet.transfer.tail import JUDGE_AT_MOST
from lexnet.transfer.trunk import pretrained
from lexnet.transfer.views import augmented
from lexnet.weights.create import create_net

SOME, FEW = 48, 16  # pictures that are measured on: through the frozen net, and through torch's
FIXED = 5.0  # seconds that opening the engine, the bundle, its verification and the report take
HEAD = 1.5e-4  # seconds a picture and class: the head's cross-validation
SPARE = 1.15  # times what was measured must fit
TAILS = ((4, 1.0), (3, 0.8), (3, 0.65), (2, 0.5), (2, 0.35), (1, 0.2))
"""(views, share of the usual epochs) of a tail, from the best to the quickest."""
CPU = torch.device("cpu")
LEAST = 10  # times the number of classes: a probe is cut down to no fewer pictures
STAGES = 8  # of a net, or so


@dataclass(frozen=True)
class Speeds:
    """Seconds a picture, all cores at work; 0 where it was not measured."""

    decode: float
    look: float
    """Decoded and through the frozen net, or through the eye that finds copies."""
    view: float = 0.0
    """A changed copy through the frozen net."""
    tail: float = 0.0
    whole: float = 0.0
    """Once forth and back."""
    forward: float = 0.0
    """Through the whole net in torch."""


def options(job: Job, manifest: Manifest) -> tuple[list[Option], float]:
    """Every way that the plan leaves open, with how long it takes: tails (the longest first), a whole net, a
    new one, and a head last.

    Also the seconds of that behind the training. Where there is time for a head at most, nothing else is
    measured.
    """
    config, looks = job.plan.config, LOOKS[job.plan.config.tta]
    train, val, test = _counts(job, manifest)
    n, classes = train + val + test, len(manifest.classes)
    head = HEAD * train * classes

    def look(speeds: Speeds) -> float:
        return FIXED + n * (speeds.look + speeds.decode) + head + looks * test * speeds.look

    def more(speeds: Speeds) -> float:
        """What else a probe is told to do: changed copies, views to answer by, a cut, folds."""
        views = (config.views or VIEWS) if job.plan.recipe() != Recipe() else 0
        folds, cut = config.split.folds, config.cut != "none"
        copied = (n if folds else train) * views * speeds.view
        fitted = head * ((1 + views) * (1 + (folds or 0) * config.split.repeats) - 1)
        staged = (train * speeds.look + head * STAGES) * (config.cut == "auto") + n * speeds.look * cut
        return copied + fitted + staged + (looks > 1) * n * looks * speeds.look

    def probe(speeds: Speeds) -> Option:
        return Option(mode="probe", seconds=look(speeds) + more(speeds))

    few = job.deadline is not None and too_few(train, val) is not None

    def enough(speeds: Speeds) -> bool:
        return config.mode == "probe" or (config.mode == "auto" and (few or not _fits(job, probe(speeds))))

    with job.clock.step("measure"), apart(job.workers):
        speeds = measure(job, manifest, enough)
    if enough(speeds):
        return [probe(speeds)], SPARE * (FIXED + looks * test * speeds.look)
    looked = look(speeds)
    judged = looks * (val + test) * (speeds.decode + speeds.forward)
    undone = head + more(speeds) if config.mode == "auto" else 0.0  # where the tail turns out to be no better
    found = []
    for views, epochs in _tails(job.plan, train):
        judgings = epochs if config.fit.patience is not None else min(epochs, JUDGE_AT_MOST)
        trained = (epochs * train + judgings * val / 3) * speeds.tail  # forth alone is a third of it
        took = looked + undone + judged + (train * (views or 1) + val) * speeds.view + trained
        found.append(Option(mode="tail", seconds=took, epochs=epochs, views=views))
    seen = FIXED + n * (speeds.look + 2 * speeds.decode)
    modes: tuple[tuple[Mode, float], ...] = (("finetune", looked), ("scratch", seen))
    for mode, before in modes:
        epochs = config.fit.epochs or int(MODES[mode]["epochs"])
        each = train * speeds.whole + val * speeds.forward
        found.append(
            Option(mode=mode, seconds=before + judged + epochs * each, epochs=epochs, epoch_seconds=each)
        )
    found.append(probe(speeds))
    verified = looks * test * max(speeds.look, speeds.decode + speeds.forward / 2)
    reserve = SPARE * (FIXED + judged + verified)
    return [one for one in found if config.mode in (one.mode, "auto")], reserve


def choose_within(job: Job, manifest: Manifest) -> tuple[Plan, float]:
    """The best that fits into the plan's budget, or of a mode that was asked for as much as fits.

    Also the seconds that will be needed once the weights are trained.
    """
    config = job.plan.config
    found, reserve = options(job, manifest)
    chosen = best(job, manifest, found)
    few = heads_only(job, manifest) if chosen.mode == "probe" else None
    left = None if job.deadline is None else job.deadline - time.perf_counter()
    job.tell(Choices(tuple(found), chosen, left))
    fits = f"mode {chosen.mode}: the best that fits into {config.budget}"
    why = (few or fits) if config.mode == "auto" else ""
    cut = f"{chosen.limit:,} pictures: more would take longer than {config.budget}" if chosen.limit else ""
    plan = decided(
        job.plan,
        mode=chosen.mode,
        why="; ".join(text for text in (why, cut) if text),
        epochs=chosen.epochs,
        views=chosen.views,
        limit=chosen.limit,
    )
    return plan, reserve


def best(job: Job, manifest: Manifest, found: list[Option]) -> Option:
    """The first of these that can be done in time; where none can, the quickest, cut down to what can."""
    config = job.plan.config
    wanted = [one for one in found if config.mode != "auto" or one.mode in ("tail", "probe")]
    fitting = [one for one in wanted if _fits(job, one)]
    return fitting[0] if fitting else _shorter(wanted[-1], _left(job), config, manifest)


def _left(job: Job) -> float:
    """Seconds."""
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
    if limit >= len(manifest) or config.split.limit is not None:
        return option
    return replace(option, limit=limit, seconds=FIXED + (option.seconds - FIXED) * limit / len(manifest))


def _tails(plan: Plan, pictures: int) -> list[tuple[int | None, int]]:
    """(views, epochs) that leave alone what the user gave; no views where the recipe changes nothing."""
    config, changed = plan.config, _tail_recipe(plan) != Recipe()
    usual = tail_epochs(config.fit, pictures)
    found = [
        (config.views or views if changed else None, config.fit.epochs or max(1, round(share * usual)))
        for views, share in TAILS
    ]
    return list(dict.fromkeys(found))


def _tail_recipe(plan: Plan) -> Recipe:
    """The recipe of a tail, also where it is still open."""
    return (plan if plan.config.recipe != "auto" else decided(plan, mode="tail")).recipe()


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


def measure(job: Job, manifest: Manifest, enough: Callable[[Speeds], bool]) -> Speeds:
    """Of this plan's net on this machine; of the frozen net alone where that is `enough` to know."""
    config = job.plan.config
    shuffled = sorted(
        range(len(manifest)), key=lambda row: address(config.seed, "measure", manifest.digests[row])
    )
    rows = shuffled[:SOME]
    if config.mode == "scratch":
        return _of_a_new_net(job, manifest, rows)
    trunk = job.trunk()
    engine = frozen_engine(trunk, config.engine, job.workers, job.warn)
    decode = _timed(rows, lambda row: load_row(manifest, row, trunk.spec), job.workers)
    look = _timed(rows, lambda row: engine.run(load_row(manifest, row, trunk.spec)[None]), engine.callers)
    speeds = Speeds(decode=decode, look=look, view=look)
    if job.plan.recipe() == Recipe() and enough(speeds):
        return speeds
    if (recipe := _tail_recipe(job.plan)) != Recipe():
        looks = augmented(recipe, config.seed, 1, None)

        def changed(row: int) -> Any:
            return engine.run(looks.show(*read_row(manifest, row, trunk.spec), manifest.digests[row]))

        speeds = replace(speeds, view=_timed(rows, changed, engine.callers))
    if enough(speeds):
        return speeds
    net = pretrained(trunk.weights, trunk.spec.channels, classes=len(manifest.classes))
    shape = trunk.spec.channels, trunk.spec.size, trunk.spec.size
    cut = job.tail_cut(net, trunk.spec)
    inner = cost(net, shape[1], shape[0]).stages()[cut].shape
    fit, classes = config.fit.resolved("finetune"), len(manifest.classes)
    if fit.norms == "frozen":
        fold_norms(net)
    laid_out(net, torch.channels_last)
    _, part = net.cut(cut)
    with depthwise_frozen(part):
        tail = _trained(part, inner, classes, fit)
    return replace(
        speeds,
        tail=tail,
        whole=_trained(net, shape, classes, fit, device_of(fit)),
        forward=_forward(net, shape),
    )


def _of_a_new_net(job: Job, manifest: Manifest, rows: list[int]) -> Speeds:
    config = job.plan.config
    found = headers(manifest.take(np.sort(rows), []), job.workers, lambda done, total: None)
    spec, look = new_spec(config, found), 0.0
    decode = _timed(rows, lambda row: load_row(manifest, row, spec), job.workers)
    if (eye := open_eye(job, found)) is not None:
        own, engine = eye.spec, open_engine("auto", eye.graph, job.workers)
        look = _timed(rows, lambda row: engine.run(load_row(manifest, row, own)[None]), engine.callers)
    net = create_net(config.net, classes=len(manifest.classes), channels=spec.channels)
    laid_out(net, torch.channels_last)
    shape, fit = (spec.channels, spec.size, spec.size), config.fit.resolved("scratch")
    whole = _trained(net, shape, len(manifest.classes), fit, device_of(fit))
    return Speeds(decode=decode, look=look, whole=whole, forward=_forward(net, shape))


def _timed(rows: list[int], work: Callable[[int], object], threads: int) -> float:
    """Seconds a picture, the first few not counted."""
    list(in_order(rows[:4], work, threads))
    start = time.perf_counter()
    list(in_order(rows, work, threads))
    return (time.perf_counter() - start) / len(rows)


def _trained(
    net: nn.Module, shape: tuple[int, ...], classes: int, fit: Fit, device: torch.device = CPU
) -> float:
    """Seconds a picture, forth and back, of a net that is thrown away."""
    draw = torch.Generator().manual_seed(0)
    count = min(fit.batch_size, FEW)
    inputs = torch.randn(count, *shape, generator=draw).contiguous(memory_format=torch.channels_last)
    inputs, targets = inputs.to(device), F.one_hot(torch.arange(count) % classes, classes).float().to(device)
    optimiser = make_optimiser(net.to(device).train(), fit)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        optimiser.zero_grad(set_to_none=True)
        with mixed(inputs.device, fit):
            loss = F.cross_entropy(net(inputs), targets)
        torch.autograd.backward(loss)
        optimiser.step()
        loss.item()  # waits for a GPU
        times.append(time.perf_counter() - start)
    net.to(CPU)
    return min(times[1:]) / count


@torch.inference_mode()
def _forward(net: nn.Module, shape: tuple[int, ...]) -> float:
    inputs = torch.randn(FEW, *shape).contiguous(memory_format=torch.channels_last)
    net.eval()(inputs)
    start = time.perf_counter()
    net(inputs)
    return (time.perf_counter() - start) / FEW
