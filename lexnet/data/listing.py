"""Pictures given one by one, with a label each."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexnet.data.columns import Strings
from lexnet.data.manifest import Files, Manifest, Skipped
from lexnet.data.tree import digest_all
from lexnet.errors import DataError, PictureError
from lexnet.files import is_printable


def read_listing(
    paths: Sequence[str | os.PathLike[str]], labels: Sequence[Any]
) -> tuple[Manifest, NDArray[Any]]:
    """The pictures as a manifest, and the distinct labels, sorted, in the order of its classes.

    Raises `DataError` where there are not as many labels as paths, a label is missing or not printable, or
    some are text and others are not.
    """
    if len(paths) != len(labels):
        raise DataError(f"{len(paths)} paths but {len(labels)} labels; give one label for each path")
    if not paths:
        raise DataError("no paths were given; give at least two classes of pictures")
    values = np.asarray(labels)
    if values.ndim != 1 or any(label is None or label != label for label in labels):
        raise DataError(f"labels of shape {values.shape}; give one label for each path, none missing")
    if odd := next((str(label) for label in labels if not is_printable(str(label))), None):
        raise DataError(f"label {odd!r} holds characters that are not printable; take them out")
    if len({isinstance(label, str) for label in labels}) > 1:
        raise DataError("labels of several types, text and other; give them all as text or all as numbers")
    distinct, indices = np.unique(values, return_inverse=True)
    files = [Path(path).absolute().as_posix() for path in paths]
    try:
        column = Strings.of(files)
    except UnicodeEncodeError as error:
        raise DataError(f"{error.object!r} is not written in UTF-8; rename it") from error
    source = Files(Path())
    digests = digest_all(source, files, lambda done, total: None)
    good = [i for i, d in enumerate(digests) if isinstance(d, str)]
    manifest = Manifest(
        name="the list of paths",
        source=source,
        classes=[str(label) for label in distinct],
        paths=column.take(np.asarray(good, np.int64)),
        labels=indices[good].astype(np.int64),
        parts=Strings.empty(len(good)),
        digests=Strings.of(str(digests[i]) for i in good),
        skipped=[Skipped(d.path, d.reason, bad=True) for d in digests if isinstance(d, PictureError)],
    )
    return manifest, distinct
