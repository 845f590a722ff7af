"""The recipes by name, and recipes as YAML."""

import re
from collections.abc import Sequence
from dataclasses import asdict, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from lexnet.config import Recipe
from lexnet.errors import ConfigError, did_you_mean, shown_plain
from lexnet.files import read_yaml

TURNED = 45.0  # degrees from which on a 6 may be taken for a 9
LYING = 90.0  # and an arrow for one that points elsewhere
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")  # of class names like left_hand, TurnLeft, digit_6
SAME_TURNED = (
    (("6", "six"), ("9", "nine")), (("b",), ("q",)), (("d",), ("p",)), (("n",), ("u",)), (("m",), ("w",)),
)  # fmt: skip
SIDES = ("left", "right", "east", "west", "clockwise", "anticlockwise", "counterclockwise")
ENDS = ("up", "down", "top", "bottom", "north", "south")
STRONG = 0.2  # shifts of single channels over which red may be taken for orange
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "grey", "gray")
COUNTED = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

RECIPES = {
    "none": Recipe(),
    "mirror": Recipe(mirror=0.5),
    # Krizhevsky et al. (2012), section 4.1
    "alexnet": Recipe(crop="random", mirror=0.5, pca=0.1),
    # He et al. (2015), section 4.2: 4 of 32 pixels on each side
    "cifar": Recipe(crop="random", pad=1 / 8, mirror=0.5, border="colour"),
    # mirroring, random cropping, rotation, shearing, local warping, colour shifting with PCA colour
    "lecture": Recipe(
        crop="random", mirror=0.5, rotate=15.0, shear=10.0, warp=0.02, channels=0.08, pca=0.1
    ),
    "photo": Recipe(
        crop="resized", area=(0.35, 1.0), aspect=(3 / 4, 4 / 3), mirror=0.5, rotate=5.0,
        brightness=0.2, contrast=0.2, saturation=0.2,
    ),
    "digits": Recipe(
        crop="random", pad=0.08, rotate=12.0, shear=10.0, zoom=(0.9, 1.1), warp=0.03, border="edge"
    ),
    "strong": Recipe(
        crop="resized", area=(0.2, 1.0), aspect=(3 / 4, 4 / 3), mirror=0.5, rotate=15.0, shear=10.0,
        perspective=0.15, warp=0.015,
        brightness=0.4, contrast=0.4, saturation=0.6, hue=20.0, grey=0.1, pca=0.1, gamma=(0.7, 1.4),
        damage=0.2, blur=0.01, noise=0.06, jpeg=30, erase=0.25, mixup=0.2, cutmix=1.0,
    ),
}  # fmt: skip


def find_recipe(name: str) -> Recipe:
    """A recipe by its name or from its YAML file. Raises `ConfigError` for one that there is not."""
    if name in RECIPES:
        return RECIPES[name]
    if Path(name).suffix.lower() in (".yaml", ".yml"):
        return read_recipe(Path(name))
    hint = did_you_mean(get_close_matches(name, RECIPES, n=1))
    raise ConfigError(
        f"no recipe named {name!r}{hint}; there are {', '.join(RECIPES)}, or give a YAML file of your own"
    )


def read_recipe(path: Path) -> Recipe:
    """A recipe from a YAML file that names what it changes; the rest is left alone. Raises `ConfigError`."""
    try:
        record = read_yaml(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is not a readable recipe ({error})") from error
    if not isinstance(record, dict):
        raise ConfigError(f"{path} is not a recipe; give settings such as `mirror: 0.5`, one a line")
    known = {field.name for field in fields(Recipe)}
    if unknown := sorted(set(map(str, record)) - known):
        hint = did_you_mean(get_close_matches(unknown[0], known, n=1))
        raise ConfigError(f"{path} has settings that no recipe has: {shown_plain(unknown)}{hint}")
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in record.items()}
    try:
        recipe = Recipe(**values)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    for name, needed in idle(recipe).items():
        raise ConfigError(f"{path}: {name}={getattr(recipe, name)} does nothing without {needed}; give both")
    return recipe


def idle(recipe: Recipe) -> dict[str, str]:
    """The settings that change nothing, and what each of them needs beside it."""
    harms = recipe.blur > 0 or recipe.noise > 0 or recipe.jpeg < 100
    needs = (
        (("area", "aspect"), "crop: resized", recipe.crop == "resized"),
        (("pad",), "crop: random", recipe.crop == "random"),
        (("blur", "noise", "jpeg"), "damage, their probability", recipe.damage > 0),
        (("damage",), "blur, noise or jpeg", harms),
        (("erased",), "erase, its probability", recipe.erase > 0),
        (("wavelength",), "warp", recipe.warp > 0),
        (("colour",), "border: colour", recipe.border == "colour"),
    )
    alone = Recipe()
    return {
        name: needed
        for names, needed, there in needs
        for name in names
        if not there and getattr(recipe, name) != getattr(alone, name)
    }


def recipe_yaml(recipe: Recipe) -> str:
    """The recipe as `read_recipe` reads it: only what is not left alone."""
    plain = asdict(Recipe())
    changed = {name: value for name, value in asdict(recipe).items() if value != plain[name]}
    listed = {name: list(v) if isinstance(v, tuple) else v for name, v in changed.items()}
    return yaml.safe_dump(listed, sort_keys=False)


def breaks_labels(recipe: Recipe, classes: Sequence[str]) -> list[str]:
    """Why the recipe may turn a picture of one class into one of another, judged by the classes' names."""
    found = []
    turned = f"turned by up to {recipe.rotate:g} degrees"
    sides, ends = _called(classes, *SIDES), _called(classes, *ENDS)
    across = TURNED if sides and ends else LYING  # up is soon left, and right only much later
    if sides and recipe.mirror:
        found.append(f"mirror turns left into right, and there is a class {sides[0]!r}")
    if ends and recipe.flip:
        found.append(f"flip turns top into bottom, and there is a class {ends[0]!r}")
    if (sides or ends) and recipe.rotate > across:
        found.append(f"{turned}, things point elsewhere, and there is a class {(sides or ends)[0]!r}")
    if len(known := signs(classes)) > 1 and (recipe.mirror or recipe.flip):
        found.append(f"mirrored, signs such as {known[0]!r} and {known[1]!r} are others or none")
    for one, other in SAME_TURNED:
        if recipe.rotate > TURNED and _called(known, *one) and _called(known, *other):
            found.append(f"{turned}, a {one[0]} is a {other[0]}")
    coloured = _called(classes, *COLOURS)
    if len(coloured) > 1 and (recipe.hue or recipe.grey or max(recipe.channels, recipe.pca) > STRONG):
        found.append(f"hue, grey, channels and pca change colours, and there is a class {coloured[0]!r}")
    return found


def signs(classes: Sequence[str]) -> list[str]:
    """Those of the classes that are called after a digit or a letter: 7, q, digit_7, seven."""
    return [name for name in classes if (len(name) == 1 and name.isalnum()) or _is_spelt_sign(_words(name))]


def _is_spelt_sign(words: list[str]) -> bool:
    if len(words) == 1:
        return words[0] in COUNTED
    return len(words) == 2 and words[0] in ("digit", "number", "letter", "character") and len(words[1]) == 1


def _called(classes: Sequence[str], *words: str) -> list[str]:
    """The classes with one of these words in their names."""
    return [name for name in classes if set(words) & set(_words(name))]


def _words(name: str) -> list[str]:
    return [word.lower() for word in WORD.findall(name)]
