"""The recipes by name, and recipes as YAML."""

import re
from collections.abc import Sequence
from dataclasses import asdict, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from lexnet.config import Recipe
from lexnet.errors import ConfigError, shown_plain

TURNED = 45.0  # degrees from which on a 6 may be taken for a 9
SIDES = re.compile(r"(?<![a-z])(left|right)(?![a-z])", re.IGNORECASE)

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
    near = get_close_matches(name, RECIPES, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise ConfigError(
        f"no recipe named {name!r}{hint}; there are {', '.join(RECIPES)}, or give a YAML file of your own"
    )


def read_recipe(path: Path) -> Recipe:
    """A recipe from a YAML file that names what it changes; the rest is left alone. Raises `ConfigError`."""
    try:
        record = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} is not a readable recipe ({error})") from error
    if not isinstance(record, dict):
        raise ConfigError(f"{path} is not a recipe; give settings such as `mirror: 0.5`, one a line")
    known = {field.name for field in fields(Recipe)}
    if unknown := sorted(set(map(str, record)) - known):
        near = get_close_matches(unknown[0], known, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ConfigError(f"{path} has settings that no recipe has: {shown_plain(unknown)}{hint}")
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in record.items()}
    return Recipe(**values)


def recipe_yaml(recipe: Recipe) -> str:
    """The recipe as `read_recipe` reads it: only what is not left alone."""
    plain = asdict(Recipe())
    changed = {name: value for name, value in asdict(recipe).items() if value != plain[name]}
    listed = {name: list(v) if isinstance(v, tuple) else v for name, v in changed.items()}
    return yaml.safe_dump(listed, sort_keys=False)


def breaks_labels(recipe: Recipe, classes: Sequence[str]) -> list[str]:
    """Why the recipe may turn a picture of one class into one of another, judged by the classes' names."""
    found = []
    sides = [name for name in classes if SIDES.search(name.replace("_", " "))]
    if sides and recipe.mirror:
        found.append(f"mirror turns left into right, and there is a class {sides[0]!r}")
    signs = [name for name in classes if len(name) == 1 and name.isalnum()]
    if len(signs) > 1 and (recipe.mirror or recipe.flip):
        found.append(f"mirrored, signs such as {signs[0]!r} and {signs[1]!r} are others or none")
    if {"6", "9"} <= set(classes) and recipe.rotate > TURNED:
        found.append(f"turned by up to {recipe.rotate:g} degrees, a 6 is a 9")
    return found
