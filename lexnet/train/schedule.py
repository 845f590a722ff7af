"""How the learning rate goes: up in a straight line, then down along half a cosine or in steps.

The cosine is that of Loshchilov & Hutter, 2017, arXiv:1608.03983.
"""

import math

from lexnet.config import Schedule

DROPS = (0.5, 0.75)
"""Shares of the steps after which the rate becomes a tenth (He et al., 2015, arXiv:1512.03385, 4.2)."""


def lr_factor(schedule: Schedule, step: int, steps: int, warmup: int) -> float:
    """The share of the peak rate at this step, from 0."""
    if step < warmup:
        return (step + 1) / warmup
    if schedule == "steps":
        return 0.1 ** sum(step >= drop * steps for drop in DROPS)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
