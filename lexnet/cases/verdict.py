"""How a claim is judged: by all seeds at once, never by one run."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from lexnet.cases.case import Finding

LEVEL = 0.95
OVER = "Student's 95 % interval over seeds, on these very test pictures,"
Unit = tuple[str, float, int]
"""Its name, how many of it are 1, and the decimals that are printed."""
POINTS = ("points", 100.0, 2)


def interval(values: ArrayLike) -> tuple[float, float, float]:
    """(mean, low, high): Student's interval of the mean at 95 %, of one value for each seed."""
    x = np.asarray(values, float)
    if len(x) < 2:
        raise ValueError(f"{len(x)} value: an interval needs two seeds or more")
    reach = student.ppf((1 + LEVEL) / 2, len(x) - 1) * x.std(ddof=1) / len(x) ** 0.5
    mean = float(x.mean())
    return mean, mean - float(reach), mean + float(reach)


def more(claim: str, a: Sequence[float], b: Sequence[float], unit: Unit = POINTS) -> Finding:
    """That `a` is more than `b`, which are paired by seed: by the interval of their mean difference."""
    return no_less(claim, a, b, 0.0, unit)


def no_less(
    claim: str, a: Sequence[float], b: Sequence[float], margin: float, unit: Unit = POINTS
) -> Finding:
    """That `a` is less than `b` by no more than `margin`, in the unit that is printed."""
    name, scale, digits = unit
    mean, low, high = interval(scale * (np.asarray(a, float) - np.asarray(b, float)))
    holds = True if low > -margin else False if high < -margin else None
    seen = f"{mean:+.{digits}f} {name} ({low:+.{digits}f} to {high:+.{digits}f}; {len(a)} seeds)"
    return Finding(claim, holds, seen, f"differences seed by seed, {OVER} above {-margin or 0:g}")


def over(claim: str, shares: Sequence[float], least: float) -> Finding:
    """That a share is over `least`."""
    mean, low, high = (100 * value for value in interval(shares))
    holds = True if low > 100 * least else False if high < 100 * least else None
    seen = f"{mean:.2f} % ({low:.2f} to {high:.2f} %; {len(shares)} seeds)"
    return Finding(claim, holds, seen, f"the mean, {OVER} above {100 * least:g} %")


def counted(claim: str, holds: bool, seen: str) -> Finding:
    """What follows from counting or from arithmetic, and needs no seeds."""
    return Finding(claim, bool(holds), seen, "counted, no chance in it")
