"""Changed copies and views to answer by: the same ones whenever a picture is met."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from picture_makers import clipart_folder, noise

from lexnet.augment.apply import apply
from lexnet.augment.recipes import RECIPES
from lexnet.augment.sample import sample
from lexnet.config import PreprocessSpec, ProbeConfig, Recipe
from lexnet.data.folder import read_folder
from lexnet.data.manifest import Manifest
from lexnet.preprocess import decode
from lexnet.transfer import views as module
from lexnet.transfer.extract import Extraction, extract
from lexnet.transfer.probe import Examples, Probe, fit_probe
from lexnet.transfer.trunk import Trunk, open_trunk
from lexnet.transfer.views import Look, answering, augmented, colour_axes

WIDTH = 1280


@pytest.fixture(scope="module")
def trunk(shared_cache: Path) -> Trunk:
    return open_trunk("efficientnet_lite0", 64, pytest.fail)


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    monkeypatch.setenv("LEXNET_CACHE", str(tmp_path / "cache"))
    return read_folder(clipart_folder(tmp_path / "pictures", count=4))


def looked(trunk: Trunk, manifest: Manifest, look: Look | None, workers: int = 2) -> Extraction:
    quiet = {"warn": pytest.fail, "progress": lambda done, total: None}
    return extract(trunk, manifest, "onnxruntime", workers, look=look, **quiet)  # type: ignore[arg-type]


def test_copies_that_nothing_changes_have_the_features_of_the_picture(tmp_path: Path, trunk: Trunk) -> None:
    for label in range(2):
        (tmp_path / "exact" / f"c{label}").mkdir(parents=True)
        noise(label, 64, 64).save(tmp_path / "exact" / f"c{label}" / "0.png")
    exact = replace(trunk, spec=replace(trunk.spec, short_side=64))  # 64 px like the pictures: none resampled
    folder = read_folder(tmp_path / "exact")
    copies = looked(exact, folder, augmented(RECIPES["none"], 0, 2, None)).features
    assert copies.shape == (2, 2, WIDTH)
    for number in range(2):
        np.testing.assert_array_equal(copies[:, number], looked(exact, folder, None).features)


def test_the_second_time_nothing_is_computed_and_another_seed_is_another_matter(
    trunk: Trunk, manifest: Manifest
) -> None:
    axes = colour_axes(RECIPES["lecture"], manifest, np.arange(8), trunk.spec, 0)
    look = augmented(RECIPES["lecture"], 0, 3, axes)
    first, again = looked(trunk, manifest, look), looked(trunk, manifest, look, workers=1)
    assert (first.computed, again.computed) == (8, 0)
    np.testing.assert_array_equal(first.features, again.features)
    other = looked(trunk, manifest, augmented(RECIPES["lecture"], 1, 3, axes))
    assert other.computed == 8 and np.abs(other.features - first.features).max() > 0.1
    assert np.abs(first.features[:, 0] - first.features[:, 1]).max() > 0.1


def test_a_picture_keeps_its_copies_in_whatever_company(trunk: Trunk, manifest: Manifest) -> None:
    look = augmented(RECIPES["photo"], 0, 2, None)
    shuffled = manifest.take(np.array([5, 0, 7]))
    alone = looked(trunk, shuffled, look).features
    np.testing.assert_array_equal(alone, looked(trunk, manifest, look).features[[5, 0, 7]])


def test_copies_are_those_that_the_contact_sheet_shows(trunk: Trunk, manifest: Manifest) -> None:
    content = manifest.read(3)
    digest = hashlib.sha256(content).hexdigest()
    assert digest == manifest.digests[3]
    seen = augmented(RECIPES["photo"], 7, 2, None).show(content, trunk.spec, "a", digest)
    picture = decode(content, trunk.spec)
    for number in range(2):
        view = sample(RECIPES["photo"], 7, "train", number, digest)
        np.testing.assert_array_equal(seen[number], apply(picture, view, trunk.spec))


def test_views_to_answer_by(trunk: Trunk, manifest: Manifest) -> None:
    plain = looked(trunk, manifest, None).features
    mirror = looked(trunk, manifest, answering(replace(trunk.spec, tta="mirror"))).features
    ten = looked(trunk, manifest, answering(replace(trunk.spec, tta="ten"))).features
    assert mirror.shape == (8, 2, WIDTH) and ten.shape == (8, 10, WIDTH)
    np.testing.assert_array_equal(mirror[:, 0], plain)
    assert np.abs(mirror[:, 1] - plain).max() > 0.1


def test_views_that_differ_in_anything_have_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """By it they are found in the cache: what it leaves out would be taken for something else."""
    recipe = Recipe(flip=0.5)
    looks = [
        augmented(recipe, 0, 2, None),
        augmented(Recipe(mirror=0.4), 0, 2, None),
        augmented(recipe, 1, 2, None),
        augmented(recipe, 0, 3, None),
        augmented(recipe, 0, 2, np.eye(3)),
        augmented(recipe, 0, 2, 2 * np.eye(3)),
        answering(PreprocessSpec(tta="mirror")),
        answering(PreprocessSpec(tta="crops")),
    ]
    monkeypatch.setattr(module, "_code", lambda: "of another version")
    looks.append(augmented(recipe, 0, 2, None))
    monkeypatch.setattr("cv2.__version__", "99.0")
    looks.append(augmented(recipe, 0, 2, None))
    assert len({json.dumps(look.key, sort_keys=True) for look in looks}) == len(looks)


def test_colour_axes_are_asked_of_the_pictures_only_where_the_recipe_uses_them(
    trunk: Trunk, manifest: Manifest
) -> None:
    rows = np.arange(8)
    assert colour_axes(RECIPES["photo"], manifest, rows, trunk.spec, 0) is None
    axes = colour_axes(RECIPES["alexnet"], manifest, rows, trunk.spec, 0)
    assert axes is not None and axes.shape == (3, 3)
    shuffled = colour_axes(RECIPES["alexnet"], manifest, rows[::-1], trunk.spec, 0)
    np.testing.assert_array_equal(axes, shuffled)
    unit = axes / np.linalg.norm(axes, axis=0)
    np.testing.assert_allclose(unit.T @ unit, np.eye(3), atol=1e-6)


def blobs(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Two classes that differ in their first feature alone."""
    draw = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    x = draw.normal(size=(count, 6)).astype(np.float32)
    x[:, 0] += 3 * labels
    return x, labels


def fitted(examples: Examples) -> Probe:
    return fit_probe(examples, 2, ProbeConfig(candidates=(0.1,)), 0, 1, lambda done, total: None)


def test_copies_that_are_no_different_change_no_head() -> None:
    x, labels = blobs(0, 60)
    plain = Examples(
        features=x, labels=labels, weights=np.ones(60, np.float32), units=list(map(str, range(60)))
    )
    copied = replace(plain, views=np.repeat(x[:, None], 3, axis=1))
    a, b = fitted(plain), fitted(copied)
    np.testing.assert_allclose(a.weight, b.weight, atol=2e-3)
    assert a.C == b.C


def test_copies_teach_what_does_not_matter() -> None:
    x, labels = blobs(1, 40)
    x[:, 1] = x[:, 0]  # in the pictures as they are both tell the class; in their copies only the first
    copies = np.repeat(x[:, None], 8, axis=1)
    copies[..., 1] = np.random.default_rng(2).normal(size=copies.shape[:2])
    plain = Examples(
        features=x, labels=labels, weights=np.ones(40, np.float32), units=list(map(str, range(40)))
    )
    a, b = fitted(plain), fitted(replace(plain, views=copies))
    share = [abs(p.weight[0, 1] / p.weight[0, 0]) for p in (a, b)]
    assert share[0] > 0.8 and share[1] < 0.4


def test_the_temperature_is_that_of_the_mean_over_the_views() -> None:
    x, labels = blobs(3, 200)
    bold = np.stack([3 * x, 5 * x], axis=1)  # surer than it should be
    units = list(map(str, range(200)))
    plain = Examples(features=x, labels=labels, weights=np.ones(200, np.float32), units=units)
    one, both = fitted(plain), fitted(replace(plain, tta_views=bold))
    np.testing.assert_array_equal(one.weight, both.weight)
    assert both.temperature > 2.5 * one.temperature
    answers = both.probabilities(bold)
    each = [both.probabilities(bold[:, view]) for view in range(2)]
    np.testing.assert_allclose(answers, np.mean(each, axis=0), atol=1e-12)
