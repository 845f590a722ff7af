"""How long each way to learn would take on this machine, from a few seconds of measuring, and which fits.

48 pictures ─ decode ─ frozen net      seconds a picture
16 made-up ones ─ forth and back       through the tail, and through the whole net
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
from lexnet.config import MODES, Fit, Mode, Recipe, TrainConfig, tail_epochs
from lexnet.cost import cost
from lexnet.data.loader import load_row, read_row
from lexnet.data.manifest import PARTS, Manifest
from lexnet.data.random import address
from lexnet.data.splits import assign_parts
from lexnet.job.events import Choices, Option
from lexnet.job.features import Job
from lexnet.job.finish import apart
from lexnet.job.plan import Plan, decided
from lexnet.job.whole import new_spec
from lexnet.runtime.engines import open_engine
from lexnet.runtime.stream import in_order
from lexnet.train.loop import mixed
from lexnet.train.optimiser import make_optimiser
from lexnet.transfer.tail import fold_norms, laid_out
from lexnet.transfer.trunk import pretrained
from lexnet.transfer.views import augmented
from lexnet.weights.create import create_net

SOME, FEW = 48, 16  # pictures that are measured on: through the frozen net, and through torch's
MOST = 32  # of those in training
FIXED = 5.0  # seconds that opening the engine, the bundle, its verification and the report take
HEAD = 1.5e-4  # seconds a picture and class: the head's cross-validation
SPARE = 1.15  # times what was measured must fit
TAILS = ((4, 1.0), (3, 0.8), (3, 0.65), (2, 0.5), (2, 0.35), (1, 0.2))
"""(views, share of the usual epochs) of a tail, from the best to the quickest."""
LEAST = 10  # pictures of each class that a probe is cut down to at least


@dataclass(frozen=True)
class Speeds:
    """Seconds a picture, all cores at work."""

    decode: float
    look: float
    """Decoded and through the frozen net; 0 where there is none."""
    view: float
    """A changed copy through the frozen net."""
    tail: float
    whole: float
    """Once forth and back."""
    forward: float
    """Through the whole net in torch."""


def options(job: Job, manifest: Manifest) -> tuple[list[Option], float]:
    """Every way that the plan leaves open, with how long it takes, from the best to the quickest.

    Also the seconds of that behind the training.
    """
    config = job.plan.config
    counts = _counts(job, manifest)
    with job.clock.step("measure"), apart(job.workers):
        speeds = measure(job, manifest)
    classes = len(manifest.classes)
    n, train, val, test = sum(counts), *counts
    looked = FIXED + n * (speeds.look + speeds.decode) + HEAD * train * classes + test * speeds.look
    judged = (val + test) * (speeds.decode + speeds.forward)
    found = []
    for views, epochs in _tails(config, train):
        took = looked + judged + (train * views + val) * speeds.view + epochs * train * speeds.tail
        found.append(Option(mode="tail", seconds=took, epochs=epochs, views=views))
    modes: tuple[tuple[Mode, float], ...] = (("finetune", looked), ("scratch", FIXED + 2 * n * speeds.decode))
    for mode, before in modes:
        epochs = config.fit.epochs or int(MODES[mode]["epochs"])
        found.append(
            Option(mode=mode, seconds=before + judged + epochs * train * speeds.whole, epochs=epochs)
        )
    found.append(Option(mode="probe", seconds=looked))
    reserve = SPARE * (FIXED + judged + test * max(speeds.look, speeds.decode + speeds.forward / 2))
    return [one for one in found if config.mode in (one.mode, "auto")], reserve


def choose_within(job: Job, manifest: Manifest) -> tuple[Plan, float]:
    """The best that fits into the plan's budget, or of a mode that was asked for as much as fits.

    Also the seconds that will be needed once the weights are trained.
    """
    config = job.plan.config
    found, reserve = options(job, manifest)
    chosen = best(job, manifest, found)
    left = None if job.deadline is None else job.deadline - time.perf_counter()
    job.tell(Choices(tuple(found), chosen, left))
    why = f"mode {chosen.mode}: the best that fits into {config.budget}" if config.mode == "auto" else ""
    few = f"{chosen.limit:,} pictures: more would take longer than {config.budget}" if chosen.limit else ""
    plan = decided(
        job.plan,
        mode=chosen.mode,
        why="; ".join(text for text in (why, few) if text),
        epochs=chosen.epochs,
        views=chosen.views,
        limit=chosen.limit,
    )
    return plan, reserve


def best(job: Job, manifest: Manifest, found: list[Option]) -> Option:
    """The first of these that can be done in time; where none can, the quickest, cut down to what can."""
    config = job.plan.config
    left = math.inf if job.deadline is None else job.deadline - time.perf_counter()
    wanted = [one for one in found if config.mode != "auto" or one.mode in ("tail", "probe")]
    fitting = [one for one in wanted if one.seconds * SPARE <= left]
    return fitting[0] if fitting else _shorter(wanted[-1], left, config, manifest)


def _shorter(option: Option, left: float, config: TrainConfig, manifest: Manifest) -> Option:
    """As many epochs as fit, and where not even one does as many pictures."""
    share = max(0.0, (left / SPARE - FIXED) / max(option.seconds - FIXED, 1e-9))
    if option.epochs and option.mode != "tail" and not config.fit.epochs:
        epochs = max(1, int(option.epochs * share))
        return replace(
            option, epochs=epochs, seconds=FIXED + (option.seconds - FIXED) * epochs / option.epochs
        )
    least = LEAST * len(manifest.classes)
    limit = max(least, int(len(manifest) * share))
    if limit >= len(manifest) or config.split.limit is not None:
        return option
    return replace(option, limit=limit, seconds=FIXED + (option.seconds - FIXED) * limit / len(manifest))


def _tails(config: TrainConfig, pictures: int) -> list[tuple[int, int]]:
    """(views, epochs) that leave alone what the user gave."""
    given = config.views if config.views != TrainConfig.views else None
    usual = tail_epochs(config.fit, pictures)
    found = [(given or views, config.fit.epochs or max(1, round(share * usual))) for views, share in TAILS]
    return list(dict.fromkeys(found))


def _counts(job: Job, manifest: Manifest) -> tuple[int, int, int]:
    divided = assign_parts(manifest, job.plan.config.split, job.plan.config.seed)
    train, val, test = (len(divided.where(part)) for part in PARTS)
    return train, val, test


def measure(job: Job, manifest: Manifest) -> Speeds:
    """Of this plan's net on this machine."""
    config = job.plan.config
    names = sorted(
        range(len(manifest)), key=lambda row: address(config.seed, "measure", manifest.digests[row])
    )
    rows = names[:SOME]
    if config.mode == "scratch":
        return _of_a_new_net(job, manifest, rows)
    trunk = job.trunk()
    engine = open_engine("auto" if config.engine == "torch" else config.engine, trunk.graph, job.workers)
    decode = _timed(rows, lambda row: load_row(manifest, row, trunk.spec), job.workers)
    look = _timed(rows, lambda row: engine.run(load_row(manifest, row, trunk.spec)[None]), engine.callers)
    recipe = job.plan.recipe() if config.recipe != "auto" else decided(job.plan, mode="tail", why="").recipe()
    view = look
    if recipe != Recipe():
        looks = augmented(recipe, config.seed, 1, None)

        def changed(row: int) -> Any:
            return engine.run(looks.show(*read_row(manifest, row, trunk.spec), manifest.digests[row]))

        view = _timed(rows, changed, engine.callers)
    net = pretrained(trunk.weights, trunk.spec.channels, classes=len(manifest.classes))
    shape = trunk.spec.channels, trunk.spec.size, trunk.spec.size
    cut = job.tail_cut(net, trunk.spec)
    inner = cost(net, shape[1], shape[0]).stages()[cut].shape
    fold_norms(net)
    laid_out(net, torch.channels_last)
    fit, classes = config.fit.resolved("finetune"), len(manifest.classes)
    return Speeds(
        decode=decode,
        look=look,
        view=view,
        tail=_trained(net.cut(cut)[1], inner, classes, fit),
        whole=_trained(net, shape, classes, fit),
        forward=_forward(net, shape),
    )


def _of_a_new_net(job: Job, manifest: Manifest, rows: list[int]) -> Speeds:
    config = job.plan.config
    some = manifest.take(np.sort(rows), [])
    spec = new_spec(config, headers(some, job.workers, lambda done, total: None))
    decode = _timed(rows, lambda row: load_row(manifest, row, spec), job.workers)
    net = create_net(config.net, classes=len(manifest.classes), channels=spec.channels)
    laid_out(net, torch.channels_last)
    shape, fit = (spec.channels, spec.size, spec.size), config.fit.resolved("scratch")
    whole = _trained(net, shape, len(manifest.classes), fit)
    return Speeds(decode=decode, look=0.0, view=0.0, tail=0.0, whole=whole, forward=_forward(net, shape))


def _timed(rows: list[int], work: Callable[[int], object], threads: int) -> float:
    """Seconds a picture, the first few not counted."""
    list(in_order(rows[:4], work, threads))
    start = time.perf_counter()
    list(in_order(rows, work, threads))
    return (time.perf_counter() - start) / len(rows)


def _trained(net: nn.Module, shape: tuple[int, ...], classes: int, fit: Fit) -> float:
    """Seconds a picture, forth and back, of a net that is thrown away."""
    draw = torch.Generator().manual_seed(0)
    count = min(fit.batch_size, MOST)
    inputs = torch.randn(count, *shape, generator=draw).contiguous(memory_format=torch.channels_last)
    targets = F.one_hot(torch.arange(count) % classes, classes).float()
    optimiser = make_optimiser(net.train(), fit)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        optimiser.zero_grad(set_to_none=True)
        with mixed(inputs.device, fit):
            loss = F.cross_entropy(net(inputs), targets)
        torch.autograd.backward(loss)
        optimiser.step()
        times.append(time.perf_counter() - start)
    return min(times[1:]) / count


@torch.inference_mode()
def _forward(net: nn.Module, shape: tuple[int, ...]) -> float:
    inputs = torch.randn(FEW, *shape).contiguous(memory_format=torch.channels_last)
    net.eval()(inputs)
    start = time.perf_counter()
    net(inputs)
    return (time.perf_counter() - start) / FEW
