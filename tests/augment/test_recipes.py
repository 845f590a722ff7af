"""Recipes by name and as YAML, and what they may do to labels."""

import re
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lexnet.augment.recipes import RECIPES, breaks_labels, find_recipe, idle, read_recipe, recipe_yaml
from lexnet.config import MAX_BEND, Recipe
from lexnet.errors import ConfigError

DIGITS = [str(digit) for digit in range(10)]
ORDINARY = [
    "bright",
    "lefty",
    "aright",
    "copyright",
    "leftover",
    "cat",
    "dog",
    "upright piano",
    "6",
    "t-shirt",
]

LIMITS: list[tuple[str, float, float]] = [
    ("pad", 0.0, 0.5), ("mirror", 0.0, 1.0), ("flip", 0.0, 1.0), ("rotate", 0.0, 180.0), ("shear", 0.0, 45.0),
    ("translate", 0.0, 0.5), ("perspective", 0.0, 0.4), ("wavelength", 0.1, 2.0), ("brightness", 0.0, 0.9),
    ("contrast", 0.0, 0.9), ("saturation", 0.0, 1.0), ("hue", 0.0, 180.0), ("grey", 0.0, 1.0),
    ("channels", 0.0, 0.5), ("pca", 0.0, 1.0), ("damage", 0.0, 1.0), ("blur", 0.0, 0.05), ("noise", 0.0, 0.5),
    ("jpeg", 5, 100), ("erase", 0.0, 1.0), ("mixup", 0.0, 10.0), ("cutmix", 0.0, 10.0),
]  # fmt: skip
RANGES = [
    ("area", 0.02, 1.0), ("aspect", 0.2, 5.0), ("zoom", 0.2, 5.0), ("gamma", 0.2, 5.0), ("erased", 0.0, 0.8)
]  # fmt: skip


def refusal(**settings: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        Recipe(**settings)
    return str(caught.value)


# --- YAML


def as_read(recipe: Recipe, folder: Path) -> Recipe:
    file = folder / "recipe.yaml"
    file.write_text(recipe_yaml(recipe), encoding="utf-8")
    return read_recipe(file)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_comes_back_from_yaml(name: str, tmp_path: Path) -> None:
    assert as_read(RECIPES[name], tmp_path) == RECIPES[name]
    assert find_recipe(str(tmp_path / "recipe.yaml")) == RECIPES[name]


def pair(low: float, high: float) -> st.SearchStrategy[tuple[float, float]]:
    return st.tuples(st.floats(low, high), st.floats(low, high)).map(lambda two: (min(two), max(two)))


ANY_RECIPE = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.floats(low, high) for name, low, high in LIMITS if name != "jpeg"},
        **{name: pair(low, high) for name, low, high in RANGES},
        "jpeg": st.integers(5, 100),
        "warp": st.floats(0, 0.1 / MAX_BEND),
        "crop": st.sampled_from(["centre", "random", "resized"]),
        "border": st.sampled_from(["reflect", "edge", "colour"]),
        "colour": st.tuples(*[st.integers(0, 255)] * 3),
    },
).map(lambda values: Recipe(**values))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(recipe=ANY_RECIPE)
def test_any_recipe_comes_back_from_yaml(recipe: Recipe, tmp_path: Path) -> None:
    """Without the settings that would do nothing."""
    alone = Recipe()
    recipe = replace(recipe, **{name: getattr(alone, name) for name in idle(recipe)})
    recipe = replace(recipe, **{name: getattr(alone, name) for name in idle(recipe)})  # damage without harm
    assert as_read(recipe, tmp_path) == recipe


def test_yaml_tells_only_what_is_changed(tmp_path: Path) -> None:
    assert recipe_yaml(Recipe(mirror=0.5, zoom=(0.9, 1.1))) == "mirror: 0.5\nzoom:\n- 0.9\n- 1.1\n"
    assert recipe_yaml(Recipe()) == "{}\n"
    file = tmp_path / "mine.yml"
    file.write_text("rotate: 10  # whole numbers are numbers\nzoom: [1, 2]\nborder: edge\n", encoding="utf-8")
    assert find_recipe(str(file)) == Recipe(rotate=10, zoom=(1, 2), border="edge")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("rotat: 10", "has settings that no recipe has: rotat (did you mean rotate?)"),
        ("qqq: 1\nmirror: 0.5", "has settings that no recipe has: qqq"),
        ("1: 2", "has settings that no recipe has: 1"),
        ("", "is not a recipe; give settings such as `mirror: 0.5`"),
        ("- mirror", "is not a recipe"),
        ("mirror", "is not a recipe"),
        ("mirror: [", "is not a readable recipe"),
        ("mirror: !!python/object/apply:os.getcwd []", "is not a readable recipe"),
        ("mirror: 2", "mirror=2 must lie in [0.0, 1.0]"),
        ("mirror: true", "mirror=True must lie in [0.0, 1.0]"),
        ("mirror: often", "mirror='often' must lie in [0.0, 1.0]"),
        ("mirror: .nan", "mirror=nan must lie in [0.0, 1.0]"),
        ("mirror:", "mirror=None must lie in [0.0, 1.0]"),
        ("mirror: [0, 1]", "mirror=(0, 1) must lie in [0.0, 1.0]"),
        ("jpeg: 50.5", "jpeg=50.5 must be a whole number"),
        ("zoom: 2", "zoom=2 must be two numbers"),
        ("zoom: [1, 2, 3]", "zoom=(1, 2, 3) must be two numbers"),
        ("zoom: [2, 1]", "zoom=(2, 1) must have the lesser number first"),
        ("colour: [1, 2]", "colour=(1, 2) must be three levels"),
        ("colour: [1, 2, 256]", "colour=256 must lie in [0, 255]"),
        ("colour: grey", "colour=grey must be three levels"),
        ("crop: center", "crop='center' must be one of centre, random, resized"),
        ("border: [reflect]", "border=('reflect',) must be one of reflect, edge, colour"),
        ("warp: 0.05", "warp=0.05 at wavelength=0.3 would fold the picture over"),
    ],
)
def test_a_faulty_file_is_refused_with_its_fault(content: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        find_recipe(str(file))
    assert told in str(caught.value)
    if "recipe" in told:
        assert str(file) in str(caught.value)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"mirror: 0.5 # \xe9")
    for name in ("missing.yaml", "latin.yaml"):
        with pytest.raises(ConfigError, match=re.escape(name)):
            find_recipe(str(tmp_path / name))
    with pytest.raises(ConfigError, match="is not a readable recipe"):
        read_recipe(tmp_path)


@pytest.mark.parametrize(
    ("name", "told"),
    [("foto", "no recipe named 'foto' (did you mean photo?)"), ("lectur", "(did you mean lecture?)"),
     ("xyz", "no recipe named 'xyz'; there are none, mirror")],
)  # fmt: skip
def test_an_unknown_name_is_told_with_the_nearest(name: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find_recipe(name)
    assert told in str(caught.value) and "or give a YAML file of your own" in str(caught.value)


# --- limits


def test_every_number_of_a_recipe_has_its_limits_below() -> None:
    told = {name for name, *_ in LIMITS + RANGES} | {"crop", "border", "colour", "warp"}
    assert told == {field.name for field in fields(Recipe)}


@pytest.mark.parametrize(("name", "low", "high"), LIMITS)
def test_a_value_beyond_a_limit_is_told_with_the_limit(name: str, low: float, high: float) -> None:
    for value in (low, high):
        assert getattr(Recipe(**{name: value}), name) == value
    step = 1 if isinstance(low, int) else 0.001
    for value in (low - step, high + step, float("inf"), float("-inf"), float("nan"), "1", True, None):
        assert f"{name}={value!r} must lie in [{low}, {high}]" in refusal(**{name: value})


@pytest.mark.parametrize(("name", "low", "high"), RANGES)
def test_a_range_beyond_a_limit_is_told_with_the_limit(name: str, low: float, high: float) -> None:
    assert getattr(Recipe(**{name: (low, high)}), name) == (low, high)
    for value in ((low - 0.001, high), (low, high + 0.001), (low, float("nan"))):
        assert f"must lie in [{low}, {high}]" in refusal(**{name: value})
    assert f"{name}={(high, low)} must have the lesser number first" in refusal(**{name: (high, low)})
    assert "two numbers" in refusal(**{name: low})


def test_a_warp_that_would_fold_is_refused() -> None:
    for wavelength in (0.1, 0.3, 0.7):
        Recipe(warp=wavelength / MAX_BEND, wavelength=wavelength)
        told = refusal(warp=wavelength / MAX_BEND + 0.001, wavelength=wavelength)
        assert "would fold the picture over; keep it under wavelength / 8" in told
    assert "warp=0.11 must lie in [0.0, 0.1]" in refusal(warp=0.11, wavelength=2.0)


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("blur: 0.02", "blur=0.02 does nothing without damage, their probability"),
        ("damage: 1", "damage=1 does nothing without blur, noise or jpeg"),
        ("area: [0.3, 0.6]", r"area=\(0.3, 0.6\) does nothing without crop: resized"),
        ("{pad: 0.1, crop: resized}", "pad=0.1 does nothing without crop: random"),
        ("erased: [0.1, 0.2]", r"erased=\(0.1, 0.2\) does nothing without erase"),
        ("{colour: [0, 0, 0], rotate: 5}", r"colour=\(0, 0, 0\) does nothing without border: colour"),
        ("wavelength: 0.5", "wavelength=0.5 does nothing without warp"),
    ],
)
def test_a_setting_that_would_do_nothing_is_refused(tmp_path: Path, text: str, needed: str) -> None:
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(ConfigError, match=f"{needed}.*; give both"):
        read_recipe(tmp_path / "own.yaml")


def test_no_recipe_of_ours_has_a_setting_that_does_nothing() -> None:
    assert {name: idle(recipe) for name, recipe in RECIPES.items()} == {name: {} for name in RECIPES}


# --- labels


def test_digits_are_never_mirrored() -> None:
    assert RECIPES["digits"].mirror == RECIPES["digits"].flip == 0
    assert breaks_labels(RECIPES["digits"], DIGITS) == []


@pytest.mark.parametrize(
    ("recipe", "classes", "told"),
    [
        (Recipe(mirror=0.5), DIGITS, "mirrored, signs such as '0' and '1' are others or none"),
        (Recipe(flip=0.5), ["b", "d", "p"], "mirrored, signs such as 'b' and 'd'"),
        (Recipe(mirror=0.5), ["turn left", "turn right"], "there is a class 'turn left'"),
        (Recipe(mirror=0.1), ["left_hand", "foot"], "there is a class 'left_hand'"),
        (Recipe(mirror=0.5), ["straight", "Right"], "there is a class 'Right'"),
        (Recipe(mirror=0.5), ["arrow-left", "arrow-up"], "there is a class 'arrow-left'"),
        (Recipe(rotate=90.0), DIGITS, "turned by up to 90 degrees, a 6 is a 9"),
        (Recipe(rotate=180.0), ["6", "9"], "turned by up to 180 degrees, a 6 is a 9"),
        (Recipe(rotate=180.0), ["six", "nine"], "turned by up to 180 degrees, a 6 is a 9"),
        (Recipe(rotate=180.0), ["b", "q"], "turned by up to 180 degrees, a b is a q"),
        (Recipe(rotate=180.0), ["letter_M", "letter_W"], "turned by up to 180 degrees, a m is a w"),
        (Recipe(mirror=0.5), ["clockwise", "anticlockwise"], "and there is a class 'clockwise'"),
        (
            Recipe(hue=20.0),
            ["red_shirt", "blue_shirt"],
            "there is a class 'red_shirt'",
        ),
        (Recipe(mirror=0.5), ["TurnLeft", "Straight"], "there is a class 'TurnLeft'"),
        (Recipe(mirror=0.5), ["digit_6", "digit_7"], "signs such as 'digit_6' and 'digit_7'"),
        (Recipe(flip=0.5), ["arrow_up", "arrow_down"], "flip turns top into bottom"),
        (Recipe(rotate=180.0), ["left", "right"], "things point elsewhere, and there is a class 'left'"),
        (Recipe(rotate=60.0), ["up", "left"], "things point elsewhere, and there is a class 'left'"),
        (Recipe(flip=0.5), ["north", "south"], "flip turns top into bottom, and there is a class 'north'"),
        (Recipe(pca=0.5), ["red", "green"], "pca change colours, and there is a class 'red'"),
        (Recipe(channels=0.5), ["red", "green"], "pca change colours, and there is a class 'red'"),
    ],
)
def test_what_breaks_labels_is_told(recipe: Recipe, classes: list[str], told: str) -> None:
    found = breaks_labels(recipe, classes)
    assert len(found) == 1 and told in found[0]


def test_all_that_breaks_labels_is_told_at_once() -> None:
    assert len(breaks_labels(Recipe(mirror=0.5, rotate=180.0), [*DIGITS, "left"])) == 4


@pytest.mark.parametrize("name", RECIPES)
def test_ordinary_classes_and_recipes_are_not_warned_of(name: str) -> None:
    assert breaks_labels(RECIPES[name], ORDINARY) == []
    assert breaks_labels(RECIPES[name], []) == []


def test_left_and_right_may_be_turned_upside_down_and_digits_a_little() -> None:
    assert breaks_labels(Recipe(flip=0.5, rotate=30.0), ["left", "right"]) == []
    assert breaks_labels(Recipe(rotate=45.0), DIGITS) == []
    assert breaks_labels(Recipe(rotate=180.0), ["6", "7", "8"]) == []


# --- imports


@pytest.mark.parametrize("module", ["sample", "warp", "colour", "compose", "region", "recipes"])
def test_what_is_drawn_and_read_needs_neither_torch_nor_opencv(module: str) -> None:
    code = (
        f"import sys, lexnet.augment.{module}\n"
        "print(*[name for name in ('torch', 'cv2', 'sklearn', 'scipy') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_a_view_on_the_cpu_needs_no_torch() -> None:
    code = "import sys, lexnet.augment.apply; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
