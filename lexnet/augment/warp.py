"""All geometry in one 3×3: where in the picture each pixel of the view comes from.

    view's pixel ─ mirror ─ perspective ─ translate ─ rotate, shear, zoom ─ crop ─ picture's pixel
    (x, y, 1)   └──────────────────────── one matrix ───────────────────────────┘

A local warp moves the view's pixels first, by a cubic B-spline. Such a spline can also say any affine
map, exactly; so matrix and warp together are still one surface for x and one for y.
"""

import math
from collections.abc import Sequence
from functools import lru_cache, reduce
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexnet.augment.sample import Number, View
from lexnet.config import Interpolation, PreprocessSpec

Matrix = NDArray[np.float64]
Patch = tuple[NDArray[np.float32], NDArray[np.float32]]
"""(size, n) a basis of each side; (2, n, n) x, y in the picture of its points, or (3, n, n) x·w, y·w, w."""
SOFTEN = {"bicubic": (0.142, 1.475), "bilinear": (0.11, 0.95)}
"""By evaluation's filter: how fast `softness` grows, and at how many picture pixels a view pixel it is 0."""
FINE = 1e-6  # of the view's side: how close a polynomial through few points comes to the matrix


def matrix(view: View, height: int, width: int, spec: PreprocessSpec) -> Matrix:
    """(x, y, 1) of a pixel of the view → (x, y, w) of the picture's, centres at whole numbers.

    (3, 3), or (N, 3, 3) for N views of pictures of one size.
    """
    left, top, wide, high = crop_box(view, height, width, spec)
    across, down, depth = inside(view)
    rows = (
        [wide / 2 * x + (left + wide / 2 - 0.5) * w for x, w in zip(across, depth, strict=True)],
        [high / 2 * y + (top + high / 2 - 0.5) * w for y, w in zip(down, depth, strict=True)],
        depth,
    )
    unit = 2 / spec.size
    return stacked([[unit * x, unit * y, (unit / 2 - 1) * (x + y) + w] for x, y, w in rows])


def stacked(rows: Sequence[Sequence[Number]]) -> NDArray[np.float64]:
    """Rows of numbers → a matrix, or of N numbers → N matrices."""
    result = np.empty((*np.broadcast(*chain(*rows)).shape, len(rows), len(rows[0])))
    for i, row in enumerate(rows):
        for j, number in enumerate(row):
            result[..., i, j] = number
    return result


def inside(view: View) -> list[list[Number]]:
    """(3, 3) in the square from -1 to 1, from the view to the crop: the product of the five, written out."""
    cos, sin = np.cos(np.radians(view.rotate)), np.sin(np.radians(view.rotate))
    across, down = np.tan(np.radians(view.shear[0])), np.tan(np.radians(view.shear[1]))
    a, b = (cos + sin * down) / view.zoom, -(sin + cos * across) / view.zoom
    c, d = (sin - cos * down) / view.zoom, (cos - sin * across) / view.zoom
    (x, y), (p, q) = view.translate, view.perspective
    e, f = -2 * (a * x + b * y), -2 * (c * x + d * y)
    h, v = 1 - 2 * view.mirror, 1 - 2 * view.flip
    return [[h * (a + e * p), v * (b + e * q), e], [h * (c + f * p), v * (d + f * q), f], [h * p, v * q, 1.0]]


def crop_box(view: View, height: int, width: int, spec: PreprocessSpec) -> tuple[Number, ...]:
    """Left, top, width, height of the crop in the picture, pixels; a random one may reach beyond it."""
    if view.recipe.crop == "resized":  # if need be of another aspect than was drawn, or else smaller
        share = view.area * width / height
        aspect = np.clip(np.clip(view.aspect, share, share / view.area**2), *view.recipe.aspect)
        high = np.sqrt(view.area * height * width / aspect)
        high = np.minimum(np.minimum(high, height), width / aspect)
        wide = np.minimum(high * aspect, width)
        return view.place[0] * (width - wide), view.place[1] * (height - high), wide, high
    side = spec.side(width, height)
    room = (min(width, height) - side + 2 * view.recipe.pad * side) * (view.recipe.crop == "random")
    if side != spec.size:
        x, y = (at * room for at in view.place)
        return (width - side - room) / 2 + x, (height - side - room) / 2 + y, side, side
    room = math.floor(room + 1e-9)  # nothing is resampled, so nothing may be blurred: whole pixels
    x, y = (np.minimum(np.floor(at * (room + 1)), room) for at in view.place)  # each as likely
    return np.rint((width - side - room) / 2 + x), np.rint((height - side - room) / 2 + y), side, side


def is_upright(view: View) -> Number:
    """Whether the view is its crop, mirrored at most."""
    moved = (view.rotate, *view.shear, *view.translate, *view.perspective, view.zoom - 1)
    still = np.logical_not(reduce(np.logical_or, moved))
    return np.zeros_like(still) if view.bend is not None else still


def halvings(matrix: Matrix, size: int) -> NDArray[np.int64]:
    """(..., 2) how often the picture is halved along its x and its y before it is sampled.

    Else the view would skip pixels, two or more from one to the next, and fine stripes turn into coarse ones.
    """
    scales = np.maximum(1, np.linalg.norm(slope(matrix, size), axis=-1))
    return np.floor(np.log2(scales) + 1e-6).astype(int)


def softness(matrix: Matrix, size: int, interpolation: Interpolation) -> NDArray[np.float64]:
    """(..., 2) of which (a, 1 - 2a, a) filters the view along its x and its y, so that it is as sharp as what
    evaluation sees.

    Sampled with more than a pixel from one to the next, a view is too sharp; with less, bilinear sampling
    blurs, and `a` is negative. `benchmarks/sharpness.py` found the line on photographs.
    """
    scales = np.linalg.norm(slope(matrix, size), axis=-2)
    growth, neutral = SOFTEN[interpolation]
    return np.asarray(growth * (np.maximum(1, scales) - neutral))


def slope(matrix: Matrix, size: int) -> Matrix:
    """(..., 2, 2) in the view's middle: (x by x, x by y), (y by x, y by y), picture pixels a view pixel."""
    middle = (size - 1) / 2
    places = matrix @ (middle, middle, 1)
    w = places[..., 2, None, None]
    return np.asarray((matrix[..., :2, :2] - places[..., :2, None] / w * matrix[..., 2:, :2]) / w)


def is_exact(matrix: Matrix) -> NDArray[np.bool_]:
    """(...) whether all pixels of the view are pixels of the picture: mirrors, quarter turns, whole steps."""
    whole = np.abs(matrix - np.rint(matrix)).max((-2, -1)) < 1e-6
    return np.asarray(whole & (np.abs(np.abs(np.linalg.det(matrix)) - 1) < 1e-6))


def patches(matrices: Matrix, bend: NDArray[np.float32] | None, size: int) -> list[Patch]:
    """For each of N views what its `surfaces` are made of.

    With a local warp, `bend` (N, 2, n, n) moves the knots of a spline through the view first. Without, few
    points are enough: a matrix is so smooth that a polynomial through them is it, to 0.002 px or so.
    """
    if bend is not None:
        basis, _ = spline(size, bend.shape[-1])
        places = bent(matrices, bend, size) / matrices[:, 2:, 2:, None]
        flat = (matrices[:, 2, :2] == 0).all(1)
        planes = np.where(flat, 2, 3).tolist()
        return [(basis, one[:n].astype(np.float32)) for one, n in zip(places, planes, strict=True)]
    counts = points_needed(matrices, size)
    found = dict[int, Patch]()
    for count in set(counts.tolist()):
        basis, points = chebyshev(size, count)
        rows = np.flatnonzero(counts == count)
        places = (matrices[rows] @ points.reshape(3, -1)).reshape(-1, *points.shape)
        places = (places[:, :2] / places[:, 2:]).astype(np.float32)
        found |= {row: (basis, one) for row, one in zip(rows.tolist(), places, strict=True)}
    return [found[row] for row in range(len(matrices))]


def surfaces(basis: NDArray[np.float32], points: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any]]:
    """(size, size) float32 x and y in the picture of each pixel of the view, from its patch."""
    planes = basis @ points @ basis.T
    if len(planes) == 3:
        planes[:2] /= planes[2]
    return planes[0], planes[1]


def bent(matrix: Matrix, bend: NDArray[np.float32], size: int) -> NDArray[np.float64]:
    """(..., 3, n, n) x, y, w in the picture of the spline's knots, once the local warp has moved them."""
    _, plain = spline(size, bend.shape[-1])
    knots = np.broadcast_to(
        plain, (*np.broadcast_shapes(matrix.shape[:-2], bend.shape[:-3]), *plain.shape)
    ).copy()
    knots[..., :2, :, :] += bend * np.float32(size)
    return (matrix @ knots.reshape(*knots.shape[:-2], -1)).reshape(knots.shape)


def points_needed(matrix: Matrix, size: int) -> NDArray[np.int64]:
    """(...) how many Chebyshev points a side say a matrix to about FINE of the view's side.

    The more the depth w changes along a row or column, the more: where it goes from 1 - r to 1 + r, the error
    falls by ρ a point, ρ = 1 / r + √(1 / r² - 1) (Trefethen, Approximation Theory and Approximation Practice,
    chapter 8). r is greatest at the edge that is nearest.
    """
    middle = (size - 1) / 2
    across, down = np.abs(matrix[..., 2, 0]) * middle, np.abs(matrix[..., 2, 1]) * middle
    depth = (matrix[..., 2, :] * (middle, middle, 1)).sum(-1) - np.minimum(across, down)
    uneven = np.maximum(FINE, np.maximum(across, down) / depth)
    return 2 + np.floor(math.log(FINE) / -np.arccosh(1 / uneven)).astype(int)


@lru_cache(maxsize=32)
def chebyshev(size: int, count: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """(size, count) what each point has of a pixel's value, and (3, count, count) x, y, 1 of them, pixels."""
    places = -np.cos(np.pi * (np.arange(count) + 0.5) / count)
    own = np.eye(count, dtype=bool)
    apart = np.where(own, 1, places[:, None] - places)
    others = np.where(own, 1, np.linspace(-1, 1, size)[:, None, None] - places)
    return _for_blas((others / apart).prod(2)), _lattice((places + 1) * (size - 1) / 2)


def _lattice(places: NDArray[Any]) -> NDArray[np.float64]:
    """(3, n, n) x, y, 1 of the points at these places, across and down."""
    across, down = np.meshgrid(places, places)
    return np.stack([across, down, np.ones_like(across)])


def _for_blas(basis: NDArray[Any]) -> NDArray[Any]:
    """Column by column in memory, as BLAS reads it fastest."""
    return np.asfortranarray(basis, np.float32)


@lru_cache(maxsize=8)
def spline(size: int, knots: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """(size, knots) the cubic B-spline's basis at each pixel, and (3, knots, knots) x, y, 1 of each knot."""
    step = size / (knots - 3)
    at = (np.arange(size) + 0.5) / step
    first = np.minimum(at.astype(int), knots - 4)
    t = at - first
    weights = [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]
    basis = np.zeros((size, knots))
    for i, weight in enumerate(weights):
        basis[np.arange(size), first + i] = weight / 6
    return _for_blas(basis), _lattice((np.arange(knots) - 1) * step - 0.5)
