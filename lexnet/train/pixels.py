"""Batches of changed pictures: in an order, with changes and mixtures that belong to the epoch alone.

working pictures ─┬ recipe, one picture a thread ─ batch ─ device ─┬ normalise ─ mix ─ net
(decoded once)    └ batch ─ GPU ─ recipe, all of the batch at once ┘
                  the next batch is made while the net learns from this one
"""

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from lexnet.augment.apply import Changes
from lexnet.augment.batch import Prepared, apply_batch, prepare
from lexnet.augment.mix import mix, sample_mixing, soft_labels
from lexnet.augment.sample import sample_all
from lexnet.config import Fit, PreprocessSpec, Recipe
from lexnet.data.columns import repeats
from lexnet.data.loader import Pictures
from lexnet.runtime.stream import ahead
from lexnet.train.loop import Batch, mixed

PIECE = 16  # pictures that a thread changes before it takes the next
JUDGED = 128  # pictures at a time, when nothing has to be remembered for the way back
Made = tuple[NDArray[np.uint8], Prepared | None]
"""A batch (n, H, W, C), and what is still to be done to it on the device."""


@dataclass(frozen=True, kw_only=True)
class TrainingPictures:
    """Labelled pictures, and how they are changed for training."""

    pictures: Pictures
    """(N, short side, short side, C): the middle of each picture."""
    labels: NDArray[np.int64]
    weights: NDArray[np.float32]
    """(N,) how much each counts; only their ratios matter."""
    spec: PreprocessSpec
    """What the net sees of a picture."""
    classes: int
    recipe: Recipe
    axes: NDArray[np.float64] | None
    """Principal axes of the colours, for a recipe that shifts along them."""
    seed: int
    sampled: bool
    """Whether each class is drawn as often as any other, however many pictures it has."""
    workers: int
    device: torch.device
    batched: bool
    """Whether the recipe is done on `device` to all of a batch, or on the CPU, one picture a thread."""

    def per_epoch(self, config: Fit) -> int:
        """How many batches."""
        return len(cuts(len(self.labels), config.batch_size))

    def batches(self, epoch: int, config: Fit) -> Generator[Batch, None, None]:
        """(n, C, size, size) normalised pixels in channels-last order, and (n, classes) targets."""
        chosen = order(self.labels, self.seed, epoch, self.sampled)
        names = self._names(chosen)
        weights = torch.from_numpy(self.weights / self.weights.mean())
        pieces = [slice(*cut) for cut in cuts(len(chosen), config.batch_size)]
        with ThreadPoolExecutor(self.workers) as pool:
            made = ahead(pieces, lambda now: self._made(chosen[now], names[now], epoch, pool))
            for now, (pictures, prepared) in made:
                labels = torch.from_numpy(self.labels[chosen[now]]).to(self.device)
                counts = weights[chosen[now]].to(self.device)
                pixels, share = _on(pictures, self.device), None
                if prepared is not None:
                    pixels = apply_batch(pixels, prepared.to(self.device))
                inputs = _normalised(pixels, self.spec)
                if mixing := sample_mixing(self.recipe, self.seed, epoch, names[now]):
                    inputs, share = mix(inputs, mixing)
                yield inputs, soft_labels(labels, self.classes, share, config.smoothing, counts)

    def _names(self, chosen: NDArray[np.int64]) -> list[str]:
        """What each picture's changes are drawn for: its digest, numbered where an epoch has it again, drawn
        anew or as a copy of the file."""
        digests = self.pictures.manifest.digests.take(chosen)
        times = repeats(digests.codes()[0])
        return [f"{name} {k}" if k else name for name, k in zip(digests, times.tolist(), strict=True)]

    def _made(self, rows: NDArray[np.int64], names: list[str], epoch: int, pool: ThreadPoolExecutor) -> Made:
        pictures = self.pictures.read(rows)
        changing = replace(self.recipe, mixup=0.0, cutmix=0.0) != Recipe()
        if not changing and self.spec.size == pictures.shape[1]:
            return pictures, None

        views = sample_all(self.recipe, self.seed, "train", [(epoch, name) for name in names])
        high, wide, channels = pictures.shape[1:]
        if self.batched:
            return pictures, prepare(views, (channels, high, wide), self.spec, self.axes)
        changes = Changes(views, (high, wide, channels), self.spec, self.axes)
        result = np.empty((len(rows), self.spec.size, self.spec.size, channels), np.uint8)

        def change(start: int) -> None:
            for i in range(start, min(start + PIECE, len(rows))):
                result[i] = changes(i, pictures[i])

        list(pool.map(change, range(0, len(rows), PIECE)))
        return result, None


def cuts(count: int, size: int) -> list[tuple[int, int]]:
    """From where to where each batch goes; one picture left over joins the batch before."""
    starts = list(range(0, count, size))
    if len(starts) > 1 and count - starts[-1] == 1 and size > 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], count], strict=True))


def order(labels: NDArray[np.int64], seed: int, epoch: int, sampled: bool) -> NDArray[np.int64]:
    """(N,) the pictures of an epoch: all in a new order, or drawn with each class as often as any other."""
    draw = np.random.Generator(np.random.Philox(key=[seed, epoch]))
    if not sampled:
        return draw.permutation(len(labels))
    counts = np.bincount(labels)
    shares = 1 / (np.count_nonzero(counts) * counts[labels])
    return draw.choice(len(labels), len(labels), p=shares / shares.sum())


def normalised(pixels: NDArray[np.uint8], spec: PreprocessSpec, device: torch.device) -> Tensor:
    """(N, H, W, C) uint8 → (N, C, H, W) float32, channels last in memory."""
    return _normalised(_on(pixels, device), spec)


def _on(pixels: NDArray[np.uint8], device: torch.device) -> Tensor:
    """(N, H, W, C) → (N, C, H, W), channels last in memory."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).to(device, non_blocking=True).permute(0, 3, 1, 2)


def _normalised(pixels: Tensor, spec: PreprocessSpec) -> Tensor:
    mean, std = (
        torch.tensor(levels, device=pixels.device).view(-1, 1, 1) for levels in (spec.mean, spec.std)
    )
    return pixels.float().contiguous(memory_format=torch.channels_last).sub_(mean).div_(std)


@torch.no_grad()
def val_scores(
    net: nn.Module, pictures: Pictures, labels: NDArray[np.int64], config: Fit, device: torch.device
) -> dict[str, float]:
    """Accuracy and log loss of a net in evaluation mode; nothing where there are no pictures."""
    hits, loss = 0, 0.0
    for rows, pixels in pictures.batches(np.arange(len(labels)), JUDGED):
        with mixed(device, config):
            logits: Any = net(normalised(pixels, pictures.spec, device)).float()
        truth = torch.from_numpy(labels[rows]).to(device)
        hits += int((logits.argmax(1) == truth).sum())
        loss += float(F.cross_entropy(logits, truth, reduction="sum"))
    count = len(labels)
    return {"val_accuracy": hits / count, "val_log_loss": loss / count} if count else {}
