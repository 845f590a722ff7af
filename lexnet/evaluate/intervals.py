"""How far a share that was counted may be from the true one."""

from math import inf, sqrt
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
    """The standard error of the mean of (N,) values, where those of one of `units` (N,) vary together.

    A large unit's distance from the mean, which it pulls along, is made up for. Infinite for one unit, of
    which nothing shows how far the next is from it.
    """
    _, unit = np.unique(units, return_inverse=True)
    sizes = np.bincount(unit)
    if len(sizes) == 1:
        return inf
    off = np.bincount(unit, values - values.mean()) / (1 - sizes / len(values))
    return float(sqrt((off**2).sum() * (len(sizes) - 1) / len(sizes))) / len(values)


def freedom(units: NDArray[Any]) -> float:
    """How many more than one of `units` (N,) there are, as sizes tell: few, where few of them hold most."""
    _, sizes = np.unique(units, return_counts=True)
    return max(float(sizes.sum() ** 2 / (sizes**2).sum()) - 1, 1.0)


def clustered_wilson(right: NDArray[Any], units: NDArray[Any] | None = None) -> tuple[float, float]:
    """`wilson` of (N,) answers, 0..1, where those of one of `units` (N,) are right or wrong together.

    Twelve pictures of one object are no twelve witnesses. So many count as would, each by itself, leave the
    share as uncertain as the units do: N over the design effect (Kish, Survey Sampling, 1965, §5.4). That is
    itself uncertain where the units are few, or few of them hold most pictures: Student's distribution takes
    the normal one's place. (By simulation it is still too narrow where each of some 30 units is nearly all
    right or all wrong, and hardly one is wrong.)
    """
    count = len(right)
    if units is None or count == 0:
        return wilson(float(right.sum()), count)
    _, unit = np.unique(units, return_inverse=True)
    sizes, share = np.bincount(unit), float(right.mean())
    most = float((sizes**2).sum()) / count  # where all of a unit are alike
    effect = most
    if (alone := share * (1 - share) / count) and len(sizes) > 1:
        effect = min(max(clustered_error(right, units) ** 2 / alone, 1.0), most)
    if len(sizes) == 1 < count:
        return 0.0, 1.0  # one witness
    z = student_point(Z_95, freedom(units)) if len(sizes) < count else Z_95
    return wilson(share * count / effect, count / effect, z)


def student_point(z: float, freedom: float) -> float:
    """The point of Student's distribution that `z` is of the normal one (Abramowitz & Stegun, 26.7.5): of the
    97.5 % from three degrees of freedom on to a thousandth, below too low."""
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92_160 * freedom**4)
    )
