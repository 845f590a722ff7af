"""Probabilities that mean what they say."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

LOW, HIGH = 0.05, 20.0


def fit_temperature(
    logits: NDArray[np.floating[Any]],
    labels: NDArray[np.integer[Any]],
    weights: NDArray[np.floating[Any]] | None = None,
) -> float:
    """The T that makes softmax(logits / T) likeliest (Guo et al., 2017, arXiv:1706.04599).

    `logits` (N, classes), or (N, views, classes) where an answer is the mean over several views, must be
    of pictures the classifier was not fitted on; `weights` (N,) say how much each counts. The likelihood
    counts one error more than was seen, as in Platt's scaling (1999): where all N were right it would
    otherwise make every answer certain.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax, logsumexp

    logits = logits.astype(np.float64).reshape(len(labels), -1, logits.shape[-1])
    rows = np.arange(len(labels))
    doubt = 1 / (len(labels) + 2)

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(logits / np.exp(log_temperature), axis=2)
        answer = logsumexp(scaled, axis=1) - np.log(scaled.shape[1])  # of the mean over the views
        likely = (1 - doubt) * answer[rows, labels] + doubt * answer.mean(axis=1)
        return -float(np.average(likely, weights=weights))

    best = minimize_scalar(loss, bounds=(np.log(LOW), np.log(HIGH)), method="bounded")
    return float(np.exp(best.x))
