"""How many threads get most done here is found on the work itself.

Cores shared with others, a disk across a network, a container's quota: no count of cores knows them.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from lexnet.config import available_cores
from lexnet.errors import PictureError
from lexnet.runtime.stream import in_order, sound

T = TypeVar("T")
R = TypeVar("R")

TRIAL = 64  # items that each number of threads is tried on
GAIN = 1.05  # what twice the threads must bring to be worth it
SHARE = 16  # of what is quickly done a thread takes so many at a time: to hand one out takes as long


def measured(items: Iterable[T], work: Callable[[T], R]) -> Iterator[tuple[T, R | PictureError]]:
    """As `in_order`, the threads doubled for as long as that is faster, up to twice the cores."""
    rest = iter(items)
    threads, best, fastest = 1, 1, 0.0
    while threads <= 2 * available_cores():
        trial = list(islice(rest, TRIAL))
        start = time.perf_counter()
        done = list(in_order(trial, work, threads))
        rate = len(trial) / (time.perf_counter() - start)
        yield from done
        if len(trial) < TRIAL:
            return
        if rate < GAIN * fastest:
            break
        best, fastest, threads = threads, rate, 2 * threads
    yield from in_order(rest, work, best)


def quickly(items: Sequence[T], work: Callable[[T], R], progress: Callable[[int, int], None]) -> list[R]:
    """What comes of each, in their order, where the work takes less than a thousandth of a second."""
    shares = [items[start : start + SHARE] for start in range(0, len(items), SHARE)]
    found: list[R] = []
    for results in sound(measured(shares, lambda share: [work(item) for item in share])):
        found += results
        progress(len(found), len(items))
    return found
