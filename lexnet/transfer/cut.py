"""Where a net may be cut short: a probe after every stage, and the cheapest that loses at most a point.

pixels ─ stem ─ stage1 ─ stage2 ─ ... ─ head      one pass over the pictures
                  └ probe   └ probe       └ probe   cross-validated on the training part alone
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lexnet.config import ProbeConfig
from lexnet.errors import ConfigError
from lexnet.evaluate.intervals import clustered_error, clustered_wilson, freedom, student_point
from lexnet.export.places import Place
from lexnet.transfer.probe import Examples, fit_probe

Z_ONE_SIDED = 1.6448536269514722  # the 95 % point of the normal distribution
MARGIN = 0.01  # of accuracy, that a cheaper net may lose
MOST_LEFT = 0.4  # of the multiply-adds, that a cut which nobody chose leaves to the tail


@dataclass(frozen=True, kw_only=True)
class Probed:
    """What a linear head makes of the features there."""

    place: Place
    accuracy: float
    interval: tuple[float, float]
    right: NDArray[np.bool_]
    """(N,) out of fold, picture by picture."""
    units: NDArray[np.str_]
    """(N,) which of them belong together."""
    net: str | None = None
    """Of which net, where several are compared."""


def default_cut(places: list[Place]) -> str:
    """The first stage after which at most `MOST_LEFT` of the multiply-adds remain; the stem of a net that
    was cut there, which has no stage."""
    whole = places[-1].macs
    return next(place.stage for place in places if 1 - place.macs / whole <= MOST_LEFT) or "stem"


def probe_stages(
    stages: Sequence[Place],
    examples: Examples,
    classes: int,
    config: ProbeConfig,
    seed: int,
    workers: int,
    progress: Callable[[int, int], None],
) -> list[Probed]:
    """A head for each place that costs less than the whole net, and for that; its accuracy out of fold.

    The examples' features (N, sum of widths), and their views, are those of all the places, side by side.
    """
    found, whole, units = [], stages[-1], np.asarray(examples.units)
    assert examples.features.shape[1] == columns(stages, whole).stop
    ends = [one for one in stages if one is whole or one.macs < whole.macs]
    for done, place in enumerate(ends, start=1):
        own = examples.part(columns(stages, place))
        probe = fit_probe(own, classes, config, seed, workers)
        found.append(
            Probed(
                place=place,
                accuracy=float(probe.right.mean()),
                interval=clustered_wilson(probe.right, units),
                right=probe.right,
                units=units,
            )
        )
        progress(done, len(ends))
    return found


def columns(stages: Sequence[Place], place: Place) -> slice:
    """Where the features of a place stand in those of all the places, side by side."""
    before = sum(one.width for one in stages[: stages.index(place)])
    return slice(before, before + place.width)


def choose_cut(
    curve: Sequence[Probed],
    classes: int,
    tta_views: int = 1,
    max_macs: float | None = None,
    max_size: float | None = None,
    latency: Callable[[Probed], float] | None = None,
    max_latency: float | None = None,
) -> Probed:
    """The cheapest within the limits that is shown to lose no more than `MARGIN` against any dearer one.

    (Compared with the one that looks best alone, a cheap one that is ahead by luck would go untested.)

    `curve` goes from the cheapest on. A head for so many classes counts as well, and for `max_macs` all the
    `tta_views` that an answer is the mean of. `max_size` is in bytes of float32 weights, `max_latency` in
    what `latency` measures. Raises `ConfigError` where no place is within a limit.
    """
    allowed = list(curve)
    for name, limit, cost in (
        ("max_macs", max_macs, lambda one: tta_views * (one.place.macs + classes * one.place.width)),
        ("max_size", max_size, lambda one: 4 * (one.place.params + classes * (one.place.width + 1))),
        ("max_latency", max_latency, latency),
    ):
        if limit is None or cost is None:
            continue
        costs = [cost(one) for one in allowed]
        if min(costs) > limit:
            raise ConfigError(f"{name}={limit:,.6g} is under the {min(costs):,.6g} of the cheapest; raise it")
        allowed = [one for one, each in zip(allowed, costs, strict=True) if each <= limit]
    return next(
        one
        for number, one in enumerate(allowed, start=1)
        if all(most_lost(one.right, dearer.right, one.units) <= MARGIN for dearer in allowed[number:])
    )


def reason(curve: Sequence[Probed], chosen: Probed) -> str:
    """The choice in one line, for people."""
    best, dearest = max(curve, key=lambda one: one.accuracy), max(one.place.macs for one in curve)
    saved = 1 - chosen.place.macs / dearest
    if not chosen.net and chosen.place.stage is None:
        return (
            f"the whole net: {100 * chosen.accuracy:.1f} % out of fold, and no earlier stage is shown to "
            f"lose at most {100 * MARGIN:.0f} point"
        )
    seen = (
        f"{called(chosen)}: {100 * chosen.accuracy:.1f} % out of fold, the best {100 * best.accuracy:.1f} %"
    )
    if not saved:
        return f"{seen}; no cheaper one is shown to lose at most {100 * MARGIN:.0f} point"
    return f"{seen}; {100 * saved:.0f} % fewer multiply-adds than the {'dearest' if chosen.net else 'whole'}"


def called(one: Probed) -> str:
    """net resnet20, cut stage2"""
    net = f"net {one.net}, " if one.net else ""
    return net + ("the whole net" if one.place.stage is None else f"cut {one.place.stage}")


def most_lost(a: NDArray[np.bool_], b: NDArray[np.bool_], units: NDArray[np.str_]) -> float:
    """How much less often the answers `a` (N,) may be right than `b` (N,), on pictures of the same kind.

    The upper end of the one-sided 95 % interval of the paired difference, those of one of `units` (N,)
    varying together; where nearly all answers are equal, that of the rule of three: of n units without a
    difference, up to 3/n may show one.
    """
    difference = b.astype(float) - a.astype(float)
    spread = student_point(Z_ONE_SIDED, freedom(units)) * clustered_error(difference, units)
    return float(difference.mean()) + max(spread, 3 / len(np.unique(units)))
