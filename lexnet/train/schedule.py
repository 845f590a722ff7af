"""How the learning rate goes: up in a straight line, then down along half a cosine."""

import math


def cosine(step: int, steps: int, warmup: int) -> float:
    """The share of the peak rate at this step, from 0 (Loshchilov & Hutter, 2017, arXiv:1608.03983)."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
