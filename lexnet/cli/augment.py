"""`lexnet augment PATH...`"""

import hashlib
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from lexnet.cli.options import json_flag
from lexnet.cli.say import say
from lexnet.errors import DataError, OutputError
from lexnet.files import display, write_atomic
from lexnet.runtime.predictor import look_under

MOST = 6  # pictures of folders that a sheet shows


@click.command("augment")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option(
    "--recipe",
    default="photo",
    show_default=True,
    help="none, mirror, alexnet, cifar, lecture, photo, digits, strong, or a YAML file of your own.",
)
@click.option(
    "--views", type=click.IntRange(1, 32), default=6, show_default=True, help="Views of each picture."
)
@click.option("--size", type=click.IntRange(16, 512), default=160, show_default=True, help="Pixels a side.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="As for train.")
@click.option("--explain", is_flag=True, help="Write under each view what was done.")
@click.option("--out", type=click.Path(path_type=Path), help="The sheet.  [default: augment-RECIPE.png]")
@click.option("--yaml", "as_yaml", is_flag=True, help="Print the recipe as YAML to start your own from.")
@json_flag
def command(
    paths: tuple[str, ...],
    recipe: str,
    views: int,
    size: int,
    seed: int,
    explain: bool,
    out: Path | None,
    as_yaml: bool,
    as_json: bool,
) -> None:
    """Show what training will see: a contact sheet of pictures (files, or some of a folder or sample set).

    Without PATH they are clip art.

    The views are those that `lexnet train` with the same recipe and seed takes for a probe or a tail; a whole
    net has new ones of each picture's middle in every epoch. The colours' principal axes, where a recipe uses
    them, are those of the pictures on the sheet.
    """
    from lexnet.augment.recipes import find_recipe, recipe_yaml
    from lexnet.cli.printing import print_json
    from lexnet.job.events import counted

    chosen = find_recipe(recipe)
    if as_yaml:
        say(recipe_yaml(chosen), nl=False)
        return
    files = _some(paths)
    out = _place(out, Path(recipe).stem)
    from lexnet.report.sheet import draw_sheet, png

    rows = _rows(files, chosen, views, size, seed)
    sheet = draw_sheet(rows, explain)
    write_atomic(out, png(sheet))
    if as_json:
        pictures = [{"path": row.name, "views": list(row.notes)} for row in rows]
        print_json({"sheet": display(out), "recipe": recipe, "pictures": pictures})
        return
    if sys.stdout.isatty():
        from lexnet.cli.terminal import picture

        if drawn := picture(sheet, min(shutil.get_terminal_size().columns, 120)):
            click.echo(drawn)  # it steers the terminal on purpose
    shown = f"{counted(len(rows), 'picture')}{' of clip art' * (not paths)}"
    say(f"{shown}, {counted(views, 'view')} each by recipe {recipe}: {display(out)}")


def _some(paths: tuple[str, ...]) -> list[Path]:
    """The files, and of folders or a sample set a few that lie evenly among theirs."""
    from lexnet.data.samples import SAMPLES, sample_path

    found: list[Path] = []
    for name in paths or ["clipart"]:
        path = sample_path(name) if name in SAMPLES and not os.path.exists(name) else Path(name)
        inside = look_under(path)[0]
        if name in SAMPLES and inside == [path]:
            raise DataError(f"{name} is one file with all its pictures; give files or a folder with pictures")
        if not inside:
            raise DataError(f"{display(path)} holds no pictures; give files or a folder with pictures")
        found += [inside[i * len(inside) // min(MOST, len(inside))] for i in range(min(MOST, len(inside)))]
    return found


def _place(out: Path | None, recipe: str) -> Path:
    if out is not None and out.suffix.lower() != ".png":
        raise click.UsageError(f"--out {display(out)}: the sheet is a PNG; call it {out.stem}.png")
    if out is not None and out.exists():
        raise OutputError(f"{display(out)} exists; choose another --out")
    number, free = 1, out or Path(f"augment-{recipe}.png")
    while free.exists():
        number += 1
        free = Path(f"augment-{recipe}-{number}.png")
    return free


def _rows(files: list[Path], recipe: Any, views: int, size: int, seed: int) -> list[Any]:
    import numpy as np

    from lexnet.augment.apply import Changes
    from lexnet.augment.colour import principal_axes
    from lexnet.augment.sample import sample_all
    from lexnet.config import PreprocessSpec
    from lexnet.preprocess import decode, load_bytes, read
    from lexnet.report.sheet import Row

    spec = PreprocessSpec(size=size, short_side=round(size * 256 / 224))
    contents = [read(file) for file in files]
    plain = [load_bytes(c, spec, display(f)) for c, f in zip(contents, files, strict=True)]
    axes = principal_axes(np.stack(plain)) if recipe.pca else None
    rows = []
    for file, content, square in zip(files, contents, plain, strict=True):
        digest = hashlib.sha256(content).hexdigest()
        drawn = sample_all(recipe, seed, "train", [(number, digest) for number in range(views)])
        picture = decode(content, spec, display(file))
        changes = Changes(drawn, picture.shape, spec, axes)
        seen = [changes(i, picture) for i in range(views)]
        numbers = [_numbers(drawn[i], picture, spec) for i in range(views)]
        rows.append(Row(display(file), square, seen, numbers))
    return rows


def _numbers(view: Any, picture: Any, spec: Any) -> dict[str, object]:
    """What is done to this picture: a crop that does not fit into it is not the one that was drawn."""
    from lexnet.augment.warp import crop_box

    height, width = picture.shape[:2]
    numbers = view.numbers()
    if view.recipe.crop == "resized":
        _, _, wide, high = map(float, crop_box(view, height, width, spec))
        numbers |= {"area": round(wide * high / (width * height), 3), "aspect": round(wide / high, 3)}
    return numbers
