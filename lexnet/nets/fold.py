"""What makes training cheaper: norms folded into convolutions, depthwise kernels held, memory in order."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Fold:
    """A convolution that has taken in the batch norm behind it."""

    block: nn.Module
    norm: nn.BatchNorm2d
    had_bias: bool


def fold_norms(part: nn.Module) -> list[Fold]:
    """Folds every batch norm into the convolution in front of it, in place; the output stays the same."""
    folds = []
    for block in part.modules():
        conv, norm = getattr(block, "conv", None), getattr(block, "norm", None)
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            assert norm.running_mean is not None and norm.running_var is not None
            folds.append(Fold(block, norm, conv.bias is not None))
            with torch.no_grad():
                scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
                bias = -norm.running_mean if conv.bias is None else conv.bias - norm.running_mean
                conv.weight.mul_(scale.view(-1, 1, 1, 1))
                conv.bias = nn.Parameter(norm.bias + bias * scale)
            block.norm = nn.Identity()
    return folds


@torch.no_grad()
def unfold_norms(folds: list[Fold]) -> None:
    """Puts the batch norms back under their names, saying what the convolutions' biases said."""
    for fold in folds:
        conv, norm = fold.block.conv, fold.norm
        assert isinstance(conv, nn.Conv2d) and conv.bias is not None
        assert norm.running_mean is not None and norm.running_var is not None
        norm.running_mean.zero_()
        norm.running_var.fill_(1)
        norm.weight.fill_((1 + norm.eps) ** 0.5)
        norm.bias.copy_(conv.bias)
        conv.bias = nn.Parameter(torch.zeros_like(conv.bias)) if fold.had_bias else None
        fold.block.norm = norm


@contextmanager
def depthwise_frozen(part: nn.Module) -> Iterator[None]:
    """Inside, convolutions of each channel by itself do not learn.

    Their biases neither: PyTorch finds a bias's gradient together with the kernel's, which is the slow one.
    """
    convs = [conv for conv in part.modules() if isinstance(conv, nn.Conv2d)]
    depthwise = [conv for conv in convs if 1 < conv.groups == conv.in_channels]
    learning = [weight for conv in depthwise for weight in conv.parameters() if weight.requires_grad]
    for weight in learning:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in learning:
            weight.requires_grad_(True)


def laid_out(part: nn.Module, memory_format: torch.memory_format) -> None:
    """Puts the convolutions' weights into this order in memory, in place."""
    for weight in part.parameters():
        if weight.ndim == 4:
            weight.data = weight.data.contiguous(memory_format=memory_format)
