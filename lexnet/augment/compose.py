"""What views do to pictures of one shape: all geometry in one matrix for each, all colour in another.

views ─ matrix ─ halvings ─ matrix to the halved picture ─ softness    both backends start from here
      └ colour matrix
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lexnet.augment import colour
from lexnet.augment.sample import View
from lexnet.augment.warp import Matrix, halvings, is_exact, matrix, softness
from lexnet.config import PreprocessSpec

LEVELS, WEIGHTS = 1024, 256  # what OpenCV rounds to fractions of, said here so that both backends do
LEAST = 0.003  # a filter weaker than this changes the sharpness by less than two hundredths


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Where N views sample their picture."""

    whole: Matrix
    """(N, 3, 3) from the view's pixels to the picture's."""
    halved: NDArray[np.int64]
    """(N, 2) how often the picture is halved across and down, before it is sampled."""
    matrices: Matrix
    """(N, 3, 3) from the view's pixels to those of the halved picture."""
    soften: NDArray[np.float64]
    """(N, 2) weight of either neighbour in the filter after that, across and down the view; 0 for none."""


def geometry(views: View, shape: tuple[int, ...], spec: PreprocessSpec) -> Geometry:
    """Of these views of pictures of `shape` (H, W, ...)."""
    whole = np.broadcast_to(matrix(views, shape[0], shape[1], spec), (len(views), 3, 3))
    halved = halvings(whole, spec.size)
    matrices = whole.copy()
    matrices[:, :2] += (0.5 - 2.0**halved / 2)[..., None] * matrices[:, 2:]
    matrices[:, :2] /= 2.0 ** halved[..., None]
    soften = softness(matrices, spec.size, spec.interpolation)
    needless = np.abs(soften).max(1) <= LEAST
    if views.bend is None:
        needless |= is_exact(matrices)
    soften[needless] = 0
    soften = np.rint(soften * WEIGHTS) / WEIGHTS
    return Geometry(whole=whole, halved=halved, matrices=matrices, soften=soften)


def colours(views: View, axes: NDArray[np.float64] | None) -> NDArray[np.float32] | None:
    """(N, 3, 4) from levels to levels; None where all are left alone."""
    levels = colour.matrix(views, axes)
    return None if levels is None else np.broadcast_to(np.rint(levels * LEVELS) / LEVELS, (len(views), 3, 4))
