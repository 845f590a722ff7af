"""A bundle at work: pictures in, labels or an abstention out."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from lexnet.config import available_cores
from lexnet.errors import ConfigError, DataError, PictureError
from lexnet.files import display, is_loss, walk
from lexnet.preprocess import SUFFIXES, Picture, load_views
from lexnet.runtime.bundle import Bundle, read_bundle
from lexnet.runtime.engines import Outputs, open_engine
from lexnet.runtime.stream import stream

GOLDEN_TOLERANCE = 1e-3
"""How far a probability may be from the golden one: engines differ by about 1e-6, faults by far more."""


@dataclass(frozen=True)
class Prediction:
    """What a bundle says of one picture."""

    label: str | None
    """None when it abstains or there are no probabilities."""
    probability: float | None
    """Of the likeliest class; None when the picture could not be used, or the graph gives no numbers."""
    probabilities: NDArray[np.float32] | None = field(compare=False)
    """(classes,), in the order of the bundle's classes."""
    reason: str | None
    """Why there is no label."""


class Predictor:
    """A loaded bundle. `predict`, `predict_proba` and `embed` follow scikit-learn's conventions."""

    def __init__(
        self,
        bundle: Bundle,
        *,
        engine: str = "auto",
        workers: int | None = None,
        threshold: float | None = None,
    ) -> None:
        if workers is not None and workers < 1:
            raise ConfigError(f"workers={workers} must be 1 or more; leave it out for all cores")
        self.threshold = float(bundle.manifest["threshold"] if threshold is None else threshold)
        if not 0 <= self.threshold <= 1:
            raise ConfigError(f"threshold={threshold} is no probability; give one from 0 to 1")
        self.bundle = bundle
        self.spec = bundle.spec
        self.engine = open_engine(engine, bundle.model, workers or available_cores())
        self._settings: dict[str, Any] = {"engine": engine, "workers": workers}

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy opens the bundle again: a running engine cannot be copied."""
        return partial(type(self), self.bundle, threshold=self.threshold, **self._settings), ()

    def __repr__(self) -> str:
        facts = self.bundle.manifest
        accuracy = facts.get("measured", {}).get("accuracy")
        measured = "" if accuracy is None else f", accuracy {accuracy:.3f}"
        return f"<{type(self).__name__}: {facts.get('net')}, {len(self.bundle.classes)} classes{measured}>"

    @property
    def classes_(self) -> NDArray[Any]:
        """(classes,) the labels, in the order of the probabilities."""
        return np.asarray(self.bundle.classes)

    def predict(self, pictures: Picture | Iterable[Picture]) -> NDArray[Any]:
        """(N,) labels, None where it abstains. Raises `PictureError` for a picture that cannot be used."""
        return np.asarray([self.judge(row).label for row in self.predict_proba(pictures)], dtype=object)

    def predict_proba(self, pictures: Picture | Iterable[Picture]) -> NDArray[np.float32]:
        """(N, classes) calibrated probabilities."""
        return self._collect(pictures, "probabilities")

    def embed(self, pictures: Picture | Iterable[Picture]) -> NDArray[np.float32]:
        """(N, width) pooled features of the net below its last layer."""
        return self._collect(pictures, "features")

    def stream(self, pictures: Picture | Iterable[Picture]) -> Iterator[tuple[Picture, Prediction]]:
        """Each picture with its prediction, in order, as they are ready; a bad picture becomes a reason."""
        for picture, result in self._run(as_pictures(pictures)):
            if isinstance(result, PictureError):
                yield picture, Prediction(None, None, None, result.reason)
            else:
                yield picture, self.judge(result["probabilities"][0])

    def judge(self, probabilities: NDArray[np.float32]) -> Prediction:
        """The likeliest class of (classes,) probabilities, unless that is under the threshold."""
        if not np.isfinite(probabilities).all():
            return Prediction(None, None, None, "gets no finite probabilities: the bundle is not sound")
        best = int(probabilities.argmax())
        share = float(probabilities[best])
        if share < self.threshold:
            reason = f"abstains: {share:.3f} is under the threshold {self.threshold:.3f}"
            return Prediction(None, share, probabilities, reason)
        return Prediction(self.bundle.classes[best], share, probabilities, None)

    def check_golden(self) -> list[str]:
        """Runs the golden pictures; returns what is wrong, nothing if all is well."""
        problems = []
        for number, (pixels, expected) in enumerate(self.bundle.golden):
            got = self.engine.run(pixels[None])["probabilities"][0]
            difference = float(np.abs(got - expected).max()) if got.shape == expected.shape else np.inf
            if not difference <= GOLDEN_TOLERANCE:  # also catches NaN
                problems.append(
                    f"golden picture {number}: a probability is off by {difference:.2g}, "
                    f"over {GOLDEN_TOLERANCE}, in {self.engine.name}"
                )
        return problems

    def _run(self, pictures: Iterable[Picture]) -> Iterator[tuple[Picture, Outputs | PictureError]]:
        return stream(pictures, lambda picture: load_views(picture, self.spec), self.engine)

    def _collect(self, pictures: Picture | Iterable[Picture], output: str) -> NDArray[np.float32]:
        rows = []
        for place, (picture, result) in enumerate(self._run(as_pictures(pictures))):
            if isinstance(result, PictureError):
                named = isinstance(picture, (str, os.PathLike))
                raise result if named else PictureError(f"{result.path} in place {place}", result.reason)
            rows.append(result[output][0])
        width = len(self.bundle.classes) if output == "probabilities" else 0
        return np.stack(rows) if rows else np.zeros((0, width), np.float32)


def as_pictures(pictures: Picture | Iterable[Picture]) -> Iterable[Picture]:
    """A single picture, a folder (in natural order: 2 before 10) or an iterable, as an iterable of pictures.

    Raises `PictureError` for what cannot be looked into below a folder.
    """
    if hasattr(pictures, "columns"):
        raise DataError("a table is no list of pictures; give its column of paths, such as df['path']")
    if hasattr(pictures, "__array__") and hasattr(pictures, "ndim") and not hasattr(pictures, "iloc"):
        pictures = np.asarray(pictures)  # a tensor is
    if isinstance(pictures, (str, os.PathLike)):
        if not os.fspath(pictures):
            raise PictureError("''", "is no path; give a file or a folder")
        found, lost = look_under(Path(pictures))
        for path, reason in lost:
            raise PictureError(display(path), reason)
        return found
    if isinstance(pictures, np.ndarray) and pictures.dtype.kind not in "OU":  # pixels, not names
        return list(pictures) if pictures.ndim == 4 else [pictures]
    one = isinstance(pictures, (bytes, bytearray, memoryview)) or hasattr(pictures, "read")
    if one or not isinstance(pictures, Iterable):  # bytes and open files are iterables too
        return [cast(Picture, pictures)]
    return cast(Iterable[Picture], pictures)


def look_under(path: Path) -> tuple[list[Path], list[tuple[Path, str]]]:
    """The path itself, or every picture below it where it is a folder; and what is left out, with the reason,
    though it is a picture or may hold some."""
    if not os.path.isdir(path):
        return [path], []
    found, lost = [], []
    for name, reason in walk(path):
        file = path / name
        picture = file.suffix.lower() in SUFFIXES
        if reason is None and picture:
            found.append(file)
        elif reason and is_loss(reason, picture):
            lost.append((file, reason))
    return found, lost


def load_predictor(
    path: str | os.PathLike[str],
    *,
    engine: str = "auto",
    workers: int | None = None,
    threshold: float | None = None,
) -> Predictor:
    """Opens a bundle for predicting, after checking every digest; needs no torch. Raises `BundleError`.

    Where the likeliest class has a probability under `threshold`, it abstains.
    """
    return Predictor(read_bundle(path), engine=engine, workers=workers, threshold=threshold)
