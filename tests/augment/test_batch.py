"""A batch in torch gives the pictures that `apply` gives one by one."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from recipe_makers import ANY_RECIPE, ANY_SHAPE
from torch import Tensor

from lexnet.augment.apply import apply
from lexnet.augment.batch import _grid, apply_batch, prepare
from lexnet.augment.recipes import RECIPES
from lexnet.augment.sample import View, sample, sample_all
from lexnet.config import MAX_BEND, PreprocessSpec, Recipe
from lexnet.errors import ShapeError
from lexnet.export.onnx import trunk_graph
from lexnet.preprocess import Pixels
from lexnet.runtime.engines import Engine, open_engine
from lexnet.weights.create import create_net
from lexnet.weights.files import find_weights

PLAIN = sample(Recipe(), 0, "", 0, "")
AXES = np.array([[0.05, 0.01, -0.02], [0.06, -0.01, 0.0], [0.04, 0.02, 0.03]])

HARSH = {
    "all turned": Recipe(rotate=180.0, shear=30.0, translate=0.3, mirror=0.5, flip=0.5),
    "edge": Recipe(rotate=180.0, translate=0.5, border="edge"),
    "colour": Recipe(rotate=180.0, translate=0.5, border="colour", colour=(255, 0, 90)),
    "small and large": Recipe(zoom=(0.2, 5.0), rotate=30.0),
    "perspective": Recipe(perspective=0.4, rotate=30.0),
    "warp": Recipe(warp=0.05, wavelength=0.4, rotate=30.0, perspective=0.2),
    "crops": Recipe(crop="resized", area=(0.02, 1.0), aspect=(0.2, 5.0)),
    "colours": Recipe(
        brightness=0.9, contrast=0.9, saturation=1.0, hue=180.0, channels=0.3, pca=1.0, gamma=(0.4, 2.5)
    ),
    "damage": Recipe(damage=1.0, blur=0.05, noise=0.3, jpeg=20, erase=1.0),
}


def planes(pictures: Pixels) -> Tensor:
    """(N, H, W, C) → (N, C, H, W)"""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()


def one_by_one(pictures: Pixels, views: list[View], spec: PreprocessSpec) -> Pixels:
    return np.stack([apply(p, view, spec, AXES) for p, view in zip(pictures, views, strict=True)])


def joined(views: list[View]) -> View:
    """Many views as one, whose numbers are not those that a recipe gives."""

    def column(values: list[Any]) -> Any:
        some = isinstance(values[0], tuple)
        return tuple(column(list(part)) for part in zip(*values, strict=True)) if some else np.array(values)

    names = set(vars(views[0])) - {"recipe", "bend", "addresses"}
    fields = {name: column([getattr(view, name) for view in views]) for name in names}
    bends = [view.bend for view in views if view.bend is not None]
    bend = np.stack(bends) if bends else None
    return View(
        recipe=views[0].recipe, bend=bend, addresses=sum((view.addresses for view in views), ()), **fields
    )


def together(pictures: Pixels, views: list[View], spec: PreprocessSpec) -> Pixels:
    _, height, width, channels = pictures.shape
    result = apply_batch(planes(pictures), prepare(joined(views), (channels, height, width), spec, AXES))
    assert result.dtype == torch.uint8
    return result.permute(0, 2, 3, 1).numpy()


def views_of(recipe: Recipe, count: int, epoch: int = 0) -> list[View]:
    return [sample(recipe, 0, "train", epoch, str(i)) for i in range(count)]


# --- the same pictures


@pytest.mark.pictures
@pytest.mark.parametrize(("size", "channels"), [(64, 1), (64, 3), (128, 3), (224, 3)])
@pytest.mark.parametrize("name", [*RECIPES, *HARSH])
def test_a_batch_shows_what_apply_shows(name: str, size: int, channels: int, photos: Pixels) -> None:
    recipe = (RECIPES | HARSH)[name]
    pictures, spec = photos[::25, ..., :channels], PreprocessSpec(size=size, short_side=size * 8 // 7)
    views = views_of(recipe, len(pictures))
    seen, expected = together(pictures, views, spec), one_by_one(pictures, views, spec)
    difference = np.abs(seen.astype(int) - expected).mean((1, 2, 3))
    assert (difference.mean() if recipe.jpeg < 100 else difference.max()) <= 1.5, "JPEG makes more of it"


@pytest.mark.pictures
@pytest.mark.parametrize("name", ["none", "mirror", "alexnet", "lecture", "photo", "digits"])
def test_where_nothing_is_damaged_every_view_differs_by_rounding_only(name: str, photos: Pixels) -> None:
    """Not only in the mean: no sharpened edge comes out lighter or darker by more than a few levels."""
    spec = PreprocessSpec()
    views = views_of(RECIPES[name], 20)
    difference = np.abs(together(photos[:20], views, spec).astype(int) - one_by_one(photos[:20], views, spec))
    assert difference.mean((1, 2, 3)).max() <= 0.1
    assert difference.max() <= 10


@pytest.fixture(scope="module")
def lite() -> Engine:
    """A published net with its 1,000 classes."""
    spec = find_weights("efficientnet_lite0").spec
    net = create_net("efficientnet_lite0", weights="imagenet")
    return open_engine("auto", trunk_graph(net, spec.size, spec.mean, spec.std), 2)


def answers(engine: Engine, pictures: Pixels) -> Pixels:
    with ThreadPoolExecutor(engine.callers) as pool:
        rows = list(pool.map(lambda one: engine.run(one[None])["features"][0], pictures))
    return np.argmax(rows, axis=1)


@pytest.mark.pictures
@pytest.mark.parametrize("name", [name for name in RECIPES if name != "none"])
def test_a_net_answers_the_same_for_99_of_100_views(name: str, photos: Pixels, lite: Engine) -> None:
    """Those few that it does not lie between two classes, a few thousandths apart."""
    spec = find_weights("efficientnet_lite0").spec
    views = views_of(RECIPES[name], len(photos), epoch=2)
    seen = answers(lite, together(photos, views, spec))
    expected = answers(lite, one_by_one(photos, views, spec))
    assert len(set(expected)) > 100, "the net tells pictures apart"
    assert (seen == expected).mean() >= 0.99


# --- what moves no pixel between others


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [16, 33, 64])
def test_mirrors_and_quarter_turns_are_bit_exact(size: int, channels: int) -> None:
    pictures = np.random.default_rng(size).integers(0, 256, (6, size, size, channels)).astype(np.uint8)
    changes = [{}, {"mirror": True}, {"flip": True}, {"rotate": 90.0}, {"rotate": 180.0}, {"rotate": -90.0}]
    views = [replace(PLAIN, **change) for change in changes]
    seen = together(pictures, views, PreprocessSpec(size=size, short_side=size))
    expected = [
        pictures[0], np.flip(pictures[1], 1), np.flip(pictures[2], 0),
        np.rot90(pictures[3]), np.rot90(pictures[4], 2), np.rot90(pictures[5], 3),
    ]  # fmt: skip
    assert np.array_equal(seen, np.stack(expected))


def test_whole_crops_equal_slices() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (9, 40, 60, 3)).astype(np.uint8)
    recipe = Recipe(crop="random")
    steps = [(down, across) for down in (0, 3, 8) for across in (0, 5, 8)]
    views = [replace(PLAIN, recipe=recipe, place=(across / 8, down / 8)) for down, across in steps]
    seen = together(pictures, views, PreprocessSpec(size=32, short_side=40))
    for picture, view, (down, across) in zip(pictures, seen, steps, strict=True):
        assert np.array_equal(view, picture[down : down + 32, 10 + across : 42 + across]), (down, across)


@pytest.mark.parametrize("border", ["reflect", "edge", "colour"])
def test_whole_crops_that_reach_beyond_the_picture_have_its_border(border: Any) -> None:
    """As `apply` does, which is compared with NumPy's padding."""
    pictures = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
    recipe = Recipe(crop="random", pad=0.25, border=border, colour=(9, 200, 77))
    views = [replace(PLAIN, recipe=recipe, place=place) for place in ((0, 0), (1, 0), (0.25, 0.75), (1, 1))]
    spec = PreprocessSpec(size=32, short_side=32)
    assert np.array_equal(together(pictures, views, spec), one_by_one(pictures, views, spec))


@pytest.mark.parametrize("times", [2, 4])
def test_pictures_of_exactly_twice_the_size_are_averaged(times: int) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (2, 32 * times, 32 * times, 3)).astype(np.uint8)
    seen = together(pictures, [PLAIN, PLAIN], PreprocessSpec(size=32, short_side=32))
    boxes = pictures.reshape(2, 32, times, 32, times, 3).mean((2, 4))
    assert np.abs(seen - boxes).max() <= 0.5


# --- batches


@pytest.mark.parametrize("name", [*RECIPES, *HARSH])
def test_a_view_does_not_depend_on_its_batch(name: str) -> None:
    recipe, spec = (RECIPES | HARSH)[name], PreprocessSpec(size=48, short_side=56)
    pictures = np.random.default_rng(0).integers(0, 256, (8, 90, 70, 3)).astype(np.uint8)
    views = views_of(recipe, 8)
    whole = together(pictures, views, spec)
    for rows in ([0], [7, 2], [5, 4, 3, 2, 1]):
        part = together(pictures[rows], [views[i] for i in rows], spec)
        assert np.abs(part.astype(int) - whole[rows]).max() <= (1 if recipe.jpeg == 100 else 40)
        assert (part != whole[rows]).mean() < 0.001


def test_the_pictures_given_are_left_as_they_were() -> None:
    pictures = torch.randint(0, 256, (3, 3, 40, 40), dtype=torch.uint8)
    before = pictures.clone()
    for recipe in HARSH.values():
        apply_batch(
            pictures,
            prepare(joined(views_of(recipe, 3)), (3, 40, 40), PreprocessSpec(size=32, short_side=40)),
        )
    assert torch.equal(pictures, before)


def test_what_is_prepared_can_be_moved() -> None:
    prepared = prepare(
        joined(views_of(RECIPES["strong"], 4)), (3, 40, 40), PreprocessSpec(size=32, short_side=40)
    )
    moved = prepared.to("cpu")
    assert moved.views is prepared.views and torch.equal(moved.matrices, prepared.matrices)
    assert prepared.to("meta").matrices.device.type == "meta"


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", [*RECIPES, *HARSH])
def test_all_of_a_batch_stays_on_its_device(name: str, channels: int) -> None:
    """On one that has no numbers: what would come from another device is refused there."""
    recipe = replace((RECIPES | HARSH)[name], jpeg=100)  # JPEG goes through the CPU
    prepared = prepare(
        joined(views_of(recipe, 4)), (channels, 90, 70), PreprocessSpec(size=32, short_side=40)
    )
    pictures = torch.empty((4, channels, 90, 70), dtype=torch.uint8, device="meta")
    seen = apply_batch(pictures, prepared.to("meta"))
    assert (seen.device.type, seen.shape) == ("meta", (4, channels, 32, 32))


@pytest.mark.parametrize(
    ("pictures", "told"),
    [
        (torch.zeros(2, 3, 40, 40), "float32 (2, 3, 40, 40)"),
        (torch.zeros(3, 40, 40, dtype=torch.uint8), "uint8 (3, 40, 40)"),
        (torch.zeros(3, 3, 40, 40, dtype=torch.uint8), "uint8 (3, 3, 40, 40)"),
        (torch.zeros(2, 3, 80, 80, dtype=torch.uint8), "uint8 (2, 3, 80, 80)"),
    ],
)
def test_other_pictures_than_the_views_need_are_refused(pictures: Tensor, told: str) -> None:
    prepared = prepare(joined([PLAIN, PLAIN]), (3, 40, 40), PreprocessSpec(size=32, short_side=40))
    with pytest.raises(ShapeError) as caught:
        apply_batch(pictures, prepared)
    assert told in str(caught.value) and "uint8 (2, 3, 40, 40)" in str(caught.value)


def test_a_blur_far_below_a_pixel_changes_nothing() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
    views = [replace(PLAIN, blur=deviation) for deviation in (5e-324, 1e-100, 1e-9, 1e-4)]
    assert np.array_equal(together(pictures, views, PreprocessSpec(size=32, short_side=32)), pictures)


# --- any recipe, any small picture


ANY_GEOMETRY = st.builds(
    lambda wavelength, **values: Recipe(
        **values | {"wavelength": wavelength, "warp": min(values["warp"], wavelength / MAX_BEND)}
    ),
    wavelength=st.floats(0.1, 2.0),
    warp=st.sampled_from([0.0, 0.1]),
    crop=st.sampled_from(["centre", "random", "resized"]),
    pad=st.floats(0, 0.5),
    area=st.just((0.02, 1.0)),
    aspect=st.just((0.2, 5.0)),
    rotate=st.floats(0, 180),
    shear=st.floats(0, 45),
    translate=st.floats(0, 0.5),
    zoom=st.sampled_from([(1.0, 1.0), (0.2, 5.0), (0.2, 0.2), (5.0, 5.0)]),
    perspective=st.sampled_from([0.0, 0.4]),
    border=st.sampled_from(["reflect", "edge", "colour"]),
    colour=st.tuples(*[st.integers(0, 255)] * 3),
    gamma=st.just((0.2, 5.0)),
    contrast=st.floats(0, 0.9),
    saturation=st.floats(0, 1),
    damage=st.sampled_from([0.0, 1.0]),
    blur=st.sampled_from([0.0, 1e-50, 0.05]),
    noise=st.floats(0, 0.5),
    erase=st.sampled_from([0.0, 0.5]),
)


MANY_TIMES_REFLECTED = Recipe(translate=0.25, zoom=(0.2, 0.2), perspective=0.4)


@settings(max_examples=100, deadline=None)
@example(recipe=MANY_TIMES_REFLECTED, height=6, width=6, channels=1, size=18)
@given(
    recipe=ANY_GEOMETRY,
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    channels=st.sampled_from([1, 3]),
    size=st.integers(16, 64),
)
def test_any_recipe_makes_views_of_any_pictures_as_apply_does(
    recipe: Recipe, height: int, width: int, channels: int, size: int
) -> None:
    """Smooth pictures, so that what lies one thirty-second of a pixel further is not another level."""
    y, x, channel = np.indices((height, width, channels))
    one = 127.5 + 120 * np.sin(x / 9 + channel) * np.cos(y / 7)
    pictures = np.stack([one, 255 - one]).astype(np.uint8)
    spec, views = PreprocessSpec(size=size, short_side=size + 5), views_of(recipe, 2)
    seen, expected = together(pictures, views, spec), one_by_one(pictures, views, spec)
    assert seen.shape == expected.shape
    damaged = any(view.blur or view.noise or view.jpeg < 100 for view in views)
    assert np.abs(seen.astype(int) - expected).mean() <= (3 if damaged else 1.5)


def assert_whole(pictures: Pixels, recipe: Recipe, size: int, rest: int) -> None:
    (count, *_, channels), spec = pictures.shape, PreprocessSpec(size=size, short_side=size + rest)
    prepared = prepare(joined(views_of(recipe, count)), (channels, *pictures.shape[1:3]), spec, AXES)
    assert torch.isfinite(_grid(prepared, slice(None))).all()
    assert prepared.colours is None or torch.isfinite(prepared.colours).all()
    seen = apply_batch(planes(pictures), prepared)
    assert seen.shape == (count, channels, size, size) and seen.dtype == torch.uint8


@settings(max_examples=200, deadline=None)
@given(recipe=ANY_RECIPE, **ANY_SHAPE)
def test_any_recipe_at_all_makes_a_view_of_any_picture(
    recipe: Recipe, height: int, width: int, channels: int, size: int, rest: int
) -> None:
    pictures = np.random.default_rng(height).integers(0, 256, (2, height, width, channels)).astype(np.uint8)
    assert_whole(pictures, recipe, size, rest)


LARGE = {
    shape: np.resize(np.arange(256, dtype=np.uint8), (1, *shape, 3))
    for shape in [(300, 1), (1, 300), (3000, 4000)]
}


@pytest.mark.parametrize("shape", LARGE, ids=lambda shape: "x".join(map(str, shape)))
@settings(max_examples=15, deadline=10_000)
@given(recipe=ANY_RECIPE, size=st.sampled_from([16, 224]))
def test_any_recipe_at_all_makes_a_view_of_long_and_large_pictures(
    shape: tuple[int, int], recipe: Recipe, size: int
) -> None:
    assert_whole(LARGE[shape], recipe, size, 32)


@pytest.mark.parametrize("name", [*RECIPES, *HARSH])
def test_views_that_were_drawn_together_are_those_of_each_alone(name: str) -> None:
    recipe, spec = (RECIPES | HARSH)[name], PreprocessSpec(size=48, short_side=56)
    pictures = planes(np.random.default_rng(0).integers(0, 256, (3, 60, 70, 3)).astype(np.uint8))
    which = [(0, str(i)) for i in range(3)]
    whole = apply_batch(pictures, prepare(sample_all(recipe, 0, "train", which), (3, 60, 70), spec, AXES))
    for i in range(3):
        view = sample(recipe, 0, "train", 0, str(i))
        alone = apply_batch(pictures[i : i + 1], prepare(view, (3, 60, 70), spec, AXES))
        assert (alone[0].int() - whole[i].int()).abs().max() <= (1 if recipe.jpeg == 100 else 40)
        assert (alone[0] != whole[i]).float().mean() < 0.001
