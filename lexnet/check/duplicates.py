"""Pictures that are the same but for what happened to the file: recompressed, resized, cropped, mirrored.

Two signs must agree. The frozen net finds them alike, which a crop, a mirror or a colour change hardly
alters; and one, perhaps mirrored, lies on the other with a few per cent cut off, pixel by pixel, which
two shots of one thing do not. The less alike, the more exactly they must lie on one another.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lexnet.check.look import SIDE, Squares

NEEDED = ((0.85, 0.97), (0.6, 0.985))
"""(least cosine of two pictures' features, the mean of all taken off; least correlation of their pixels,
best of the shifts, zooms and mirrors that are tried)"""
COARSE = 0.9
"""Least correlation of 8×8 pixels for a pair that is not very alike to be looked at closely."""
FEW = 16
"""With fewer pictures their mean is too much like each of them to be taken off."""
NEIGHBOURS = 8
"""Only so many of a picture's nearest are compared pixel by pixel."""
ZOOMS = (1.0, 0.97, 0.94, 0.91)
GRAIN = 24
BLOCK = 2048


@dataclass(frozen=True, order=True)
class Pair:
    """Rows of two pictures that are nearly the same."""

    first: int
    second: int
    alike: float
    congruent: float


def near_duplicates(features: NDArray[np.float32], squares: Squares) -> list[Pair]:
    """Pairs of near copies among pictures that are all different files, the lower row first.

    `features` (N, width) float32, `squares` (N, 48, 48, 3) uint8.
    """
    candidates = _candidates(features, squares)
    views: dict[int, NDArray[np.float32]] = {}
    pairs = []
    for (a, b), alike in sorted(candidates.items()):
        for row in (a, b):
            if row not in views:
                views[row] = np.stack([_views(squares[row]), _views(squares[row][:, ::-1])])
        congruent = float((views[a][0] @ views[b].reshape(-1, views[b].shape[-1]).T).max())
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
    coarse = squares.reshape(-1, 8, cell, 8, cell, 3).mean(axis=(2, 4))
    flat, mirrored = _plain(coarse), _plain(coarse[:, :, ::-1])
    return {
        (a, b): alike
        for (a, b), alike in found.items()
        if alike >= NEEDED[0][0] or max(flat[a] @ flat[b], flat[a] @ mirrored[b]) >= COARSE
    }


def _plain(pixels: NDArray[np.floating]) -> NDArray[np.float32]:
    """(N, H, W, 3) → (N, H·W·3) without each one's colour, brightness and contrast; a plain one is zeros."""
    x = np.asarray(pixels, np.float32)
    x = (x - x.mean(axis=(1, 2), keepdims=True)).reshape(len(x), -1)
    return np.asarray(x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-6))


def _alike(features: NDArray[np.float32]) -> dict[tuple[int, int], float]:
    """Each picture's nearest, where they are alike, with the cosine; a block of rows at a time."""
    x = centred(features)
    found: dict[tuple[int, int], float] = {}
    for start in range(0, len(x), BLOCK):
        cosines = x[start : start + BLOCK] @ x.T
        cosines[np.arange(len(cosines)), np.arange(start, start + len(cosines))] = -1
        count = min(NEIGHBOURS, len(x) - 1)
        nearest = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        for row, others in enumerate(nearest):
            for other in others[cosines[row, others] >= NEEDED[-1][0]]:
                pair = (min(start + row, int(other)), max(start + row, int(other)))
                found[pair] = float(cosines[row, other])
    return found


def _views(square: Squares) -> NDArray[np.float32]:
    """(views, 1728): the square and parts of it, small, without their brightness and contrast."""
    image = Image.fromarray(np.ascontiguousarray(square))
    views = []
    for zoom in ZOOMS:
        part = zoom * SIDE
        for y in {0.0, (SIDE - part) / 2, SIDE - part}:
            for x in {0.0, (SIDE - part) / 2, SIDE - part}:
                box = (x, y, x + part, y + part)
                views.append(np.asarray(image.resize((GRAIN, GRAIN), Image.Resampling.BOX, box)))
    return _plain(np.stack(views))
