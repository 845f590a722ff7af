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
    cut: Tensor
    """(N,) whether the rest is cut in from the other, and not blended."""
    boxes: Tensor
    """(N, 4) left, top, right, bottom of what is cut in, in 0..1."""


def sample_mixing(recipe: Recipe, seed: int, epoch: int, items: Sequence[str]) -> Mixing | None:
    """How to mix these pictures; None for a recipe that does not. With both kinds each has a half of them."""
    if not (recipe.mixup or recipe.cutmix):
        return None
    shares, cuts, boxes = [], [], []
    for item in items:
        chance = generator(seed, "mix or cut", epoch, item).random()
        cut = bool(recipe.cutmix) and (not recipe.mixup or chance < 0.5)
        alpha = recipe.cutmix if cut else recipe.mixup
        random = generator(seed, "mix", epoch, item)
        share = float(random.beta(alpha, alpha))
        side = math.sqrt(1 - share)
        (left, top) = random.random(2) * (1 - side)
        shares.append(share)
        cuts.append(cut)
        boxes.append((left, top, left + side, top + side))
    return Mixing(torch.tensor(shares), torch.tensor(cuts), torch.tensor(boxes))


def mix(pixels: Tensor, mixing: Mixing) -> tuple[Tensor, Tensor]:
    """(N, C, H, W) float → the mixed pictures and (N,) the share of each that is still its own.

    A rectangle has whole pixels, so its share is not quite the one that was drawn.
    """
    others, (height, width) = pixels.roll(-1, 0), pixels.shape[2:]
    cut, boxes = mixing.cut.to(pixels.device), mixing.boxes.to(pixels.device)
    blended = torch.where(cut, 1.0, mixing.share.to(pixels)).view(-1, 1, 1, 1)
    sides = torch.tensor([width, height, width, height], device=pixels.device)
    left, top, right, bottom = (boxes * sides).round().view(-1, 4, 1, 1).unbind(1)
    x, y = (torch.arange(n, device=pixels.device) for n in (width, height))
    inside = (x >= left) & (x < right) & (y.view(-1, 1) >= top) & (y.view(-1, 1) < bottom)
    inside &= cut.view(-1, 1, 1)
    mixed = torch.where(inside[:, None], others, blended * pixels + (1 - blended) * others)
    return mixed, blended.flatten() * (1 - inside.flatten(1).float().mean(1))


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
