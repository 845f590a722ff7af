"""Pictures that are the same but for what happened to the file: recompressed, resized, cropped, mirrored.

Two signs must agree. The frozen net finds them alike, which a crop, a mirror or a colour change hardly
alters; and one, perhaps mirrored, lies on the other with a few per cent cut off, pixel by pixel, which
two shots of one thing do not. The less alike, the more exactly they must lie on one another.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from threadpoolctl import threadpool_limits

from lexnet.check.squares import SIDE, Squares

NEEDED = ((0.85, 0.97), (0.6, 0.985))
"""(least cosine of two pictures' features, the mean of all taken off; least correlation of their pixels,
best of the shifts, zooms and mirrors that are tried)"""
COARSE = 0.9
"""Least correlation of 8×8 pixels for a pair that is not very alike to be looked at closely."""
FEW = 16
"""With fewer pictures their mean is too much like each of them to be taken off."""
NEIGHBOURS = 8
"""Only this many of a picture's nearest are compared pixel by pixel."""
ZOOMS = (1.0, 0.97, 0.94, 0.91)
GRAIN = 24
BLOCK = 2048
KEPT = 2048  # pictures whose views are kept, 0.2 MB each


@dataclass(frozen=True, order=True)
class Pair:
    """Rows of two pictures that are nearly the same."""

    first: int
    second: int
    alike: float
    congruent: float

    @property
    def rows(self) -> tuple[int, int]:
        """Both."""
        return self.first, self.second


def near_duplicates(features: NDArray[np.float32], squares: Squares) -> list[Pair]:
    """Pairs of near copies among pictures that are all different files, the lower row first.

    `features` (N, width) float32, `squares` (N, 48, 48, 3) uint8.
    """
    kept: dict[int, NDArray[np.float32]] = {}

    def views(row: int) -> NDArray[np.float32]:
        if row not in kept:
            if len(kept) == KEPT:
                kept.clear()
            kept[row] = _views(squares[row])
        return kept[row]

    pairs, candidates = [], sorted(_candidates(features, squares).items())
    # On products so small BLAS's threads wait for one another: on a busy machine, for most of the time.
    with threadpool_limits(1):
        for (a, b), alike in candidates:
            mine, other = views(a), views(b)
            mirrored = other.reshape(-1, GRAIN, GRAIN, 3)[:, :, ::-1].reshape(other.shape)
            congruent = max(float((mine @ one.T).max()) for one in (other, mirrored))
            if any(alike >= a_little and congruent >= exactly for a_little, exactly in NEEDED):
                pairs.append(Pair(a, b, alike, congruent))
    return pairs


def centred(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """The features with the mean of all taken off, each of length 1."""
    x = features - features.mean(axis=0) if len(features) >= FEW else features
    return np.asarray(x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9), np.float32)


def _candidates(features: NDArray[np.float32], squares: Squares) -> dict[tuple[int, int], float]:
    """Pairs worth a close look, with their cosine: very alike, or alike and of the same coarse picture."""
    found = _alike(features)
    cell = SIDE // 8
    # one after the other, for numpy is slow at both axes at once
    lines = squares.reshape(-1, 8, cell, SIDE * 3).mean(axis=2, dtype=np.float32)
    coarse = lines.reshape(-1, 8, 8, cell, 3).mean(axis=3)
    flat, mirrored = _plain(coarse), _plain(coarse[:, :, ::-1])
    return {
        (a, b): alike
        for (a, b), alike in found.items()
        if alike >= NEEDED[0][0] or max(flat[a] @ flat[b], flat[a] @ mirrored[b]) >= COARSE
    }


def _plain(pixels: NDArray[np.floating]) -> NDArray[np.float32]:
    """(N, H, W, 3) → (N, H·W·3) without each one's colour, brightness and contrast; a plain one is zeros."""
    x = np.asarray(pixels, np.float32).reshape(len(pixels), -1, 3)
    mean = np.full((1, x.shape[1]), 1 / x.shape[1], np.float32) @ x  # ten times as fast as x.mean
    plain = (x - mean).reshape(len(x), -1)
    return np.asarray(plain / np.maximum(np.linalg.norm(plain, axis=1, keepdims=True), 1e-6))


def _alike(features: NDArray[np.float32]) -> dict[tuple[int, int], float]:
    """Each picture's nearest, where they are alike, with the cosine; a block of rows at a time."""
    x = centred(features)
    found: dict[tuple[int, int], float] = {}
    for start in range(0, len(x), BLOCK):
        cosines = x[start : start + BLOCK] @ x.T
        cosines[np.arange(len(cosines)), np.arange(start, start + len(cosines))] = -1
        count = min(NEIGHBOURS, len(x) - 1)
        nearest = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        near = np.take_along_axis(cosines, nearest, axis=1)
        for row, place in np.argwhere(near >= NEEDED[-1][0]).tolist():
            a, b = start + row, int(nearest[row, place])
            found[min(a, b), max(a, b)] = float(near[row, place])
    return found


def _views(square: Squares) -> NDArray[np.float32]:
    """(views, 1728): the square and parts of it, small, each as `_plain` has it."""
    plane, views = square.astype(np.float32).reshape(SIDE, -1), []
    for sampling in _samplings():
        lines = sampling.reshape(-1, SIDE)
        down = (lines @ plane).reshape(-1, SIDE, 3).transpose(0, 2, 1)
        both = (down.reshape(-1, SIDE) @ lines.T).reshape(len(sampling), GRAIN, 3, -1, GRAIN)
        views.append(both.transpose(0, 3, 1, 4, 2).reshape(-1, GRAIN, GRAIN, 3))
    return _plain(np.concatenate(views))


@cache
def _samplings() -> list[NDArray[np.float32]]:
    """For each zoom (places, GRAIN, SIDE): what takes a line of a square to a part of it, made small."""
    lines = Image.fromarray(np.eye(SIDE, dtype=np.float32))
    found = []
    for zoom in ZOOMS:
        part = zoom * SIDE
        boxes = [(x, 0.0, x + part, SIDE) for x in sorted({0.0, (SIDE - part) / 2, SIDE - part})]
        small = [lines.resize((GRAIN, SIDE), Image.Resampling.BOX, box) for box in boxes]
        found.append(np.stack([np.asarray(image).T for image in small]))
    return found
