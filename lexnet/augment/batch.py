"""Views of a batch of pictures in torch, on a GPU or the CPU: for the same parameters what `apply` gives.

views ─ prepare (on the CPU, ahead of time) ─ matrices, splines, colours ─┐
pictures (N, C, H, W), all of one size ───────────────────────────────────┴ grid_sample, one product
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from lexnet.augment import colour
from lexnet.augment.apply import compressed, is_harmed
from lexnet.augment.compose import colours, geometry
from lexnet.augment.sample import View, noise
from lexnet.augment.warp import bent, spline, stacked
from lexnet.config import PreprocessSpec
from lexnet.errors import ShapeError

PARTS = 32  # of a pixel: OpenCV knows a place no better
PADDING = {"reflect": "reflection", "edge": "border"}


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What N views do to pictures of one shape, as tensors; `to` moves them to a device."""

    views: View
    shape: tuple[int, int, int]
    """(C, H, W) of the pictures."""
    size: int
    """Of the views' sides, pixels."""
    halved: NDArray[np.int64]
    """(N, 2) how often each view's picture is halved across and down."""
    soften: Tensor | None
    """(N, 2) weight of either neighbour, across and down the view; None where no view is filtered."""
    matrices: Tensor
    """(N, 3, 3) from the view's pixels to the halved picture, -1..1 from edge to edge."""
    flat: bool
    """Whether each of them ends in 0, 0, 1: no perspective."""
    knots: Tensor | None
    """(N, 3, n, n) the spline through the local warp; none without one."""
    colours: Tensor | None
    """(N, 3, 4); None where all levels are left alone."""
    gammas: Tensor | None
    """(N,); None likewise."""
    noise: Tensor | None
    """(N, C, size, size) levels to add."""

    def to(self, device: torch.device | str) -> "Prepared":
        """The same on another device."""
        moved = {k: v.to(device) for k, v in vars(self).items() if isinstance(v, Tensor)}
        return Prepared(**{**vars(self), **moved})


def prepare(
    views: View,
    shape: tuple[int, int, int],
    spec: PreprocessSpec,
    axes: NDArray[np.float64] | None = None,
) -> Prepared:
    """What N views do to pictures of `shape` (C, H, W)."""
    channels, height, width = shape
    seen, levels = geometry(views, (height, width), spec), colours(views, axes)
    wide, high = (np.array([width, height]) // np.minimum(1 << seen.halved, (width, height))).T
    to_edges = stacked([[2 / wide, 0, 1 / wide - 1], [0, 2 / high, 1 / high - 1], [0, 0, 1]])
    matrices = to_edges @ seen.matrices
    matrices /= matrices[:, 2:, 2:]
    gammas = np.broadcast_to(views.gamma, len(views))
    return Prepared(
        views=views,
        shape=shape,
        size=spec.size,
        halved=seen.halved,
        soften=_floats(seen.soften) if seen.soften.any() else None,
        matrices=_floats(matrices),
        flat=bool((matrices[:, 2] == (0, 0, 1)).all()),
        knots=None if views.bend is None else _floats(bent(matrices, views.bend, spec.size)),
        colours=None if levels is None else _floats(levels),
        gammas=None if (gammas == 1).all() else _floats(gammas),
        noise=_noises(views, (spec.size, spec.size, channels)),
    )


def _floats(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(array.astype(np.float32))


def apply_batch(pictures: Tensor, prepared: Prepared) -> Tensor:
    """(N, C, H, W) uint8 → (N, C, size, size) uint8, on the device that both are on.

    Raises `ShapeError` for other pictures than the views were prepared for.
    """
    needed = len(prepared.views), *prepared.shape
    if pictures.dtype != torch.uint8 or pictures.shape != needed:
        raise ShapeError(
            f"pictures are {pictures.dtype} {tuple(pictures.shape)}, and the views are for uint8 {needed}; "
            "prepare them for pictures of this shape"
        )
    pixels = _warp(pictures, prepared)
    pixels = _colour(pixels, prepared).round_().clamp_(0, 255)
    return _damage(pixels, prepared).to(torch.uint8)


def _warp(pictures: Tensor, prepared: Prepared) -> Tensor:
    """(N, C, size, size) whole levels, rounded where `apply` rounds."""
    groups = np.unique(prepared.halved, axis=0)
    if len(groups) == 1:
        return _softened(_sampled(pictures, prepared, slice(None), groups[0]), prepared.soften)
    shape = len(pictures), pictures.shape[1], prepared.size, prepared.size
    pixels = torch.empty(shape, device=pictures.device)
    for times in groups:
        rows = torch.from_numpy(np.flatnonzero((prepared.halved == times).all(1))).to(pictures.device)
        pixels[rows] = _sampled(pictures[rows], prepared, rows, times)
    return _softened(pixels, prepared.soften)


def _sampled(pictures: Tensor, prepared: Prepared, rows: Tensor | slice, times: NDArray[np.int64]) -> Tensor:
    """(n, C, size, size) the views of these rows, whose pictures are halved so many times across and down."""
    recipe, (channels, high, wide) = prepared.views.recipe, pictures.shape[1:]
    some = pictures.float()
    if times.any():
        block = min(1 << times[1], high), min(1 << times[0], wide)
        some = F.avg_pool2d(some, block).round_()
    grid = _places(_grid(prepared, rows), *some.shape[2:])
    if recipe.border != "colour":
        return F.grid_sample(some, grid, "bilinear", PADDING[recipe.border], align_corners=False).round_()
    level = torch.tensor(recipe.colour if channels == 3 else (float(colour.LUMA @ recipe.colour),))
    outside = level.to(some).view(1, -1, 1, 1)
    return (
        F.grid_sample(some - outside, grid, "bilinear", "zeros", align_corners=False).add_(outside).round_()
    )


def _places(grid: Tensor, high: int, wide: int) -> Tensor:
    """The same, to a part of a pixel of the picture that `apply` samples by."""
    half = torch.tensor([wide, high], device=grid.device, dtype=grid.dtype) / 2
    return ((((grid + 1) * half - 0.5) * PARTS).round_() / PARTS + 0.5) / half - 1


def _softened(pixels: Tensor, weights: Tensor | None) -> Tensor:
    if weights is None:
        return pixels
    lines = torch.stack([weights, 1 - 2 * weights, weights], -1)
    kernels = lines[:, 1, :, None] * lines[:, 0, None, :]
    count, channels, high, wide = pixels.shape
    planes = F.pad(pixels, (1, 1, 1, 1), "replicate").view(1, -1, high + 2, wide + 2)
    each = kernels.repeat_interleave(channels, 0)[:, None]
    return F.conv2d(planes, each, groups=count * channels).view_as(pixels).round_().clamp_(0, 255)


def _grid(prepared: Prepared, rows: Tensor | slice) -> Tensor:
    """(n, size, size, 2) where in the picture each pixel lies, -1..1 from edge to edge."""
    device, size = prepared.matrices.device, prepared.size
    planes = slice(2 if prepared.flat else 3)
    if prepared.knots is not None:
        basis = torch.from_numpy(spline(size, prepared.knots.shape[-1])[0]).to(device)
        places = basis @ prepared.knots[rows, planes] @ basis.T
    else:
        at = torch.arange(size, device=device, dtype=torch.float32)
        x, y = at.repeat(size), at.repeat_interleave(size)
        places = prepared.matrices[rows, planes] @ torch.stack([x, y, torch.ones_like(x)])
        places = places.view(*places.shape[:2], size, size)
    if not prepared.flat:
        places = places[:, :2] / places[:, 2:]
    return places.permute(0, 2, 3, 1)


def _colour(pixels: Tensor, prepared: Prepared) -> Tensor:
    if prepared.gammas is not None:
        pixels = (255 * (pixels / 255) ** prepared.gammas.view(-1, 1, 1, 1)).round_()
    if prepared.colours is None:
        return pixels
    gains, shifts = prepared.colours[..., :3], prepared.colours[..., 3:]
    if pixels.shape[1] == 1:
        luma = torch.from_numpy(colour.LUMA).to(gains)
        gains, shifts = (luma @ gains.sum(2, keepdim=True))[:, None], (luma @ shifts)[:, None]
    levels = pixels.flatten(2)
    return torch.baddbmm(shifts.expand_as(levels), gains.to(levels), levels).view_as(pixels)


def _damage(pixels: Tensor, prepared: Prepared) -> Tensor:
    """As `apply`'s; JPEG has no place on a GPU and goes through the CPU, picture by picture."""
    size = prepared.size
    for i in np.flatnonzero(np.broadcast_to(is_harmed(prepared.views), len(pixels))).tolist():
        view = prepared.views[i]
        if view.blur:
            pixels[i] = _blurred(pixels[i], view.blur * size).round()
        if view.noise and prepared.noise is not None:
            pixels[i] = (pixels[i] + prepared.noise[i]).round().clamp(0, 255)
        if view.jpeg < 100:
            small = pixels[i].permute(1, 2, 0).to(torch.uint8).cpu().numpy()
            back = compressed(small, view.jpeg).reshape(small.shape)
            pixels[i] = torch.from_numpy(back).permute(2, 0, 1).to(pixels)
        left, top, right, bottom = (round(share * size) for share in view.erase)
        pixels[i, :, top:bottom, left:right] = view.erase_level
    return pixels


def _blurred(pixels: Tensor, deviation: float) -> Tensor:
    """(C, H, W) with OpenCV's kernel for 8 bits: three deviations to either side."""
    radius = (round(6 * deviation + 1) | 1) // 2
    if not radius:
        return pixels  # and 0 / 0 is kept out of the kernel
    at = torch.arange(-radius, radius + 1, device=pixels.device, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (at / deviation) ** 2)
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1)
    padded = F.pad(pixels[:, None], (radius,) * 4, "replicate")
    return F.conv2d(F.conv2d(padded, kernel), kernel.mT)[:, 0]


def _noises(views: View, shape: tuple[int, int, int]) -> Tensor | None:
    noisy = np.flatnonzero(np.broadcast_to(views.noise, len(views))).tolist()
    if not noisy:
        return None
    levels = np.zeros((len(views), *shape), np.float32)
    for i in noisy:
        view = views[i]
        levels[i] = 255 * view.noise * noise(view, shape)
    return torch.from_numpy(levels).permute(0, 3, 1, 2)
