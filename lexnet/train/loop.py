"""The training loop: the same plan gives the same weights, however often it is stopped.

for each epoch: batches in this epoch's own order ─ loss ─ step ─ moving average ─ judge ─ checkpoint
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lexnet.config import Fit
from lexnet.data.random import address
from lexnet.errors import ConfigError, OutputError, TrainingError
from lexnet.train.checkpoint import Tensors, read_checkpoint, write_checkpoint
from lexnet.train.optimiser import make_optimiser, set_rate
from lexnet.train.schedule import lr_factor

Batch = tuple[Tensor, Tensor]
"""Inputs (n, ...), and targets (n, classes): a row of targets sums to what its picture counts."""
Batches = Callable[[int], Iterator[Batch]]
"""epoch → its batches, on the net's device."""


@dataclass
class History:
    """What was seen, epoch by epoch."""

    epochs: list[dict[str, float]] = field(default_factory=list)
    """Those after which the net was evaluated; the loss is the mean since the one before."""
    steps: int = 0
    """Taken so far."""
    stopped: str | None = None
    """Why it ended before its last epoch, where it did."""

    def done(self) -> int:
        """Epochs up to the last one judged."""
        return int(self.epochs[-1]["epoch"]) if self.epochs else 0


def refuse_single(net: nn.Module, config: Fit) -> None:
    """Raises `ConfigError` where batch norms would learn from one picture at a time."""
    normed = any(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    if config.batch_size == 1 and config.norms == "trained" and normed:
        raise ConfigError(
            "batch_size=1: batch norms learn from how the pictures of a batch differ; take 2 or more, or "
            "norms='frozen'"
        )


@dataclass(frozen=True)
class Watch:
    """Who looks on while a net is trained."""

    progress: Callable[[int, int], None] = lambda done, total: None
    """Told of each step, and of how many there will be at most."""
    tell: Callable[[dict[str, float]], None] = lambda record: None
    """Told what each epoch that was judged came to."""
    late: Callable[[], bool] = lambda: False
    """Asked before each step whether training has to end."""


UNWATCHED = Watch()


def fit(
    net: nn.Module,
    batches: Batches,
    batches_per_epoch: int,
    config: Fit,
    *,
    seed: int,
    judge: Callable[[nn.Module], dict[str, float]],
    judge_at_most: int | None = None,
    checkpoint: Path | None = None,
    of: str = "",
    watch: Watch = UNWATCHED,
    model: Callable[[Tensor], Tensor] | None = None,
) -> History:
    """Trains `net` in place; it ends as the moving average of its weights.

    `model` is the same net compiled, if it is: what answers in the steps. `judge` measures the averaged net
    after each epoch, or evenly spread up to `judge_at_most` times; with `config.patience` after each.

    A checkpoint is written after each evaluation, and the next call with the same arguments goes on from it
    to the same bits (with as many threads). `of` says what is trained on what: a checkpoint of anything else
    is not taken, nor one whose learning rates went otherwise; one of fewer epochs is if `config.raised` says
    so, and then one of another training raises `OutputError`: a finished run is not written over.

    It stops early where `watch.late()`, after `config.steps`, or at the end of `config.patience`. Raises
    `TrainingError` for a loss or a gradient that is not finite, naming the batch; what was kept stays.
    """
    run = _Running(net, make_optimiser(net, config), _averaged(net))
    ends = config.ends()
    if checkpoint is not None:
        _go_on(run, checkpoint, of, config)
    history, per_epoch = run.history, -(-batches_per_epoch // config.accumulate)
    total, pictures = 0.0, 0
    for epoch in range(history.done(), config.epochs):
        kept = "no epoch is kept yet"
        if checkpoint is not None and history.epochs:
            kept = f"what epoch {history.done()} ended with is kept"
        torch.manual_seed(address(seed, "dropout", str(epoch)))
        net.train()
        coming = batches(epoch)
        for number in range(per_epoch):
            history.stopped = _why_stop(history.steps, config, watch.late)
            if history.stopped:
                break
            rate = config.lr * lr_factor(
                config.schedule, history.steps, ends[epoch] * per_epoch, round(config.warmup * per_epoch)
            )
            set_rate(run.optimiser, rate)
            some = islice(coming, config.accumulate)
            where = f"{_which(number, config.accumulate)} of epoch {epoch + 1}; {kept}"
            loss, count = step(net, model or net, run.optimiser, some, config, where)
            history.steps += 1
            run.average(config.ema)
            total, pictures = total + loss, pictures + count
            watch.progress(history.steps, config.epochs * per_epoch)
        if not pictures:
            break
        at_most = None if config.patience is not None else judge_at_most
        if not (history.stopped or _is_judged(epoch + 1, ends[epoch], at_most)):
            continue
        with run.averages_in():
            seen = judge(net)
        _finite(seen, f"the net after epoch {epoch + 1}; {kept}", config)
        last = (history.steps - 1) // per_epoch  # a stop may come before this epoch's first step
        history.epochs.append({"epoch": last + 1, "loss": total / pictures, "lr": rate, **seen})
        watch.tell(history.epochs[-1])
        total, pictures = 0.0, 0
        run.keep_best(config.patience)
        if checkpoint is not None and not history.stopped:
            write_checkpoint(checkpoint, run.state(), run.facts(of, ends))
        if history.stopped:
            break
    run.finish(config.patience)
    return history


def _why_stop(steps: int, config: Fit, late: Callable[[], bool]) -> str | None:
    """Why training stops after this many steps, if it does."""
    if steps == config.steps:
        return f"after {steps} steps, as it was told"
    if late() and steps:
        return f"after {steps} step{'s' * (steps > 1)}, to end in time"
    return None


def _which(step: int, accumulate: int) -> str:
    """The batches, from 1, of an epoch's step, from 0."""
    first, last = step * accumulate + 1, (step + 1) * accumulate
    return f"batch {first}" if first == last else f"batches {first} to {last}"


def _is_judged(done: int, epochs: int, at_most: int | None) -> bool:
    """Whether the net is measured after so many of the epochs: after the last, and as often as is allowed."""
    every = 1 if at_most is None else -(-epochs // at_most)
    return done == epochs or done % every == 0


def _go_on(run: "_Running", checkpoint: Path, of: str, config: Fit) -> None:
    """Takes up what was kept of the same training, if anything was."""
    if (found := read_checkpoint(checkpoint)) is None:
        return
    done, ends = found[1], config.ends()
    if done["of"] == of and done["ends"] == ends[: len(done["ends"])]:
        try:
            run.restore(*found)
        except (IndexError, KeyError, RuntimeError, ValueError) as error:
            raise OutputError(
                f"{checkpoint} does not fit its net; remove it, and training starts from its beginning"
            ) from error
    elif config.raised:
        other = f"to {done['ends'][-1]} epochs" if done["of"] == of else "of other pictures or settings"
        raise OutputError(
            f"{checkpoint} is of a training {other}, from which one to {config.epochs} epochs cannot go "
            "on; give the same, or another --out, where it begins anew"
        )


def step(
    net: nn.Module,
    model: Callable[[Tensor], Tensor],
    optimiser: torch.optim.Optimizer,
    batches: Iterator[Batch],
    config: Fit,
    where: str,
) -> tuple[float, int]:
    """One step on these batches; (sum of the losses, how many pictures). An error says `where`."""
    optimiser.zero_grad(set_to_none=True)
    losses, count = [], 0
    for inputs, targets in batches:
        with mixed(inputs.device, config):
            loss = F.cross_entropy(model(inputs), targets, reduction="sum")
        torch.autograd.backward(loss / config.batch_size)
        losses.append(loss.detach())
        count += len(inputs)
    for weight in net.parameters():
        if weight.grad is not None and count != config.batch_size:
            weight.grad.mul_(config.batch_size / count)
    length = nn.utils.clip_grad_norm_(net.parameters(), config.clip)
    total, steep = torch.stack([torch.stack(losses).sum(), length]).tolist()  # a GPU is waited for once
    _finite({"loss": total, "gradient": steep}, where, config)
    optimiser.step()
    return total, count


def _finite(values: dict[str, float], where: str, config: Fit) -> None:
    """Raises `TrainingError` for a number that is none."""
    for name, value in values.items():
        if not isfinite(value):
            raise TrainingError(
                f"the {name} is {value} in {where}; train again with a lower --lr than {config.lr:g}"
            )


def mixed(device: torch.device, config: Fit) -> torch.autocast:
    """Arithmetic of the precision that was asked for; on auto bfloat16 on a GPU, float32 on a CPU."""
    low = config.precision == "bfloat16" or (config.precision == "auto" and device.type == "cuda")
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=low)


def _averaged(net: nn.Module) -> Tensors:
    """A copy of all that is learned, batch statistics too."""
    return {name: value.detach().clone() for name, value in _learned(net)}


def _learned(net: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from net.named_parameters()
    yield from ((name, value) for name, value in net.named_buffers() if value.is_floating_point())


class _Running:
    """A training at work: the net, its optimiser, the moving average, and the best average so far."""

    def __init__(self, net: nn.Module, optimiser: torch.optim.Optimizer, mean: Tensors) -> None:
        self.net, self.optimiser, self.mean = net, optimiser, mean
        self.history = History()
        self._best: Tensors = {}
        self._waited = 0

    @torch.no_grad()
    def average(self, decay: float) -> None:
        """Early on the average is of few steps, and follows them closely."""
        keep = min(decay, self.history.steps / (9 + self.history.steps))
        learned = dict(_learned(self.net))
        torch._foreach_lerp_([self.mean[name] for name in learned], [*learned.values()], 1 - keep)

    @contextmanager
    def averages_in(self) -> Iterator[None]:
        """The net with its averages for weights, inside the block only."""
        own = _averaged(self.net)
        self._put(self.mean)
        self.net.eval()
        try:
            yield
        finally:
            self._put(own)

    def keep_best(self, patience: int | None) -> None:
        """Keeps a copy where the validation loss is the lowest; says stop where it long was not."""
        epochs = self.history.epochs
        if patience is None or "val_log_loss" not in epochs[-1]:
            return
        *before, now = (one["val_log_loss"] for one in epochs)
        if not before or now < min(before):
            self._best, self._waited = {name: value.clone() for name, value in self.mean.items()}, 0
            return
        self._waited += 1
        if self._waited >= patience and not self.history.stopped:
            many = f"{patience} epoch{'s' * (patience > 1)}"
            self.history.stopped = f"after {many} without a lower validation loss"

    def finish(self, patience: int | None) -> None:
        """The net becomes the average, or the best one where that was asked for."""
        self._put(self._best if patience is not None and self._best else self.mean)
        self.net.eval()

    @torch.no_grad()
    def _put(self, weights: Tensors) -> None:
        for name, value in _learned(self.net):
            value.copy_(weights[name])

    def state(self) -> Tensors:
        """All tensors that it goes on from."""
        tensors = {f"net.{name}": value for name, value in self.net.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self.mean.items()}
        tensors |= {f"best.{name}": value for name, value in self._best.items()}
        for number, state in self.optimiser.state_dict()["state"].items():
            tensors |= {
                f"optimiser.{number}.{name}": torch.as_tensor(value)
                for name, value in state.items()
                if value is not None
            }
        return tensors

    def facts(self, of: str, ends: list[int]) -> dict[str, Any]:
        """What a checkpoint records besides tensors."""
        history = self.history
        so_far = {"steps": history.steps, "history": history.epochs, "waited": self._waited}
        return {"of": of, "ends": ends[: history.done()], **so_far}

    def restore(self, tensors: Tensors, facts: dict[str, Any]) -> None:
        """Takes up what `state` and `facts` said."""

        def part(prefix: str) -> Tensors:
            return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

        self.net.load_state_dict(part("net."))
        for name, value in part("average.").items():
            self.mean[name].copy_(value)  # in the memory layout that it had
        self._best = {name: torch.empty_like(self.mean[name]).copy_(v) for name, v in part("best.").items()}
        state: dict[int, Tensors] = {}
        weights = [weight for group in self.optimiser.param_groups for weight in group["params"]]
        for name, value in part("optimiser.").items():
            number, _, key = name.partition(".")
            weight = weights[int(number)]
            if value.shape == weight.shape:  # the fused step takes memory as it lies
                value = torch.empty_like(weight).copy_(value)
            state.setdefault(int(number), {})[key] = value
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": state, "param_groups": groups})
        self.history = History(facts["history"], int(facts["steps"]))
        self._waited = int(facts["waited"])
