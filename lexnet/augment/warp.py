"""All geometry in one 3×3: where in the picture each pixel of the view comes from.

    view's pixel ─ mirror ─ perspective ─ translate ─ rotate, shear, zoom ─ crop ─ picture's pixel
    (x, y, 1)   └──────────────────────── one matrix ───────────────────────────┘

A local warp moves the view's pixels first, by a cubic B-spline. Such a spline can also say any affine
map, exactly; so matrix and warp together are still one surface for x and one for y.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexnet.augment.sample import View
from lexnet.config import PreprocessSpec

Matrix = NDArray[np.float64]
SOFTEN, NEUTRAL = 0.14, 1.49
LEAST = 0.02  # a filter weaker than this is not seen
FINE = 1e-6  # of the view's side: how close a polynomial through few points comes to the matrix


def matrix(view: View, height: int, width: int, spec: PreprocessSpec) -> Matrix:
    """(3, 3): (x, y, 1) of a pixel of the view → (x, y, w) of the picture's, centres at whole numbers."""
    left, top, wide, high = crop_box(view, height, width, spec)
    across, down, depth = inside(view)
    rows = (
        [wide / 2 * x + (left + wide / 2 - 0.5) * w for x, w in zip(across, depth, strict=True)],
        [high / 2 * y + (top + high / 2 - 0.5) * w for y, w in zip(down, depth, strict=True)],
        depth,
    )
    unit = 2 / spec.size
    return np.array([[unit * x, unit * y, (unit / 2 - 1) * (x + y) + w] for x, y, w in rows])


def inside(view: View) -> list[list[float]]:
    """(3, 3) in the square from -1 to 1, from the view to the crop: the product of the five, written out."""
    cos, sin = math.cos(math.radians(view.rotate)), math.sin(math.radians(view.rotate))
    across, down = math.tan(math.radians(view.shear[0])), math.tan(math.radians(view.shear[1]))
    a, b = (cos + sin * down) / view.zoom, -(sin + cos * across) / view.zoom
    c, d = (sin - cos * down) / view.zoom, (cos - sin * across) / view.zoom
    (x, y), (p, q) = view.translate, view.perspective
    e, f = -2 * (a * x + b * y), -2 * (c * x + d * y)
    h, v = 1 - 2 * view.mirror, 1 - 2 * view.flip
    return [[h * (a + e * p), v * (b + e * q), e], [h * (c + f * p), v * (d + f * q), f], [h * p, v * q, 1.0]]


def crop_box(view: View, height: int, width: int, spec: PreprocessSpec) -> tuple[float, ...]:
    """Left, top, width, height of the crop in the picture, pixels; a random one may reach beyond it."""
    if view.recipe.crop == "resized":
        whole = view.area * height * width
        wide, high = min(width, math.sqrt(whole * view.aspect)), min(height, math.sqrt(whole / view.aspect))
        return view.place[0] * (width - wide), view.place[1] * (height - high), wide, high
    short = min(height, width)
    side = short * spec.size / spec.short_side
    room = (short - side + 2 * view.recipe.pad * side) * (view.recipe.crop == "random")
    left, top = (place * room - room / 2 for place in view.place)
    left, top = (width - side) / 2 + left, (height - side) / 2 + top
    if side == spec.size:  # nothing is resampled, so nothing may be blurred
        left, top = round(left), round(top)
    return left, top, side, side


def is_upright(view: View) -> bool:
    """Whether the view is its crop, mirrored at most."""
    moved = (view.rotate, *view.shear, *view.translate, *view.perspective)
    return view.zoom == 1 and view.bend is None and not any(moved)


def halvings(matrix: Matrix, size: int) -> tuple[int, int]:
    """How often the picture is halved along its x and its y before it is sampled, so that the view skips no
    pixel: sampled with two or more from one to the next, fine stripes would turn into coarse ones."""
    (a, b), (c, d) = slope(matrix, size)
    across, down = (
        math.floor(math.log2(max(1, scale) + 1e-6)) for scale in (math.hypot(a, b), math.hypot(c, d))
    )
    return across, down


def softness(matrix: Matrix, size: int) -> tuple[float, float]:
    """(a, 1 - 2a, a) filters the view along its x and its y, so that it is as sharp as what evaluation sees.

    Sampled with more than a pixel from one to the next, a view is too sharp; with less, bilinear sampling
    blurs, and `a` is negative. `benchmarks/sharpness.py` found the line on photographs.
    """
    (a, b), (c, d) = slope(matrix, size)
    across, down = (SOFTEN * (max(1, scale) - NEUTRAL) for scale in (math.hypot(a, c), math.hypot(b, d)))
    return across, down


def slope(matrix: Matrix, size: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """In the middle of the view: (x by x, x by y), (y by x, y by y), picture pixels a view pixel."""
    (a, b, c), (d, e, f), (g, h, i) = matrix.tolist()
    middle = (size - 1) / 2
    w = (g + h) * middle + i
    x, y = ((a + b) * middle + c) / w, ((d + e) * middle + f) / w
    return ((a - x * g) / w, (b - x * h) / w), ((d - y * g) / w, (e - y * h) / w)


def is_exact(matrix: Matrix) -> bool:
    """Whether every pixel of the view is a pixel of the picture: mirrors, quarter turns, whole steps."""
    return bool(np.abs(matrix - np.rint(matrix)).max() < 1e-6) and abs(abs(np.linalg.det(matrix)) - 1) < 1e-6


def surfaces(
    matrix: Matrix, bend: NDArray[np.float32] | None, size: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """(size, size) float32 x and y in the picture of each pixel of the view.

    With a local warp, `bend` (2, n, n) moves the knots of a spline through the view first. Without, few
    points are enough: a matrix is so smooth that a polynomial through them is it, to 0.002 px or so.
    """
    if bend is None:
        basis, points = chebyshev(size, points_needed(matrix, size))
        places = (matrix @ points.reshape(3, -1)).reshape(points.shape)
        across, down = basis @ (places[:2] / places[2]).astype(np.float32) @ basis.T
        return across, down
    basis, _ = spline(size, bend.shape[1])
    places = bent(matrix, bend, size)
    if not (matrix[2, 0] or matrix[2, 1]):
        places = places[:2] / matrix[2, 2]
    planes = basis @ places.astype(np.float32) @ basis.T
    if len(planes) == 3:
        planes[:2] /= planes[2]
    return planes[0], planes[1]


def bent(matrix: Matrix, bend: NDArray[np.float32], size: int) -> NDArray[np.float64]:
    """(3, n, n) x, y, w in the picture of the spline's knots, once the local warp has moved them."""
    _, knots = spline(size, bend.shape[1])
    knots = knots.copy()
    knots[:2] += bend * np.float32(size)
    return (matrix @ knots.reshape(3, -1)).reshape(knots.shape)


def points_needed(matrix: Matrix, size: int) -> int:
    """How many Chebyshev points a side say a matrix to about FINE of the view's side.

    The more the depth w changes along a row or column, the more: where it goes from 1 - r to 1 + r, the error
    falls by ρ a point, ρ = 1 / r + √(1 / r² - 1) (Trefethen, Approximation Theory and Approximation Practice,
    chapter 8). r is greatest at the edge that is nearest.
    """
    g, h, i = matrix[2].tolist()
    middle = (size - 1) / 2
    less, more = sorted((abs(g) * middle, abs(h) * middle))
    uneven = more / ((g + h) * middle + i - less)
    return 2 + math.floor(math.log(FINE) / -math.acosh(1 / uneven)) if uneven > FINE else 2


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
