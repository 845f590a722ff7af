"""Where each pixel of a view comes from: one matrix, one spline, sampled once."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.interpolate import BSpline

from lexnet.augment.apply import Changes, apply
from lexnet.augment.compose import Geometry
from lexnet.augment.region import regions
from lexnet.augment.sample import View, bend_knots, sample, sample_all
from lexnet.augment.warp import (
    crop_box,
    halvings,
    is_exact,
    matrix,
    patches,
    points_needed,
    slope,
    spline,
    surfaces,
)
from lexnet.config import MAX_BEND, Border, PreprocessSpec, Recipe
from lexnet.preprocess import Pixels

PLAIN = sample(Recipe(), 0, "", 0, "")
Floats = NDArray[np.float64]


def noisy(height: int, width: int, channels: int = 3) -> Pixels:
    """No two neighbours alike: a shift of a hundredth of a pixel shows."""
    return np.random.default_rng(height * width).integers(0, 256, (height, width, channels), np.uint8)


def seen_at(to_picture: Floats, bend: NDArray[np.float32] | None, size: int) -> tuple[Any, Any]:
    """x and y in the picture of each pixel of the view."""
    (patch,) = patches(to_picture[None], None if bend is None else bend[None], size)
    return surfaces(*patch)


def whole(size: int) -> PreprocessSpec:
    """The short side is the square's side: nothing is resized and nothing cut off it."""
    return PreprocessSpec(size=size, short_side=size)


def at(points: Floats, whole: Floats) -> Floats:
    """(2, ...) where a 3×3 puts (2, ...) points, by homogeneous coordinates in float64."""
    x, y, w = np.tensordot(whole, np.stack([*points, np.ones_like(points[0])]), 1)
    return np.stack([x / w, y / w])


def pixels_of(size: int) -> Floats:
    """(2, size, size) x and y of each pixel of the view."""
    return np.indices((size, size))[::-1].astype(np.float64)


# --- what moves no pixel between others


@pytest.mark.parametrize("size", [16, 33, 64])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, lambda p: p),
        ({"mirror": True}, lambda p: np.flip(p, 1)),
        ({"flip": True}, lambda p: np.flip(p, 0)),
        ({"mirror": True, "flip": True}, lambda p: np.flip(p, (0, 1))),
        ({"rotate": 90.0}, lambda p: np.rot90(p, 1)),
        ({"rotate": 180.0}, lambda p: np.rot90(p, 2)),
        ({"rotate": -90.0}, lambda p: np.rot90(p, 3)),
        ({"rotate": 270.0}, lambda p: np.rot90(p, 3)),
        ({"mirror": True, "rotate": 90.0}, lambda p: np.flip(np.rot90(p, 1), 1)),
    ],
    ids=["identity", "mirror", "flip", "both", "90", "180", "-90", "270", "mirror the 90"],
)
def test_mirrors_and_quarter_turns_are_bit_exact(
    change: dict[str, Any], expected: Callable[[Pixels], Pixels], channels: int, size: int
) -> None:
    picture = noisy(size, size, channels)
    seen = apply(picture, replace(PLAIN, **change), whole(size))
    assert np.array_equal(seen, expected(picture))


@pytest.mark.parametrize(
    ("shape", "size"), [((40, 72), 32), ((72, 40), 32), ((64, 64), 64), ((33, 65), 31), ((300, 32), 16)]
)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mirror", [False, True])
def test_the_centre_is_cut_out_bit_exactly(
    shape: tuple[int, int], size: int, channels: int, mirror: bool
) -> None:
    picture = noisy(*shape, channels)
    top, left = ((length - size) // 2 for length in shape)
    seen = apply(picture, replace(PLAIN, mirror=mirror), PreprocessSpec(size=size, short_side=min(shape)))
    expected = picture[top : top + size, left : left + size]
    assert np.array_equal(seen, expected[:, ::-1] if mirror else expected)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(40, 40), (40, 64), (64, 40), (41, 41)])
@pytest.mark.parametrize("pad", [0.0, 0.25])
def test_random_crops_of_whole_steps_equal_slices(shape: tuple[int, int], pad: float, channels: int) -> None:
    """A padded crop's room reaches 8 pixels further on every side, where the picture is reflected."""
    picture, size = noisy(*shape, channels), 32
    beyond = int(pad * size)
    room = 40 - size + 2 * beyond + shape[0] % 2
    framed = np.pad(picture, ((beyond, beyond), (beyond, beyond), (0, 0)), "symmetric")
    top, left = ((length - min(shape)) // 2 for length in shape)
    spec = PreprocessSpec(size=size, short_side=min(shape))
    for down, across in [(0, 0), (room, room), (3, 5), (room - 1, 1), (room // 2, room)]:
        view = replace(PLAIN, recipe=Recipe(crop="random", pad=pad), place=(across / room, down / room))
        rows, columns = slice(top + down, top + down + size), slice(left + across, left + across + size)
        assert np.array_equal(apply(picture, view, spec), framed[rows, columns]), (down, across)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_resized_crop_that_is_not_resized_equals_a_slice(channels: int) -> None:
    picture, spec = noisy(50, 70, channels), whole(32)
    recipe = Recipe(crop="resized", area=(0.1, 1.0))
    for down, across in [(0, 0), (18, 38), (7, 11)]:
        view = replace(PLAIN, recipe=recipe, area=32 * 32 / (50 * 70), place=(across / 38, down / 18))
        seen = apply(picture, view, spec)
        assert np.array_equal(seen, picture[down : down + 32, across : across + 32]), (down, across)


def test_a_view_shares_no_memory_with_its_picture() -> None:
    picture = noisy(32, 32)
    before = picture.copy()
    view = replace(PLAIN, erase=(0.0, 0.0, 1.0, 1.0), erase_level=9)
    assert (apply(picture, view, whole(32)) == 9).all()
    picture.setflags(write=False)  # as those that Pillow decodes
    assert (apply(picture, view, whole(32)) == 9).all()
    assert np.array_equal(picture, before)


# --- the matrix


def by_hand(view: View, points: Floats, height: int, width: int, spec: PreprocessSpec) -> Floats:
    """Each operation on its own, in the order of the module's first lines."""
    u, v = (2 * (points + 0.5) / spec.size - 1) * np.reshape(
        [1 - 2 * view.mirror, 1 - 2 * view.flip], (2, 1, 1)
    )
    w = 1 + view.perspective[0] * u + view.perspective[1] * v
    u, v = u / w - 2 * view.translate[0], v / w - 2 * view.translate[1]
    shear = [math.tan(math.radians(degrees)) for degrees in view.shear]
    u, v = (u - shear[0] * v) / view.zoom, (v - shear[1] * u) / view.zoom
    turned = (u + 1j * v) * np.exp(1j * math.radians(view.rotate))  # y points down, so this turns clockwise
    left, top, wide, high = crop_box(view, height, width, spec)
    return np.stack([left + (turned.real + 1) / 2 * wide - 0.5, top + (turned.imag + 1) / 2 * high - 0.5])


@pytest.mark.parametrize("shape", [(60, 60), (400, 300), (1, 90)])
def test_the_matrix_equals_the_operations_one_by_one(shape: tuple[int, int]) -> None:
    recipe = Recipe(
        crop="resized", area=(0.2, 1.0), aspect=(0.5, 2.0), mirror=0.5, flip=0.5, rotate=180.0, shear=30.0,
        translate=0.3, zoom=(0.5, 2.0), perspective=0.4,
    )  # fmt: skip
    spec, points = PreprocessSpec(size=48, short_side=50), pixels_of(48)
    for i in range(100):
        view = sample(recipe, 0, "train", 0, str(i))
        places = at(points, matrix(view, *shape, spec))
        np.testing.assert_allclose(places, by_hand(view, points, *shape, spec), rtol=0, atol=1e-8)


@pytest.mark.parametrize("strength", [0.0, 1e-6, 0.02, 0.1, 0.4])
def test_the_plane_that_is_sampled_is_the_matrix_to_a_hundredth_of_a_pixel(strength: float) -> None:
    """In float32. Halved, as it is sampled; of 4,000 pixels unhalved, with 3e-6 of the coordinate more."""
    recipe = Recipe(rotate=180.0, shear=30.0, zoom=(0.5, 2.0), perspective=strength)
    for i in range(100):
        unhalved = matrix(sample(recipe, 0, "train", 0, str(i)), 3000, 4000, whole(224))
        halved = np.diag([*(0.5**k for k in halvings(unhalved, 224)), 1]) @ unhalved
        for to_picture, share in ((unhalved, 3e-6), (halved, 0)):
            x, y = seen_at(to_picture, None, 224)
            assert x.dtype == y.dtype == np.float32
            seen, expected = np.stack([x, y]), at(pixels_of(224), to_picture)
            np.testing.assert_allclose(seen, expected, rtol=share, atol=0.01)


@pytest.mark.parametrize("size", [16, 224])
@pytest.mark.parametrize("strength", [(0.4, 0.4), (-0.4, 0.4), (0.4, 0.0)])
def test_the_strongest_perspective_is_the_matrix_too(size: int, strength: tuple[float, float]) -> None:
    to_picture = matrix(replace(PLAIN, perspective=strength), 375, 500, whole(size))
    seen = np.stack(seen_at(to_picture, None, size))
    np.testing.assert_allclose(seen, at(pixels_of(size), to_picture), rtol=0, atol=0.005)


def test_few_points_a_side_are_enough() -> None:
    """Six say a perspective of 0.1 both ways, two all that has none."""
    for strength, most in ((0.0, 2), (0.1, 6)):
        to_picture = matrix(replace(PLAIN, perspective=(strength, strength)), 375, 500, whole(224))
        assert 2 <= points_needed(to_picture, 224) <= most


def test_what_lies_nearer_under_perspective_is_larger() -> None:
    """The homography's last row (0.3, 0): w is 0.7 at the left and 1.3 at the right."""
    places = at(pixels_of(64), matrix(replace(PLAIN, perspective=(0.3, 0.0)), 64, 64, whole(64)))
    steps = np.diff(places[0][32])
    assert (np.diff(steps) < 0).all(), "to the right a pixel of the view covers less and less"
    assert steps[0] / steps[-1] == pytest.approx((1.3 / 0.7) ** 2, rel=0.05)


def test_zoom_translation_and_rotation_go_the_way_they_say() -> None:
    picture = np.zeros((64, 64, 1), np.uint8)
    picture[28:36, 28:36] = 255

    def centre_and_size(**change: Any) -> tuple[float, float, float]:
        view = replace(PLAIN, recipe=Recipe(border="edge"), **change)  # black all around
        seen = apply(picture, view, whole(64))[..., 0].astype(float)
        y, x = np.indices(seen.shape)
        return float((x * seen).sum() / seen.sum()), float((y * seen).sum() / seen.sum()), seen.sum() / 255

    assert centre_and_size() == (31.5, 31.5, 64)
    assert centre_and_size(zoom=2.0) == pytest.approx((31.5, 31.5, 4 * 64), rel=0.05)
    assert centre_and_size(zoom=0.5) == pytest.approx((31.5, 31.5, 64 / 4), rel=0.05)
    assert centre_and_size(translate=(0.25, 0.0)) == (31.5 + 16, 31.5, 64)
    assert centre_and_size(translate=(0.0, -0.25)) == (31.5, 31.5 - 16, 64)
    turned = centre_and_size(translate=(0.25, 0.0), rotate=30.0)
    assert turned == pytest.approx((31.5 + 16, 31.5, 64), rel=0.02), "turned about the picture's own centre"
    picture = np.roll(picture, 20, 1)  # to the right: turned anticlockwise it lies above
    up = centre_and_size(rotate=90.0)
    assert up == (31.5, 31.5 - 20, 64)


@pytest.mark.parametrize("shape", [(100, 80), (30, 200)])
def test_crops_lie_within_the_picture_and_have_the_area_asked_for(shape: tuple[int, int]) -> None:
    recipe = Recipe(crop="resized", area=(0.05, 1.0), aspect=(0.5, 2.0))
    height, width = shape
    for i in range(300):
        view = sample(recipe, 0, "train", 0, str(i))
        left, top, wide, high = crop_box(view, height, width, whole(32))
        assert left >= 0 and left + wide <= width + 1e-9 and top >= 0 and top + high <= height + 1e-9
        assert 0.5 <= wide / high <= 2.0 + 1e-9, "however long the picture is"
        fits = view.area * max(width / height, height / width) <= 2
        assert wide * high == pytest.approx(view.area * height * width) or not fits
        free = math.sqrt(view.area * height * width / view.aspect)
        if free < height and free * view.aspect < width:
            assert wide / high == pytest.approx(view.aspect)


def test_the_slope_is_what_a_step_in_the_view_is_in_the_picture() -> None:
    recipe = Recipe(rotate=180.0, shear=20.0, zoom=(0.5, 2.0), perspective=0.3)
    spec = whole(64)
    for i in range(50):
        whole_matrix = matrix(sample(recipe, 0, "train", 0, str(i)), 200, 100, spec)
        middle, step = np.full((2, 1), 31.5), 1e-4
        right, down = middle + np.array([[step], [0]]), middle + np.array([[0], [step]])
        here = at(middle, whole_matrix)
        moved = np.hstack([at(right, whole_matrix) - here, at(down, whole_matrix) - here]) / step
        np.testing.assert_allclose(slope(whole_matrix, 64), moved, rtol=1e-3, atol=1e-3)


def test_whole_steps_are_told_from_others() -> None:
    def exact(**change: Any) -> bool:
        return is_exact(matrix(replace(PLAIN, **change), 64, 64, whole(64)))

    assert exact() and exact(mirror=True) and exact(rotate=-90.0) and exact(translate=(0.25, 0.5))
    for change in ({"rotate": 89.9}, {"zoom": 1.01}, {"zoom": 0.5}, {"translate": (0.26, 0.0)}):
        assert not exact(**change), change
    assert not exact(perspective=(0.01, 0.0))


# --- sampled once


def waves(x: Floats, y: Floats) -> Floats:
    """A picture known between its pixels too: waves 9 to 40 pixels long."""
    total = np.zeros_like(x)
    for length, angle, phase in [(9, 0.3, 0), (12, 1.9, 1), (17, 2.6, 2), (24, 1.1, 3), (40, 0.0, 4)]:
        along = x * math.cos(angle) + y * math.sin(angle)
        total += np.sin(2 * math.pi * along / length + phase)
    return 127.5 + 20 * total


def drawn(size: int) -> Pixels:
    y, x = np.indices((size, size)).astype(np.float64)
    return np.rint(waves(x, y)).astype(np.uint8)[:, :, None]


def psnr(seen: Pixels, places: Floats, size: int, inner: slice) -> float:
    """Against the waves at exact places, where those lie well within the picture."""
    known = ((places > 2) & (places < size - 3)).all(0)[inner, inner]
    assert known.mean() > 0.5
    error = (seen[..., 0] - waves(*places))[inner, inner][known]
    return float(10 * np.log10(255**2 / np.mean(error**2)))


def one_after_another(picture: Pixels, view: View) -> Pixels:
    """Each operation samples anew, and rounds to 8 bits."""
    size = len(picture)
    for names in (("rotate",), ("shear",), ("zoom",), ("translate",), ("mirror",)):
        one = replace(PLAIN, **{name: getattr(view, name) for name in names})
        step = matrix(one, size, size, whole(size))[:2]
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        picture = cv2.warpAffine(picture, step, (size, size), flags=flags, borderMode=cv2.BORDER_REFLECT)
    return picture[:, :, None]


def test_one_warp_is_closer_to_the_truth_than_its_operations_one_after_another() -> None:
    recipe = Recipe(rotate=30.0, shear=10.0, zoom=(0.9, 1.2), translate=0.1, mirror=0.5)
    size, inner, gains = 160, slice(40, 120), []
    picture = drawn(size)
    for i in range(40):
        view = sample(recipe, 0, "train", 0, str(i))
        places = at(pixels_of(size), matrix(view, size, size, whole(size)))
        once = psnr(apply(picture, view, whole(size)), places, size, inner)
        steps = psnr(one_after_another(picture, view), places, size, inner)
        assert once > steps + 3, view.numbers()
        gains.append(once - steps)
    assert np.median(gains) > 6


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(perspective=0.2),
        Recipe(warp=0.03, wavelength=0.5),
        Recipe(warp=0.02, wavelength=0.3, perspective=0.2, rotate=20.0, mirror=0.5),
        Recipe(crop="resized", area=(0.3, 0.9), aspect=(0.7, 1.4), rotate=30.0),
    ],
    ids=["perspective", "warp", "both", "resized"],
)
def test_views_show_what_is_at_the_exact_places(recipe: Recipe) -> None:
    """Homogeneous coordinates and splines in float64 against what OpenCV samples in its own way."""
    size = 160
    for i in range(20):
        view = sample(recipe, 0, "train", 0, str(i))
        places = displaced(view, size) if view.bend is not None else pixels_of(size)
        places = at(places, matrix(view, size, size, whole(size)))
        assert psnr(apply(drawn(size), view, whole(size)), places, size, slice(None)) > 36, view.numbers()


# --- the local warp


def displaced(view: View, size: int) -> Floats:
    """(2, size, size) where the view's pixels are moved to: scipy's B-spline through the view's knots."""
    assert view.bend is not None
    count = view.bend.shape[1]
    knots = (np.arange(count + 4) - 3.0) * size / (count - 3)
    places = np.arange(size) + 0.5
    basis = BSpline(knots, np.eye(count), 3)(places)
    return pixels_of(size) + np.stack([basis @ plane @ basis.T for plane in view.bend.astype(float) * size])


@pytest.mark.parametrize("wavelength", [0.1, 0.3, 0.65, 2.0])
def test_a_local_warp_moves_points_by_a_spline_before_the_matrix(wavelength: float) -> None:
    recipe = Recipe(
        warp=min(0.1, wavelength / MAX_BEND), wavelength=wavelength, rotate=40.0, perspective=0.2, shear=5.0
    )
    spec = PreprocessSpec(size=64, short_side=70)
    for i in range(10):
        for view in (sample(r, 0, "train", 0, str(i)) for r in (recipe, replace(recipe, perspective=0.0))):
            assert view.bend is not None
            to_picture = matrix(view, 200, 300, spec)
            expected = at(displaced(view, 64), to_picture)
            seen = np.stack(seen_at(to_picture, view.bend, 64))
            assert seen.dtype == np.float32
            np.testing.assert_allclose(seen, expected, rtol=0, atol=2e-3)


def test_a_spline_says_affine_maps_exactly() -> None:
    flat = np.zeros((2, 10, 10), np.float32)
    for i in range(20):
        view = sample(Recipe(rotate=180.0, shear=30.0, zoom=(0.5, 2.0)), 0, "train", 0, str(i))
        to_picture = matrix(view, 64, 64, whole(64))
        seen = np.stack(seen_at(to_picture, flat, 64))
        np.testing.assert_allclose(seen, at(pixels_of(64), to_picture), rtol=0, atol=1e-3)


@pytest.mark.parametrize("knots", [4, 5, 10, 23])
@pytest.mark.parametrize("size", [16, 97])
def test_the_splines_weights_are_a_partition(size: int, knots: int) -> None:
    basis, (across, _, _) = spline(size, knots)
    assert basis.shape == (size, knots) and (basis >= 0).all()
    np.testing.assert_allclose(basis.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(basis @ across[0], np.arange(size), atol=1e-3)


WAVELENGTHS = [0.1, 0.15, 0.2, 0.3, 0.4, 0.499, 0.65, 0.66, 0.8, 1.3, 2.0]


@pytest.mark.parametrize("wavelength", WAVELENGTHS)
def test_no_local_warp_folds_the_picture_or_goes_further_than_it_may(wavelength: float) -> None:
    """At the greatest strength there is; half the draws are made worse, every knot at its limit."""
    recipe = Recipe(warp=min(0.1, wavelength / MAX_BEND), wavelength=wavelength)
    size = 192
    for i in range(60):
        bend = sample(recipe, 0, "train", 0, str(i)).bend
        assert bend is not None
        if i % 2:
            bend = np.where(bend > 0, recipe.warp, -recipe.warp).astype(np.float32)
        x, y = seen_at(np.eye(3), bend, size)
        moved = np.abs(np.stack([x, y]) - pixels_of(size)).max()
        assert moved <= recipe.warp * size + 1e-3
        (x_down, x_across), (y_down, y_across) = np.gradient(x.astype(float)), np.gradient(y.astype(float))
        assert (x_across * y_down - x_down * y_across).min() > 0, f"folded in draw {i}"


def test_the_strongest_fold_that_signs_alone_can_make_is_none() -> None:
    """All four slopes at their extreme in one place, for every wavelength that lets a knot more in."""
    for wavelength in np.linspace(0.1, 2.0, 381):
        strength = min(0.1, wavelength / MAX_BEND)
        step = 1 / (bend_knots(wavelength) - 3)
        steepest = 1.5 * strength / step  # of a cubic B-spline whose knots change sign in the middle
        assert (1 - steepest) ** 2 - steepest**2 > -1e-9, wavelength


# --- what needs no sampling is cut out


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("border", ["reflect", "edge", "colour"])
@pytest.mark.parametrize("shape", [(24, 24), (32, 32), (32, 51), (40, 32)])
def test_a_crop_of_whole_pixels_is_what_sampling_makes_of_it(
    shape: tuple[int, int], border: Border, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit: mirrored, flipped, and up to half its side beyond every edge."""
    recipe = Recipe(crop="random", pad=0.5, mirror=0.5, flip=0.5, border=border, colour=(250, 10, 91))
    picture, spec = noisy(*shape, channels), PreprocessSpec(size=24, short_side=min(shape))
    cut, places, ways, cut_out = 0, [], set(), Changes._cut_out
    for i in range(60):
        view = sample(recipe, 0, "train", 0, str(i))
        with monkeypatch.context() as patch:
            taken = []
            patch.setattr(Changes, "_cut_out", lambda *a, taken=taken: taken.append(a) or cut_out(*a))
            quick = apply(picture, view, spec)
            patch.setattr("lexnet.augment.apply.is_upright", lambda view: np.False_)
            assert np.array_equal(quick, apply(picture, view, spec)), view.numbers()
        cut += len(taken)
        places.append(crop_box(view, *shape, spec)[:2])
        ways.add((view.mirror, view.flip))
    assert cut == 60 and len(ways) == 4
    beyond = (np.min(places, 0) < 0) & (np.max(places, 0) + 24 > shape[::-1])
    assert beyond[0 if shape[1] <= shape[0] else 1], "the short side's edges at least"


def test_a_crop_at_the_pictures_own_scale_begins_at_a_whole_pixel_and_reaches_every_edge() -> None:
    recipe, spec = Recipe(crop="random", pad=0.125), PreprocessSpec(size=32, short_side=37)
    views = [sample(recipe, 0, "train", 0, str(i)) for i in range(500)]
    boxes = [crop_box(view, 37, 50, spec) for view in views]
    assert {box[2:] for box in boxes} == {(32, 32)}
    tops = [box[1] for box in boxes]
    assert set(tops) == set(range(-4, 10)), "five pixels of room, and four beyond either side"
    views = sample_all(recipe, 0, "train", [(0, str(i)) for i in range(14_000)])
    _, counts = np.unique(crop_box(views, 37, 37, spec)[0], return_counts=True)
    assert len(counts) == 14 and counts.min() > 850 and counts.max() < 1150, "each is as likely"
    assert crop_box(PLAIN, 37, 50, spec)[:2] == (9, 2)


@pytest.mark.parametrize(
    "change",
    [{"zoom": 1.01}, {"rotate": 0.5}, {"translate": (0.01, 0.0)}, {"perspective": (0.0, 0.01)}],
    ids=lambda change: next(iter(change)),
)
def test_what_is_moved_between_pixels_is_sampled(change: dict[str, Any]) -> None:
    picture = noisy(32, 32)
    assert not np.array_equal(apply(picture, replace(PLAIN, **change), whole(32)), picture)


# --- borders


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("border", ["reflect", "edge", "colour"])
def test_beyond_the_picture_lies_what_was_asked_for(border: Border, channels: int) -> None:
    picture = noisy(32, 32, channels)
    colour = (250, 10, 90)
    view = replace(PLAIN, recipe=Recipe(border=border, colour=colour), translate=(0.25, -0.125))
    seen = apply(picture, view, whole(32))
    if border == "colour":
        level = colour if channels == 3 else round(0.299 * 250 + 0.587 * 10 + 0.114 * 90)
        expected = np.empty_like(picture)
        expected[:] = level
        expected[:28, 8:] = picture[4:, :24]
    else:
        mode: Any = {"reflect": "symmetric", "edge": "edge"}[border]
        expected = np.pad(picture, ((0, 4), (8, 0), (0, 0)), mode)[4:, :32]
    assert np.array_equal(seen, expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_view_that_looks_past_the_edge_sees_the_whole_reflection(channels: int) -> None:
    """Half a square of padding and half of translation: nothing of the picture itself is in view."""
    picture = noisy(32, 32, channels)
    beside = replace(PLAIN, recipe=Recipe(crop="random", pad=0.5), place=(0.0, 0.5), translate=(0.5, 0.0))
    assert np.array_equal(apply(picture, beside, whole(32)), picture[:, ::-1])
    below = replace(beside, place=(0.5, 1.0), translate=(0.0, -0.5))
    assert np.array_equal(apply(picture, below, whole(32)), picture[::-1])


@pytest.mark.parametrize("shape", [(1, 2), (5, 1), (3, 2)])
def test_a_picture_far_smaller_than_its_view_is_reflected_over_and_over(shape: tuple[int, int]) -> None:
    picture = np.full((*shape, 3), 100, np.uint8)
    picture[::2, ::2] = 150
    view = replace(PLAIN, zoom=0.2, rotate=20.0)
    seen = apply(picture, view, whole(32))
    assert seen.min() >= 80 and seen.max() <= 170, "sharpened a little, and never black"
    assert np.abs(np.diff(seen.astype(int), axis=0)).any(), "not one colour"
    black = replace(view, recipe=Recipe(border="colour", colour=(0, 0, 0)))
    corners = apply(picture, black, whole(32))[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners == 0).all()


@pytest.mark.parametrize("border", ["reflect", "edge", "colour"])
def test_a_part_of_the_picture_gives_what_the_whole_gives(
    border: Border, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the view shows is cut out of the picture first; nothing at the cut's edges may show."""

    def all_of_it(seen: NDArray[Any], lengths: NDArray[Any], halved: NDArray[Any]) -> NDArray[Any]:
        blocks = 1 << halved
        return np.stack([np.zeros_like(blocks), np.maximum(blocks, lengths - lengths % blocks)], -1)

    recipe = Recipe(
        crop="resized", area=(0.02, 0.6), rotate=180.0, shear=20.0, perspective=0.1, warp=0.02, border=border
    )
    picture, wrong = noisy(301, 402), []
    for changed in (recipe, replace(recipe, warp=0.0), replace(recipe, warp=0.0, perspective=0.0)):
        for i in range(30):
            view = sample(changed, 0, "train", 0, str(i))
            cut = apply(picture, view, whole(64)).astype(int)
            with monkeypatch.context() as patch:
                patch.setattr("lexnet.augment.region._spans", all_of_it)
                wrong.append((np.abs(apply(picture, view, whole(64)) - cut) > 1).mean())
    assert np.mean(wrong) < 5e-4 and np.max(wrong) < 2e-3, "no more than OpenCV's last bit of a coordinate"


@pytest.mark.parametrize(
    ("start", "step", "expected"),
    [(-10, 1.0, (11, 0)), (3, 1.0, (0, 12)), (-8, 1.75, (9, 13)), (-20, 1.75, (0, 0)), (-30, 1.0, (0, 0))],
)
def test_what_lies_beyond_is_left_to_the_sampler_on_both_sides_or_on_neither(
    start: float, step: float, expected: tuple[int, int]
) -> None:
    """A view of 16 px from here on, of a picture of 8: no side gets a border of more than 16 px."""
    along = np.array([[[step, 0, start], [0, 1, 0], [0, 0, 1]]])
    none = np.zeros((1, 2), int)
    views = Geometry(whole=along, matrices=along, halved=none, soften=np.zeros((1, 2)))
    found = regions(views, (8, 16), 16, 0.0)
    assert tuple(found.beyond[0, 0]) == expected
    assert found.matrices[0, 0, 2] == start + expected[0] - found.spans[0, 0, 0]
