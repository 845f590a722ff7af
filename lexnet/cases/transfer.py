"""Transfer learning: with little data freeze and reuse, with more train more of it (Yosinski et al., 2014).

    frozen net ─ linear head        probe
    frozen ─ last stages + head     tail
    all of it                       finetune
    a small net of its own          scratch

On the built-in clip art, or on the photographs that --data names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lexnet.cases.case import Case, Lab, Study, Table
from lexnet.cases.draw import bars, lines
from lexnet.cases.lab import Fixed
from lexnet.cases.tables import by_seed, share
from lexnet.cases.verdict import more
from lexnet.config import FitConfig, Mode, TrainConfig
from lexnet.data.manifest import Manifest
from lexnet.data.random import address
from lexnet.data.source import read_data
from lexnet.data.splits import assign_parts, is_divided, with_val
from lexnet.errors import DataError
from lexnet.job.divide import admit
from lexnet.job.events import ignore
from lexnet.job.job import Clock
from lexnet.job.learn import learn
from lexnet.job.plan import make_plan

MODES: tuple[Mode, ...] = ("scratch", "probe", "tail", "finetune")
BATCH = 16


@dataclass(frozen=True, kw_only=True)
class Settings(Fixed):
    """Fixed before the result. Nothing is augmented. The net from scratch is another one, made for 32 px."""

    data: str = "clipart"
    size: int = 80
    new_size: int = 32
    """What the net from scratch sees."""
    each: tuple[int, ...] = (5, 25)
    steps: Mapping[str, int]
    """However many pictures there are; a head alone has none."""
    seeds: tuple[int, ...] = (0, 1, 2)

    def learning(self) -> str:
        """As users' nets do."""
        return "as `lexnet train` does"

    def with_data(self, data: str) -> "Settings":
        """The same on photographs of one's own."""
        return replace(self, data=data)


def study(settings: Settings, lab: Lab) -> Study:
    """Every way to learn, with few and with more pictures of each class; and a head after every stage."""
    manifest = _divided(settings)
    found: dict[tuple[str, int], list[float]] = {}
    total = len(settings.each) * len(MODES) * len(settings.seeds)
    for each in settings.each:
        for mode in MODES:
            found[mode, each] = []
            for seed in settings.seeds:
                some = with_few(manifest, each, seed)
                found[mode, each].append(_accuracy(some, mode, seed, settings, lab))
                lab.progress("runs", sum(map(len, found.values())), total)
    stages = _stages(manifest, settings, lab)
    few, many = settings.each[0], settings.each[-1]
    return Study(
        findings=[
            more(
                f"with {few} pictures a class, a frozen net with a new head beats a net of its own",
                found["probe", few],
                found["scratch", few],
            ),
            more(
                f"with {few} a class, freezing all beats training all",
                found["probe", few],
                found["finetune", few],
            ),
            *(
                more(
                    f"with {many} a class, training {what} beats freezing all",
                    found[mode, many],
                    found["probe", many],
                )
                for mode, what in (("tail", "the last stages"), ("finetune", "all of it"))
            ),
        ],
        tables=[_table(found), _of_stages(stages)],
        figures=[
            lines(
                "Test accuracy against pictures a class",
                settings.each,
                {mode: by_seed(found, mode, settings.each) for mode in MODES},
                ("pictures a class", "test accuracy"),
                log_x=True,
            ),
            bars(
                "Which stage's features transfer: a head after each, out of fold, with its 95 % interval",
                {
                    one["stage"] or "whole": {"": tuple(100 * v for v in (one["accuracy"], *one["interval"]))}
                    for one in stages
                },
                "accuracy, %",
            ),
        ],
        numbers={
            "accuracy": {f"{mode}, {each} a class": values for (mode, each), values in found.items()},
            "stages": stages,
        },
    )


def _divided(settings: Settings) -> Manifest:
    """The pictures in their parts. Raises `DataError` where a class has too few to learn from."""
    manifest = admit(read_data(settings.data), TrainConfig(), ignore)
    if not is_divided(manifest):
        manifest = assign_parts(manifest, TrainConfig().split, 0)
    elif not len(manifest.where("val")):
        manifest = with_val(manifest, TrainConfig().split.val, 0)
    counts = manifest.counts("train")
    most = max(settings.each)
    if counts.min() < most:
        least = manifest.classes[int(counts.argmin())]
        raise DataError(
            f"{least} has {counts.min()} training pictures, this case takes {most} of each class; add more"
        )
    return manifest


def with_few(manifest: Manifest, each: int, seed: int) -> Manifest:
    """`each` training pictures of each class, drawn by the seed; all of the other parts."""
    rows = list(np.concatenate([manifest.where("val"), manifest.where("test")]))
    train = sorted(manifest.where("train"), key=lambda row: address(seed, "few", manifest.digests[row]))
    for label in range(len(manifest.classes)):
        rows += [row for row in train if manifest.labels[row] == label][:each]
    return manifest.take(np.sort(rows))


def _accuracy(some: Manifest, mode: Mode, seed: int, settings: Settings, lab: Lab) -> float:
    """On the pictures that were held out."""
    size, fit = settings.new_size if mode == "scratch" else settings.size, FitConfig()
    if mode in settings.steps:
        epochs = -(-settings.steps[mode] * BATCH // len(some.where("train")))
        fit = FitConfig(epochs=epochs, batch_size=BATCH)
    config = TrainConfig(mode=mode, size=size, recipe="none", seed=seed, workers=lab.workers, fit=fit)
    return float(learn(some, make_plan(settings.data, config), Clock(), ignore).metrics["accuracy"])


def _stages(manifest: Manifest, settings: Settings, lab: Lab) -> list[dict[str, Any]]:
    """What `--cut auto` says of every stage that saves something, and of the whole net, on the whole training
    part."""
    config = TrainConfig(mode="probe", cut="auto", size=settings.size, workers=lab.workers)
    found: list[dict[str, Any]] = learn(manifest, make_plan(settings.data, config), Clock(), ignore).metrics[
        "stages"
    ]
    return [one for one in found if one["stage"] is None or one["macs"] < found[-1]["macs"]]


def _table(found: Mapping[tuple[str, int], list[float]]) -> Table:
    rows = [(mode, str(each), *share(values)) for (mode, each), values in found.items()]
    head = ("mode", "pictures a class", "test accuracy", "its 95 % interval over seeds")
    return Table("Every way to learn, means over seeds", head, rows)


def _of_stages(stages: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        (
            one["stage"] or "the whole net",
            f"{100 * one['accuracy']:.1f} %",
            " to ".join(f"{100 * value:.1f}" for value in one["interval"]) + " %",
            f"{one['macs'] / 1e6:.1f} M",
        )
        for one in stages
    ]
    head = ("up to", "accuracy out of fold", "its 95 % interval over pictures", "multiply-adds")
    return Table("A linear head after each stage, on the whole training part", head, rows)


CASE = Case(
    title="Transfer learning",
    claim="With little data, freeze and reuse; with more, train more of it.",
    source="Yosinski, Clune, Bengio & Lipson, 2014, arXiv:1411.1792",
    short=Settings(steps={"scratch": 120, "tail": 100, "finetune": 50}),
    full=Settings(
        size=224,
        each=(5, 10, 25),
        steps={"scratch": 600, "tail": 300, "finetune": 300},
        seeds=(0, 1, 2, 3),
    ),
    study=study,
)
