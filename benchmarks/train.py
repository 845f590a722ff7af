"""`lexnet train` on 3,781 clothing photographs as a whole process: cold, then again, with another seed,
another head and another cut, on the same pictures.

    python benchmarks/train.py [--quick]
"""

import json
import tempfile
from pathlib import Path

from common import LEXNET, Benchmark, arguments, pictures, timed

AGAIN = {
    "the same": (),
    "another seed": ("--seed", "1"),
    "another head": ("--cv", "3"),
    "another cut": ("--cut", "stage6"),
}
options = arguments(__doc__)
clothing = str(pictures() / "clothing")
benchmark = Benchmark("train")
cold: list[float] = []
again: dict[str, list[float]] = {name: [] for name in AGAIN}
memory, accuracy = [], []
for run in range(2 if options.quick else 5):
    with tempfile.TemporaryDirectory() as folder:
        for name, flags in {"cold": (), **AGAIN}.items():
            out = str(Path(folder, name))
            command = (*LEXNET, "train", clothing, "--mode", "probe", "--json", "--out", out, *flags)
            seconds, peak, text = timed(*command, cwd=Path(folder), cache=Path(folder, "cache"))
            (cold if name == "cold" else again[name]).append(seconds)
            memory += [peak] if name == "cold" else []
            accuracy += [] if flags else [json.loads(text)["test_accuracy"]]
            print(f"run {run} {name}: {seconds:.1f} s, {peak:.2f} GB", flush=True)
assert len(set(accuracy)) == 1, "the same request must give the same result"
benchmark.add("cold, start-up included", cold, "s", ("<=", 90))
for name, times in again.items():
    benchmark.add(f"then {name}, start-up included", times, "s", ("<=", 12))
benchmark.add("peak memory, cold", memory, "GB", ("<=", 1.5))
benchmark.add("test accuracy (372 pictures)", accuracy[:1], "share", (">=", 0.88))
benchmark.finish()
