"""All colour in one 3×4, against each operation written out in float64."""

import cmath
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lexnet.augment import colour
from lexnet.augment.apply import apply
from lexnet.augment.batch import apply_batch, prepare
from lexnet.augment.sample import View, sample
from lexnet.config import PreprocessSpec, Recipe
from lexnet.preprocess import Pixels

PLAIN = sample(Recipe(), 0, "", 0, "")
SPEC = PreprocessSpec(size=64, short_side=64)
AXES = np.array([[0.05, 0.01, -0.02], [0.06, -0.01, 0.0], [0.04, 0.02, 0.03]])
Levels = NDArray[np.float64]

COLOURS = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
"""Of every kind, black, white and the purest among them."""
COLOURS[0, :8] = [[255 * (i >> k & 1) for k in range(3)] for i in range(8)]
GREYS = np.repeat(np.arange(64 * 64).reshape(64, 64, 1) % 256, 3, 2).astype(np.uint8)


def luma(levels: Levels) -> Levels:
    """(..., 3) → (..., 1)"""
    return 0.299 * levels[..., :1] + 0.587 * levels[..., 1:2] + 0.114 * levels[..., 2:]


def turned(levels: Levels, degrees: float) -> Levels:
    """The chroma as one complex number, turned; YIQ's matrix as in the NTSC standard, solved for."""
    yiq = np.array([[0.299, 0.587, 0.114], [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
    y, i, q = np.moveaxis(levels @ yiq.T, -1, 0)
    chroma = (i + 1j * q) * cmath.exp(1j * math.radians(degrees))
    return np.linalg.solve(yiq, np.stack([y, chroma.real, chroma.imag]).reshape(3, -1)).T.reshape(
        levels.shape
    )


def alexnet(levels: Levels, alphas: tuple[float, float, float]) -> Levels:
    """Section 4.1: to each pixel [p1, p2, p3] [α1 λ1, α2 λ2, α3 λ3]ᵀ, of colours in 0..1."""
    return levels + 255 * sum(alpha * axis for alpha, axis in zip(alphas, AXES.T, strict=True))


OPERATIONS: list[tuple[dict[str, Any], Callable[[Levels], Levels]]] = [
    ({"brightness": 1.4}, lambda p: 1.4 * p),
    ({"brightness": 0.3}, lambda p: 0.3 * p),
    ({"contrast": 1.7}, lambda p: 127.5 + 1.7 * (p - 127.5)),
    ({"contrast": 0.2}, lambda p: 127.5 + 0.2 * (p - 127.5)),
    ({"saturation": 2.5}, lambda p: luma(p) + 2.5 * (p - luma(p))),
    ({"saturation": 0.4}, lambda p: luma(p) + 0.4 * (p - luma(p))),
    ({"saturation": -0.5}, lambda p: luma(p) - 0.5 * (p - luma(p))),
    ({"hue": 25.0}, lambda p: turned(p, 25)),
    ({"hue": -140.0}, lambda p: turned(p, -140)),
    ({"grey": True}, lambda p: np.repeat(luma(p), 3, -1)),
    ({"channels": (0.1, -0.2, 0.05)}, lambda p: p + 255 * np.array([0.1, -0.2, 0.05])),
    ({"pca": (0.5, -1.0, 2.0)}, lambda p: alexnet(p, (0.5, -1.0, 2.0))),
    ({"gamma": 1.8}, lambda p: np.rint(255 * (p / 255) ** 1.8)),
    ({"gamma": 0.4}, lambda p: np.rint(255 * (p / 255) ** 0.4)),
    # gamma, brightness, contrast, saturation, hue, channels and PCA, in this order
    (
        {
            "gamma": 1.3, "brightness": 1.2, "contrast": 0.8, "saturation": 1.5, "hue": 40.0,
            "channels": (0.1, 0.0, -0.1), "pca": (1.0, 0.5, -0.5),
        },
        lambda p: alexnet(
            turned(
                1.5 * (q := 127.5 + 0.8 * (1.2 * np.rint(255 * (p / 255) ** 1.3) - 127.5)) - 0.5 * luma(q), 40
            ) + 255 * np.array([0.1, 0.0, -0.1]),
            (1.0, 0.5, -0.5),
        ),
    ),
]  # fmt: skip
NAMES = [" ".join(f"{name} {value}" for name, value in change.items())[:40] for change, _ in OPERATIONS]


def rounded(levels: Levels) -> Pixels:
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("change", "expected"), OPERATIONS, ids=NAMES)
def test_an_operation_is_what_its_formula_says(
    change: dict[str, Any], expected: Callable[[Levels], Levels]
) -> None:
    """Held to 0..255, not wrapped; to one level: OpenCV multiplies 8 bits by 10."""
    for picture in (COLOURS, GREYS):
        seen = apply(picture, replace(PLAIN, **change), SPEC, AXES).astype(int)
        wanted = rounded(expected(picture.astype(np.float64)))
        assert np.abs(seen - wanted).max() <= 1
        assert (seen != wanted).mean() < 0.1


def shifts(most: float) -> st.SearchStrategy[tuple[float, ...]]:
    return st.tuples(*[st.floats(-most, most)] * 3)


@settings(max_examples=200, deadline=None)
@given(
    brightness=st.floats(0.1, 1.9),
    contrast=st.floats(0.1, 1.9),
    saturation=st.floats(0, 2),
    hue=st.floats(-180, 180),
    grey=st.booleans(),
    channels=shifts(0.5),
    pca=shifts(3),
)
def test_all_of_them_at_once_by_either_backend(**change: Any) -> None:
    """Whatever the numbers; to one level."""
    saturation = 0.0 if change["grey"] else change["saturation"]
    p = 127.5 + change["contrast"] * (change["brightness"] * COLOURS.astype(np.float64) - 127.5)
    p = turned(luma(p) + saturation * (p - luma(p)), change["hue"]) + 255 * np.array(change["channels"])
    wanted = rounded(alexnet(p, change["pca"])).astype(int)
    view = replace(PLAIN, **change)
    assert np.abs(apply(COLOURS, view, SPEC, AXES) - wanted).max() <= 1
    planes = torch.from_numpy(COLOURS).permute(2, 0, 1)[None]
    (seen,) = apply_batch(planes, prepare(view, (3, 64, 64), SPEC, AXES))
    assert np.abs(seen.permute(1, 2, 0).numpy() - wanted).max() <= 1


@pytest.mark.parametrize(("change", "expected"), OPERATIONS, ids=NAMES)
def test_grey_pictures_change_as_the_luma_of_coloured_ones(
    change: dict[str, Any], expected: Callable[[Levels], Levels]
) -> None:
    view = replace(PLAIN, **change)
    seen = apply(GREYS[:, :, :1], view, SPEC, AXES)
    assert seen.shape == (64, 64, 1)
    wanted = rounded(luma(expected(GREYS.astype(np.float64))))
    assert np.abs(seen.astype(int) - wanted).max() <= 1


@pytest.mark.parametrize(("change", "expected"), OPERATIONS, ids=NAMES)
def test_the_matrix_itself_is_right_to_float32(
    change: dict[str, Any], expected: Callable[[Levels], Levels]
) -> None:
    if "gamma" in change:
        assert len(change) > 1 or colour.matrix(replace(PLAIN, **change), AXES) is None
        change = {name: value for name, value in change.items() if name != "gamma"}
    levels = colour.matrix(replace(PLAIN, **change), AXES)
    if levels is None:
        return
    assert levels.shape == (3, 4) and levels.dtype == np.float32
    linear = COLOURS[:4].astype(np.float64)
    if len(change) == 1:
        np.testing.assert_allclose(linear @ levels[:, :3].T + levels[:, 3], expected(linear), atol=2e-3)


def test_bright_and_dark_saturate_and_do_not_wrap() -> None:
    assert (apply(COLOURS, replace(PLAIN, channels=(1.0,) * 3), SPEC) == 255).all()
    assert (apply(COLOURS, replace(PLAIN, channels=(-1.0,) * 3), SPEC) == 0).all()
    harsh = apply(GREYS, replace(PLAIN, contrast=1.9, brightness=1.9), SPEC)[..., 0]
    order = np.argsort(GREYS[..., 0], axis=None, kind="stable")
    assert (np.diff(harsh.ravel()[order].astype(int)) >= 0).all(), "what was brighter still is"


@pytest.mark.parametrize("degrees", [-180.0, -77.0, 10.0, 90.0, 123.4])
def test_greys_stay_grey_under_hue_and_saturation(degrees: float) -> None:
    for change in ({"hue": degrees}, {"saturation": degrees / 60}, {"hue": degrees, "saturation": 1.7}):
        seen = apply(GREYS, replace(PLAIN, **change), SPEC)
        assert np.array_equal(seen, GREYS), change


@pytest.mark.parametrize("degrees", [-180.0, -77.0, 10.0, 90.0, 123.4])
def test_the_luma_is_kept_under_hue_and_saturation(degrees: float) -> None:
    levels = colour.matrix(replace(PLAIN, hue=degrees, saturation=1.6))
    assert levels is not None
    np.testing.assert_allclose(colour.LUMA @ levels[:, :3], colour.LUMA, atol=1e-6)
    np.testing.assert_allclose(levels[:, 3], 0, atol=1e-6)
    soft = (96 + COLOURS // 4).astype(np.uint8)  # so soft that nothing is cut off
    seen = apply(soft, replace(PLAIN, hue=degrees, saturation=0.7), SPEC).astype(float)
    assert np.abs(luma(seen) - luma(soft.astype(float))).max() <= 0.6


def test_hue_goes_full_circle() -> None:
    whole = colour.matrix(replace(PLAIN, hue=360.0))
    third = colour.matrix(replace(PLAIN, hue=120.0))
    assert whole is not None and third is not None
    np.testing.assert_allclose(whole, np.eye(3, 4), atol=1e-6)
    turn = third[:, :3]
    np.testing.assert_allclose(turn @ turn @ turn, np.eye(3), atol=1e-6)


def test_no_colour_is_chosen_for_no_change() -> None:
    assert colour.matrix(PLAIN) is None
    assert colour.matrix(PLAIN, AXES) is None
    assert colour.matrix(replace(PLAIN, pca=(1.0, 1.0, 1.0))) is None, "without axes there is no PCA colour"


def test_brightness_that_undoes_contrast_still_shifts() -> None:
    levels = colour.matrix(replace(PLAIN, brightness=2.0, contrast=0.5))
    assert levels is not None
    np.testing.assert_allclose(levels, np.column_stack([np.eye(3), [63.75] * 3]))


def test_gamma_keeps_black_and_white_and_the_order() -> None:
    for gamma in (0.2, 0.9, 1.0, 1.7, 5.0):
        table = colour.gamma_table(gamma)
        assert (table[0], table[255]) == (0, 255) and (np.diff(table.astype(int)) >= 0).all()
    assert np.array_equal(colour.gamma_table(1.0), np.arange(256))


# --- principal axes


def by_svd(pixels: Pixels) -> tuple[Levels, Levels]:
    """The axes as rows and their variances, the largest first, of colours in 0..1."""
    colours = pixels.reshape(-1, 3) / 255
    _, singular, axes = np.linalg.svd(colours - colours.mean(0), full_matrices=False)
    return axes, singular**2 / (len(colours) - 1)


@pytest.mark.pictures
def test_principal_axes_of_photos_are_those_of_a_singular_value_decomposition(photos: Pixels) -> None:
    pixels = photos[::20, ::4, ::4]
    axes = colour.principal_axes(pixels)
    expected, variances = by_svd(pixels)
    found = axes.T[np.argsort(-np.linalg.norm(axes, axis=0))]
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), variances, rtol=1e-6)
    along = np.abs((found / variances[:, None] * expected).sum(1))
    np.testing.assert_allclose(along, 1, atol=1e-6)
    assert found[0].min() * found[0].max() > 0, "of photographs the first axis is light and dark"


def test_principal_axes_of_made_up_colours() -> None:
    """Colours that vary by 40, 20 and 10 levels along three known axes."""
    rotation = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))[0]
    spread = np.random.default_rng(2).standard_normal((100_000, 3)) * [40, 20, 10]
    axes = colour.principal_axes(rounded(128 + spread @ rotation.T))
    lengths = np.linalg.norm(axes, axis=0)
    np.testing.assert_allclose(lengths, (np.array([10, 20, 40]) / 255) ** 2, rtol=0.03)
    np.testing.assert_allclose(np.abs((axes / lengths).T @ rotation[:, ::-1]), np.eye(3), atol=0.02)


def test_pictures_of_one_colour_have_axes_of_no_length() -> None:
    axes = colour.principal_axes(np.full((2, 4, 4, 3), 77, np.uint8))
    assert np.array_equal(axes, np.zeros((3, 3)))


def test_pca_colour_is_alexnets() -> None:
    """Every pixel of a view gets one and the same shift, drawn anew for each view."""
    views: list[View] = [sample(Recipe(pca=0.1), 0, "train", 0, str(i)) for i in range(20)]
    shifts = []
    for view in views:
        levels = colour.matrix(view, AXES)
        assert levels is not None
        np.testing.assert_allclose(levels[:, :3], np.eye(3))
        expected = 255 * (AXES[:, 0] * view.pca[0] + AXES[:, 1] * view.pca[1] + AXES[:, 2] * view.pca[2])
        np.testing.assert_allclose(levels[:, 3], expected, rtol=1e-5)
        shifts.append(tuple(levels[:, 3]))
    assert len(set(shifts)) == 20
