"""What the experiments share: pictures in memory, and a net that learns from them."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from lexnet.augment.apply import Changes
from lexnet.augment.sample import sample_all
from lexnet.cases.case import Lab
from lexnet.config import NO_CLIP, FitConfig, PreprocessSpec, Recipe
from lexnet.data.loader import open_pictures
from lexnet.data.random import address
from lexnet.data.source import read_data
from lexnet.errors import DataError
from lexnet.job.whole import device_of
from lexnet.nets.fold import laid_out
from lexnet.train.loop import Batch, Watch, fit
from lexnet.train.pixels import cuts, order

USUAL = FitConfig(batch_size=64, weight_decay=0.01, ema=0.0, smoothing=0.0, device="cpu")
JUDGED = 500  # pictures at a time, when nothing is learned
NOTHING = Recipe()  # is changed


class Fixed:
    """What the settings of every case are: fixed in its file before the result, and printed with it."""

    fit: ClassVar[FitConfig] = USUAL
    recipe: ClassVar[Recipe] = NOTHING

    def learning(self) -> str:
        """How the nets learn, in a line."""
        fit = self.fit.resolved("scratch")
        own = asdict(self.recipe).items() - asdict(NOTHING).items()
        changes = [f"{key} {value}" for key, value in sorted(own)]
        parts = [
            "AdamW" if fit.optimiser == "adamw" else "SGD, Nesterov's momentum 0.9",
            f"decay {fit.weight_decay:g}",
            f"{fit.batch_size} pictures a step",
            f"{fit.warmup:g} epochs of warm-up" if fit.warmup else "",
            "a cosine" if fit.schedule == "cosine" else "a tenth of the rate after 1/2 and after 3/4",
            f"gradients up to {fit.clip:g}" if fit.clip < NO_CLIP else "",
            f"pictures changed by {', '.join(changes)}" if changes else "",
            f"on {torch.cuda.get_device_name()}" if device_of(fit).type == "cuda" else "",
        ]
        return ", ".join(filter(None, parts))


@dataclass(frozen=True, kw_only=True)
class Training(Fixed):
    """Settings of a case that trains each of some nets from each of some seeds."""

    data: str = "fashion-mnist"
    size: int = 28
    train: int
    test: int
    epochs: int
    lr: float = 2e-3
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)


@dataclass(frozen=True, kw_only=True)
class Wide(Training):
    """And of nets that are made as wide as one likes."""

    width: int


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
    spec = PreprocessSpec.of_levels(size, size, channels)
    parts: dict[str, tuple[NDArray[np.uint8], Tensor]] = {}
    for name, rows in picked.items():
        some = manifest.take(np.sort(np.asarray(rows, np.int64)))
        found = open_pictures(
            some,
            spec,
            lab.workers,
            warn=lambda text: None,
            progress=partial(lab.progress, "decode"),
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
    how: FitConfig = USUAL,
    recipe: Recipe = NOTHING,
    step: str = "train",
) -> Learned:
    """Trains the net, in place, as `--mode scratch` does: see `Fixed`."""
    config = replace(how, epochs=epochs, lr=lr).resolved("scratch")
    labels, device = some.y.numpy(), device_of(config)
    targets = F.one_hot(some.y, len(some.classes)).float()
    laid_out(net.to(device), torch.channels_last)

    def batches(epoch: int) -> Iterator[Batch]:
        chosen = order(labels, seed, epoch, sampled=False)
        for start, stop in cuts(len(chosen), config.batch_size):
            rows = chosen[start:stop]
            yield changed(some, recipe, seed, epoch, rows).to(device), targets[rows].to(device)

    history = fit(
        net,
        batches,
        len(cuts(len(labels), config.batch_size)),
        config,
        seed=seed,
        judge=lambda part: {},
        watch=Watch(lambda done, total: lab.progress(step, done, total)),
    )
    net.cpu()
    return Learned(net, [one["loss"] for one in history.epochs], accuracy(net, some.test_x, some.test_y))


def trained(
    makes: Mapping[str, Callable[[], nn.Module]], some: Pictures, settings: Training, lab: Lab
) -> dict[str, list[Learned]]:
    """Each of these nets from each seed."""
    runs: dict[str, list[Learned]] = {name: [] for name in makes}
    for name, make in makes.items():
        for seed in settings.seeds:
            learned = learn(
                new(make, seed),
                some,
                lab,
                epochs=settings.epochs,
                lr=settings.lr,
                seed=seed,
                how=settings.fit,
                recipe=settings.recipe,
                step=f"{name}, seed {seed}",
            )
            runs[name].append(learned)
    return runs


def changed(some: Pictures, recipe: Recipe, seed: int, epoch: int, rows: NDArray[np.int64]) -> Tensor:
    """(n, C, H, W) what this epoch sees of these pictures."""
    if recipe == NOTHING:
        return some.x[rows]
    size = some.x.shape[-1]
    spec = PreprocessSpec.of_levels(size, size, some.x.shape[1])
    views = sample_all(recipe, seed, "case", [(epoch, f"{row:064x}") for row in rows.tolist()])
    changes = Changes(views, some.pixels.shape[1:], spec)
    return normal(np.stack([changes(i, some.pixels[row]) for i, row in enumerate(rows)]), some.scale)


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


def nearest(widths: range, wanted: int, macs: Callable[[int], int]) -> int:
    """The width at which a net comes nearest to this cost; a wider one costs more."""
    after = bisect_left(widths, wanted, key=macs)
    return min(widths[max(0, after - 1) : after + 1], key=lambda width: abs(macs(width) - wanted))
