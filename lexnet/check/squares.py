"""Every picture once, as a small square: enough to tell whether two are the same."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lexnet.config import PreprocessSpec
from lexnet.data.loader import open_pictures
from lexnet.data.manifest import Manifest
from lexnet.errors import PictureError

SIDE = 48
SPEC = PreprocessSpec(size=SIDE, short_side=SIDE, interpolation="bilinear")

Squares = NDArray[np.uint8]


def squares(
    manifest: Manifest,
    workers: int | None,
    warn: Callable[[str], None],
    progress: Callable[[int, int], None],
) -> Squares:
    """(N, 48, 48, 3) uint8: the centre of each picture. Raises `PictureError` for one that is damaged."""
    pictures = open_pictures(manifest, SPEC, workers, warn=warn, progress=progress)
    for skip in pictures.manifest.skipped[len(manifest.skipped) :]:
        raise PictureError(skip.path, skip.reason)
    return pictures.read(np.arange(len(manifest)))
