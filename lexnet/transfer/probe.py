"""A linear probe: multinomial logistic regression on frozen features."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexnet.config import ProbeConfig
from lexnet.data.random import address
from lexnet.errors import DataError
from lexnet.evaluate.calibrate import fit_temperature

CV_TOLERANCE, TOLERANCE = 1e-3, 1e-4
MAX_STEPS = 2000
MAX_MEMORY = 4 * 2**30  # of out-of-fold logits, bytes


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
    cv_log_loss: list[float]
    """For each candidate, over all folds."""
    cv_accuracy: list[float]

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, width) → (N, classes)"""
        return features @ self.weight.T + self.bias

    def probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """(N, width) → (N, classes), calibrated."""
        return softmax(self.logits(features) / np.float32(self.temperature))


def fit_probe(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    digests: list[str],
    classes: int,
    config: ProbeConfig,
    seed: int,
    workers: int,
    progress: Callable[[int, int], None],
) -> Probe:
    """Fits the head on (N, width) features. Only these pictures choose the regularisation (by log loss
    over stratified folds) and the temperature (on the same out-of-fold predictions).
    `progress(done, total)` counts folds and the last fit. Raises `DataError` for what cannot be fitted."""
    import sklearn.linear_model  # noqa: F401  loads its BLAS now, so that the limit below holds for it too
    from threadpoolctl import threadpool_limits

    centre, scale = features.mean(axis=0), np.float32(features.std())
    if not scale > 0:
        raise DataError("all pictures look the same to the net; check that the files hold different pictures")
    x = (features - centre) / scale
    folds = assign_folds(labels, digests, config.folds, seed)
    candidates = sorted(config.candidates)
    memory = 4 * len(candidates) * len(labels) * classes
    if memory > MAX_MEMORY:
        raise DataError(
            f"{len(labels):,} pictures, {classes:,} classes and {len(candidates)} candidates need "
            f"{memory / 2**30:.1f} GiB, over {MAX_MEMORY / 2**30:.0f}; give fewer --candidates"
        )
    held_out = np.empty((len(candidates), len(labels), classes), np.float32)
    paths = int(folds.max()) + 1

    def fold_path(fold: int) -> None:
        """From strong to weak regularisation, each fit starting where the last ended."""
        train, test = folds != fold, folds == fold
        model = _model(CV_TOLERANCE)
        for i, C in enumerate(candidates):
            model.set_params(C=C).fit(x[train], labels[train])
            held_out[i, test] = _decision(x[test], model)

    # One BLAS thread a fold: faster than all of them on one fold, and the same sums on every machine size.
    with threadpool_limits(1):
        with ThreadPoolExecutor(workers) as pool:
            for done, path in enumerate(as_completed(pool.submit(fold_path, f) for f in range(paths)), 1):
                path.result()
                progress(done, paths + 1)
        rows = np.arange(len(labels))
        losses = [float(-np.log(softmax(logits)[rows, labels] + 1e-15).mean()) for logits in held_out]
        best = int(np.argmin(losses))
        model = _model(TOLERANCE).set_params(C=candidates[best]).fit(x, labels)
        progress(paths + 1, paths + 1)
    row, bias = _binary_as_two(model.coef_, model.intercept_)
    weight = row.astype(np.float64) / scale
    return Probe(
        weight=weight.astype(np.float32),
        bias=(bias - weight @ centre).astype(np.float32),
        temperature=fit_temperature(held_out[best], labels),
        C=candidates[best],
        candidates=candidates,
        cv_log_loss=losses,
        cv_accuracy=[float((logits.argmax(axis=1) == labels).mean()) for logits in held_out],
    )


def assign_folds(labels: NDArray[np.int64], digests: list[str], folds: int, seed: int) -> NDArray[np.int64]:
    """(N,) fold of each picture: stratified; copies of one file share a fold; no more folds than the
    smallest class has different pictures."""
    result = np.zeros(len(labels), np.int64)
    unique = [len({digests[i] for i in np.flatnonzero(labels == label)}) for label in np.unique(labels)]
    folds = min(folds, *unique)
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        order = sorted({digests[i] for i in mine}, key=lambda digest: address(seed, "fold", digest))
        place = {digest: k % folds for k, digest in enumerate(order)}
        result[mine] = [place[digests[i]] for i in mine]
    return result


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N, classes) → (N, classes), in float64."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def _model(tolerance: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(tol=tolerance, max_iter=MAX_STEPS, warm_start=True)


def _decision(x: NDArray[np.float32], model: Any) -> NDArray[np.float32]:
    weight, bias = _binary_as_two(model.coef_, model.intercept_)
    return x @ weight.T + bias


def _binary_as_two(weight: NDArray[Any], bias: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """scikit-learn keeps one row for two classes, the second's; softmax wants both."""
    if len(weight) > 1:
        return weight, bias
    return np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
