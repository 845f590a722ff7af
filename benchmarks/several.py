"""Probing three nets on the clothing photos: one look at every picture, beside a look for each net.

    python benchmarks/several.py [--quick]

The passes of the frozen nets alone, with empty caches; rounds alternate.
"""

import os
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from common import Benchmark, arguments, in_turn, pictures, ratios

from lexnet.config import available_cores
from lexnet.data.source import read_data
from lexnet.transfer.extract import extract, extract_each
from lexnet.transfer.trunk import open_trunk

NETS = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
options = arguments(__doc__)
benchmark = Benchmark("several")
manifest = read_data(str(pictures() / "clothing"))
some = manifest.take(np.arange(0, len(manifest), 12 if options.quick else 4))
found = [open_trunk(net, None, print) for net in NETS]
common: dict[str, Any] = {"warn": print, "progress": lambda done, total: None}


def cold(work: Callable[[], None]) -> Callable[[], float]:
    """Seconds of it with an empty cache."""

    def timed() -> float:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["LEXNET_CACHE"] = folder
            start = time.perf_counter()
            work()
            return time.perf_counter() - start

    return timed


def one_by_one() -> None:
    for trunk in found:
        extract(trunk, some, "auto", available_cores(), **common)


def at_once() -> None:
    extract_each(found, some, "auto", available_cores(), **common)


times = in_turn(3 if options.quick else 5, at_once=cold(at_once), one_by_one=cold(one_by_one))
benchmark.add("three nets, one look at each picture", [len(some) / t for t in times["at_once"]], "pictures/s")
benchmark.add("three nets, one after another", [len(some) / t for t in times["one_by_one"]], "pictures/s")
both = ratios(times["at_once"], times["one_by_one"])
benchmark.add("at once / the sum of the three passes", both, "times", ("<=", 1.15))
benchmark.finish()
