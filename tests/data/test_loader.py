"""Decoded once, read back whole: from the store, or anew where the disk has no room."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from picture_makers import class_folder

from lexnet.config import PIXEL_RULES, PreprocessSpec
from lexnet.data import loader as module
from lexnet.data.folder import read_folder
from lexnet.data.loader import Pictures, open_pictures
from lexnet.data.manifest import Manifest
from lexnet.data.samples import sample_folder
from lexnet.errors import PictureError
from lexnet.preprocess import load

CLIPART = sample_folder("clipart")
SPEC = PreprocessSpec(size=40, short_side=48)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of this test's own."""
    monkeypatch.setenv("LEXNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of twenty pieces of clip art."""
    for name in ("birds", "music"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for path in sorted((CLIPART / name).iterdir())[:20]:
            shutil.copy(path, tmp_path / "pictures" / name)
    return tmp_path / "pictures"


def opened(
    manifest: Manifest,
    spec: PreprocessSpec = SPEC,
    workers: int | None = 2,
    warn: Callable[[str], None] = pytest.fail,
    counted: list[int] | None = None,
) -> Pictures:
    def progress(done: int, total: int) -> None:
        if counted is not None:
            counted.append(done)

    return open_pictures(manifest, spec, workers, warn=warn, progress=progress)


def no_room(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(module, "free_bytes", lambda folder: 1000)
    return []


@pytest.mark.parametrize("workers", [1, 2, 5, None])
@pytest.mark.parametrize("roomy", [True, False])
def test_pictures_are_those_that_preprocess_gives(
    folder: Path, workers: int | None, roomy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings = [] if roomy else no_room(monkeypatch)
    manifest = read_folder(folder)
    pictures = opened(manifest, workers=workers, warn=pytest.fail if roomy else warnings.append)
    assert (pictures.stored is not None) == roomy
    rows = np.asarray([39, 0, 7, 7, 20])
    some = pictures.read(rows)
    assert some.flags["C_CONTIGUOUS"] and some.dtype == np.uint8
    assert np.array_equal(some, [load(folder / manifest.paths[row], SPEC) for row in rows])


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_and_colour(folder: Path, channels: int) -> None:
    values = (0.0,) * channels, (255.0,) * channels
    spec = replace(SPEC, channels=channels, mean=values[0], std=values[1])
    manifest = read_folder(folder)
    assert opened(manifest, spec).read(np.arange(3)).shape == (3, 40, 40, channels)
    assert opened(manifest, spec).read(np.arange(0)).shape == (0, 40, 40, channels)


def test_each_picture_is_decoded_once(folder: Path) -> None:
    shutil.copy(next((folder / "birds").iterdir()), folder / "birds" / "copy.png")
    counted: list[int] = []
    opened(read_folder(folder), counted=counted)
    assert counted == list(range(1, 41))
    opened(read_folder(folder), counted=counted)
    assert len(counted) == 40
    opened(read_folder(folder), replace(SPEC, size=41), counted=counted)
    assert len(counted) == 80
    normalised = replace(SPEC, mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0))
    opened(read_folder(folder), normalised, counted=counted)  # which happens in the net: the same pixels
    assert len(counted) == 80


@pytest.mark.parametrize(
    "change",
    [
        {"short_side": 56},
        {"interpolation": "bilinear"},
        {"channels": 1, "mean": (0.0,), "std": (1.0,)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_pixels_that_another_setting_gives_are_others(tmp_path: Path, change: dict[str, Any]) -> None:
    manifest = read_folder(class_folder(tmp_path / "noise", a=1, b=1))
    counted: list[int] = []
    for spec in (SPEC, replace(SPEC, **change)) * 2:
        opened(manifest, spec, counted=counted)
    assert counted == [1, 2, 1, 2], "each once by either spec, and none again"


def test_pixels_of_another_pillow_are_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = read_folder(class_folder(tmp_path / "noise", a=1, b=1))
    counted: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(module, "PIL", SimpleNamespace(__version__="99.0"))
        opened(manifest, counted=counted)
    opened(manifest, counted=counted)
    assert counted == [1, 2, 1, 2]


def test_pixels_are_kept_by_the_rules_that_they_were_made_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes: list[dict[str, Any]] = []
    store = module.Store

    def noted(kind: str, recipe: dict[str, Any], warn: Callable[[str], None]) -> Any:
        recipes.append(recipe)
        return store(kind, recipe, warn)

    monkeypatch.setattr(module, "Store", noted)
    opened(read_folder(class_folder(tmp_path / "noise", a=1, b=1)))
    assert recipes[0]["rules"] == PIXEL_RULES


def test_only_new_pictures_are_decoded(folder: Path) -> None:
    opened(read_folder(folder))
    shutil.copy(sorted((CLIPART / "birds").iterdir())[25], folder / "birds")
    counted: list[int] = []
    opened(read_folder(folder), counted=counted)
    assert counted == [1]


def test_an_interruption_loses_nothing(folder: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 11:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_pictures(read_folder(folder), SPEC, 2, warn=pytest.fail, progress=stop)
    counted: list[int] = []
    opened(read_folder(folder), counted=counted)
    assert len(counted) == 29


def test_shards_have_a_limit(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHARD", 16 * 40 * 40 * 3 + 1)
    opened(read_folder(folder))
    assert len(list(cache.glob("pictures/*/*.npy"))) == 3


def test_damaged_pictures_are_left_out_with_their_reason(folder: Path) -> None:
    whole = (folder / "birds" / next((folder / "birds").iterdir()).name).read_bytes()
    (folder / "birds" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "birds" / "cut again.png").write_bytes(whole[: len(whole) // 2])
    pictures = opened(read_folder(folder))
    assert len(pictures) == 40
    assert {s.path for s in pictures.manifest.skipped} == {"birds/cut.png", "birds/cut again.png"}
    assert all(s.bad and "is damaged" in s.reason for s in pictures.manifest.skipped)


def test_no_room_is_told_with_what_it_would_take(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings = no_room(monkeypatch)
    opened(read_folder(folder), warn=warnings.append)
    assert len(warnings) == 1
    assert warnings[0].startswith("decoded, the pictures take 0.0 GB, over half of the 0.0 GB")
    assert str(cache) in warnings[0] and not cache.exists()


def test_what_is_stored_already_needs_no_room(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(read_folder(folder))
    no_room(monkeypatch)
    assert opened(read_folder(folder)).stored is not None


def test_a_picture_that_changes_while_it_is_decoded_on_the_fly_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = read_folder(folder)
    pictures = opened(manifest, warn=no_room(monkeypatch).append)
    (folder / manifest.paths[4]).write_bytes(b"")
    with pytest.raises(PictureError, match=manifest.paths[4]):
        pictures.read(np.asarray([3, 4]))


@pytest.mark.parametrize("roomy", [True, False])
@pytest.mark.parametrize("size", [1, 7, 40, 100])
def test_batches_cover_an_order_once(
    folder: Path, size: int, roomy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings = [] if roomy else no_room(monkeypatch)
    pictures = opened(read_folder(folder), warn=pytest.fail if roomy else warnings.append)
    order = np.random.default_rng(0).permutation(40)
    seen = list(pictures.batches(order, size))
    assert np.concatenate([rows for rows, _ in seen]).tolist() == order.tolist()
    assert np.array_equal(np.concatenate([pixels for _, pixels in seen]), pictures.read(order))
    assert all(len(rows) == size for rows, _ in seen[:-1])
    assert list(pictures.batches(order[:0], size)) == []


def test_a_damaged_store_is_decoded_again(folder: Path, cache: Path) -> None:
    before = opened(read_folder(folder)).read(np.arange(40))
    (file,) = cache.glob("pictures/*/*.npy")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    warnings: list[str] = []
    again = opened(read_folder(folder), warn=warnings.append)
    assert len(warnings) == 1 and np.array_equal(again.read(np.arange(40)), before)
