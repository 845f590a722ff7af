"""How fast this machine is, from a few seconds of measuring.

48 pictures ─ decode ─ frozen net      seconds a picture
16 made-up ones ─ forth and back       through the tail and the whole net, where there is time for them
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from lexnet.config import Fit, Recipe
from lexnet.cost import cost
from lexnet.data.loader import load_row
from lexnet.data.manifest import Manifest
from lexnet.data.random import address
from lexnet.job.job import Job
from lexnet.job.plan import Plan, decided
from lexnet.job.scratch import new_spec, open_eye
from lexnet.job.whole import device_of
from lexnet.nets.fold import depthwise_frozen, fold_norms, laid_out
from lexnet.nets.net import evaluating
from lexnet.runtime.engines import open_engine
from lexnet.runtime.stream import in_order
from lexnet.train.loop import mixed
from lexnet.train.optimiser import make_optimiser
from lexnet.transfer.extract import frozen_engine, lacking
from lexnet.transfer.trunk import pretrained
from lexnet.transfer.views import augmented
from lexnet.weights.create import create_net

SOME, FEW = 48, 16  # pictures that are measured on: through the frozen net, and through torch's
ENOUGH = 0.5  # seconds of steps, of which the fastest counts: a busy machine has slow ones
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Speeds:
    """Seconds a picture, all cores at work; 0 where it was not measured."""

    decode: float
    look: float
    """Decoded and through the frozen net, or through the eye that finds copies."""
    new: float = 1.0
    """The share of the pictures that have not been through it before."""
    view: float = 0.0
    """A changed copy through the frozen net."""
    tail: float = 0.0
    whole: float = 0.0
    """Once forth and back."""
    forward: float = 0.0
    """Through the whole net in torch."""


def tail_recipe(plan: Plan) -> Recipe:
    """The recipe of a tail, also where it is still open."""
    return (plan if plan.config.recipe != "auto" else decided(plan, mode="tail")).recipe()


def measure(job: Job, manifest: Manifest, enough: Callable[[Speeds], bool]) -> Speeds:
    """Of this plan's net on this machine; of the frozen net alone where that is `enough` to know, and of all
    of the net only where the plan may come to train it.

    Once a quarter of the time is gone, as on a busy machine, each step that is left is taken once.
    """
    config, now = job.plan.config, time.perf_counter()
    until = math.inf if job.deadline is None else now + (job.deadline - now) / 4
    shuffled = sorted(
        range(len(manifest)), key=lambda row: address(config.seed, "measure", manifest.digests[row])
    )
    rows = shuffled[:SOME]
    if config.mode == "scratch":
        return _of_a_new_net(job, manifest, rows, until)
    trunk = job.looking()
    engine = frozen_engine(trunk, config.engine, job.workers, job.warn)
    decode = _timed(rows, lambda row: load_row(manifest, row, trunk.spec), job.workers)
    look = _timed(rows, lambda row: engine.run(load_row(manifest, row, trunk.spec)[None]), engine.callers)
    new = lacking(trunk, manifest, engine, job.warn)
    speeds = Speeds(decode=decode, look=look, new=new, view=look)
    if job.plan.recipe() == Recipe() and enough(speeds):
        return speeds
    if (recipe := tail_recipe(job.plan)) != Recipe():
        looks = augmented(recipe, config.seed, 1, None)

        def changed(row: int) -> Any:
            return engine.run(looks.show_row(manifest, row, trunk.spec))

        speeds = replace(speeds, view=_timed(rows, changed, engine.callers))
    if enough(speeds):
        return speeds
    net = pretrained(trunk.weights, trunk.spec.channels, classes=len(manifest.classes))
    shape = trunk.spec.channels, trunk.spec.size, trunk.spec.size
    cut = job.tail_cut(trunk)
    fit, classes = config.fit.resolved("finetune"), len(manifest.classes)
    if fit.norms == "frozen":
        fold_norms(net)
    laid_out(net, torch.channels_last)
    before, part = net.cut(cut)
    with evaluating(before), torch.inference_mode():
        inner = tuple(before(torch.zeros(1, *shape)).shape[1:])
    with depthwise_frozen(part):
        speeds = replace(speeds, tail=_trained(part, inner, classes, fit, until))
    if job.deadline is None or config.mode == "finetune":
        speeds = replace(speeds, whole=_trained(net, shape, classes, fit, until, device_of(fit)))
    return replace(speeds, forward=_forward(net, shape))


def _of_a_new_net(job: Job, manifest: Manifest, rows: list[int], until: float) -> Speeds:
    config = job.plan.config
    spec, look = new_spec(config, manifest), 0.0
    decode = _timed(rows, lambda row: load_row(manifest, row, spec), job.workers)
    if (eye := open_eye(job, manifest)) is not None:
        own, engine = eye.spec, open_engine("auto", eye.graph, job.workers)
        look = _timed(rows, lambda row: engine.run(load_row(manifest, row, own)[None]), engine.callers)
    net = create_net(config.net, classes=len(manifest.classes), channels=spec.channels)
    cost(net, spec.size, spec.channels)  # refuses pictures that are too small for it
    laid_out(net, torch.channels_last)
    shape, fit = (spec.channels, spec.size, spec.size), config.fit.resolved("scratch")
    whole = _trained(net, shape, len(manifest.classes), fit, until, device_of(fit))
    return Speeds(decode=decode, look=look, whole=whole, forward=_forward(net, shape))


def _timed(rows: list[int], work: Callable[[int], object], threads: int) -> float:
    """Seconds a picture, the first few not counted."""
    list(in_order(rows[:4], work, threads))
    start = time.perf_counter()
    list(in_order(rows, work, threads))
    return (time.perf_counter() - start) / len(rows)


def _trained(
    net: nn.Module,
    shape: tuple[int, ...],
    classes: int,
    fit: Fit,
    until: float,
    device: torch.device = CPU,
) -> float:
    """Seconds a picture, forth and back, of a net that is thrown away."""
    draw = torch.Generator().manual_seed(0)
    count = max(2, min(fit.batch_size, FEW))  # batch norms learn from no single picture
    inputs = torch.randn(count, *shape, generator=draw).contiguous(memory_format=torch.channels_last)
    inputs, targets = inputs.to(device), F.one_hot(torch.arange(count) % classes, classes).float().to(device)
    optimiser = make_optimiser(net.to(device).train(), fit)
    times = list[float]()
    while (len(times) < 3 or sum(times) < ENOUGH) and (not times or time.perf_counter() < until):
        start = time.perf_counter()
        optimiser.zero_grad(set_to_none=True)
        with mixed(inputs.device, fit):
            loss = F.cross_entropy(net(inputs), targets)
        torch.autograd.backward(loss)
        optimiser.step()
        loss.item()  # waits for a GPU
        times.append(time.perf_counter() - start)
    net.to(CPU)
    return min(times[1:] or times) / count


@torch.inference_mode()
def _forward(net: nn.Module, shape: tuple[int, ...]) -> float:
    inputs = torch.randn(FEW, *shape).contiguous(memory_format=torch.channels_last)
    net.eval()(inputs)
    start = time.perf_counter()
    net(inputs)
    return (time.perf_counter() - start) / FEW
