"""A view of a picture on the CPU: OpenCV, one picture a call, one thread a call, without Python's lock."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lexnet.augment import colour
from lexnet.augment.compose import Geometry, colours, geometry
from lexnet.augment.region import regions
from lexnet.augment.sample import Number, View, noise
from lexnet.augment.warp import crop_box, is_upright, patches, surfaces
from lexnet.config import PreprocessSpec
from lexnet.errors import ShapeError
from lexnet.preprocess import Pixels

BORDERS = {"reflect": cv2.BORDER_REFLECT, "edge": cv2.BORDER_REPLICATE, "colour": cv2.BORDER_CONSTANT}
SAMPLED = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

cv2.setNumThreads(1)  # pictures are shared out among threads; each picture stays with one


def apply(
    picture: Pixels, view: View, spec: PreprocessSpec, axes: NDArray[np.float64] | None = None
) -> Pixels:
    """(H, W, C) uint8, the whole picture → (size, size, C) uint8, C = 1 or 3.

    `axes` are the training pictures' `colour.principal_axes`, for recipes with PCA colour. Raises
    `ShapeError` for a picture of another shape or type, or several views.
    """
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] not in (1, 3) or len(view) != 1:
        raise ShapeError(
            f"{len(view)} view(s) of {picture.dtype} {picture.shape}; give one view, and a picture (H, W, 1) "
            "or (H, W, 3) of uint8"
        )
    return Changes(view, picture.shape, spec, axes)(0, picture)


class Changes:
    """What N views do to pictures of one shape: worked out for all at once, done picture by picture."""

    def __init__(
        self,
        views: View,
        shape: tuple[int, ...],
        spec: PreprocessSpec,
        axes: NDArray[np.float64] | None = None,
    ) -> None:
        """`shape` is (H, W, C) of the pictures."""
        count, self._size, self._channels = len(views), spec.size, shape[2]
        self._views = views
        levels = views.recipe.colour
        self._border = BORDERS[views.recipe.border]
        self._level = levels if shape[2] == 3 else (float(colour.LUMA @ levels),)

        def each(numbers: Any) -> list[Any]:
            some = np.asarray(numbers)
            return list(some.tolist()) if some.ndim else count * [some.item()]

        left, top, wide, high = crop_box(views, shape[0], shape[1], spec)
        whole = is_upright(views) & (wide == spec.size) & (high == spec.size)
        self._cut = each(whole & (left == np.rint(left)) & (top == np.rint(top)))
        self._left, self._top, self._mirror, self._flip = map(each, (left, top, views.mirror, views.flip))
        if not all(self._cut):
            self._look(geometry(views, shape, spec), (shape[1], shape[0]))
        self._gamma = each(views.gamma)
        self._levels: NDArray[Any] | None = colours(views, axes)
        if self._levels is not None and self._channels == 1:
            self._levels = colour.of_grey(self._levels)
        self._harmed = each(is_harmed(views))

    def _look(self, seen: Geometry, lengths: tuple[int, int]) -> None:
        region = regions(seen, lengths, self._size, self._views.recipe.warp * self._size)
        self._matrices, self._spans = region.matrices, region.spans.tolist()
        self._halved, self._beyond = seen.halved.tolist(), region.beyond.tolist()
        bend, curved = self._views.bend, np.arange(len(region.matrices))
        if bend is None:
            curved = np.flatnonzero((region.matrices[:, 2] != (0, 0, 1)).any(1))
        else:
            bend = bend.reshape(-1, 2, *bend.shape[-2:])
        drawn = patches(region.matrices[curved], bend, self._size)
        self._patches = dict(zip(curved.tolist(), drawn, strict=True))
        self._filtered = np.any(seen.soften, axis=1).tolist()
        self._filters = np.stack([seen.soften, 1 - 2 * seen.soften, seen.soften], -1).astype(np.float32)

    def __call__(self, i: int, picture: Pixels) -> Pixels:
        """The view with this number of this picture: (H, W, C) uint8 → (size, size, C) uint8."""
        pixels = self._cut_out(i, picture) if self._cut[i] else self._warped(i, picture)
        pixels = self._coloured(i, pixels)
        if self._harmed[i]:
            pixels = damaged(pixels, self._views[i])
        return pixels.reshape(self._size, self._size, self._channels)

    def _cut_out(self, i: int, picture: Pixels) -> Pixels:
        """As `_warped` where every pixel of the view is one of the picture's, several times faster."""
        size, left, top = self._size, int(self._left[i]), int(self._top[i])
        height, width = picture.shape[:2]
        above, below = max(0, -top), max(0, top + size - height)
        before, behind = max(0, -left), max(0, left + size - width)
        edges = above, below, before, behind
        if any(edges):
            picture = cv2.copyMakeBorder(picture, *edges, borderType=self._border, value=self._level)
            left, top = left + before, top + above
        view_of = picture[top : top + size, left : left + size]
        return np.array(view_of[:: -1 if self._flip[i] else 1, :: -1 if self._mirror[i] else 1], order="C")

    def _warped(self, i: int, picture: Pixels) -> Pixels:
        """Sampled once, from no more of the picture than the view shows.

        That is copied first, row by row as it lies: a turned view reads across the rows, which takes twice as
        long from memory that is far away, and three times beyond an edge.
        """
        (left, right), (top, bottom) = self._spans[i]
        region, (across, down) = picture[top:bottom, left:right], self._halved[i]
        if across or down:
            # of two pixels both are the mean, and the first is faster
            mean = cv2.INTER_LINEAR if max(across, down) == 1 else cv2.INTER_AREA
            small = (right - left) >> across, (bottom - top) >> down
            region = cv2.resize(region, small, interpolation=mean)
        beside, beyond = self._beyond[i]
        region = cv2.copyMakeBorder(region, *beyond, *beside, borderType=self._border, value=self._level)
        border = {"borderMode": self._border, "borderValue": self._level}
        if i in self._patches:  # faster than warpPerspective
            maps = surfaces(*self._patches[i])
            pixels = cv2.remap(region, *maps, cv2.INTER_LINEAR, **border)
        else:
            size, matrix = (self._size, self._size), self._matrices[i, :2]
            pixels = cv2.warpAffine(region, matrix, size, flags=SAMPLED, **border)
        if self._filtered[i]:
            pixels = cv2.sepFilter2D(pixels, -1, *self._filters[i], borderType=cv2.BORDER_REPLICATE)
        return pixels

    def _coloured(self, i: int, pixels: Pixels) -> Pixels:
        if self._gamma[i] != 1:
            pixels = cv2.LUT(pixels, colour.gamma_table(self._gamma[i]))
        if self._levels is None:
            return pixels
        if self._channels == 3:
            return cv2.transform(pixels, self._levels[i])
        gain, shift = self._levels[i]
        return cv2.LUT(pixels, np.clip(np.rint(np.arange(256) * gain + shift), 0, 255).astype(np.uint8))


def is_harmed(view: View) -> Number:
    """Whether `damaged` changes anything."""
    left, top, right, bottom = view.erase
    painted = (left < right) & (top < bottom)
    return (view.blur > 0) | (view.noise > 0) | (view.jpeg < 100) | painted


def damaged(pixels: Pixels, view: View) -> Pixels:
    """Blur, noise, JPEG's artefacts, and a rectangle painted over."""
    size = len(pixels)
    if view.blur:
        pixels = cv2.GaussianBlur(pixels, (0, 0), view.blur * size, borderType=cv2.BORDER_REPLICATE)
    if view.noise:
        noisy = pixels + 255 * view.noise * noise(view, pixels.shape)
        pixels = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    if view.jpeg < 100:
        pixels = compressed(pixels, view.jpeg)
    left, top, right, bottom = (round(share * size) for share in view.erase)
    if left < right and top < bottom:
        pixels = np.ascontiguousarray(pixels)
        pixels[top:bottom, left:right] = view.erase_level
    return pixels


def compressed(pixels: Pixels, quality: int) -> Pixels:
    """The pixels after a JPEG of this quality."""
    wrong_way_round = pixels[..., ::-1] if pixels.ndim == 3 and pixels.shape[2] == 3 else pixels
    _, file = cv2.imencode(".jpg", wrong_way_round, [cv2.IMWRITE_JPEG_QUALITY, quality])
    back: Any = cv2.imdecode(file, cv2.IMREAD_UNCHANGED)
    return np.ascontiguousarray(back[..., ::-1] if back.ndim == 3 else back)
