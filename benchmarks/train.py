"""`lexnet train` on 3,781 clothing photographs as a whole process: cold, then with a warm cache.

python benchmarks/train.py [--quick]
"""

import json
import tempfile
from pathlib import Path

from common import LEXNET, Benchmark, arguments, pictures, timed

options = arguments(__doc__)
clothing = str(pictures() / "clothing")
benchmark = Benchmark("train")
cold: list[float] = []
warm: list[float] = []
memory, accuracy = [], []
for run in range(2 if options.quick else 5):
    with tempfile.TemporaryDirectory() as folder:
        for name, times in (("cold", cold), ("warm", warm)):
            out = str(Path(folder, name))
            command = (*LEXNET, "train", clothing, "--mode", "probe", "--json", "--out", out)
            seconds, peak, text = timed(*command, cwd=Path(folder), cache=Path(folder, "cache"))
            times.append(seconds)
            memory += [peak] if name == "cold" else []
            accuracy.append(json.loads(text)["test_accuracy"])
            print(f"run {run} {name}: {seconds:.1f} s, {peak:.2f} GB", flush=True)
assert len(set(accuracy)) == 1, "the same request must give the same result"
benchmark.add("cold, start-up included", cold, "s", ("<=", 90))
benchmark.add("warm cache, start-up included", warm, "s", ("<=", 12))
benchmark.add("peak memory, cold", memory, "GB", ("<=", 1.5))
benchmark.add("test accuracy (372 pictures)", accuracy[:1], "share", (">=", 0.88))
benchmark.finish()
