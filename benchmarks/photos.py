"""What pays at how many photos a class: a linear head, a tail, or what `--mode auto` picks.

    python benchmarks/photos.py [--quick] [modes]

5, 10, 25, 50, 100 and all photos of clothes a class to train on, drawn anew by each of three seeds; always
all of the validation part to calibrate on and all 372 of the test part to be measured by. Goes on where it
was stopped (LEXNET_STUDY names the file of results, photos.jsonl here otherwise). The last figure is how
much `auto` loses against the better of the two, paired by seed and number.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
from common import Benchmark, arguments, pictures

from lexnet.config import FitConfig, Mode, TrainConfig
from lexnet.data.manifest import Manifest
from lexnet.data.random import address
from lexnet.data.source import read_data
from lexnet.job.features import Clock
from lexnet.job.learn import learn
from lexnet.job.plan import make_plan

options = arguments(__doc__)
benchmark = Benchmark("photos")
NUMBERS = (5, 25) if options.quick else (5, 10, 25, 50, 100, None)
SEEDS = range(1 if options.quick else 3)
MODES = options.only or ["probe", "tail", "auto"]
file = Path(os.environ.get("LEXNET_STUDY", "photos.jsonl"))


def with_few(manifest: Manifest, each: int | None, seed: int) -> Manifest:
    """Of each class so many to train on; all of the other parts."""
    rows = list(np.concatenate([manifest.where("val"), manifest.where("test")]))
    train = sorted(manifest.where("train"), key=lambda row: address(seed, "photos", manifest.digests[row]))
    for label in range(len(manifest.classes)):
        rows += [row for row in train if manifest.labels[row] == label][:each]
    return manifest.take(np.sort(rows), [])


def measured(manifest: Manifest, mode: Mode, each: int | None, seed: int) -> dict[str, object]:
    """One run, without the run folder."""
    fit = FitConfig(**json.loads(os.environ.get("LEXNET_FIT", "{}"))) if mode == "tail" else FitConfig()
    plan = make_plan(manifest.name, TrainConfig(mode=mode, seed=seed, fit=fit))
    start, notes = time.perf_counter(), []
    outcome = learn(with_few(manifest, each, seed), plan, Clock(), lambda event: notes.append(event))
    why = [note.text for note in notes if getattr(note, "text", "").startswith("mode")]
    return {
        "mode": mode,
        "each": each,
        "seed": seed,
        "accuracy": outcome.metrics["test_accuracy"],
        "picked": outcome.plan.config.mode,
        "why": why[-1:],
        "seconds": time.perf_counter() - start,
    }


done = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
pictures_of = read_data(str(pictures() / "clothing"))
for number in NUMBERS:
    for seed in SEEDS:
        for mode in MODES:
            if any((one["mode"], one["each"], one["seed"]) == (mode, number, seed) for one in done):
                continue
            done.append(measured(pictures_of, mode, number, seed))
            with file.open("a") as stream:
                stream.write(json.dumps(done[-1]) + "\n")
            print(json.dumps(done[-1]), file=sys.stderr, flush=True)


def accuracies(mode: str, number: int | None) -> list[float]:
    """Of each seed."""
    found = {one["seed"]: one["accuracy"] for one in done if (one["mode"], one["each"]) == (mode, number)}
    return [found[seed] for seed in SEEDS]


lost = []
for number in NUMBERS:
    for mode in MODES:
        benchmark.add(f"{number or 'all'} a class, {mode}", accuracies(mode, number), "share")
    if {"probe", "tail", "auto"} <= set(MODES):
        best = np.maximum(accuracies("probe", number), accuracies("tail", number))
        lost += (np.asarray(accuracies("auto", number)) - best).tolist()
if lost:
    benchmark.add(
        "auto / the better of the two, mean difference", [float(np.mean(lost))], "share", (">=", -0.01)
    )
benchmark.finish()
