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
    halvings,
    is_exact,
    is_upright,
    matrix,
    softness,
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
    region, whole = _looked_at(picture, whole, size, recipe.warp * size, border)
    border = {"borderMode": border["borderType"], "borderValue": border["value"]}
    if view.bend is not None or any(view.perspective):  # faster than warpPerspective
        pixels = cv2.remap(region, *surfaces(whole, view.bend, size), cv2.INTER_LINEAR, **border)
    else:
        pixels = cv2.warpAffine(region, whole[:2], (size, size), flags=SAMPLED, **border)
    across, down = softness(whole, size)
    if max(abs(across), abs(down)) > LEAST and not (view.bend is None and is_exact(whole)):
        x, y = (np.array([a, 1 - 2 * a, a], np.float32) for a in (across, down))
        pixels = cv2.sepFilter2D(pixels, -1, x, y, borderType=cv2.BORDER_REPLICATE)
    return pixels


def _cut_out(picture: Pixels, left: int, top: int, view: View, border: dict[str, Any], size: int) -> Pixels:
    """The same where every pixel of the view is one of the picture's, several times faster."""
    height, width = picture.shape[:2]
    before, behind = (max(0, -top), max(0, -left)), (max(0, top + size - height), max(0, left + size - width))
    if any(before) or any(behind):
        picture = cv2.copyMakeBorder(picture, before[0], behind[0], before[1], behind[1], **border)
        left, top = left + before[1], top + before[0]
    view_of = picture[top : top + size, left : left + size]
    return np.array(view_of[:: -1 if view.flip else 1, :: -1 if view.mirror else 1], order="C")


def _looked_at(
    picture: Pixels, whole: Matrix, size: int, moved: float, border: dict[str, Any]
) -> tuple[Pixels, Matrix]:
    """What the view shows of the picture and beyond, halved until sampling skips nothing; the matrix to it.

    It is copied first, row by row as it lies: a turned view reads across the rows, which takes twice as long
    from memory that is far away, and three times beyond an edge.
    """
    times = halvings(whole, size)
    seen = _bounds(whole, size, moved)
    spans = _spans(seen, picture.shape[1::-1], times)
    (left, right), (top, bottom) = spans
    region = picture[top:bottom, left:right]
    if any(times):
        small = (right - left) >> times[0], (bottom - top) >> times[1]
        mean = cv2.INTER_LINEAR if max(times) == 1 else cv2.INTER_AREA  # of two both are; linear is faster
        region = cv2.resize(region, small, interpolation=mean)
    edges = [
        (max(0, start - low) >> k, max(0, high - stop) >> k)
        for (low, high), (start, stop), k in zip(seen, spans, times, strict=True)
    ]
    # the sampler sees to more; behind a border on one side alone its reflections would turn at a wrong place
    beyond = [both if max(both) <= size else (0, 0) for both in edges]
    region = cv2.copyMakeBorder(region, *beyond[1], *beyond[0], **border)
    (x, right), (y, down) = (
        (1 / 2**k, (0.5 - start) / 2**k - 0.5 + before)
        for k, (start, _), (before, _) in zip(times, spans, beyond, strict=True)
    )
    return region, np.array([[x, 0, right], [0, y, down], [0, 0, 1]]) @ whole


def _bounds(whole: Matrix, size: int, moved: float) -> list[tuple[int, int]]:
    """From where to where the view looks, across and down, pixels of the picture or beyond."""
    low, high = -0.5 - moved, size - 0.5 + moved
    corners = [(low, low), (low, high), (high, low), (high, high)]
    *rows, (g, h, i) = whole.tolist()
    depths = [g * x + h * y + i for x, y in corners]
    bounds = []
    for a, b, c in rows:
        places = [(a * x + b * y + c) / w for (x, y), w in zip(corners, depths, strict=True)]
        bounds.append((math.floor(min(places)), math.ceil(max(places)) + 1))
    return bounds


def _spans(
    seen: list[tuple[int, int]], lengths: tuple[int, ...], times: tuple[int, ...]
) -> list[tuple[int, int]]:
    """Which part of the picture that takes, across and down, in whole blocks of 2^times.

    What it would see beyond an edge is reflected there, and must be in it too.
    """
    spans = []
    for (low, high), length, k in zip(seen, lengths, times, strict=True):
        block = 1 << k
        start, stop = low - 2 * block, high + 2 * block
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
