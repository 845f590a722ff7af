"""Pictures given one by one, with a label each."""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lexnet.data.columns import Strings
from lexnet.data.manifest import LEAST_WEIGHT, MOST_WEIGHT, Files, Manifest
from lexnet.data.tree import know_all
from lexnet.errors import DataError
from lexnet.files import is_printable


def read_listing(
    paths: Sequence[str | os.PathLike[str]],
    labels: Sequence[Any] | NDArray[Any],
    weights: ArrayLike | None = None,
    groups: Sequence[Any] | NDArray[Any] | None = None,
) -> tuple[Manifest, NDArray[Any]]:
    """The pictures as a manifest, and the distinct labels, sorted, in the order of its classes.

    Raises `DataError` where there are not as many labels, weights or groups as paths, something is no path, a
    label or group is missing or not printable, some labels are text and others are not, or a weight is not
    positive.
    """
    if len(paths) != len(labels):
        raise DataError(f"{len(paths)} paths but {len(labels)} labels; give one label for each path")
    if not paths:
        raise DataError("no paths were given; give at least two classes of pictures")
    kinds = [type(path).__name__ for path in paths if not isinstance(path, (str, os.PathLike))]
    if kinds:
        raise DataError(f"a {kinds[0]} is among the paths; write pictures to files, and give these")
    values = np.asarray(labels)
    if values.ndim != 1:
        raise DataError(f"labels of shape {values.shape}; give one label for each path")
    _texts("label", labels)
    if len({isinstance(label, str) for label in labels}) > 1:
        raise DataError("labels of several types, text and other; give them all as text or all as numbers")
    named = [] if groups is None else _texts("group", groups)
    if groups is not None and len(named) != len(paths):
        raise DataError(f"{len(paths)} paths but {len(named)} groups; give one group for each path")
    distinct, indices = np.unique(values, return_inverse=True)
    files = [Path(path).absolute().as_posix() for path in paths]
    try:
        column = Strings.of(files)
    except UnicodeEncodeError as error:
        raise DataError(f"{error.object!r} is not written in UTF-8; rename it") from error
    manifest = Manifest(
        name="the list of paths",
        source=Files(Path()),
        classes=[str(label) for label in distinct],
        paths=column,
        labels=indices.astype(np.int64),
        parts=Strings.empty(len(files)),
        groups=Strings.of(named),
        weights=_weights(weights, len(files)),
        digests=Strings.empty(len(files)),
    )
    found = know_all(manifest.source, files, lambda done, total: None)
    return manifest.with_known(found), distinct


def named_by_content(manifest: Manifest) -> str:
    """What a plan calls a list of paths: another for other pictures, labels, weights or groups."""
    rows = zip(
        manifest.paths, manifest.digests, manifest.labels, manifest.weights, manifest.groups, strict=True
    )
    content = json.dumps([manifest.classes, [[str(value) for value in row] for row in rows]])
    return f"{manifest.name} {hashlib.sha256(content.encode()).hexdigest()[:16]}"


def _texts(what: str, values: Sequence[Any] | NDArray[Any]) -> list[str]:
    """Each as text; raises `DataError` for what is missing or not printable."""
    for place, value in enumerate(values):
        try:
            missing = value is None or bool(value != value)
        except TypeError:  # pandas' NA is neither
            missing = True
        if missing:
            raise DataError(f"the {what} in place {place} is missing; give one for each path")
        if not is_printable(str(value)):
            raise DataError(f"{what} {str(value)!r} holds characters that are not printable; take them out")
    return [str(value) for value in values]


def _weights(weights: ArrayLike | None, count: int) -> NDArray[np.float32]:
    found = np.ones(count) if weights is None else np.asarray(weights, np.float64)
    if found.shape != (count,):
        raise DataError(f"weights of shape {found.shape} for {count} paths; give one for each path")
    odd = np.flatnonzero(~((found >= LEAST_WEIGHT) & (found <= MOST_WEIGHT)))
    if len(odd):
        raise DataError(
            f"the weight {found[odd[0]]:g} in place {odd[0]}; weights lie between {LEAST_WEIGHT:g} and "
            f"{MOST_WEIGHT:g}"
        )
    return found.astype(np.float32)
