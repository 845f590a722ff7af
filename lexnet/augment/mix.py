"""Two pictures in one: mixup (Zhang et al., arXiv:1710.09412) and cutmix (Yun et al., arXiv:1905.04899).

Each picture is mixed with the next of its batch. How much of it stays is addressed by (seed, epoch,
picture) as every other draw is; the labels then say how much of each class is seen.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lexnet.augment.sample import generator
from lexnet.config import Recipe


@dataclass(frozen=True)
class Mixing:
    """How the pictures of a batch are mixed."""

    share: Tensor
    """(N,) of a picture that stays its own; 1 for an unmixed one."""
    boxes: Tensor | None
    """(N, 4) left, top, right, bottom of what is cut in from the other, in 0..1; none for mixup."""


def sample_mixing(recipe: Recipe, seed: int, epoch: int, items: Sequence[str]) -> Mixing | None:
    """How to mix these pictures; None for a recipe that does not. With both, batches take turns by chance."""
    if not (recipe.mixup or recipe.cutmix):
        return None
    chance = generator(seed, "mix or cut", epoch, items[0]).random()
    cut = bool(recipe.cutmix) and (not recipe.mixup or chance < 0.5)
    alpha = recipe.cutmix if cut else recipe.mixup
    shares, boxes = [], []
    for item in items:
        random = generator(seed, "mix", epoch, item)
        share = float(random.beta(alpha, alpha))
        side = math.sqrt(1 - share)
        (left, top) = random.random(2) * (1 - side)
        shares.append(share)
        boxes.append((left, top, left + side, top + side))
    return Mixing(torch.tensor(shares), torch.tensor(boxes) if cut else None)


def mix(pixels: Tensor, mixing: Mixing) -> tuple[Tensor, Tensor]:
    """(N, C, H, W) float → the mixed pictures and (N,) the share of each that is still its own.

    A rectangle has whole pixels, so its share is not quite the one that was drawn.
    """
    others = pixels.roll(-1, 0)
    share = mixing.share.to(pixels)
    if mixing.boxes is None:
        weight = share.view(-1, 1, 1, 1)
        return weight * pixels + (1 - weight) * others, share
    height, width = pixels.shape[2:]
    sides = torch.tensor([width, height, width, height])
    boxes = (mixing.boxes * sides).round().int().to(pixels.device)
    x, y = (torch.arange(n, device=pixels.device) for n in (width, height))
    left, top, right, bottom = boxes.view(-1, 4, 1, 1).unbind(1)
    inside = (x >= left) & (x < right) & (y.view(-1, 1) >= top) & (y.view(-1, 1) < bottom)
    mixed = torch.where(inside[:, None], others, pixels)
    return mixed, 1 - inside.flatten(1).float().mean(1)


def soft_labels(
    labels: Tensor,
    classes: int,
    share: Tensor | None = None,
    smoothing: float = 0.0,
    weights: Tensor | None = None,
) -> Tensor:
    """(N,) labels → (N, classes) probabilities for `torch.nn.functional.cross_entropy`.

    `share` is what `mix` returned; `smoothing` is divided among all classes (Szegedy et al., 2015).
    `weights` (N,) are how much each picture counts: a row sums to its own, mixed with the next one's.
    """
    target = torch.nn.functional.one_hot(labels, classes).float()
    if weights is not None:
        target = weights.view(-1, 1) * target
    if share is not None:
        target = share.view(-1, 1) * target + (1 - share.view(-1, 1)) * target.roll(-1, 0)
    return target * (1 - smoothing) + target.sum(1, keepdim=True) * (smoothing / classes)
