"""Probing three nets on the clothing photos: one look at every picture, beside a look for each net.

    python benchmarks/several.py [--quick] [all]

The passes of the frozen nets, every stage kept, with empty caches; and the one look with a head on each net
besides. Rounds alternate: five of a quarter of the photos, three of a twelfth, or one of all.
"""

import os
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from common import Benchmark, arguments, in_turn, pictures, ratios

from lexnet.config import ProbeConfig, available_cores
from lexnet.data.source import read_data
from lexnet.job.features import examples_of
from lexnet.transfer.extract import extract, extract_each
from lexnet.transfer.probe import fit_probe
from lexnet.transfer.trunk import open_trunk

NETS = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
options = arguments(__doc__)
benchmark = Benchmark("several")
manifest = read_data(str(pictures() / "clothing"))
every = "all" in options.only
some = manifest.take(np.arange(0, len(manifest), 1 if every else 12 if options.quick else 4))
found = [open_trunk(net, None, print, every_stage=True) for net in NETS]
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


def with_heads() -> None:
    for seen in extract_each(found, some, "auto", available_cores(), **common):
        examples = examples_of(seen.manifest, [], seen.features)
        classes = len(seen.manifest.classes)
        fit_probe(examples, classes, ProbeConfig(), 0, available_cores(), lambda done, total: None)


times = in_turn(
    1 if every else 3 if options.quick else 5,
    at_once=cold(at_once),
    one_by_one=cold(one_by_one),
    with_heads=cold(with_heads),
)
benchmark.add("three nets, one look at each picture", [len(some) / t for t in times["at_once"]], "pictures/s")
benchmark.add("three nets, one after another", [len(some) / t for t in times["one_by_one"]], "pictures/s")
both = ratios(times["at_once"], times["one_by_one"])
benchmark.add("at once / the sum of the three passes", both, "times", ("<=", 1.15))
headed = ratios(times["with_heads"], times["one_by_one"])
benchmark.add("at once, and three heads / the sum of the three passes", headed, "times", ("<=", 1.15))
benchmark.finish()
