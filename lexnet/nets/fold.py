"""What makes training cheaper: norms folded into convolutions, depthwise kernels held, memory in order."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

SILENT = 1e-4  # of what a norm multiplies by: less is noise, and dividing by it would be as well


@dataclass(frozen=True)
class Fold:
    """A convolution that has taken in the batch norm after it."""

    block: nn.Module
    norm: nn.BatchNorm2d
    bias: torch.Tensor | None
    """The convolution's own."""


def fold_norms(part: nn.Module) -> list[Fold]:
    """Folds every batch norm into the convolution in front of it, in place; the output stays the same."""
    folds = []
    for block in part.modules():
        conv, norm = getattr(block, "conv", None), getattr(block, "norm", None)
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            assert norm.running_mean is not None and norm.running_var is not None
            folds.append(Fold(block, norm, conv.bias))
            with torch.no_grad():
                scale = _scale(norm)
                bias = -norm.running_mean if conv.bias is None else conv.bias - norm.running_mean
                conv.weight.mul_(scale.view(-1, 1, 1, 1))
                conv.bias = nn.Parameter(norm.bias + bias * scale)
            block.norm = nn.Identity()
    return folds


@torch.no_grad()
def unfold_norms(folds: list[Fold]) -> None:
    """Takes the batch norms out of their convolutions again, with the statistics that they had.

    A channel that its norm had all but silenced, which no division brings back, gets a norm of its own
    that changes nothing.
    """
    for fold in folds:
        conv, norm = fold.block.conv, fold.norm
        assert isinstance(conv, nn.Conv2d) and conv.bias is not None
        assert norm.running_mean is not None and norm.running_var is not None
        silent = _scale(norm).abs() < SILENT
        norm.running_mean.masked_fill_(silent, 0)
        norm.running_var.masked_fill_(silent, 1)
        norm.weight.masked_fill_(silent, (1 + norm.eps) ** 0.5)
        scale, own = _scale(norm), 0 if fold.bias is None else fold.bias.masked_fill(silent, 0)
        conv.weight.div_(scale.view(-1, 1, 1, 1))
        norm.bias.copy_(conv.bias - (own - norm.running_mean) * scale)
        conv.bias = None if fold.bias is None else nn.Parameter(torch.zeros_like(fold.bias) + own)
        fold.block.norm = norm


def _scale(norm: nn.BatchNorm2d) -> torch.Tensor:
    """(channels,) what the norm multiplies by, in evaluation."""
    assert norm.running_var is not None
    return norm.weight / torch.sqrt(norm.running_var + norm.eps)


@contextmanager
def arranged_to_learn(part: nn.Module, *, fold: bool) -> Iterator[None]:
    """Inside, convolutions lie in the order in memory in which they are fastest, and have taken in their
    batch norms where these do not learn. Nothing is put back where the block raises."""
    folds = fold_norms(part) if fold else []
    laid_out(part, torch.channels_last)
    yield
    laid_out(part, torch.contiguous_format)
    unfold_norms(folds)


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
