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
from lexnet.augment.warp import bent, spline
from lexnet.config import PreprocessSpec
from lexnet.errors import ShapeError

PADDING = {"reflect": "reflection", "edge": "border", "colour": "zeros"}


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What N views do to pictures of one shape, as tensors; `to` moves them to a device."""

    views: View
    size: int
    halved: NDArray[np.int64]
    """(N, 2) how often each view's picture is halved across and down."""
    soften: Tensor | None
    """(N, 2) weight of either neighbour, across and down the view; None where no view is filtered."""
    matrices: Tensor
    """(N, 3, 3) from the view's pixels to those of the halved picture."""
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
        moved = {k: v.to(device, non_blocking=True) for k, v in vars(self).items() if isinstance(v, Tensor)}
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
    matrices = seen.matrices / seen.matrices[:, 2:, 2:]
    gammas = np.broadcast_to(views.gamma, len(views))
    return Prepared(
        views=views,
        size=spec.size,
        halved=seen.halved,
        soften=_floats(seen.soften) if seen.soften.any() else None,
        matrices=_floats(matrices),
        knots=None if views.bend is None else _floats(bent(matrices, views.bend, spec.size)),
        colours=None if levels is None else _floats(levels),
        gammas=None if (gammas == 1).all() else _floats(gammas),
        noise=_noises(views, (spec.size, spec.size, channels)),
    )


def _floats(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(array.astype(np.float32))


def apply_batch(pictures: Tensor, prepared: Prepared) -> Tensor:
    """(N, C, H, W) uint8 → (N, C, size, size) uint8, on the device that both are on.

    Raises `ShapeError` where there is not one view for each picture.
    """
    if pictures.dtype != torch.uint8 or pictures.ndim != 4 or len(pictures) != len(prepared.views):
        raise ShapeError(
            f"pictures are {pictures.dtype} {tuple(pictures.shape)}, "
            f"the views need uint8 ({len(prepared.views)}, C, H, W)"
        )
    pixels = _warp(pictures, prepared)
    pixels = _colour(pixels, prepared).round_().clamp_(0, 255)
    return _damage(pixels, prepared).to(torch.uint8)


def _warp(pictures: Tensor, prepared: Prepared) -> Tensor:
    """(N, C, size, size) whole levels, rounded where `apply` rounds."""
    size, channels, recipe = prepared.size, pictures.shape[1], prepared.views.recipe
    result = torch.empty(len(pictures), channels, size, size, device=pictures.device)
    level = torch.tensor(recipe.colour if channels == 3 else (float(colour.LUMA @ recipe.colour),))
    outside = level.to(result).view(1, -1, 1, 1) * (recipe.border == "colour")
    for times in np.unique(prepared.halved, axis=0):
        mine = (prepared.halved == times).all(1)
        rows = slice(None) if mine.all() else torch.from_numpy(np.flatnonzero(mine)).to(pictures.device)
        some = pictures[rows].float()
        if times.any():
            _, _, high, wide = some.shape
            block = min(1 << times[1], high), min(1 << times[0], wide)
            some = F.avg_pool2d(some, block).round_()
        grid = _grid(prepared, rows, some.shape[3], some.shape[2])
        padding = PADDING[recipe.border]
        result[rows] = F.grid_sample(some - outside, grid, "bilinear", padding, align_corners=False)
    return _softened((result + outside).round_(), prepared.soften)


def _softened(pixels: Tensor, weights: Tensor | None) -> Tensor:
    if weights is None:
        return pixels
    across, down = weights.view(len(weights), 2, 1, 1, 1).unbind(1)
    wide = F.pad(pixels, (1, 1, 0, 0), "replicate")
    pixels = pixels * (1 - 2 * across) + across * (wide[..., :-2] + wide[..., 2:])
    high = F.pad(pixels, (0, 0, 1, 1), "replicate")
    pixels = pixels * (1 - 2 * down) + down * (high[..., :-2, :] + high[..., 2:, :])
    return pixels.round_().clamp_(0, 255)


def _grid(prepared: Prepared, rows: Tensor | slice, wide: int, high: int) -> Tensor:
    """(n, size, size, 2) where in the picture each pixel lies, -1..1 from edge to edge."""
    device = prepared.matrices.device
    if prepared.knots is not None:
        basis = torch.from_numpy(spline(prepared.size, prepared.knots.shape[-1])[0]).to(device)
        planes = basis @ prepared.knots[rows] @ basis.T
    else:
        at = torch.arange(prepared.size, device=device, dtype=torch.float32)
        x, y = at.view(1, -1).expand(len(at), -1), at.view(-1, 1).expand(-1, len(at))
        planes = torch.einsum(
            "nij,jhw->nihw", prepared.matrices[rows], torch.stack([x, y, torch.ones_like(x)])
        )
    places = planes[:, :2] / planes[:, 2:]
    lengths = torch.tensor([wide, high], device=device).view(1, 2, 1, 1)
    return ((2 * places + 1) / lengths - 1).permute(0, 2, 3, 1)


def _colour(pixels: Tensor, prepared: Prepared) -> Tensor:
    if prepared.gammas is not None:
        pixels = 255 * (pixels / 255) ** prepared.gammas.view(-1, 1, 1, 1)
    if prepared.colours is None:
        return pixels
    gains, shifts = prepared.colours[..., :3], prepared.colours[..., 3:]
    if pixels.shape[1] == 1:
        luma = torch.from_numpy(colour.LUMA).to(gains)
        gains, shifts = (luma @ gains.sum(2, keepdim=True))[:, None], (luma @ shifts)[:, None]
    shape = pixels.shape
    return (gains @ pixels.flatten(2) + shifts).view(shape)


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
