"""Draws docs/photos.svg from benchmarks/photos.jsonl: accuracy against photos a class, for each way to learn.

python scripts/make_photos.py
"""

import json
from collections import defaultdict
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from lexnet.cases.draw import COLOURS, MARKS, STYLE

ROOT = Path(__file__).resolve().parent.parent
ALL = 307  # photos of a class on average, where all are taken
NAMES = {
    "auto": "auto (no --mode), 224 px",
    "tail": "tail, 224 px",
    "probe": "probe, 224 px",
    "finetune": "finetune, 128 px",
    "scratch": "scratch, 128 px",
}
found: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
for line in map(json.loads, (ROOT / "benchmarks/photos.jsonl").read_text().splitlines()):
    found[line["mode"]][line["each"] or ALL].append(100 * line["accuracy"])
with matplotlib.rc_context(STYLE):
    drawing = Figure(figsize=(7, 4.2), layout="constrained")
    axes = drawing.subplots()
    for (mode, name), colour, mark in zip(NAMES.items(), COLOURS, MARKS, strict=False):
        if not (numbers := sorted(found[mode])):
            continue  # not measured yet
        seeds = [found[mode][number] for number in numbers]
        means = [float(np.mean(values)) for values in seeds]
        if mode == "auto":  # it lies on the line of what it picked
            axes.plot(numbers, means, color=colour, alpha=0.25, linewidth=9, label=name)
            continue
        axes.fill_between(
            numbers, list(map(min, seeds)), list(map(max, seeds)), color=colour, alpha=0.12, lw=0
        )
        axes.plot(numbers, means, color=colour, marker=mark, markersize=4, label=name)
    axes.set_xscale("log")
    axes.set_xticks([5, 10, 25, 50, 100, ALL], ["5", "10", "25", "50", "100", "all"])
    axes.minorticks_off()
    axes.set_xlabel("photos a class to train on")
    axes.set_ylabel("test accuracy, %")
    axes.legend()
    drawing.savefig(ROOT / "docs/photos.svg", metadata={"Date": None, "Creator": None})
