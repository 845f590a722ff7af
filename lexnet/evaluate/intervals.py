"""How far a share that was counted may be from the true one."""

from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Z_95 = 1.959963984540054  # the 97.5 % point of the normal distribution


def wilson(hits: float, count: float, z: float = Z_95) -> tuple[float, float]:
    """The Wilson score interval (1927) of hits/count, 95 % by default; (0, 1) when nothing was counted.

    Unlike hits/count ± z·error it stays within 0..1 and keeps its coverage for few counts and for
    shares near 0 and 1.
    """
    if count == 0:
        return 0.0, 1.0
    share = hits / count
    centre = share + z * z / (2 * count)
    reach = z * sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    low, high = (centre - reach) / scale, (centre + reach) / scale
    return max(0.0, min(low, share)), min(1.0, max(high, share))  # rounding may leave the share outside


def clustered_error(values: NDArray[Any], units: NDArray[Any]) -> float:
    """The standard error of the mean of (N,) values, where those of one of `units` (N,) vary together."""
    _, unit = np.unique(units, return_inverse=True)
    off = np.bincount(unit, values - values.mean())
    return float(sqrt((off**2).sum())) / len(values)


def clustered_wilson(right: NDArray[Any], units: NDArray[Any] | None = None) -> tuple[float, float]:
    """`wilson` of (N,) answers, 0..1, where those of one of `units` (N,) are right or wrong together.

    Twelve pictures of one object are no twelve witnesses. So many count as would, each by itself, leave the
    share as uncertain as the units do: N over the design effect (Kish, Survey Sampling, 1965, §5.4).
    """
    count = len(right)
    if units is None or count == 0:
        return wilson(float(right.sum()), count)
    _, unit = np.unique(units, return_inverse=True)
    sizes, share = np.bincount(unit), float(right.mean())
    most = float((sizes**2).sum()) / count  # where all of a unit are alike
    effect = most
    if (alone := share * (1 - share) / count) and len(sizes) > 1:
        off = np.bincount(unit, right - share)
        between = float((off**2).sum()) / count**2 * len(sizes) / (len(sizes) - 1)
        effect = min(max(between / alone, 1.0), most)
    return wilson(share * count / effect, count / effect)
