"""Probabilities that mean what they say."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

LOW, HIGH = 0.05, 20.0


def fit_temperature(logits: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]) -> float:
    """The T that makes softmax(logits / T) likeliest (Guo et al., 2017, arXiv:1706.04599).

    `logits` (N, classes) must be of pictures the classifier was not fitted on. The likelihood counts
    one error more than was seen, as in Platt's scaling (1999): where all N were right it would
    otherwise make every answer certain.
    """
    from scipy.optimize import minimize_scalar

    logits = logits.astype(np.float64)
    rows = np.arange(len(labels))
    doubt = 1 / (len(labels) + 2)

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        scaled -= scaled.max(axis=1, keepdims=True)
        target = (1 - doubt) * scaled[rows, labels] + doubt * scaled.mean(axis=1)
        return float((np.log(np.exp(scaled).sum(axis=1)) - target).mean())

    best = minimize_scalar(loss, bounds=(np.log(LOW), np.log(HIGH)), method="bounded")
    return float(np.exp(best.x))
