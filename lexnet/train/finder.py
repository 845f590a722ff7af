"""Which learning rate: it grows step by step until the loss does (Smith, 2017, arXiv:1506.01186, §3.3).

loss ─╮            ╭
      ╰──╮       ╭─╯
         ╰───────╯
                 ↑ the highest rate at which the loss is nearly its lowest; a tenth of it is taken

(A net that begins with a fitted head has nowhere to fall: its lowest loss is anywhere in the flat part.)
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from torch import nn

from lexnet.config import Fit
from lexnet.errors import TrainingError
from lexnet.nets.net import restored
from lexnet.train.loop import Batch, step
from lexnet.train.optimiser import make_optimiser, set_rate

STEPS = 80
LEAST, MOST = 1e-6, 10.0
SMOOTHED = 0.9  # how much of the running mean each step keeps
HOPELESS = 3.0  # times the lowest loss: nothing good comes after that
NEARLY = 1.1  # times the lowest loss
SETTLED = 10  # steps until the running mean is one
SAFE = 10.0


@dataclass(frozen=True)
class FoundRate:
    """A rate, and what it was chosen from."""

    rate: float
    curve: list[tuple[float, float]]
    """(learning rate, smoothed loss) of each step."""
    reason: str


def find_rate(net: nn.Module, batches: Callable[[], Iterator[Batch]], config: Fit) -> FoundRate:
    """The net is as before when it is done. Raises `TrainingError` where even the least rate is too high."""
    optimiser, curve = make_optimiser(net, config), list[tuple[float, float]]()
    mean, coming = 0.0, batches()
    with restored(net):
        torch.manual_seed(0)
        for number in range(STEPS):
            rate = LEAST * (MOST / LEAST) ** (number / (STEPS - 1))
            set_rate(optimiser, rate)
            some = list(islice(coming, config.accumulate))
            if not some:
                coming = batches()
                some = list(islice(coming, config.accumulate))
            try:
                loss, count = step(net, net, optimiser, iter(some), config, "the search for a rate")
            except TrainingError:  # no longer a number
                break
            mean = SMOOTHED * mean + (1 - SMOOTHED) * loss / count
            curve.append((rate, mean / (1 - SMOOTHED ** (number + 1))))
            if curve[-1][1] > HOPELESS * min(loss for _, loss in curve):
                break
    if not curve:
        raise TrainingError(
            f"the loss is no number even at a learning rate of {LEAST:g}; look at the pictures"
        )
    lowest = min(loss for _, loss in curve[SETTLED:] or curve)
    highest = max(rate for rate, loss in curve if loss <= NEARLY * lowest)
    return FoundRate(
        highest / SAFE, curve, f"a tenth of {highest:.2g}, up to which the loss was nearly its lowest"
    )
