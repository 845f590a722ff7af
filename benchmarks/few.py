"""What changed copies bring where pictures are few: 20 photos a class, with and without each recipe.

    python benchmarks/few.py [--quick] [recipe ...]

The training is `lexnet train`'s: a linear head on EfficientNet-Lite0's frozen features, its
regularisation chosen by cross-validation, measured on the 372 test photos of clothes. Five seeds (two
with --quick) draw the photos and the views; a gain is the difference on the same photos, its interval
Student's over the seeds.
"""

from dataclasses import replace
from statistics import mean

import numpy as np
from common import Benchmark, arguments, pictures
from scipy.stats import t as student

from lexnet.augment.recipes import RECIPES
from lexnet.config import ProbeConfig, available_cores
from lexnet.data.random import address
from lexnet.data.source import read_data
from lexnet.transfer.extract import extract
from lexnet.transfer.probe import Examples, fit_probe
from lexnet.transfer.trunk import open_trunk
from lexnet.transfer.views import Look, answering, augmented, colour_axes

EACH, VIEWS = 20, 4
options = arguments(__doc__)
names = options.only or ["mirror", "photo", "lecture", "strong"]
seeds = range(2 if options.quick else 5)
benchmark = Benchmark("few")
manifest = read_data(str(pictures() / "clothing"))
classes = len(manifest.classes)
trunk = open_trunk("efficientnet_lite0", None, print)


def features(rows: np.ndarray, look: Look | None = None) -> np.ndarray:
    found = extract(
        trunk, manifest.take(rows), "auto", available_cores(),
        look=look, warn=print, progress=lambda done, total: None,
    )  # fmt: skip
    return found.features


def accuracy(examples: Examples, shown: np.ndarray) -> float:
    probe = fit_probe(examples, classes, ProbeConfig(), 0, available_cores(), lambda done, total: None)
    return float((probe.probabilities(shown).argmax(axis=1) == manifest.labels[test]).mean())


test = manifest.where("test")
plain_test = features(test)
mirrored = answering(replace(trunk.spec, tta="mirror"))
mirrored_test = features(test, mirrored)
reached: dict[str, list[float]] = {name: [] for name in ("none", "none, tta mirror", *names)}
for seed in seeds:
    train = sorted(manifest.where("train"), key=lambda row: address(seed, "few", manifest.digests[row]))
    rows = np.concatenate([[r for r in train if manifest.labels[r] == c][:EACH] for c in range(classes)])
    examples = Examples(
        features=features(rows),
        labels=manifest.labels[rows],
        weights=manifest.weights[rows],
        units=list(manifest.digests.take(rows)),
    )
    reached["none"].append(accuracy(examples, plain_test))
    both = replace(examples, tta_views=features(rows, mirrored))
    reached["none, tta mirror"].append(accuracy(both, mirrored_test))
    for name in names:
        axes = colour_axes(RECIPES[name], manifest, rows, trunk.spec, seed)
        views = features(rows, augmented(RECIPES[name], seed, VIEWS, axes))
        reached[name].append(accuracy(replace(examples, views=views), plain_test))
for name, values in reached.items():
    benchmark.add(f"test accuracy, {name}", values, "share")
    if name != "none":
        gains = np.subtract(values, reached["none"])
        doubt = student.ppf(0.975, len(gains) - 1) * gains.std(ddof=1) / len(gains) ** 0.5
        print(f"{name}: {100 * mean(gains):+.1f} points (95 %: ± {100 * doubt:.1f}), {len(gains)} seeds")
        benchmark.add(f"gain of {name}", gains.tolist(), "share")
        benchmark.add(f"gain of {name}, mean", [float(gains.mean())], "share")
        benchmark.add(f"gain of {name}, half its interval", [float(doubt)], "share")
benchmark.finish()
