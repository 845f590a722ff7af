"""Gradient-Based Learning Applied to Document Recognition (LeCun et al., 1998): LeNet-5 reads handwriting.

    32×32 ─ 5×5 ─ ÷2 ─ 5×5 ─ ÷2 ─ 5×5 ─ 84 ─ 10       each filter at all positions: few weights

Against it a dense net of as many parameters, on the same pictures, and on the same pictures shifted.
With --data they also learn any other handwriting: MNIST, where it is at hand.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lexnet.cases.case import Case, Figure, Lab, Study, Table
from lexnet.cases.draw import lines, sheets
from lexnet.cases.lab import Fixed, Learned, Pictures, accuracy, learn, new, pictures
from lexnet.cases.tables import share
from lexnet.cases.verdict import counted, more, over
from lexnet.cost import cost, params
from lexnet.nets.lenet import lenet5, lenet5_modern
from lexnet.nets.net import Net

GOOD = 0.95  # of the digits, that a reader gets right
SMALLER = 100  # times, that sharing makes them
LARGE = "fashion-mnist"
HIDDEN = 59  # units of the dense net, for as many parameters as LeNet-5 has


def dense(classes: int = 10) -> nn.Module:
    """One hidden layer: 32 · 32 · 59 + 59 + 59 · 10 + 10 parameters."""
    return nn.Sequential(nn.Flatten(), nn.Linear(32 * 32, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, classes))


# The net of 1998 tells how far its code is from drawings of the ten digits, whatever it learns to read.
NETS = {"LeNet-5 (1998)": lenet5, "LeNet-5": lenet5_modern, "dense": dense}


@dataclass(frozen=True, kw_only=True)
class Settings(Fixed):
    """Fixed before the result."""

    train: Mapping[str, int] = field(default_factory=lambda: {"digits": 1200, "fashion-mnist": 5000})
    test: Mapping[str, int] = field(default_factory=lambda: {"digits": 500, "fashion-mnist": 2000})
    epochs: Mapping[str, int] = field(default_factory=lambda: {"digits": 15, "fashion-mnist": 5})
    lr: float = 2e-3
    shifts: tuple[int, ...] = (0, 1, 2, 3, 4)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)

    def with_data(self, data: str) -> "Settings":
        """The same with one set more, treated as the clothes are."""
        own: dict[str, Any] = {
            name: {**getattr(self, name), data: getattr(self, name)[LARGE]}
            for name in ("train", "test", "epochs")
        }
        return replace(self, **own)


def study(settings: Settings, lab: Lab) -> Study:
    """Three nets, two sets of pictures, some seeds."""
    sets = {
        data: pictures(data, lab, size=32, train=count, test=settings.test[data])
        for data, count in settings.train.items()
    }
    runs = {
        (data, name): [_trained(data, name, seed, some, settings, lab) for seed in settings.seeds]
        for data, some in sets.items()
        for name in NETS
    }
    moved = {name: [_moved(one, sets["digits"], settings) for one in runs["digits", name]] for name in NETS}
    read = {data: [one.accuracy for one in runs[data, "LeNet-5"]] for data in sets if data != LARGE}
    shared, unshared = weights()
    return Study(
        findings=[
            *(
                over(f"it reads handwriting: over {GOOD:.0%} of {data} that it never saw", right, GOOD)
                for data, right in read.items()
            ),
            more(
                "it is right more often than a dense net of as many parameters, on clothes",
                [one.accuracy for one in runs[LARGE, "LeNet-5"]],
                [one.accuracy for one in runs[LARGE, "dense"]],
            ),
            more(
                f"and loses less on digits that were shifted by {settings.shifts[-1]} pixels",
                [one[0] - one[-1] for one in moved["dense"]],
                [one[0] - one[-1] for one in moved["LeNet-5"]],
            ),
            counted(
                "weight sharing makes it small",
                SMALLER * shared < unshared,
                f"C1 and C3 have {shared:,} weights; with others at every position they had {unshared:,}",
            ),
        ],
        tables=[_table(runs)],
        figures=[
            lines(
                "Digits that were shifted to the right and down",
                settings.shifts,
                moved,
                ("pixels of 32", "accuracy"),
            ),
            _maps(runs["digits", "LeNet-5"][0].net, sets["digits"]),
        ],
        numbers={
            "accuracy": {
                f"{name}, {data}": [one.accuracy for one in found] for (data, name), found in runs.items()
            },
            "shifted": moved,
            "weights": {"shared": shared, "unshared": unshared},
        },
    )


def _trained(data: str, name: str, seed: int, some: Pictures, settings: Settings, lab: Lab) -> Learned:
    step = f"{name} on {data}, seed {seed}"
    made = new(partial(NETS[name], len(some.classes)), seed)
    return learn(
        made, some, lab, epochs=settings.epochs[data], lr=settings.lr, seed=seed, how=settings.fit, step=step
    )


def _moved(one: Learned, some: Pictures, settings: Settings) -> list[float]:
    """The accuracy at each shift."""
    return [accuracy(one.net, _shifted(some.test_x, by), some.test_y) for by in settings.shifts]


def _shifted(x: Tensor, by: int) -> Tensor:
    """(N, 1, 32, 32) to the right and down; what comes in is background."""
    ground = x.amin(dim=(1, 2, 3), keepdim=True).expand_as(x)
    return torch.cat(
        [ground[:, :, :by], torch.cat([ground[:, :, by:, :by], x[:, :, : 32 - by, : 32 - by]], 3)], 2
    )


def _maps(net: nn.Module, some: Pictures) -> Figure:
    """What each layer makes of one digit of each of three classes."""
    assert isinstance(net, Net)
    rows = {}
    for label in (2, 5, 8):
        x = some.test_x[some.test_y == label][:1]
        seen = {"pixels": x, "C1": net.stem(x)}
        for name, stage in zip(("S2", "C3", "S4"), net.stages.children(), strict=False):
            seen[name] = stage(list(seen.values())[-1])
        for name, value in seen.items():
            rows[f"{label}: {name}"] = list(value[0, :12].detach().numpy())
    return sheets("What its layers make of three digits: the first maps of each", rows)


def weights() -> tuple[int, int]:
    """Of the convolutions that see more than one position: as they are, and without sharing."""
    layers = [one for one in cost(lenet5_modern(), 32, 1).layers if one.kind == "Conv2d" and one.shape[1] > 1]
    return sum(one.params for one in layers), sum(one.params * one.shape[1] * one.shape[2] for one in layers)


def _table(runs: Mapping[tuple[str, str], list[Learned]]) -> Table:
    rows = [
        (f"{name}, {data}", f"{params(found[0].net):,}", *share([one.accuracy for one in found]))
        for (data, name), found in runs.items()
    ]
    head = ("net and pictures", "parameters", "test accuracy", "its 95 % interval over seeds")
    return Table("Means over seeds", head, rows)


CASE = Case(
    title="LeNet-5 reads handwriting",
    claim="A small convolutional net reads handwriting, and weight sharing makes it small.",
    source="LeCun, Bottou, Bengio & Haffner, 1998",
    short=Settings(),
    full=Settings(
        train={"digits": 1200, "fashion-mnist": 60_000},
        test={"digits": 500, "fashion-mnist": 10_000},
        epochs={"digits": 30, "fashion-mnist": 12},
    ),
    study=study,
)
