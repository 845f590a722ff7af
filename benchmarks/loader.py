"""Working pictures from the store: how fast they come back, and whether memory stays where it is.

    python benchmarks/loader.py [--quick]

The clothing photos at 160 px, decoded once (cold, timed), then read in another random order each
pass, in batches of 64, each a contiguous array that the caller touches; then in turn with decoding
on the fly, which is what would have to be done without a store. Memory is the process's own pages
(RssAnon; a batch has 5): what is mapped from disk is the system's to keep or drop.
"""

import os
import statistics
import tempfile
import time

import numpy as np
from common import Benchmark, arguments, in_turn, pictures, ratios

from lexnet.config import PreprocessSpec
from lexnet.data.loader import Pictures, open_pictures
from lexnet.data.source import read_data

PASSES, BATCH = 50, 64
options = arguments(__doc__)
spec = PreprocessSpec(size=160, short_side=160)
benchmark = Benchmark("loader")


def memory() -> float:
    """Own pages, MB."""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("RssAnon"))
    return int(line.split()[1]) / 1024


def rate(some: Pictures, order: np.ndarray) -> float:
    start = time.perf_counter()
    for _, pixels in some.batches(order, BATCH):
        pixels[0, 0, 0, 0]  # it is there
    return len(order) / (time.perf_counter() - start)


with tempfile.TemporaryDirectory() as folder:
    os.environ["LEXNET_CACHE"] = folder
    manifest = read_data(str(pictures() / "clothing"))
    start = time.perf_counter()
    stored = open_pictures(manifest, spec, None, warn=print, progress=lambda done, total: None)
    benchmark.add("decoding all into the store", [len(stored) / (time.perf_counter() - start)], "pictures/s")
    start = time.perf_counter()
    stored = open_pictures(manifest, spec, None, warn=print, progress=lambda done, total: None)
    benchmark.add("opening the full store, digests checked", [time.perf_counter() - start], "s")
    fly = Pictures(manifest=manifest, spec=spec, workers=None, stored=None)
    random = np.random.default_rng(0)
    used = []
    for _ in range(PASSES):
        rate(stored, random.permutation(len(stored)))
        used.append(memory())
    growth = statistics.median(used[-10:]) - statistics.median(used[10:20])
    benchmark.add("memory of passes 41 to 50 less passes 11 to 20", [growth], "MB", ("<=", 8))
    results = in_turn(
        3 if options.quick else 9,
        stored=lambda: rate(stored, random.permutation(len(stored))),
        fly=lambda: rate(fly, random.permutation(len(stored))[:768]),
    )
    benchmark.add("from the store, warm", results["stored"], "pictures/s", (">=", 10_000))
    benchmark.add("decoded on the fly", results["fly"], "pictures/s")
    benchmark.add("times faster", ratios(results["stored"], results["fly"]), "ratio")
benchmark.finish()
