"""What pays at how many photos a class: a linear head, a tail, what `auto` picks, all of the net, a new one.

    python benchmarks/photos.py [--quick] [MODE...]

5, 10, 25, 50, 100 and all photos of clothes a class to train on, drawn anew by each of three seeds (all of
them: by none), with a seventh as many to validate on, as a user has who divides none, and always all 372 of
the test part to be measured by. A whole net and a new one see 128 px in place of 224, at 5, 25 and all, where
all is one seed alone.

Where `auto` picks the tail it is the tail of that seed, bit for bit, and counts as both; likewise the head.
Every result is a line of photos.jsonl (LEXNET_STUDY names another file), with its machine and its commit;
what is there is not measured again: hours in all. `scripts/make_photos.py` draws it. The last figure is how
much `auto` loses against the best of the others, paired by seed and number.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from common import ROOT, Benchmark, arguments, machine, pictures
from scipy import stats

from lexnet.config import Mode, TrainConfig
from lexnet.data.manifest import Manifest
from lexnet.data.random import address
from lexnet.data.source import read_data
from lexnet.job.events import Note
from lexnet.job.job import Clock
from lexnet.job.learn import learn
from lexnet.job.plan import make_plan

options = arguments(__doc__)
file = Path(os.environ.get("LEXNET_STUDY", Path(__file__).with_name("photos.jsonl")))
NUMBERS = (5, 10, 25, 50, 100, None)
SEEDS, SMALL = (0, 1, 2), 128
COMMIT = subprocess.run(
    ("git", "describe", "--always", "--dirty"), cwd=ROOT, capture_output=True, text=True, check=True
).stdout.strip()
RUNS: list[tuple[int | None, int, Mode]] = [
    *((each, seed, mode) for each in NUMBERS for seed in SEEDS for mode in ("auto", "probe", "tail")),
    *((each, seed, mode) for each in (5, 25) for seed in SEEDS for mode in ("finetune", "scratch")),
    *((None, 0, mode) for mode in ("finetune", "scratch")),
]
if options.quick:
    RUNS = [run for run in RUNS if run[0] in (5, 10) and run[2] in ("probe", "tail", "auto")]
if options.only:
    RUNS = [run for run in RUNS if run[2] in options.only]


def with_few(manifest: Manifest, each: int | None, seed: int) -> Manifest:
    """Of each class so many to train on and a seventh to validate on, as train divides; all of the test."""
    rows = list(manifest.where("test"))
    for part, number in (("train", each), ("val", each and max(1, round(each / 7)))):
        drawn = sorted(manifest.where(part), key=lambda row: address(seed, "photos", manifest.digests[row]))
        for label in range(len(manifest.classes)):
            rows += [row for row in drawn if manifest.labels[row] == label][:number]
    return manifest.take(np.sort(rows))


def measured(manifest: Manifest, each: int | None, seed: int, mode: Mode) -> dict[str, object]:
    """One run, without the run folder."""
    size = SMALL if mode in ("finetune", "scratch") else None
    plan = make_plan(manifest.name, TrainConfig(mode=mode, seed=seed, size=size))
    notes = []
    outcome = learn(with_few(manifest, each, seed), plan, Clock(), lambda event: notes.append(event))
    why = [note.text for note in notes if isinstance(note, Note) and note.text.startswith("mode")]
    return {
        "mode": mode,
        "each": each,
        "seed": seed,
        "accuracy": outcome.metrics["test_accuracy"],
        "picked": outcome.plan.config.mode,
        "why": why[-1:],
        "commit": COMMIT,
        "machine": machine(),
    }


def found() -> dict[tuple[int | None, int, str], dict[str, object]]:
    """What was measured so far."""
    lines = map(json.loads, file.read_text().splitlines() if file.exists() else [])
    return {(line["each"], line["seed"], line["mode"]): line for line in lines}


def keep(line: dict[str, object]) -> None:
    text = json.dumps(line) + "\n"
    with file.open("a") as stream:
        stream.write(text)
    print(text, end="", file=sys.stderr, flush=True)


photos = read_data(str(pictures() / "clothing"))
for run in RUNS:
    if run not in found():
        line = measured(photos, *run)
        keep(line)
        if (*run[:2], line["picked"]) not in found():
            keep(line | {"mode": line["picked"], "why": ["as auto picked it"]})

accuracy = {run: float(one["accuracy"]) for run, one in found().items() if run in RUNS}  # type: ignore[arg-type]
benchmark = Benchmark("photos")
for each, mode in dict.fromkeys((each, mode) for each, _, mode in RUNS):
    values = [accuracy[run] for run in RUNS if (run[0], run[2]) == (each, mode)]
    benchmark.add(f"{each or 'all'} a class, {mode}: accuracy", values, "share")
if {"auto", "probe", "tail"} <= {run[2] for run in RUNS}:
    best: dict[tuple[int | None, int], float] = {}
    for (each, seed, _), value in accuracy.items():
        best[each, seed] = max(value, best.get((each, seed), 0.0))
    lost = [accuracy[each, seed, "auto"] - value for (each, seed), value in best.items()]
    for each in dict.fromkeys(each for each, *_ in RUNS):
        seeds = [seed for few, seed, mode in RUNS if (few, mode) == (each, "tail")]
        gains = [100 * (accuracy[each, seed, "tail"] - accuracy[each, seed, "probe"]) for seed in seeds]
        reach = stats.t.ppf(0.975, len(gains) - 1) * np.std(gains, ddof=1) / len(gains) ** 0.5
        gain = f"{np.mean(gains):+.1f} ± {reach:.1f} points, Student's 95 %"
        print(f"{each or 'all'} a class, tail - probe: {gain}")
    benchmark.add("auto / the best, mean difference", [float(np.mean(lost))], "share", (">=", -0.01))
benchmark.finish()
