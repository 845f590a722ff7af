"""`lexnet train --mode probe` and `--mode tail` on the clothing photos as whole processes, each cold.

    python benchmarks/transfer.py [--quick] [probe|tail ...]

3,068 photos to train on, 341 to validate, 372 to test; three seeds (one with --quick), each with an empty
cache. A seed draws the order, the changed copies and the folds; the parts are the source's own.
"""

import json
import tempfile
from pathlib import Path
from statistics import mean

from common import LEXNET, Benchmark, arguments, pictures, timed

GOALS = {"probe": [(0.885, 75)], "tail": [(0.925, 300), (0.93, 480)]}
options = arguments(__doc__)
benchmark = Benchmark("transfer")
for mode in options.only or GOALS:
    accuracy, took, memory = [], [], []
    for seed in range(1 if options.quick else 3):
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            command = (*LEXNET, "train", str(pictures() / "clothing"), "--mode", mode, "--seed", str(seed))
            seconds, peak, text = timed(*command, "--json", cwd=place, cache=place / "cache")
        accuracy.append(json.loads(text)["test_accuracy"])
        took.append(seconds)
        memory.append(peak)
        print(f"{mode}, seed {seed}: {accuracy[-1]:.4f} in {seconds:.0f} s, {peak:.2f} GB", flush=True)
    benchmark.add(f"{mode}: test accuracy", accuracy, "share")
    for least, most in GOALS[mode]:
        benchmark.add(f"{mode}: mean accuracy for {most} s", [mean(accuracy)], "share", (">=", least))
        benchmark.add(f"{mode}: the slowest of them, for {most} s", [max(took)], "s", ("<=", most))
    benchmark.add(f"{mode}: cold, start-up included", took, "s")
    benchmark.add(f"{mode}: peak memory", memory, "GB")
benchmark.finish()
