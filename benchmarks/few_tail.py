"""What the recipe `photo` brings to a tail where pictures are few: 20 photos a class, with and without it.

    python benchmarks/few_tail.py [--quick]

`lexnet train clothing --per-class 20 --mode tail --epochs 6` as a whole process, with `--recipe none` and
`--recipe photo` on the same photos; five seeds (two with --quick) draw them, up to 20 a class in each part.
The interval of the gain is Student's over the seeds.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
from common import LEXNET, Benchmark, arguments, pictures, timed
from scipy.stats import t as student

options = arguments(__doc__)
benchmark = Benchmark("few_tail")
reached: dict[str, list[float]] = {"none": [], "photo": []}
for seed in range(2 if options.quick else 5):
    with tempfile.TemporaryDirectory() as folder:
        for recipe, accuracies in reached.items():
            place = Path(folder)
            what = ("--mode", "tail", "--epochs", "6", "--per-class", "20", "--recipe", recipe)
            command = (*LEXNET, "train", str(pictures() / "clothing"), *what, "--seed", str(seed), "--json")
            seconds, _, text = timed(*command, cwd=place, cache=place / "cache")
            accuracies.append(json.loads(text)["test_accuracy"])
            print(f"seed {seed}, {recipe}: {accuracies[-1]:.4f} in {seconds:.0f} s", flush=True)
for recipe, accuracies in reached.items():
    benchmark.add(f"test accuracy, {recipe}", accuracies, "share")
gains = np.subtract(reached["photo"], reached["none"])
doubt = student.ppf(0.975, len(gains) - 1) * gains.std(ddof=1) / len(gains) ** 0.5
print(f"photo: {100 * gains.mean():+.1f} points (95 %: ± {100 * doubt:.1f}), {len(gains)} seeds")
benchmark.add("gain of photo", gains.tolist(), "share")
benchmark.add("gain of photo, mean", [float(gains.mean())], "share")
benchmark.add("gain of photo, half its interval", [float(doubt)], "share")
benchmark.finish()
