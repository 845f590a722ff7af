"""Batches of changed pictures: the same for the same epoch, and each with the target that belongs to it."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from picture_makers import clipart_folder
from torch import Tensor, nn

from lexnet.augment.recipes import RECIPES
from lexnet.config import Fit, FitConfig, PreprocessSpec, Recipe
from lexnet.data.folder import read_folder
from lexnet.data.loader import Pictures, open_pictures
from lexnet.train.pixels import TrainingPictures, cuts, normalised, order, val_scores

CPU = torch.device("cpu")
SPEC = PreprocessSpec(size=32, short_side=32, mean=(100.0, 110.0, 120.0), std=(50.0, 60.0, 70.0))
CONFIG = FitConfig(batch_size=5, smoothing=0.0).resolved("scratch")
COUNT = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six birds and six fruits."""
    return clipart_folder(tmp_path_factory.mktemp("pixels") / "pictures", count=COUNT // 2)


def opened(folder: Path, spec: PreprocessSpec = SPEC) -> Pictures:
    return open_pictures(read_folder(folder), spec, 1, warn=pytest.fail, progress=lambda done, total: None)


def made(pictures: Pictures, **changed: Any) -> TrainingPictures:
    labels = pictures.manifest.labels
    usual: dict[str, Any] = {
        "pictures": pictures, "labels": labels, "weights": np.ones(len(labels), np.float32), "spec": SPEC,
        "classes": 2, "recipe": Recipe(), "axes": None, "seed": 0, "sampled": False, "workers": 2,
        "device": CPU, "batched": False,
    }  # fmt: skip
    return TrainingPictures(**usual | changed)


def epoch_of(pixels: TrainingPictures, epoch: int = 0, config: Fit = CONFIG) -> tuple[Tensor, Tensor]:
    inputs, targets = zip(*pixels.batches(epoch, config), strict=True)
    return torch.cat(inputs), torch.cat(targets)


def test_an_epoch_has_every_picture_once_with_its_own_label(folder: Path) -> None:
    pictures = opened(folder)
    pixels = made(pictures)
    sizes = [len(inputs) for inputs, _ in pixels.batches(3, CONFIG)]
    assert sizes == [5, 5, 2] and pixels.per_epoch(CONFIG) == 3
    inputs, targets = epoch_of(pixels, 3)
    rows = order(pixels.labels, 0, 3, sampled=False)
    assert sorted(rows) == list(range(COUNT))
    levels = (pictures.read(rows).astype(np.float64) - SPEC.mean) / SPEC.std
    np.testing.assert_allclose(inputs.numpy(), levels.transpose(0, 3, 1, 2), atol=1e-5)
    assert torch.equal(targets, torch.eye(2)[pixels.labels[rows]])


def test_one_picture_left_over_joins_the_batch_before() -> None:
    assert cuts(10, 4) == [(0, 4), (4, 8), (8, 10)]
    assert cuts(9, 4) == [(0, 4), (4, 9)]
    assert cuts(1, 4) == [(0, 1)] and cuts(2, 1) == [(0, 1), (1, 2)]


def test_pixels_lie_channels_last_in_memory(folder: Path) -> None:
    first, _ = next(made(opened(folder)).batches(0, CONFIG))
    assert first.shape == (5, 3, 32, 32) and first.is_contiguous(memory_format=torch.channels_last)


def test_of_a_larger_picture_that_nothing_changes_the_middle_is_seen(folder: Path) -> None:
    pictures = opened(folder, replace(SPEC, size=40, short_side=40))
    pixels = made(pictures, spec=replace(SPEC, short_side=40))
    middle = pictures.read(order(pixels.labels, 0, 0, sampled=False))[:, 4:36, 4:36]
    assert torch.equal(epoch_of(pixels)[0], normalised(middle, SPEC, CPU))


def test_every_epoch_changes_pictures_anew_and_alike_with_any_number_of_threads(folder: Path) -> None:
    recipe = Recipe(crop="random", pad=0.2, mirror=0.5, brightness=0.3)
    pixels = made(opened(folder), recipe=recipe, workers=1)
    first = epoch_of(pixels)[0]
    assert torch.equal(first, epoch_of(replace(pixels, workers=3))[0])

    def by_row(epoch: int) -> Tensor:
        return epoch_of(pixels, epoch)[0][order(pixels.labels, 0, epoch, sampled=False).argsort()]

    different = (by_row(0) != by_row(1)).flatten(1).any(1)
    assert different.sum() > COUNT / 2


@pytest.mark.parametrize("channels", [1, 3])
def test_a_batch_changed_at_once_is_as_if_its_pictures_were_changed_one_by_one(
    folder: Path, channels: int
) -> None:
    spec = PreprocessSpec(
        size=32, short_side=40, channels=channels, mean=(0.0,) * channels, std=(1.0,) * channels
    )
    pixels = made(opened(folder, replace(spec, size=40)), spec=spec, recipe=RECIPES["lecture"])
    one_by_one, at_once = epoch_of(pixels)[0], epoch_of(replace(pixels, batched=True))[0]
    assert at_once.shape == (COUNT, channels, 32, 32)
    assert at_once.is_contiguous(memory_format=torch.channels_last)
    assert (at_once - one_by_one).abs().mean() <= 1.5


def test_how_much_a_picture_counts_is_in_its_target(folder: Path) -> None:
    weights = np.linspace(1, 3, COUNT).astype(np.float32)
    pixels = made(opened(folder), weights=weights)
    _, targets = epoch_of(pixels, config=replace(CONFIG, smoothing=0.2))
    rows = order(pixels.labels, 0, 0, sampled=False)
    np.testing.assert_allclose(targets.sum(1), (weights / weights.mean())[rows], rtol=1e-5)
    shares = targets / targets.sum(1, keepdim=True)
    own = shares[torch.arange(COUNT), torch.from_numpy(pixels.labels[rows])]
    np.testing.assert_allclose(own, 0.9, rtol=1e-5)


def test_mixed_pictures_have_mixed_targets(folder: Path) -> None:
    plain, mixed = made(opened(folder)), made(opened(folder), recipe=Recipe(mixup=1.0))
    inputs, targets = epoch_of(mixed, config=replace(CONFIG, batch_size=COUNT))
    alone, _ = epoch_of(plain, config=replace(CONFIG, batch_size=COUNT))
    labels = torch.from_numpy(plain.labels[order(plain.labels, 0, 0, sampled=False)])
    across = labels != labels.roll(-1)
    own = targets[torch.arange(COUNT), labels].view(-1, 1, 1, 1)
    assert across.any() and (own[across] < 1).all()
    expected = own * alone + (1 - own) * alone.roll(-1, 0)
    torch.testing.assert_close(inputs[across], expected[across])


def test_a_sampled_epoch_has_as_many_pictures_of_each_class() -> None:
    labels = np.repeat([0, 1, 3], [900, 90, 10])  # nothing of class 2
    drawn = Counter(labels[order(labels, 0, 0, sampled=True)].tolist())
    assert sum(drawn.values()) == 1000
    assert all(abs(drawn[name] - 1000 / 3) < 60 for name in (0, 1, 3))  # four standard deviations
    again, other = (order(labels, 0, epoch, sampled=True) for epoch in (0, 1))
    assert np.array_equal(again, order(labels, 0, 0, sampled=True)) and not np.array_equal(again, other)


def test_sampled_pixels_come_with_the_labels_that_were_drawn(folder: Path) -> None:
    pixels = made(opened(folder), sampled=True)
    rows = order(pixels.labels, 0, 0, sampled=True)
    assert len(set(rows.tolist())) < COUNT, "some were drawn twice"
    inputs, targets = epoch_of(pixels)
    assert torch.equal(inputs, normalised(pixels.pictures.read(rows), SPEC, CPU))
    assert targets.argmax(1).tolist() == pixels.labels[rows].tolist()


class Brightness(nn.Module):
    """Logits (mean, -mean) of the normalised pixels."""

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((1, 2, 3))
        return torch.stack([mean, -mean], 1)


def test_a_net_is_judged_by_its_hits_and_its_log_loss(folder: Path) -> None:
    pictures = opened(folder)
    means = ((pictures.read(np.arange(COUNT)) - np.array(SPEC.mean)) / SPEC.std).mean((1, 2, 3))
    labels = pictures.manifest.labels
    likely = 1 / (1 + np.exp(-2 * np.where(labels == 0, means, -means)))
    seen = val_scores(Brightness(), pictures, labels, CONFIG, CPU)
    assert seen["val_accuracy"] == (likely > 0.5).mean() and 0 < seen["val_accuracy"] < 1
    assert seen["val_log_loss"] == pytest.approx(-np.log(likely).mean(), rel=1e-4)


def test_without_pictures_nothing_is_judged(folder: Path) -> None:
    manifest = read_folder(folder)
    none = open_pictures(
        manifest.take(np.array([], np.int64)), SPEC, 1, warn=pytest.fail, progress=lambda *_: None
    )
    assert val_scores(Brightness(), none, none.manifest.labels, CONFIG, CPU) == {}


def test_a_picture_that_is_drawn_again_in_an_epoch_is_changed_otherwise(folder: Path) -> None:
    """Eleven of one class and one of the other, which comes some six times."""
    labels = np.asarray([1] + [0] * (COUNT - 1))
    pixels = made(opened(folder), labels=labels, recipe=Recipe(brightness=0.5), sampled=True)
    rows = order(labels, 0, 0, sampled=True)
    inputs, _ = epoch_of(pixels)
    views = [inputs[place].numpy().tobytes() for place in np.flatnonzero(rows == 0)]
    assert len(views) > 2 and len(set(views)) == len(views)
    again, _ = epoch_of(pixels)
    assert torch.equal(inputs, again)
