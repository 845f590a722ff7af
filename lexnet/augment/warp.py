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
SOFTEN, NEUTRAL, NEUTRAL_HALVED = 0.2, 1.35, 1.45
LEAST = 0.02  # a filter weaker than this is not seen


def matrix(view: View, height: int, width: int, spec: PreprocessSpec) -> Matrix:
    """(3, 3): (x, y, 1) of a pixel of the view → (x, y, w) of the picture's, centres at whole numbers."""
    left, top, wide, high = crop_box(view, height, width, spec)
    to_unit = [[2 / spec.size, 0, 1 / spec.size - 1], [0, 2 / spec.size, 1 / spec.size - 1], [0, 0, 1]]
    to_picture = [[wide / 2, 0, left + wide / 2 - 0.5], [0, high / 2, top + high / 2 - 0.5], [0, 0, 1]]
    return np.asarray(to_picture) @ inside(view) @ np.asarray(to_unit)


def inside(view: View) -> Matrix:
    """(3, 3) in the square from -1 to 1: from the view to the crop."""
    cos, sin = math.cos(math.radians(view.rotate)), math.sin(math.radians(view.rotate))
    rotate = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    shear_x, shear_y = (math.tan(math.radians(degrees)) for degrees in view.shear)
    z = 1 / view.zoom
    shear = np.array([[z, -z * shear_x, 0], [-z * shear_y, z, 0], [0, 0, 1]])
    translate = np.array([[1, 0, -2 * view.translate[0]], [0, 1, -2 * view.translate[1]], [0, 0, 1]])
    perspective = np.array([[1, 0, 0], [0, 1, 0], [*view.perspective, 1]])
    mirror = np.diag([1 - 2 * view.mirror, 1 - 2 * view.flip, 1])
    return rotate @ shear @ translate @ perspective @ mirror


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


def scales(matrix: Matrix, size: int) -> tuple[float, float]:
    """Picture pixels, along its x and its y, from one pixel to the next in the middle of the view."""
    x, y, w = matrix @ [(size - 1) / 2, (size - 1) / 2, 1]
    rows = (matrix[0, :2] - x / w * matrix[2, :2]) / w, (matrix[1, :2] - y / w * matrix[2, :2]) / w
    return math.hypot(*rows[0]), math.hypot(*rows[1])


def shrink(scale: float) -> tuple[int, float]:
    """How a picture is made ready to be sampled: halved so many times, then filtered by (a, 1 - 2a, a).

    Sampled with over a pixel from one to the next, fine stripes would turn into coarse ones; with less,
    bilinear sampling blurs, and a is negative. `benchmarks/sharpness.py` found the line on photographs:
    a view is as sharp as what evaluation sees.
    """
    halvings = max(0, math.floor(math.log2(max(scale, 1) + 1e-6)))
    neutral = NEUTRAL_HALVED if halvings else NEUTRAL
    return halvings, SOFTEN * (max(1.0, scale / 2**halvings) - neutral)


def is_exact(matrix: Matrix) -> bool:
    """Whether every pixel of the view is a pixel of the picture: mirrors, quarter turns, whole steps."""
    return bool(np.abs(matrix - np.rint(matrix)).max() < 1e-6) and abs(abs(np.linalg.det(matrix)) - 1) < 1e-6


def plane(matrix: Matrix, size: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """(size, size) float32 x and y in the picture of each pixel of the view."""
    at = np.arange(size, dtype=np.float32)
    across, down, depth = (
        np.add.outer(np.float32(b) * at, np.float32(a) * at + np.float32(c)) for a, b, c in matrix
    )
    return across / depth, down / depth


def surfaces(matrix: Matrix, bend: NDArray[np.float32], size: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """The same with a local warp: `bend` (2, n, n) moves the knots of a spline through the view."""
    basis, knots = spline(size, bend.shape[1])
    x = bend[0] * size + knots[None, :]
    y = bend[1] * size + knots[:, None]

    def surface(a: float, b: float, c: float) -> NDArray[Any]:
        return basis @ ((a * x + b * y + c).astype(np.float32) @ basis.T)

    if not matrix[2, :2].any():
        return surface(*matrix[0] / matrix[2, 2]), surface(*matrix[1] / matrix[2, 2])
    across, down, depth = (surface(*row) for row in matrix)
    return across / depth, down / depth


@lru_cache(maxsize=8)
def spline(size: int, knots: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """(size, knots) the cubic B-spline's basis at each pixel, and (knots,) where the knots lie, pixels."""
    step = size / (knots - 3)
    at = (np.arange(size) + 0.5) / step
    first = np.minimum(at.astype(int), knots - 4)
    t = at - first
    weights = [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]
    basis = np.zeros((size, knots))
    for i, weight in enumerate(weights):
        basis[np.arange(size), first + i] = weight / 6
    return basis.astype(np.float32), (np.arange(knots) - 1) * step - 0.5
