"""Whether training the tail would pay: tried on some pictures, and judged by others.

some ─ head, and head + tail ─ who is right on the others?  the difference, picture by picture
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lexnet.config import Fit, ProbeConfig
from lexnet.evaluate.intervals import clustered_error
from lexnet.train.loop import Watch
from lexnet.transfer.probe import Examples, fit_probe
from lexnet.transfer.tail import Activated, answers, started, train_tail
from lexnet.transfer.trunk import Trunk

LUCK = 3  # answers


@dataclass(frozen=True)
class Trial:
    """How it came out."""

    head: NDArray[np.bool_]
    """(N,) which pictures a head alone answers rightly, having been fitted to others."""
    tail: NDArray[np.bool_]
    """(N,) the same of a trained tail."""
    units: NDArray[np.str_]
    """(N,) which of the pictures belong together."""
    seconds: float
    """That one picture takes once, in training."""

    @property
    def gain(self) -> float:
        """How much more often the tail is right."""
        return float(self.tail.mean() - self.head.mean())

    @property
    def noise(self) -> float:
        """The standard error of that."""
        return clustered_error(self.tail.astype(float) - self.head, self.units)

    @property
    def pays(self) -> bool:
        """Whether the gain is more than its standard error, and than a few answers that luck may turn."""
        return self.gain > max(self.noise, LUCK / len(np.unique(self.units)))


def try_tail(
    trunk: Trunk,
    cut: str,
    seen: Activated,
    examples: Examples,
    taught: int,
    classes: int,
    probe_config: ProbeConfig,
    config: Fit,
    seed: int,
    workers: int,
    progress: Callable[[int, int], None],
) -> Trial:
    """`seen` and `examples` are of the same N pictures, of which the first `taught` are trained on."""
    some, others = np.arange(taught), np.arange(taught, len(examples.labels))
    probe = fit_probe(examples.take(some), classes, probe_config, seed, workers)
    head = probe.logits(examples.features[others]).argmax(axis=1) == examples.labels[others]
    net, began = started(trunk, probe), time.perf_counter()
    train_tail(
        net,
        cut,
        seen.take(some),
        seen.take(others[:0]),
        config,
        seed,
        sampled=False,
        watch=Watch(progress),
    )
    spent = time.perf_counter() - began
    _, trained = net.cut(cut)
    tail = answers(trained, seen.take(others)).argmax(axis=1) == examples.labels[others]
    units = np.asarray(examples.units)[others]
    return Trial(head, tail, units, spent / (config.epochs * taught))
