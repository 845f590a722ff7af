"""A view on the CPU: as sharp as what evaluation sees, and whole whatever the recipe and the picture."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from picture_makers import CLIPART
from PIL import Image
from recipe_makers import ANY_RECIPE, ANY_SHAPE, FIELDS

from lexnet.augment import colour
from lexnet.augment.apply import Changes, apply
from lexnet.augment.recipes import RECIPES
from lexnet.augment.sample import View, noise, sample, sample_all
from lexnet.augment.warp import crop_box, matrix
from lexnet.config import PreprocessSpec, Recipe
from lexnet.preprocess import Pixels, load

PLAIN = sample(Recipe(), 0, "", 0, "")
SPEC = PreprocessSpec(size=64, short_side=64)
AXES = np.array([[0.05, 0.01, -0.02], [0.06, -0.01, 0.0], [0.04, 0.02, 0.03]])


def whole(size: int) -> PreprocessSpec:
    return PreprocessSpec(size=size, short_side=size)


def picture(name: str = "flags") -> Pixels:
    return np.asarray(Image.open(sorted((CLIPART / name).iterdir())[0]).convert("RGB"))


# --- as evaluation sees it


@pytest.mark.pictures
def test_a_plain_view_shows_what_evaluation_sees(clothes: list[Pixels]) -> None:
    for photo in clothes:
        seen = apply(photo, PLAIN, PreprocessSpec()).astype(float)
        difference = seen - load(photo, PreprocessSpec())
        assert abs(difference.mean()) < 0.3 and np.sqrt((difference**2).mean()) < 6


def detail(pixels: Pixels) -> float:
    """Mean squared Laplacian of the grey picture."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float64)
    return float((cv2.Laplacian(grey, cv2.CV_64F)[1:-1, 1:-1] ** 2).mean())


def sharpness(photo: Pixels, view: View, spec: PreprocessSpec) -> float:
    """The view's detail over that of Pillow's antialiased bicubic resize of the same box."""
    left, top, wide, high = crop_box(view, *photo.shape[:2], spec)
    box = (left, top, min(left + wide, photo.shape[1]), min(top + high, photo.shape[0]))
    resized = Image.fromarray(photo).resize((spec.size, spec.size), Image.Resampling.BICUBIC, box=box)
    return detail(apply(photo, view, spec)) / detail(np.asarray(resized))


@pytest.mark.pictures
@pytest.mark.parametrize(
    ("low", "high"), [(0.7, 0.9), (0.9, 1.1), (1.1, 1.4), (1.4, 1.99), (2.01, 2.8), (2.8, 3.99), (4.01, 5)]
)
def test_views_are_as_sharp_as_an_antialiased_resize(low: float, high: float, clothes: list[Pixels]) -> None:
    """Crops of all places, each so large that it is made this many times smaller."""
    recipe, ratios = Recipe(crop="resized", area=(0.02, 1.0)), []
    for i, photo in enumerate(clothes):
        for share in (0.1, 0.5, 0.9):
            size = int(300 / high)
            side = size * (low + share * (high - low))
            view = sample(recipe, 0, "train", 0, f"{i} {share}")
            ratios.append(
                sharpness(photo, replace(view, area=side**2 / np.prod(photo.shape[:2])), whole(size))
            )
    assert np.median(ratios) == pytest.approx(1, abs=0.15)


@pytest.mark.pictures
@pytest.mark.parametrize("times", [2, 4])
def test_pictures_of_exactly_twice_the_size_are_not_sharpened(times: int, clothes: list[Pixels]) -> None:
    """Every pixel of the view is one of the halved picture, which needs no sampling to be made up for."""
    spec, ratios = whole(96), []
    for photo in clothes:
        middle = np.ascontiguousarray(photo[: 96 * times, : 96 * times])
        ratios.append(sharpness(middle, PLAIN, spec))
        boxes = middle.reshape(96, times, 96, times, 3).mean((1, 3))
        assert np.abs(apply(middle, PLAIN, spec) - boxes).max() <= 1
    assert 1 < np.median(ratios) < 1.3


STRIPES = 2.5  # pixels from one to the next: too fine to be seen at half the size


def grating(size: int, vertical: bool) -> Pixels:
    levels = np.rint(127.5 + 127.5 * np.sin(2 * np.pi * np.arange(size) / STRIPES))
    pattern = np.broadcast_to(levels if vertical else levels[:, None], (size, size))
    return np.repeat(pattern[:, :, None], 3, 2).astype(np.uint8)


@pytest.mark.parametrize("vertical", [True, False])
@pytest.mark.parametrize("turned", [0.0, 7.0])
@pytest.mark.parametrize(
    ("times", "left"),
    [(2, 0.4), (2.5, 0.35), (3, 0.3), (3.6, 0.27), (4, 0.27), (5, 0.2), (6.3, 0.17), (8, 0.1)],
)
def test_fine_stripes_do_not_turn_into_coarse_ones(
    times: float, left: float, turned: float, vertical: bool
) -> None:
    """What share of the stripes' contrast is left, at most; sampled without a filter it is up to all."""
    size = round(64 * times)
    stripes = grating(size, vertical)
    seen = apply(stripes, replace(PLAIN, rotate=turned), SPEC)[8:-8, 8:-8]
    assert abs(seen.mean() - 127.5) < 3
    assert seen.std() / stripes.std() <= left


# --- damage


def test_blur_is_that_of_a_normal_kernel() -> None:
    dot = np.zeros((64, 64, 1), np.uint8)
    dot[32, 32] = 255
    seen = apply(dot, replace(PLAIN, blur=2 / 64), SPEC)[..., 0].astype(float)
    y, x = np.indices(seen.shape) - 32
    expected = 255 * np.exp(-(x**2 + y**2) / (2 * 2**2)) / (2 * np.pi * 2**2)
    assert np.abs(seen - expected).max() <= 1


def test_a_blur_far_below_a_pixel_changes_nothing() -> None:
    noisy = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    for deviation in (5e-324, 1e-100, 1e-9, 1e-4):
        assert np.array_equal(apply(noisy, replace(PLAIN, blur=deviation), SPEC), noisy), deviation


@pytest.mark.parametrize("channels", [1, 3])
def test_noise_has_the_deviation_asked_for_and_belongs_to_the_view(channels: int) -> None:
    grey = np.full((64, 64, channels), 128, np.uint8)
    views = [replace(sample(Recipe(), 0, "train", 0, str(i)), noise=0.1) for i in range(3)]
    seen = [apply(grey, view, SPEC).astype(float) - 128 for view in views]
    for view, added in zip(views, seen, strict=True):
        assert added.std() == pytest.approx(25.5, rel=0.05) and abs(added.mean()) < 1.5
        assert np.abs(added - 25.5 * noise(view, added.shape)).max() <= 0.51
    assert abs(np.corrcoef(seen[0].ravel(), seen[1].ravel())[0, 1]) < 0.06


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_damages_more_the_lower_its_quality_and_keeps_the_colours_order(channels: int) -> None:
    clipart = np.asarray(Image.fromarray(picture()).resize((64, 64)))[:, :, :channels]
    damage = [
        np.abs(apply(clipart, replace(PLAIN, jpeg=quality), SPEC).astype(int) - clipart).mean()
        for quality in (100, 90, 50, 5)
    ]
    assert damage[0] == 0 and 0 < damage[1] < damage[2] < damage[3] < 40
    red = np.full((64, 64, 3), (250, 20, 30), np.uint8)
    assert np.abs(apply(red, replace(PLAIN, jpeg=50), SPEC).astype(int) - red).max() <= 6


@pytest.mark.parametrize("channels", [1, 3])
def test_a_rectangle_is_painted_over_and_nothing_else(channels: int) -> None:
    clipart = np.asarray(Image.fromarray(picture()).resize((64, 64)))[:, :, :channels]
    seen = apply(clipart, replace(PLAIN, erase=(0.25, 0.5, 0.5, 1.0), erase_level=7), SPEC)
    assert (seen[32:, 16:32] == 7).all()
    rest = np.ones((64, 64), bool)
    rest[32:, 16:32] = False
    assert np.array_equal(seen[rest], clipart[rest])


# --- any recipe, any picture


def assert_whole(pixels: Pixels, view: View, spec: PreprocessSpec) -> None:
    assert np.isfinite(matrix(view, *pixels.shape[:2], spec)).all()
    levels = colour.matrix(view, AXES)
    assert levels is None or np.isfinite(levels).all()
    seen = apply(pixels, view, spec, AXES)
    assert seen.shape == (spec.size, spec.size, pixels.shape[2]) and seen.dtype == np.uint8
    assert np.array_equal(seen, apply(pixels, view, spec, AXES)), "twice the same"


def test_every_field_of_a_recipe_is_tried() -> None:
    assert set(FIELDS) == set(vars(Recipe()))


@settings(max_examples=400, deadline=None)
@example(recipe=Recipe(damage=5e-324), height=9, width=9, channels=3, size=16, rest=0, item="")
@given(recipe=ANY_RECIPE, item=st.text(max_size=4), **ANY_SHAPE)
def test_any_recipe_makes_a_view_of_any_picture(
    recipe: Recipe, height: int, width: int, channels: int, size: int, rest: int, item: str
) -> None:
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, channels), np.uint8)
    view = sample(recipe, 0, "train", 0, item)
    assert_whole(pixels, view, PreprocessSpec(size=size, short_side=size + rest))


LARGE = {
    shape: np.resize(np.arange(256, dtype=np.uint8), (*shape, 3))
    for shape in [(300, 1), (1, 300), (3000, 4000), (400, 40_000), (40_000, 400)]
}


@pytest.mark.parametrize("shape", LARGE, ids=lambda shape: "x".join(map(str, shape)))
@settings(max_examples=40, deadline=2000)
@given(recipe=ANY_RECIPE, size=st.sampled_from([16, 64, 224, 512]))
def test_any_recipe_makes_a_view_of_long_and_large_pictures(
    shape: tuple[int, int], recipe: Recipe, size: int
) -> None:
    """Within two seconds each: no view needs the whole of a large picture more than once."""
    view = sample(recipe, 0, "train", 0, "a")
    assert_whole(LARGE[shape], view, PreprocessSpec(size=size, short_side=size + 32))


@pytest.mark.parametrize("name", RECIPES)
def test_the_recipes_make_views_of_clip_art(name: str) -> None:
    spec = PreprocessSpec(size=64, short_side=72)
    pieces = [picture(folder.name) for folder in sorted(Path(CLIPART).iterdir())[:6]]
    axes = colour.principal_axes(np.concatenate([piece.reshape(-1, 3) for piece in pieces]))
    for i, piece in enumerate(pieces):
        view = sample(RECIPES[name], 0, "train", 0, str(i))
        seen = apply(piece, view, spec, axes)
        assert seen.shape == (64, 64, 3)
        if name not in ("none", "strong") and seen.std() < 1:
            pytest.fail(f"nothing is left of picture {i}: {view.numbers()}")


STEEP = Recipe(perspective=0.4, rotate=30.0, mirror=0.5)
MILD = Recipe(crop="resized", area=(0.3, 1.0), perspective=0.1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("recipe", [*RECIPES.values(), STEEP, MILD])
def test_changes_worked_out_together_are_those_of_each_alone(recipe: Recipe, channels: int) -> None:
    """Bit for bit, in any order."""
    spec, which = PreprocessSpec(size=48, short_side=50), [(n, "a") for n in range(40)]
    pixels = picture()[..., :channels]
    changes = Changes(sample_all(recipe, 0, "train", which), pixels.shape, spec, AXES)
    for n in reversed(range(40)):
        alone = apply(pixels, sample(recipe, 0, "train", n, "a"), spec, AXES)
        assert np.array_equal(changes(n, pixels), alone), n
