"""How far a share that was counted may be from the true one."""

from math import sqrt

Z_95 = 1.959963984540054  # the 97.5 % point of the normal distribution


def wilson(hits: int, count: int, z: float = Z_95) -> tuple[float, float]:
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
