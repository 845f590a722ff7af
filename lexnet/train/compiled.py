"""torch.compile where it pays: it takes a minute, and saves a share of a training's time, or none.

some steps as they are ─ long enough to bother? ─ compile ─ the same loss and gradient? ─ faster?
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lexnet.config import Fit
from lexnet.errors import TrainingError
from lexnet.nets.net import restored
from lexnet.train.loop import Batch, mixed

STEPS = 5  # whose median is taken
LONG = 300.0  # seconds of training under which it is not tried
CLEARLY = 0.95  # of the time it has to come down to
ALIKE = 0.1  # bfloat16 turns gradients about, but hardly lengthens them

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

    `batch` is one like those of the `steps` to come. Compiled, it has to come to the loss and the length of
    gradient that it has otherwise: what torch keeps of earlier compilations, perhaps for another processor,
    is not always right. Raises `TrainingError` where it has to be compiled and cannot be.
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
        _compare(net, model, batch, config)
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
    fast = torch.compile(net, dynamic=False, options={"fallback_random": True})  # dropout as it is otherwise
    return lambda x: fast(x) if len(x) == config.batch_size else net(x)


def seconds(net: nn.Module, model: Model, batch: Batch, config: Fit, steps: int = STEPS) -> float:
    """The median of some steps forth and back, one before them not counted."""
    times = []
    with restored(net):
        for _ in range(steps + 1):
            start = time.perf_counter()
            _forth_and_back(net, model, batch, config)
            if batch[0].is_cuda:
                torch.cuda.synchronize()
            times.append(time.perf_counter() - start)
    return sorted(times[1:])[steps // 2]


def _compare(net: nn.Module, model: Model, batch: Batch, config: Fit) -> None:
    """Raises `ArithmeticError` where the compiled net comes to something else."""
    seen = []
    for one in (net, model):
        with restored(net):
            torch.manual_seed(0)
            loss = _forth_and_back(net, one, batch, config)
            length = nn.utils.get_total_norm(w.grad for w in net.parameters() if w.grad is not None)
            seen.append(torch.stack([loss, length]).tolist())
    for name, own, other in zip(("loss", "gradient"), *seen, strict=True):
        if not abs(other - own) <= ALIKE * own:  # NaN is not, either
            raise ArithmeticError(f"its {name} comes out as {other:.4g} instead of {own:.4g}")


def _forth_and_back(net: nn.Module, model: Model, batch: Batch, config: Fit) -> Tensor:
    inputs, targets = batch
    net.zero_grad(set_to_none=True)
    with mixed(inputs.device, config):
        loss = F.cross_entropy(model(inputs), targets, reduction="sum")
    torch.autograd.backward(loss)
    return loss.detach()
