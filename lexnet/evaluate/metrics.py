"""Scores of a classifier, from probabilities (N, classes) and labels (N,)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexnet.evaluate.intervals import clustered_wilson

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What `lexnet val` reports; shares are in 0..1, intervals are 95 %."""

    count: int
    units: int
    """Groups, sets of near copies and single pictures that were measured."""
    accuracy: float
    interval: tuple[float, float]
    macro_f1: float
    """Mean F1 of the classes that have pictures."""
    log_loss: float
    ece: float
    """Expected calibration error over 15 equal bins of confidence."""
    ece_of_chance: float
    """What it would be on average, with these confidences, if they were exactly right."""
    answered: float
    wrong_among_answered: float | None
    """None when nothing was answered."""
    per_class: list[dict[str, Any]]
    confusion: list[list[int]]
    """Row: true class; column: likeliest class."""


def confused_pairs(classes: Sequence[str], confusion: Sequence[Sequence[int]]) -> list[dict[str, Any]]:
    """Every pair of classes confused at least once, the commonest first: label, predicted, count, of."""
    pairs = [
        {"label": classes[i], "predicted": classes[j], "count": count, "of": sum(row)}
        for i, row in enumerate(confusion)
        for j, count in enumerate(row)
        if count and i != j
    ]
    return sorted(pairs, key=lambda pair: (-pair["count"], pair["of"], pair["label"], pair["predicted"]))


def score(
    probabilities: Floats,
    labels: Ints,
    classes: list[str],
    threshold: float = 0.0,
    units: Ints | None = None,
) -> Scores:
    """All scores at once. Accuracy counts the likeliest class; `threshold` only what is answered.

    Intervals know which of `units` (N,) a picture is of, a group or near copies; else each is by itself.
    """
    predicted = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    right = predicted == labels
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    rows = []
    for i, name in enumerate(classes):
        own = labels == i
        interval = clustered_wilson(right[own], None if units is None else units[own])
        rows.append(_class_row(name, confusion, i) | {"recall_interval": list(interval)})
    answered = confidence.astype(np.float64) >= threshold  # as the predictor compares
    likelihood = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return Scores(
        count=len(labels),
        units=len(labels) if units is None else len(np.unique(units)),
        accuracy=float(right.mean()),
        interval=clustered_wilson(right, units),
        macro_f1=float(np.mean([row["f1"] for row in rows if row["count"]])),
        log_loss=float(-np.log(np.maximum(likelihood, 1e-15)).mean()),
        ece=expected_calibration_error(confidence, right),
        ece_of_chance=calibration_error_of_chance(confidence),
        answered=float(answered.mean()),
        wrong_among_answered=float(1 - right[answered].mean()) if answered.any() else None,
        per_class=rows,
        confusion=confusion.tolist(),
    )


def expected_calibration_error(confidence: Floats, right: NDArray[np.bool_], bins: int = 15) -> float:
    """Mean gap between confidence and accuracy, in bins (Guo et al., 2017, arXiv:1706.04599)."""
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    weight = np.bincount(place, minlength=bins)
    gap = np.bincount(place, confidence, bins) - np.bincount(place, right, bins)
    return float(np.abs(gap).sum() / max(1, weight.sum()))


def calibration_error_of_chance(confidence: Floats) -> float:
    """The error that this many answers show even where each is right as often as its confidence says."""
    draw = np.random.default_rng(0)
    worlds = 200 if len(confidence) < 100_000 else 10  # of this many pictures few worlds tell as much
    right = (draw.random(len(confidence)) < confidence for _ in range(worlds))
    return float(np.mean([expected_calibration_error(confidence, one) for one in right]))


def _class_row(name: str, confusion: NDArray[np.int64], i: int) -> dict[str, Any]:
    hit, count, said = int(confusion[i, i]), int(confusion[i].sum()), int(confusion[:, i].sum())
    return {
        "class": name,
        "count": count,
        "precision": hit / said if said else None,
        "recall": hit / count if count else None,
        "f1": 2 * hit / (count + said) if count else None,
    }
