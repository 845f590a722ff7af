"""A view of a picture on the CPU: OpenCV, one picture a call, one thread a call, without Python's lock."""

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lexnet.augment import colour
from lexnet.augment.sample import View, noise
from lexnet.augment.warp import (
    LEAST,
    Matrix,
    crop_box,
    is_exact,
    is_upright,
    matrix,
    plane,
    scales,
    shrink,
    surfaces,
)
from lexnet.config import PreprocessSpec
from lexnet.preprocess import Pixels

BORDERS = {"reflect": cv2.BORDER_REFLECT, "edge": cv2.BORDER_REPLICATE, "colour": cv2.BORDER_CONSTANT}
SAMPLED = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

cv2.setNumThreads(1)  # pictures are shared out among threads; each picture stays with one


def apply(
    picture: Pixels, view: View, spec: PreprocessSpec, axes: NDArray[np.float64] | None = None
) -> Pixels:
    """(H, W, C) uint8, the whole picture → (size, size, C) uint8, C = 1 or 3.

    `axes` are the training pictures' `colour.principal_axes`, for recipes with PCA colour.
    """
    result = _warp(picture, view, spec)
    result = _colour(result, view, axes)
    return _damage(result, view).reshape(spec.size, spec.size, picture.shape[2])


def _warp(picture: Pixels, view: View, spec: PreprocessSpec) -> Pixels:
    """Sampled once, from no more of the picture than the view shows."""
    size, recipe = spec.size, view.recipe
    border = {"borderType": BORDERS[recipe.border], "value": _border_colour(view, picture.shape[2])}
    if is_upright(view):
        left, top, wide, high = crop_box(view, picture.shape[0], picture.shape[1], spec)
        if (wide, high) == (size, size) and left == int(left) and top == int(top):
            return _cut_out(picture, int(left), int(top), view, border, size)
    whole = matrix(view, picture.shape[0], picture.shape[1], spec)
    region, whole = _small_enough(picture, whole, size, recipe.warp * size)
    border = {"borderMode": border["borderType"], "borderValue": border["value"]}
    if view.bend is not None:
        return cv2.remap(region, *surfaces(whole, view.bend, size), cv2.INTER_LINEAR, **border)
    if any(view.perspective):  # faster than warpPerspective
        return cv2.remap(region, *plane(whole, size), cv2.INTER_LINEAR, **border)
    return cv2.warpAffine(region, whole[:2], (size, size), flags=SAMPLED, **border)


def _cut_out(picture: Pixels, left: int, top: int, view: View, border: dict[str, Any], size: int) -> Pixels:
    """The same where every pixel of the view is one of the picture's, several times faster."""
    height, width = picture.shape[:2]
    before, behind = (max(0, -top), max(0, -left)), (max(0, top + size - height), max(0, left + size - width))
    if any(before) or any(behind):
        picture = cv2.copyMakeBorder(picture, before[0], behind[0], before[1], behind[1], **border)
        left, top = left + before[1], top + before[0]
    view_of = picture[top : top + size, left : left + size]
    return np.array(view_of[:: -1 if view.flip else 1, :: -1 if view.mirror else 1], order="C")


def _small_enough(picture: Pixels, whole: Matrix, size: int, moved: float) -> tuple[Pixels, Matrix]:
    """What the view shows of the picture, shrunk so that sampling skips nothing, and the matrix to it."""
    halvings, softened = zip(*(shrink(scale) for scale in scales(whole, size)), strict=True)
    spans = _spans(whole, size, moved, picture.shape[1::-1], halvings)
    (left, right), (top, bottom) = spans
    region = picture[top:bottom, left:right]
    if any(halvings):
        small = (right - left) >> halvings[0], (bottom - top) >> halvings[1]
        region = cv2.resize(region, small, interpolation=cv2.INTER_AREA)
    rows = [[1 / 2**k, 0, (0.5 - start) / 2**k - 0.5] for k, (start, _) in zip(halvings, spans, strict=True)]
    whole = np.array([rows[0], [0, rows[1][0], rows[1][2]], [0, 0, 1]]) @ whole
    if max(map(abs, softened)) > LEAST and not (is_exact(whole) and not moved):
        x, y = (np.array([a, 1 - 2 * a, a], np.float32) for a in softened)
        region = cv2.sepFilter2D(region, -1, x, y, borderType=cv2.BORDER_REPLICATE)
    return region, whole


def _spans(
    whole: Matrix, size: int, moved: float, lengths: tuple[int, ...], halvings: tuple[int, ...]
) -> list[tuple[int, int]]:
    """From where to where the view looks at the picture, across and down, in whole blocks of 2^halvings.

    What it would see beyond an edge is reflected there, and must be in it too.
    """
    low, high = -0.5 - moved, size - 0.5 + moved
    corners = whole @ np.array([[low, high, low, high], [low, low, high, high], [1, 1, 1, 1]])
    spans = []
    for length, places, k in zip(lengths, corners[:2] / corners[2], halvings, strict=True):
        block = 1 << k
        start, stop = math.floor(places.min()) - 2 * block, math.ceil(places.max()) + 2 * block + 1
        start, stop = min(start, 2 * length - stop), max(stop, -start)
        last = max(block, length - length % block)  # a block that is cut by the edge is left out
        start, stop = max(0, start), min(last, stop)
        start = min(start - start % block, last - block)
        spans.append((start, min(last, max(start + block, stop + -stop % block))))
    return spans


def _border_colour(view: View, channels: int) -> tuple[float, ...]:
    levels = view.recipe.colour
    return levels if channels == 3 else (float(colour.LUMA @ levels),)


def _colour(pixels: Pixels, view: View, axes: NDArray[np.float64] | None) -> Pixels:
    if view.gamma != 1:
        pixels = cv2.LUT(pixels, colour.gamma_table(view.gamma))
    levels = colour.matrix(view, axes)
    if levels is None:
        return pixels
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        gain, shift = colour.of_grey(levels)
        return cv2.LUT(pixels, np.clip(np.rint(np.arange(256) * gain + shift), 0, 255).astype(np.uint8))
    return cv2.transform(pixels, levels)


def _damage(pixels: Pixels, view: View) -> Pixels:
    """Blur, noise, JPEG's artefacts, and a rectangle painted over."""
    size = len(pixels)
    if view.blur:
        pixels = cv2.GaussianBlur(pixels, (0, 0), view.blur * size, borderType=cv2.BORDER_REPLICATE)
    if view.noise:
        noisy = pixels + 255 * view.noise * noise(view, pixels.shape)
        pixels = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    if view.jpeg < 100:
        pixels = compressed(pixels, view.jpeg)
    if view.erase is not None:
        pixels = np.ascontiguousarray(pixels)
        left, top, right, bottom = (round(share * size) for share in view.erase)
        pixels[top:bottom, left:right] = view.erase_level
    return pixels


def compressed(pixels: Pixels, quality: int) -> Pixels:
    """The pixels after a JPEG of this quality."""
    wrong_way_round = pixels[..., ::-1] if pixels.ndim == 3 and pixels.shape[2] == 3 else pixels
    _, file = cv2.imencode(".jpg", wrong_way_round, [cv2.IMWRITE_JPEG_QUALITY, quality])
    back: Any = cv2.imdecode(file, cv2.IMREAD_UNCHANGED)
    return np.ascontiguousarray(back[..., ::-1] if back.ndim == 3 else back)
