"""torch.compile where it pays: it takes a minute, and saves a share of a training's time, or none.

some steps as they are ─ long enough to bother? ─ compile ─ the same steps again ─ faster?
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lexnet.config import Fit
from lexnet.errors import TrainingError
from lexnet.train.loop import Batch, mixed

STEPS = 5  # whose median is taken
LONG = 300.0  # seconds of training under which it is not tried
CLEARLY = 0.95  # of the time it has to come down to

Model = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Choice:
    """Whether a net is compiled."""

    model: Model | None
    """What answers in its place while it learns, if it is."""
    reason: str
    """Empty where there was nothing to decide."""


def choose(net: nn.Module, batch: Batch, steps: int, config: Fit) -> Choice:
    """As the config says; on auto by timing, which leaves the net as it was.

    `batch` is one like those of the `steps` to come. Raises `TrainingError` where it has to be compiled and
    cannot be.
    """
    if config.compile == "never":
        return Choice(None, "")
    eager = 0.0
    if config.compile == "auto":
        if seconds(net, net, batch, config, 1) * steps < LONG:
            return Choice(None, "")
        eager = seconds(net, net, batch, config)
    try:
        model = compiled(net, config)
        quick = seconds(net, model, batch, config)
    except Exception as error:  # whatever its backend raises: no compiler, an unknown operator
        why = next(iter(str(error).strip().splitlines()), "no reason given")
        what = f"torch.compile fails here ({type(error).__name__}: {why})"
        if config.compile == "always":
            raise TrainingError(f"{what}; leave out --compile") from error
        return Choice(None, f"not compiled: {what}")
    if config.compile == "always":
        return Choice(model, "compiled, as it was told")
    shown = f"a step takes {1000 * quick:.0f} ms compiled, {1000 * eager:.0f} ms otherwise"
    if quick < CLEARLY * eager:
        return Choice(model, f"compiled: {shown}")
    return Choice(None, f"not compiled: {shown}")


def compiled(net: nn.Module, config: Fit) -> Model:
    """The net compiled for whole batches; it takes the others, the last of an epoch, as it is."""
    fast = torch.compile(net, dynamic=False)
    return lambda x: fast(x) if len(x) == config.batch_size else net(x)


def seconds(net: nn.Module, model: Model, batch: Batch, config: Fit, steps: int = STEPS) -> float:
    """The median of some steps forth and back, one before them not counted."""
    before = {name: value.detach().clone() for name, value in net.state_dict().items()}
    inputs, targets = batch
    net.train()
    times = []
    try:
        for _ in range(steps + 1):
            start = time.perf_counter()
            net.zero_grad(set_to_none=True)
            with mixed(inputs.device, config):
                loss = F.cross_entropy(model(inputs), targets, reduction="sum")
            torch.autograd.backward(loss)
            if inputs.is_cuda:
                torch.cuda.synchronize()
            times.append(time.perf_counter() - start)
    finally:
        net.zero_grad(set_to_none=True)
        net.load_state_dict(before)
    return sorted(times[1:])[steps // 2]
