"""What the experiments share: pictures in memory, and a net that learns from them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from lexnet.cases.case import Lab
from lexnet.config import FitConfig, PreprocessSpec
from lexnet.data.loader import open_pictures
from lexnet.data.random import address
from lexnet.data.source import read_data
from lexnet.errors import DataError
from lexnet.train.loop import Batch, fit
from lexnet.train.pixels import cuts, order
from lexnet.transfer.tail import laid_out

BATCH, DECAY = 64, 0.01
HOW = f"AdamW, decay {DECAY}, {BATCH} pictures a step, half an epoch of warm-up, a cosine, gradients up to 1"
JUDGED = 500  # pictures at a time, when nothing is learned


@dataclass(frozen=True, kw_only=True)
class Training:
    """Settings of a case that trains nets: fixed in its file before the result, and printed with it."""

    data: str = "fashion-mnist"
    size: int = 28
    train: int
    test: int
    epochs: int
    lr: float = 2e-3
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)


@dataclass(frozen=True)
class Pictures:
    """(N, C, H, W) float32 with mean 0 and deviation 1 over the training part, and their labels (N,)."""

    x: Tensor
    y: Tensor
    test_x: Tensor
    test_y: Tensor
    classes: list[str]
    pixels: NDArray[np.uint8]
    """(N, H, W, C) the training part as it was."""
    scale: tuple[float, float]
    """The mean and the deviation of its levels."""

    def few(self, each: int, seed: int) -> "Pictures":
        """So many of each class to learn from, drawn by the seed; `DataError` where there are fewer."""
        if (least := int(torch.bincount(self.y).min())) < each:
            raise DataError(f"a class has {least} pictures, and this case takes {each} of each; add more")
        drawn = torch.from_numpy(
            np.random.Generator(np.random.Philox(key=[seed, 0])).permutation(len(self.y))
        )
        rows = torch.cat([drawn[self.y[drawn] == label][:each] for label in range(len(self.classes))])
        return replace(self, x=self.x[rows], y=self.y[rows], pixels=self.pixels[rows.numpy()])


def pictures(data: str, lab: Lab, *, size: int, train: int, test: int, channels: int = 1) -> Pictures:
    """So many pictures of a sample set or a folder, each class alike, always the same ones.

    The test pictures are those of the source's test part, where it has one, else others than those
    that are learned from.
    """
    manifest = read_data(data)
    names = [address(0, "case", digest) for digest in manifest.digests]
    given = "test" in set(manifest.parts)
    picked: dict[str, list[int]] = {"train": [], "test": []}
    for label in range(len(manifest.classes)):
        rows = sorted(np.flatnonzero(manifest.labels == label).tolist(), key=names.__getitem__)
        held = [row for row in rows if manifest.parts[row] == "test"] if given else rows
        own = held[: test // len(manifest.classes)]
        rest = [row for row in rows if manifest.parts[row] != "test"] if given else rows[len(own) :]
        if not own or not rest:
            raise DataError(
                f"{manifest.classes[label]} has {len(rows)} pictures, and this case takes "
                f"{test // len(manifest.classes)} of each class to test and others to learn from; add more"
            )
        picked["test"] += own
        picked["train"] += rest[: train // len(manifest.classes)]
    spec = PreprocessSpec(
        size=size, short_side=size, channels=channels, mean=(0.0,) * channels, std=(255.0,) * channels
    )
    parts: dict[str, tuple[NDArray[np.uint8], Tensor]] = {}
    for name, rows in picked.items():
        some = manifest.take(np.sort(np.asarray(rows, np.int64)), [])
        found = open_pictures(
            some,
            spec,
            lab.workers,
            warn=lambda text: None,
            progress=lambda done, total: lab.progress("decode", done, total),
        )
        parts[name] = found.read(np.arange(len(found))), torch.from_numpy(found.manifest.labels)
    (pixels, y), (test_pixels, test_y) = parts["train"], parts["test"]
    scale = float(pixels.mean()), float(pixels.std())
    x, test_x = normal(pixels, scale), normal(test_pixels, scale)
    return Pictures(x, y, test_x, test_y, manifest.classes, pixels, scale)


def normal(pixels: NDArray[np.uint8], scale: tuple[float, float]) -> Tensor:
    """(N, H, W, C) levels → (N, C, H, W)"""
    return ((torch.from_numpy(pixels.astype(np.float32)) - scale[0]) / scale[1]).permute(0, 3, 1, 2)


@dataclass
class Learned:
    """A net that has learned, and how it went."""

    net: nn.Module
    losses: list[float]
    """Means over the training pictures, while they were learned from, epoch by epoch."""
    accuracy: float
    """Of the test pictures, at the end."""


def learn(
    net: nn.Module,
    some: Pictures,
    lab: Lab,
    *,
    epochs: int,
    lr: float,
    seed: int,
    batch_size: int = BATCH,
    step: str = "train",
    look: Callable[[int, NDArray[np.int64]], Tensor] | None = None,
) -> Learned:
    """Trains the net, in place, as `--mode scratch` does: see `HOW`.

    `look` gives what is seen of these rows of the pictures in an epoch, where they are changed.
    """
    config = FitConfig(
        epochs=epochs, lr=lr, batch_size=batch_size, ema=0.0, smoothing=0.0, weight_decay=DECAY
    ).resolved("scratch")
    labels = some.y.numpy()
    targets = F.one_hot(some.y, len(some.classes)).float()
    laid_out(net, torch.channels_last)

    def batches(epoch: int) -> Iterator[Batch]:
        chosen = order(labels, seed, epoch, sampled=False)
        for start, stop in cuts(len(chosen), batch_size):
            rows = chosen[start:stop]
            yield some.x[rows] if look is None else look(epoch, rows), targets[rows]

    history = fit(
        net,
        batches,
        len(cuts(len(labels), batch_size)),
        config,
        seed=seed,
        judge=lambda part: {},
        progress=lambda done, total: lab.progress(step, done, total),
    )
    return Learned(net, [one["loss"] for one in history.epochs], accuracy(net, some.test_x, some.test_y))


def trained(
    makes: Mapping[str, Callable[[], nn.Module]], some: Pictures, settings: Training, lab: Lab
) -> dict[str, list[Learned]]:
    """Each of these nets from each seed."""
    epochs, lr = settings.epochs, settings.lr
    runs: dict[str, list[Learned]] = {name: [] for name in makes}
    for name, make in makes.items():
        for seed in settings.seeds:
            step = f"{name}, seed {seed}"
            runs[name].append(learn(new(make, seed), some, lab, epochs=epochs, lr=lr, seed=seed, step=step))
    return runs


@torch.inference_mode()
def accuracy(net: nn.Module, x: Tensor, y: Tensor) -> float:
    """The share of these pictures that the net, in evaluation mode, answers rightly."""
    return float((answers(net.eval(), x).argmax(1) == y).float().mean())


@torch.inference_mode()
def answers(net: nn.Module, x: Tensor) -> Tensor:
    """(N, classes) logits."""
    return torch.cat([net(x[start : start + JUDGED]) for start in range(0, len(x), JUDGED)])


def new(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    """A net with weights that belong to the seed."""
    with torch.random.fork_rng():
        torch.manual_seed(address(seed, "weights", "case"))
        return make()


def mean(values: Sequence[float]) -> float:
    """Of one value a seed."""
    return float(np.mean(values))
