"""A linear probe: multinomial logistic regression on frozen features."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from lexnet.config import ProbeConfig
from lexnet.errors import DataError
from lexnet.evaluate.calibrate import fit_temperature
from lexnet.transfer.folds import assign_folds

TOLERANCE = 1e-4  # of the loss's slope with ten classes; with more, each has less of it
TO_CHOOSE = 2.0  # times that is enough; at ten times, weak regularisation would end where the one before did
MAX_STEPS = 2000
MAX_MEMORY = 4 * 2**30  # of out-of-fold logits, bytes
WORSE = 1.05
"""Where the log loss is so many times the least, what is still weaker is not tried: it is surer yet, nearly
always."""
FEW = 100  # with fewer pictures, whose losses go up and down, all are tried


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A fitted head, in the units of the raw features."""

    weight: NDArray[np.float32]
    """(classes, width)"""
    bias: NDArray[np.float32]
    """(classes,)"""
    temperature: float
    C: float
    """The inverse regularisation that cross-validation chose."""
    candidates: list[float]
    """Those that were tried, from strong regularisation to weak."""
    cv_log_loss: list[float]
    """For each of them, over all folds."""
    cv_accuracy: list[float]
    right: NDArray[np.bool_]
    """(N,) whether each picture was answered rightly by the head that had not seen it."""

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """(..., width) → (..., classes)"""
        return features @ self.weight.T + self.bias

    def probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """(N, width), or (N, views, width) to be averaged over → (N, classes), calibrated."""
        each = softmax(self.logits(features) / np.float32(self.temperature))
        return each.mean(axis=1) if each.ndim == 3 else each


@dataclass(frozen=True, kw_only=True)
class Examples:
    """What a head is fitted on."""

    features: NDArray[np.float32]
    """(N, width)"""
    labels: NDArray[np.int64]
    """(N,)"""
    weights: NDArray[np.float32]
    """(N,) how much each counts; only their ratios matter."""
    units: Sequence[str]
    """(N,) what must share a fold: a name for each group, or for each picture."""
    views: NDArray[np.float32] | None = None
    """(N, K, width) of changed copies of each picture, to be fitted on too."""
    tta_views: NDArray[np.float32] | None = None
    """(N, V, width) of the views whose mean is the answer, where it is not that of `features`."""

    def seen(self) -> NDArray[np.float32]:
        """(N, 1 + K, width) what is fitted on."""
        plain = self.features[:, None]
        return plain if self.views is None else np.concatenate([plain, self.views], axis=1)

    def measured(self) -> NDArray[np.float32]:
        """(N, V, width) what is answered by."""
        return self.features[:, None] if self.tta_views is None else self.tta_views

    def part(self, columns: slice) -> "Examples":
        """Those with these columns of the features alone."""

        def some(features: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.ascontiguousarray(features[..., columns])

        return replace(
            self,
            features=some(self.features),
            views=None if self.views is None else some(self.views),
            tta_views=None if self.tta_views is None else some(self.tta_views),
        )

    def take(self, rows: NDArray[np.int64]) -> "Examples":
        """Those of these rows."""
        return Examples(
            features=self.features[rows],
            labels=self.labels[rows],
            weights=self.weights[rows],
            units=[self.units[row] for row in rows],
            views=None if self.views is None else self.views[rows],
            tta_views=None if self.tta_views is None else self.tta_views[rows],
        )


def fit_probe(
    examples: Examples,
    classes: int,
    config: ProbeConfig,
    seed: int,
    workers: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Probe:
    """Fits the head. Only these examples choose the regularisation (by log loss over stratified folds)
    and the temperature (on the same out-of-fold predictions).

    `progress(done, total)` counts candidates and the last fit. Raises `DataError` for what cannot be fitted.
    """
    import sklearn.linear_model  # noqa: F401  loads its BLAS now, so that the limit below holds for it too
    from threadpoolctl import threadpool_limits

    seen, measured, labels = examples.seen(), examples.measured(), examples.labels
    many, views, candidates = seen.shape[1], measured.shape[1], sorted(config.candidates)
    weights = examples.weights / examples.weights.mean()  # the regularisation stays what it says
    centre, scale = _centre_and_scale(seen)
    _refuse_too_many(len(labels), views, classes)
    x, answered = (seen - centre) / scale, (measured - centre) / scale
    fold_of, rows = assign_folds(labels, examples.units, config.cv, seed), np.arange(len(labels))
    models = [_model(classes, TO_CHOOSE) for _ in range(int(fold_of.max()) + 1)]

    def fit(model: Any, rows: NDArray[Any]) -> Any:
        """On the pictures of these rows and their changed copies, which together count once."""
        shares = np.repeat(weights[rows] / many, many)
        return model.fit(x[rows].reshape(-1, x.shape[2]), np.repeat(labels[rows], many), shares)

    def out_of_fold(C: float, pool: ThreadPoolExecutor) -> NDArray[np.float32]:
        """(N, views, classes) logits by heads that had not seen the picture."""
        logits = np.empty((len(labels), views, classes), np.float32)

        def fold(model: Any, left_out: int) -> None:
            """From where the stronger regularisation before it ended."""
            fit(model.set_params(C=C), fold_of != left_out)
            logits[fold_of == left_out] = _decision(answered[fold_of == left_out], model)

        list(pool.map(fold, models, range(len(models))))
        return logits

    losses, hits, least = list[float](), list[float](), math.inf
    # One BLAS thread a fold: faster than all of them on one fold, and the same sums on every machine size.
    with threadpool_limits(1), ThreadPoolExecutor(workers) as pool:
        for done, C in enumerate(candidates, start=1):
            logits = out_of_fold(C, pool)
            answers = softmax(logits).mean(axis=1)
            right = answers.argmax(axis=1) == labels
            losses.append(float(np.average(-np.log(answers[rows, labels] + 1e-15), weights=weights)))
            hits.append(float(right.mean()))
            progress(done, len(candidates) + 1)
            if losses[-1] < least:
                least, best, held_out, best_right = losses[-1], C, logits, right
                final = _between(models, classes)
            elif losses[-1] > WORSE * least and len(labels) >= FEW:
                break
        fit(final.set_params(C=best), rows)
        progress(len(candidates) + 1, len(candidates) + 1)
    row, bias = _binary_as_two(final.coef_, final.intercept_)
    weight = row.astype(np.float64) / scale
    return Probe(
        weight=weight.astype(np.float32),
        bias=(bias - weight @ centre).astype(np.float32),
        temperature=fit_temperature(held_out, labels, weights),
        C=best,
        candidates=candidates[: len(losses)],
        cv_log_loss=losses,
        cv_accuracy=hits,
        right=best_right,
    )


def _centre_and_scale(seen: NDArray[np.float32]) -> tuple[NDArray[np.float32], np.float32]:
    """(width,) the mean of the features (N, 1 + K, width), and the deviation of them all. Raises `DataError`
    for what cannot be fitted."""
    refuse_infinite(seen)
    centre, scale = seen.mean(axis=(0, 1)), np.float32(seen.std())
    if not np.isfinite(scale):
        raise DataError(f"the net's features reach {np.abs(seen).max():.3g}: its weights are not sound")
    if not scale > 0:
        raise DataError("all pictures look the same to the net; check that the files hold different pictures")
    return centre, scale


def refuse_infinite(features: NDArray[np.float32]) -> None:
    """Raises `DataError` where the net's features (N, ...) are not all numbers."""
    if not np.isfinite(features).all():
        odd = int((~np.isfinite(features).reshape(len(features), -1).all(axis=1)).sum())
        of = f"{odd:,} of {len(features):,} pictures"
        raise DataError(f"the net gives no finite features for {of}: its weights are not sound")


def _refuse_too_many(pictures: int, views: int, classes: int) -> None:
    """Raises `DataError` where the out-of-fold logits would not fit into `MAX_MEMORY`."""
    memory = 4 * 2 * pictures * views * classes  # of one candidate, and of the best before it
    if memory > MAX_MEMORY:
        raise DataError(
            f"the answers to {pictures:,} pictures, {classes:,} classes each, need "
            f"{memory / 2**30:.1f} GiB, over {MAX_MEMORY / 2**30:.0f}; give --limit, or fewer classes"
        )


def load_solver() -> None:
    """Imports what `fit_probe` needs, a second's work that can be done beside something else."""
    with suppress(Exception):  # fit_probe says what is wrong
        import_module("sklearn.linear_model")


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """(..., classes) → (..., classes), in float64."""
    return special.softmax(logits.astype(np.float64), axis=-1)


def _model(classes: int, times: float = 1.0) -> Any:
    from sklearn.linear_model import LogisticRegression

    tolerance = times * TOLERANCE * min(1.0, 10 / classes)
    return LogisticRegression(tol=tolerance, max_iter=MAX_STEPS, warm_start=True)


def _between(models: Sequence[Any], classes: int) -> Any:
    """A model that begins in the middle of these: near what all their pictures together give."""
    model = _model(classes)
    model.coef_ = np.mean([one.coef_ for one in models], axis=0)
    model.intercept_ = np.mean([one.intercept_ for one in models], axis=0)
    return model


def _decision(x: NDArray[np.float32], model: Any) -> NDArray[np.float32]:
    weight, bias = _binary_as_two(model.coef_, model.intercept_)
    return x @ weight.T + bias


def _binary_as_two(weight: NDArray[Any], bias: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """scikit-learn keeps one row for two classes, the second's; softmax wants both."""
    if len(weight) > 1:
        return weight, bias
    return np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
