"""How good the head is, measured on every picture in turn: for when few can be held out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lexnet.config import TrainConfig
from lexnet.errors import DataError
from lexnet.evaluate.intervals import clustered_wilson
from lexnet.transfer.folds import assign_folds, units_of
from lexnet.transfer.probe import Examples, fit_probe

LEAST = 3  # units of a class: one to measure on, two for what chooses the regularisation
LEAST_OF_TWO = 4  # of two folds each is half of them


@dataclass(frozen=True, kw_only=True)
class CrossValidation:
    """Shares of pictures that heads got right which had not seen them."""

    count: int
    folds: int
    repeats: list[float]
    """The accuracy of each repeat, over all pictures."""
    accuracy: float
    """Their mean."""
    interval: tuple[float, float]
    """95 %, for which pictures there are; what dividing them does is seen in the repeats."""


def cross_validate(
    examples: Examples,
    classes: list[str],
    config: TrainConfig,
    workers: int,
    progress: Callable[[int, int], None],
) -> CrossValidation:
    """Fits a head on all folds but one, its regularisation chosen there too, and measures it on that one.

    Raises `DataError` for a class with fewer than three units, of two folds four.
    """
    labels = examples.labels
    own = {label: len(mine) for label, mine in units_of(labels, examples.units).items()}
    least = LEAST_OF_TWO if config.split.folds == 2 else LEAST
    for label, name in enumerate(classes):
        if own.get(label, 0) < least:
            raise DataError(
                f"class {name!r} has {own.get(label, 0)} pictures (or groups of them) to measure in turn, "
                f"folds={config.split.folds} needs {least}; add some, or leave it out"
            )
    assert config.split.folds is not None
    folds, repeats, seed = min(config.split.folds, *own.values()), config.split.repeats, config.seed
    accuracies, rights = [], np.zeros(len(labels))
    for repeat in range(repeats):
        fold_of = assign_folds(labels, examples.units, folds, seed, f"measured fold {repeat}")
        right = np.zeros(len(labels), bool)
        for fold in range(folds):
            train, held = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
            probe = fit_probe(examples.take(train), len(classes), config.probe, seed, workers)
            answers = probe.probabilities(examples.take(held).measured())
            right[held] = answers.argmax(axis=1) == labels[held]
            progress(repeat * folds + fold + 1, repeats * folds)
        accuracies.append(float(right.mean()))
        rights += right / repeats
    return CrossValidation(
        count=len(labels),
        folds=folds,
        repeats=accuracies,
        accuracy=float(np.mean(accuracies)),
        interval=clustered_wilson(rights, np.asarray(examples.units)),
    )
