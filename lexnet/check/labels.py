"""Labels that look wrong, and pictures that look like nothing else, from frozen features.

A ridge classifier on the features has a closed form, and so has what it would say of each picture had
it been trained without it (leave-one-out, by the diagonal of its hat matrix): no fold is ever fitted.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.special import expit

from lexnet.check.duplicates import centred

PENALTY = 0.3
"""Of the ridge, a share of the number of pictures; features have unit variance."""
SUSPECT = 0.75
"""A label is suspect where the classifier has this confidence in another."""
RARE = 30
"""Pictures of a class half of whose doubtfulness is put down to its being rare."""
FAR = 4.0
"""An outlier's nearest neighbours are farther than the median picture's by this many spreads."""
NEIGHBOURS = 5
BLOCK = 2048


@dataclass(frozen=True)
class Doubt:
    """What the pictures of the other labels say of one picture."""

    row: int
    label: int
    """What they would call it."""
    confidence: float
    """Of the classifier, in this rather than in the label that it has. Far fewer of these labels are wrong:
    most are of pictures that look like others."""


def doubts(
    features: NDArray[np.float32], labels: NDArray[np.int64], classes: int, units: NDArray[np.int64]
) -> list[Doubt]:
    """One for each picture, the most suspect first.

    `features` (N, width), `labels` (N,) in 0..classes-1, `units` (N,) what is left out together: copies
    would else vouch for one another.
    """
    scores = leave_one_out(features, labels, classes, units)
    rows = np.arange(len(labels))
    own = scores[rows, labels]
    others = scores.copy()
    others[rows, labels] = -np.inf
    best = others.argmax(axis=1)
    margin = others[rows, best] - own
    margin -= _of_being_few(margin, labels, classes)[labels]
    confidence = expit(margin * _sharpness(-margin))
    order = np.argsort(-margin, kind="stable")
    return [Doubt(int(row), int(best[row]), float(confidence[row])) for row in order]


def _of_being_few(
    margin: NDArray[np.float64], labels: NDArray[np.int64], classes: int
) -> NDArray[np.float64]:
    """(classes,) by how much a class's margins are too large because it is rare.

    A ridge classifier leans towards the classes with many pictures, so that a rare one's right labels look
    doubtful. A class's median margin beyond that of all pictures is put down to this: nearly all of it where
    the class has far fewer than `RARE` pictures, hardly any where it has far more, and is but messy.
    """
    middle, shift = np.median(margin), np.zeros(classes)
    for label in np.unique(labels):
        own = margin[labels == label]
        shift[label] = max(0.0, np.median(own) - middle) * RARE / (len(own) + RARE)
    return shift


def leave_one_out(
    features: NDArray[np.float32], labels: NDArray[np.int64], classes: int, units: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(N, classes) scores of each picture by a ridge classifier that was shown nothing of its unit; +1 is
    its class."""
    x = np.asarray(features, np.float64)
    x = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-6)
    target = np.where(np.arange(classes) == labels[:, None], 1.0, -1.0)
    count, width = x.shape
    if count < width:  # only the products of pictures matter
        x = linalg.qr(x.T, mode="economic")[1].T
    root = linalg.cholesky(x.T @ x + PENALTY * count * np.eye(x.shape[1]), lower=True)
    half = linalg.solve_triangular(root, x.T, lower=True)
    half = np.vstack([half, np.full(count, count**-0.5)])  # the intercept; half.T @ half is the hat matrix
    missed = target - half.T @ (half @ target)
    result = target - missed / (1 - (half**2).sum(axis=0)[:, None])
    for unit in np.flatnonzero(np.bincount(units) > 1):
        rows = np.flatnonzero(units == unit)
        result[rows] = target[rows] - _left_out(half[:, rows], missed[rows])
    return np.asarray(result)


def _left_out(half: NDArray[np.float64], missed: NDArray[np.float64]) -> NDArray[np.float64]:
    """What rows miss that are left out together: solves I - half.T @ half, by its smaller side."""
    width, count = half.shape
    if count <= width:
        return np.asarray(np.linalg.solve(np.eye(count) - half.T @ half, missed))
    return np.asarray(missed + half.T @ np.linalg.solve(np.eye(width) - half @ half.T, half @ missed))


def outliers(features: NDArray[np.float32]) -> list[tuple[int, float]]:
    """(row, how many spreads farther than the median) of pictures far from all others, farthest first."""
    x = centred(features)
    count = min(NEIGHBOURS, len(x) - 1)
    if count < 1:
        return []
    near = np.empty(len(x))
    for start in range(0, len(x), BLOCK):
        cosines = x[start : start + BLOCK] @ x.T
        cosines[np.arange(len(cosines)), np.arange(start, start + len(cosines))] = -1
        near[start : start + len(cosines)] = np.partition(-cosines, count - 1, axis=1)[:, :count].mean(axis=1)
    middle = np.median(near)
    spread = 1.4826 * np.median(np.abs(near - middle)) or 1.0
    far = (near - middle) / spread
    return [(int(row), float(far[row])) for row in np.argsort(-far) if far[row] > FAR]


def _sharpness(margin: NDArray[np.float64]) -> float:
    """The slope of the logistic curve that fits the margins by which the own label wins."""
    from scipy.optimize import minimize_scalar

    def loss(log_slope: float) -> float:
        return float(np.logaddexp(0, -np.exp(log_slope) * margin).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-4, 6), method="bounded").x))
