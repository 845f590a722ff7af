"""What of a picture a view looks at: from where to where, how often halved, how far beyond the edges.

matrix ─ corners of the view ─ bounds in the picture ─ whole blocks of it ─ its border ─ matrix into that
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lexnet.augment.compose import Geometry
from lexnet.augment.warp import Matrix

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Regions:
    """For each of N views; everything across first, then down."""

    spans: Ints
    """(N, 2, 2) from where to where of the picture, whole blocks of 2^halvings."""
    beyond: Ints
    """(N, 2, 2) pixels of border before and after it, once it is halved."""
    matrices: Matrix
    """(N, 3, 3) from the view to that, border and all."""


def regions(geometry: Geometry, lengths: tuple[int, int], size: int, moved: float) -> Regions:
    """For views of pictures of these lengths, whose local warp moves no point by more than `moved` pixels."""
    seen = _bounds(geometry.whole, size, moved)
    spans = _spans(seen, np.array(lengths), geometry.halved)
    outside = np.stack([spans[..., 0] - seen[..., 0], seen[..., 1] - spans[..., 1]], -1)
    beyond = np.maximum(0, outside) >> geometry.halved[..., None]
    # the sampler sees to more; after a border on one side alone its reflections would turn at a wrong place
    beyond[beyond.max(-1) > size] = 0
    matrices = geometry.matrices.copy()
    matrices[:, :2] += (beyond[..., 0] - (spans[..., 0] >> geometry.halved))[..., None] * matrices[:, 2:]
    return Regions(spans=spans, beyond=beyond, matrices=matrices)


def _bounds(matrices: Matrix, size: int, moved: float) -> Ints:
    """(N, 2, 2) from where to where each view looks, pixels of the picture or beyond."""
    low, high = -0.5 - moved, size - 0.5 + moved
    corners = np.array([[low, low, high, high], [low, high, low, high], [1, 1, 1, 1]])
    x, y, w = np.moveaxis(matrices @ corners, 1, 0)
    places = np.stack([x / w, y / w], 1)
    return np.stack([np.floor(places.min(-1)), np.ceil(places.max(-1)) + 1], -1).astype(int)


def _spans(seen: Ints, lengths: Ints, halved: Ints) -> Ints:
    """Which part of the picture that takes; what a view sees reflected beyond an edge must be in it too."""
    block = 1 << halved
    start, stop = seen[..., 0] - 2 * block, seen[..., 1] + 2 * block
    start, stop = np.minimum(start, 2 * lengths - stop), np.maximum(stop, -start)
    last = np.maximum(block, lengths - lengths % block)  # a block that is cut by the edge is left out
    start, stop = np.maximum(0, start), np.minimum(last, stop)
    start = np.minimum(start - start % block, last - block)
    return np.stack([start, np.minimum(last, np.maximum(start + block, stop + -stop % block))], -1)
