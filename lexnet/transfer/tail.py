"""The last stages of a net trained on what the frozen ones make of the pictures.

    pixels ─ stem ... stage5 ─ activations ─ stage6 ... head
             frozen, run once   on disk       trained, epoch after epoch

Batch norms stay as they were (their statistics are of millions of pictures) and are folded into the
convolutions while the tail is trained, unless they are to learn too. Depthwise kernels stay too: they are few
weights, general ones, and finding the gradients of large ones takes a fifth of a step (`benchmarks/step.py`).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from lexnet.augment.mix import soft_labels
from lexnet.config import Fit
from lexnet.data.columns import repeats
from lexnet.nets.net import Net
from lexnet.train.loop import Batch, History, fit
from lexnet.train.pixels import cuts, order
from lexnet.transfer.extract import Extraction

JUDGED = 64  # pictures at a time, when nothing has to be remembered for the way back
JUDGE_AT_MOST = 20  # few pictures have hundreds of epochs, each of which takes less time than judging it


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


@dataclass(frozen=True, kw_only=True)
class Activated:
    """Pictures as the frozen stages leave them."""

    extraction: Extraction
    """(..., K, C, H, W) of K views each, or (..., C, H, W) of one."""
    labels: NDArray[np.int64]
    weights: NDArray[np.float32]
    """(N,) how much each counts; only their ratios matter."""
    rows: NDArray[np.int64]
    """(N,) which of the extraction's rows they are."""
    views: int | None = None
    """K, where there are several."""

    def take(self, some: NDArray[np.int64]) -> "Activated":
        """Those of these N."""
        labels, weights, rows = self.labels[some], self.weights[some], self.rows[some]
        return replace(self, labels=labels, weights=weights, rows=rows)


def train_tail(
    net: Net,
    cut: str,
    train: Activated,
    val: Activated,
    config: Fit,
    seed: int,
    *,
    sampled: bool,
    checkpoint: Path | None,
    of: str,
    progress: Callable[[int, int], None],
    late: Callable[[], bool] = lambda: False,
) -> History:
    """Trains the stages of `net` behind `cut` and its head, in place.

    `net` comes with the probe's head, so it starts where the probe ended. Raises `TrainingError`.
    """
    _, tail = net.cut(cut)
    folds = fold_norms(tail) if config.norms == "frozen" else []
    laid_out(tail, torch.channels_last)
    classes, count = _classes(net), len(train.labels)
    weights = torch.from_numpy(train.weights / train.weights.mean())

    def batches(epoch: int) -> Iterator[Batch]:
        chosen = order(train.labels, seed, epoch, sampled)
        turns = epoch + chosen + repeats(chosen)
        for start, stop in cuts(count, config.batch_size):
            rows = chosen[start:stop]
            views = None if train.views is None else turns[start:stop] % train.views
            inputs = _inputs(train.extraction.read(train.rows[rows], views))
            labels = torch.from_numpy(train.labels[rows])
            yield inputs, soft_labels(labels, classes, smoothing=config.smoothing, weights=weights[rows])

    with depthwise_frozen(tail):
        history = fit(
            tail,
            batches,
            len(cuts(count, config.batch_size)),
            config,
            seed=seed,
            judge=lambda part: _judged(part, val),
            judge_at_most=JUDGE_AT_MOST,
            checkpoint=checkpoint,
            of=of,
            progress=progress,
            late=late,
        )
    laid_out(tail, torch.contiguous_format)
    unfold_norms(folds)
    net.eval()  # the norms that were put back too
    return history


def laid_out(part: nn.Module, memory_format: torch.memory_format) -> None:
    """Puts the convolutions' weights into this order in memory, in place."""
    for weight in part.parameters():
        if weight.ndim == 4:
            weight.data = weight.data.contiguous(memory_format=memory_format)


def _inputs(activations: NDArray[np.float16]) -> Tensor:
    return torch.from_numpy(activations.astype(np.float32)).contiguous(memory_format=torch.channels_last)


def _classes(net: Net) -> int:
    fc = dict(net.head.named_children())["fc"]
    assert isinstance(fc, nn.Linear)
    return fc.out_features


@torch.inference_mode()
def answers(tail: nn.Module, seen: Activated) -> NDArray[np.float32]:
    """(N, classes) logits of one view of each picture."""
    logits = [
        tail(_inputs(seen.extraction.read(seen.rows[start : start + JUDGED]))).numpy()
        for start in range(0, len(seen.labels), JUDGED)
    ]
    return np.concatenate(logits)


def _judged(tail: nn.Module, val: Activated) -> dict[str, float]:
    """Accuracy and log loss on the validation part; nothing where there is none."""
    if not len(val.labels):
        return {}
    logits, labels = torch.from_numpy(answers(tail, val)), torch.from_numpy(val.labels)
    right = logits.argmax(1) == labels
    return {
        "val_accuracy": float(right.double().mean()),
        "val_log_loss": float(F.cross_entropy(logits, labels)),
    }
