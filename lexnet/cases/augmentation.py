"""More data from the same pictures: each change alone, against how many pictures there are.

    picture ─ mirror | shift | turn | zoom | erase | all that move it ─ a new one every epoch

And where it hurts: the mirror image of a 2 is no digit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from lexnet.cases.case import Case, Figure, Lab, Study, Table
from lexnet.cases.draw import bars, lines, sheets
from lexnet.cases.lab import USUAL, Fixed, Pictures, changed, learn, new, pictures
from lexnet.cases.tables import by_seed, share
from lexnet.cases.verdict import interval, more
from lexnet.config import Recipe
from lexnet.nets.lenet import lenet5_modern

SIDE = 32  # LeNet-5's
RECIPES = {
    "none": Recipe(),
    "mirror": Recipe(mirror=0.5),
    "shift": Recipe(translate=0.1),
    "turn": Recipe(rotate=12.0),
    "zoom": Recipe(zoom=(0.85, 1.15)),
    "erase": Recipe(erase=0.5),
    "all": Recipe(mirror=0.5, translate=0.1, rotate=12.0, zoom=(0.85, 1.15)),
}
"""`all` is of those that move the picture."""


@dataclass(frozen=True, kw_only=True)
class Settings(Fixed):
    """Fixed before the result."""

    data: str = "fashion-mnist"
    each: tuple[int, ...] = (10, 50)
    epochs: tuple[int, ...] = (60, 16)
    pool: int = 200
    """Pictures a class that the few are drawn from, by the seed."""
    test: int = 2000
    digits: int = 50
    digit_epochs: int = 16
    lr: float = 2e-3
    seeds: tuple[int, ...] = (0, 1, 2, 3)

    fit = replace(USUAL, batch_size=32)


def study(settings: Settings, lab: Lab) -> Study:
    """LeNet-5 on few clothes by each recipe, and on digits with mirror images and without."""
    clothes = pictures(settings.data, lab, size=SIDE, train=10 * settings.pool, test=settings.test)
    found: dict[tuple[str, int], list[float]] = {}
    for each, epochs in zip(settings.each, settings.epochs, strict=True):
        for name in RECIPES:
            found[name, each] = _accuracies(clothes, each, name, epochs, settings, lab)
    digits = pictures("digits", lab, size=SIDE, train=1000, test=500)
    read = {
        name: _accuracies(digits, settings.digits, name, settings.digit_epochs, settings, lab)
        for name in ("none", "mirror")
    }
    few, many = settings.each[0], settings.each[-1]
    gains = {name: np.asarray(found[name, few]) - found["none", few] for name in RECIPES if name != "none"}
    return Study(
        findings=[
            *(
                more(
                    f"with {each} pictures a class, all the changes together make it right more often",
                    found["all", each], found["none", each],
                )
                for each in settings.each
            ),
            more(
                f"they are worth more, the fewer the pictures: more with {few} a class than with {many}",
                [a - b for a, b in zip(found["all", few], found["none", few], strict=True)],
                [a - b for a, b in zip(found["all", many], found["none", many], strict=True)],
            ),
            more("where a change breaks the label it hurts: mirrored digits", read["none"], read["mirror"]),
        ],
        tables=[_table(found, read, settings.digits)],
        figures=[
            bars(
                f"Gain of each change with {few} pictures a class, its 95 % interval over seeds",
                {name: {"": interval(100 * gain)} for name, gain in gains.items()},
                "points of test accuracy",
            ),
            lines(
                "Test accuracy against pictures a class",
                settings.each,
                {name: by_seed(found, name, settings.each) for name in ("none", "all")},
                ("pictures a class", "test accuracy"),
                log_x=True,
            ),
            _sheet(clothes),
        ],
        numbers={
            "accuracy": {f"{name}, {each} a class": values for (name, each), values in found.items()},
            "digits": read,
        },
    )  # fmt: skip


def _accuracies(
    some: Pictures, each: int, name: str, epochs: int, settings: Settings, lab: Lab
) -> list[float]:
    """Of each seed, which draws the pictures too."""
    found = []
    for seed in settings.seeds:
        few = some.few(each, seed)
        step = f"{name}, {each} a class, seed {seed}"
        made = new(lenet5_modern, seed)
        learned = learn(
            made,
            few,
            lab,
            epochs=epochs,
            lr=settings.lr,
            seed=seed,
            how=settings.fit,
            recipe=RECIPES[name],
            step=step,
        )
        found.append(learned.accuracy)
    return found


def _sheet(some: Pictures) -> Figure:
    """Four pictures in three epochs, by each recipe."""
    first = np.asarray([int(torch.where(some.y == label)[0][0]) for label in (0, 5, 7, 9)])
    rows = {
        name: [one for epoch in (0, 1, 2) for one in changed(some, recipe, 0, epoch, first)[:, 0].numpy()]
        for name, recipe in RECIPES.items()
    }
    return sheets("What the net sees: four pictures in three epochs", rows)


def _table(
    found: Mapping[tuple[str, int], list[float]], read: Mapping[str, list[float]], digits: int
) -> Table:
    rows = [(name, str(each), *share(values)) for (name, each), values in found.items()]
    rows += [(f"digits: {name}", str(digits), *share(values)) for name, values in read.items()]
    head = ("changes", "pictures a class", "test accuracy", "its 95 % interval over seeds")
    return Table("LeNet-5 with each change, means over seeds", head, rows)


CASE = Case(
    title="Data augmentation",
    claim="More data from the same pictures: changed copies that keep their label make a better classifier.",
    source="Simard, Steinkraus & Platt, 2003; Krizhevsky, Sutskever & Hinton, 2012",
    short=Settings(),
    full=Settings(
        each=(10, 50, 200),
        epochs=(150, 60, 30),
        pool=2000,
        test=10_000,
        digit_epochs=40,
        seeds=(0, 1, 2, 3, 4),
    ),
    study=study,
)
