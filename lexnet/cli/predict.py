"""`lexnet predict BUNDLE PATH...`"""

import csv
import os
import re
import sys
from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import click

from lexnet.cli import BAD_INPUT
from lexnet.cli.options import bundle_argument, engine_flag, json_flag, threshold_flag, workers_flag
from lexnet.cli.say import say
from lexnet.config import EngineChoice
from lexnet.errors import DataError
from lexnet.files import display, listed_as
from lexnet.runtime.predictor import Prediction, load_predictor, look_under

RANKED = ("label", "probability")  # in CSV, of each of the --top classes


@click.command("predict")
@bundle_argument
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--top", type=click.IntRange(1), default=1, show_default=True, help="How many classes to show.")
@click.option(
    "--csv",
    "as_csv",
    is_flag=True,
    help="Print CSV: path, label, probability (label_2, probability_2, ... with --top), reason.",
)
@threshold_flag
@json_flag
@engine_flag
@workers_flag
def command(
    bundle: Path,
    paths: tuple[str, ...],
    top: int,
    as_csv: bool,
    threshold: float | None,
    as_json: bool,
    engine: EngineChoice,
    workers: int | None,
) -> int:
    """Label pictures: files, folders, or - for a list of paths on stdin."""
    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other")
    predictor = load_predictor(bundle, engine=engine, workers=workers, threshold=threshold)
    files, lost = _files(paths)
    rows = ((cast(Path, path), prediction) for path, prediction in predictor.stream(files))
    if as_json:
        code = _print_json(rows, predictor.bundle.classes, top)
    else:
        code = _print_rows(rows, predictor.bundle.classes, top, files, as_csv)
    for path, reason in lost:
        say(f"left out {listed_as(path)}: {reason}", err=True)
    return BAD_INPUT if lost else code


def _files(paths: tuple[str, ...]) -> tuple[list[Path], list[tuple[Path, str]]]:
    """The pictures, and what is left out below a folder with the reason."""
    files, lost = list[Path](), list[tuple[Path, str]]()
    for path in paths:
        names = [path]
        if path == "-":  # names need not be UTF-8
            text = sys.stdin.buffer.read().removeprefix(BOM_UTF8)
            if b"\0" in text:
                raise DataError(
                    "what came in on stdin is no list of paths, one a line; a picture has to be a file"
                )
            names = [os.fsdecode(line) for line in text.splitlines()]
        for name in filter(str.strip, names):
            if re.match(r"https?://", name):
                raise DataError(f"{listed_as(name)} is an address; save the picture, and give its file")
            if name.lower().endswith((".csv", ".json")) and not os.path.isdir(name):
                raise DataError(
                    f"{listed_as(name)} is no picture; --csv and --json print: end with > {listed_as(name)}"
                )
            found, missed = look_under(Path(name))
            if not found and not missed:
                raise DataError(f"{listed_as(name)} holds no pictures; give files or a folder with pictures")
            files += found
            lost += missed
    if not files and not lost:
        raise DataError("no paths came in; give files or folders, on stdin one a line")
    return files, lost


def top_classes(prediction: Prediction, classes: list[str], count: int) -> list[tuple[str, float]]:
    """The likeliest classes with their probabilities; none for a picture that could not be used."""
    if prediction.probabilities is None:
        return []
    order = (-prediction.probabilities).argsort(kind="stable")[:count]  # of equal ones the first, like argmax
    return [(classes[i], float(prediction.probabilities[i])) for i in order]


def _print_json(rows: Iterator[tuple[Path, Prediction]], classes: list[str], top: int) -> int:
    from lexnet.cli.printing import print_json

    document: list[dict[str, Any]] = [
        {
            "path": display(path),
            "label": prediction.label,
            "probability": prediction.probability,
            "top": top_classes(prediction, classes, top),
            "reason": prediction.reason,
        }
        for path, prediction in rows
    ]
    print_json(document)
    return BAD_INPUT if any(not row["top"] for row in document) else 0


def _print_rows(
    rows: Iterator[tuple[Path, Prediction]], classes: list[str], top: int, files: list[Path], as_csv: bool
) -> int:
    """A line a picture, as soon as it is ready."""
    from lexnet.cli.printing import percent

    writer = csv.writer(sys.stdout, lineterminator="\n")
    top = min(top, len(classes))
    if as_csv:
        ranked = (name + suffix for suffix in ("", *(f"_{n}" for n in range(2, top + 1))) for name in RANKED)
        writer.writerow(("path", *ranked, "reason"))
    wide, name = max((len(listed_as(file)) for file in files), default=0), max(map(len, classes))
    code, in_csv = 0, listed_as if sys.stdout.isatty() else display  # a file keeps the names as they are
    for path, prediction in rows:
        best = top_classes(prediction, classes, top)
        code = code if best else BAD_INPUT
        if as_csv:
            cells = [cell for label, share in best for cell in (label, f"{share:.6f}")] or [""] * 2 * top
            cells[0] = prediction.label or ""  # none where it abstains
            writer.writerow((in_csv(path), *cells, prediction.reason or ""))
            sys.stdout.flush()
        else:
            if best and prediction.label is None:
                best[0] = (f"({best[0][0]})", best[0][1])
            shown = "  ".join(f"{label.ljust(name)} {percent(share):>7}" for label, share in best)
            reason = f"  {prediction.reason}" if prediction.reason else ""
            say(f"{listed_as(path).ljust(wide)}  {shown}{reason}".rstrip())
    return code
