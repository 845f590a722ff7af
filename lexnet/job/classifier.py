"""The main job as a scikit-learn estimator."""

import os
import sys
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError

from lexnet.config import (
    ClassWeight,
    Compile,
    Device,
    EngineChoice,
    FitConfig,
    Golden,
    Mode,
    Norms,
    Optimiser,
    Precision,
    ProbeConfig,
    Recipe,
    Schedule,
    SplitConfig,
    TrainConfig,
    Tta,
)
from lexnet.data.listing import named_by_content, read_listing
from lexnet.data.manifest import Manifest
from lexnet.data.source import find_data, read_data
from lexnet.errors import DataError
from lexnet.evaluate.folder import evaluate
from lexnet.files import write_atomic
from lexnet.job.divide import admit
from lexnet.job.events import Event, Heard, Listener, Narrator, Warned
from lexnet.job.folder import refuse_inside
from lexnet.job.job import Clock
from lexnet.job.learn import learn
from lexnet.job.plan import Plan, announce, make_plan
from lexnet.job.run import carry_out, check_bundle, foresee, plan_for, warn_small
from lexnet.job.wording import in_python, raised_in_python
from lexnet.preprocess import Picture
from lexnet.runtime.bundle import parse_bundle
from lexnet.runtime.predictor import Predictor
from lexnet.settings import from_flat, settings

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


class Classifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A picture classifier with scikit-learn's conventions.

    The parameters are `lexnet train`'s flags. Once fitted there are `classes_`, `metrics_` (as in
    metrics.json, but for what a run's folder adds), `plan_` (with nothing left open) and `bundle_` (the
    verified bytes that `save` writes).

    `fit` keeps back the shares `val` and `test` of the pictures (where a folder does not say which)
    to measure with and to verify the exported graph, and trains on the rest: `metrics_` says how
    good it is. What `predict` takes are paths, folders, encoded bytes, PIL images or uint8 arrays.
    """

    def __init__(
        self,
        *,
        net: str = TrainConfig.net,
        from_: str | None = None,
        mode: Mode = TrainConfig.mode,
        size: int | None = None,
        channels: int | None = None,
        cut: str = TrainConfig.cut,
        max_macs: float | None = None,
        max_size: float | None = None,
        max_latency: float | None = None,
        budget: str | None = None,
        seed: int = TrainConfig.seed,
        workers: int | None = None,
        engine: EngineChoice = TrainConfig.engine,
        recipe: str | Recipe = TrainConfig.recipe,
        views: int | None = None,
        tta: Tta = TrainConfig.tta,
        golden: Golden = TrainConfig.golden,
        class_weight: ClassWeight = TrainConfig.class_weight,
        fixes: str | None = None,
        skip_bad: bool = False,
        val: float = SplitConfig.val,
        test: float = SplitConfig.test,
        group_by: str | None = None,
        limit: int | None = None,
        per_class: int | None = None,
        folds: int | None = None,
        repeats: int = SplitConfig.repeats,
        cv: int = ProbeConfig.cv,
        candidates: tuple[float, ...] = ProbeConfig.candidates,
        epochs: int | None = None,
        lr: float | None = None,
        find_lr: bool = False,
        batch_size: int | None = None,
        accumulate: int = FitConfig.accumulate,
        optimiser: Optimiser = FitConfig.optimiser,
        weight_decay: float | None = None,
        layer_decay: float | None = None,
        norms: Norms | None = None,
        warmup: float = FitConfig.warmup,
        schedule: Schedule = FitConfig.schedule,
        clip: float = FitConfig.clip,
        ema: float = FitConfig.ema,
        smoothing: float = FitConfig.smoothing,
        patience: int | None = None,
        steps: int | None = None,
        precision: Precision = FitConfig.precision,
        device: Device = FitConfig.device,
        compile: Compile = FitConfig.compile,
    ) -> None:
        given = dict(locals())
        self.__dict__.update({name: value for name, value in given.items() if name != "self"})

    def fit(
        self,
        X: Paths,
        y: Sequence[Any] | NDArray[Any] | None = None,
        *,
        sample_weight: ArrayLike | None = None,
        groups: Sequence[Any] | NDArray[Any] | None = None,
        out: str | os.PathLike[str] | None = None,
        verbose: bool = False,
        on_event: Listener | None = None,
    ) -> Self:
        """Trains on what `lexnet train` takes (a folder, an archive, a table or a sample set's name), or on
        paths `X` (N,) with labels `y` (N,); if they do not all count the same, with `sample_weight` (N,), and
        where some belong together, such as those of one day, with `groups` (N,): a name for each.

        With `out` that folder becomes a run folder as `lexnet train` writes it, with the report; and where a
        `fit` was interrupted, or is to have more `epochs`, the same call goes on with what is there. (The
        plan.yaml of a list of paths is a record alone: it cannot be run without the list.)

        `verbose` prints what is going on. `on_event` is called instead with each of `lexnet.job.events`;
        without either the warnings are Python's own. Raises `DataError` for pictures or labels that cannot be
        trained on.
        """
        heard = Heard(on_event or (Narrator(print) if verbose else warn), in_python)
        with raised_in_python():
            clock = Clock()
            pictures, plan, labels = self._asked(X, y, sample_weight, groups, heard)
            if out is not None:
                if isinstance(X, (str, os.PathLike)):
                    refuse_inside(Path(out), find_data(plan.data))
                command = f"lexnet.{self!r}.fit(..., out={os.fspath(out)!r})"
                outcome = carry_out(pictures, plan, Path(out), "", clock, heard, command).outcome
            else:
                announce(plan, heard)
                outcome = learn(pictures, plan, clock, heard)
                check_bundle(outcome.bundle)
                warn_small(outcome, heard)
        self._predictor = self._open(outcome.bundle)
        self.classes_ = labels
        self.metrics_ = outcome.metrics
        self.bundle_ = outcome.bundle
        self.plan_ = outcome.plan
        return self

    def dry_run(
        self,
        X: Paths,
        y: Sequence[Any] | NDArray[Any] | None = None,
        *,
        sample_weight: ArrayLike | None = None,
        groups: Sequence[Any] | NDArray[Any] | None = None,
        on_event: Listener | None = None,
    ) -> dict[str, Any]:
        """What `fit` would do with these, and the seconds that each choice would take; nothing is trained.

        A dict of `plan` (YAML), `reasons`, `choices` and, within a budget, the one `chosen`.
        """
        heard = Heard(on_event or warn, in_python)
        with raised_in_python():
            pictures, plan, _ = self._asked(X, y, sample_weight, groups, heard)
            found = foresee(pictures, plan, heard)
        return found | {"reasons": [in_python(reason) for reason in found["reasons"]]}

    def predict(self, X: Picture | Iterable[Picture]) -> NDArray[Any]:
        """(N,) labels, of the type that `fit` was given."""
        indices = self.predict_proba(X).argmax(axis=1)
        return self.classes_[indices]

    def predict_proba(self, X: Picture | Iterable[Picture]) -> NDArray[np.float32]:
        """(N, classes) calibrated probabilities, in the order of `classes_`."""
        return self._fitted().predict_proba(X)

    def embed(self, X: Picture | Iterable[Picture]) -> NDArray[np.float32]:
        """(N, width) pooled features of the net below its last layer."""
        return self._fitted().embed(X)

    def score(self, X: Paths, y: ArrayLike | None = None, sample_weight: Any = None) -> float:
        """Accuracy on paths with labels, or on a folder: on its test part if it has one, and on no picture
        that it was fitted with."""
        if y is None:
            if not isinstance(X, (str, os.PathLike)):
                raise DataError("score needs the labels y, unless X is a folder of class folders")
            if sample_weight is not None:
                raise DataError("sample_weight needs paths with labels; a folder has none")
            predictor = self._fitted()
            with raised_in_python():
                manifest = read_data(os.fspath(X), predictor.bundle.classes)
                return evaluate(predictor, manifest, self.skip_bad).scores.accuracy
        return float(super().score(X, y, sample_weight))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the verified bundle, whole or not at all; `lexnet.load` opens it without torch."""
        self._fitted()
        write_atomic(Path(path), self.bundle_)

    def __sklearn_is_fitted__(self) -> bool:
        """For `check_is_fitted`, which would else take `from_` for something that was fitted."""
        return hasattr(self, "bundle_")

    def __getstate__(self) -> dict[str, Any]:
        """Without the running engine, which cannot be copied; it is opened again from the bundle."""
        return {k: v for k, v in super().__getstate__().items() if k != "_predictor"}

    def _fitted(self) -> Predictor:
        if not hasattr(self, "bundle_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet; call fit(folder) first")
        if not hasattr(self, "_predictor"):  # it was unpickled
            self._predictor = self._open(self.bundle_)
        return self._predictor

    def _config(self) -> TrainConfig:
        config: TrainConfig = from_flat(TrainConfig, self.get_params(deep=False))
        return config

    def _asked(
        self,
        X: Paths,
        y: Sequence[Any] | NDArray[Any] | None,
        sample_weight: ArrayLike | None,
        groups: Sequence[Any] | NDArray[Any] | None,
        heard: Heard,
    ) -> tuple[Manifest, Plan, NDArray[Any]]:
        """The admitted pictures, the plan for them, and the labels in the order of the classes."""
        config = self._config()
        manifest, labels = self._manifest(X, y, sample_weight, groups)
        pictures = admit(manifest, config, heard)
        if isinstance(X, (str, os.PathLike)):
            return pictures, plan_for(os.fspath(X), config, pictures.classes), labels
        return pictures, make_plan(named_by_content(manifest), config, pictures.classes), labels

    def _manifest(
        self,
        X: Paths,
        y: Sequence[Any] | NDArray[Any] | None,
        sample_weight: ArrayLike | None,
        groups: Sequence[Any] | NDArray[Any] | None,
    ) -> tuple[Manifest, NDArray[Any]]:
        """The pictures, and the labels in the order of the classes."""
        if hasattr(X, "columns"):
            raise DataError("X is a table; give its columns, such as fit(df['path'], df['label'])")
        if y is not None:
            if isinstance(X, (str, os.PathLike)):
                raise DataError("give the labels y only with a list of paths; a folder brings its own")
            return read_listing(list(X), y, sample_weight, groups)
        for name, given in (("sample_weight", sample_weight), ("groups", groups)):
            if given is not None:
                column = name.removeprefix("sample_").removesuffix("s")
                raise DataError(f"{name} needs a list of paths with labels; a table has a column {column}")
        if not isinstance(X, (str, os.PathLike)):
            raise DataError("a list of paths needs the labels y; or give a folder of class folders")
        manifest = read_data(os.fspath(X))
        return manifest, np.asarray(manifest.classes)

    def _open(self, bundle: bytes) -> Predictor:
        """Reads the bundle as anyone would, with every check; no bundle runs in torch."""
        engine = "auto" if self.engine == "torch" else self.engine
        parsed = parse_bundle(bundle, "the bundle of this classifier")
        return Predictor(parsed, engine=engine, workers=self.workers)


_HELP = {field.name: in_python(hint.__metadata__[0]) for field, hint, _ in settings(TrainConfig)}
_SAID = "".join(f"    {name} : {text}\n" for name, text in _HELP.items() if name != "raised")
Classifier.__doc__ = f"{Classifier.__doc__}\n    Parameters\n    ----------\n{_SAID}"


def warn(event: Event) -> None:
    """What `fit` does with events where nobody listens: warnings are Python's, of the line that called it."""
    if isinstance(event, Warned):
        depth, frame = 1, sys._getframe()
        while frame.f_back is not None and str(frame.f_globals.get("__name__")).startswith("lexnet."):
            depth, frame = depth + 1, frame.f_back
        warnings.warn(event.text, stacklevel=depth)
