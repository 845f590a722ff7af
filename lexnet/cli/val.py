"""`lexnet val BUNDLE DATA`"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lexnet.cli.options import bundle_argument, engine_flag, json_flag, threshold_flag, workers_flag
from lexnet.cli.say import plain, say
from lexnet.config import EngineChoice
from lexnet.errors import OutputError
from lexnet.files import display, write_atomic

if TYPE_CHECKING:
    from lexnet.evaluate.folder import Valuation
    from lexnet.evaluate.metrics import Scores

CONFUSED = 5  # pairs that are named


@click.command("val")
@bundle_argument
@click.argument("data", metavar="DATA")
@click.option(
    "--fixes",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Corrections to apply first: a fixes.csv of `lexnet check`.",
)
@click.option("--skip-bad", is_flag=True, help="Go on without the pictures that cannot be used.")
@click.option(
    "--csv",
    "as_csv",
    is_flag=True,
    help="Print CSV, a row a picture: path, sha256, split, label, predicted, each class's probability.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Write a page (HTML) too: what is confused, class by class, the most confident mistakes.",
)
@threshold_flag
@json_flag
@engine_flag
@workers_flag
def command(
    bundle: Path,
    data: str,
    fixes: Path | None,
    skip_bad: bool,
    as_csv: bool,
    out: Path | None,
    threshold: float | None,
    as_json: bool,
    engine: EngineChoice,
    workers: int | None,
) -> None:
    """Score a bundle on labelled pictures: a folder of class folders, or the test part of a divided one.

    DATA may also be a CSV or Parquet file (path, label), a zip or tar of any of these, or a sample set
    (clipart, digits, fashion-mnist).
    """
    from dataclasses import asdict

    from lexnet.cli.printing import print_json
    from lexnet.cli.progress import Bars
    from lexnet.data.source import read_data
    from lexnet.evaluate.folder import evaluate
    from lexnet.runtime.predictor import load_predictor

    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other")
    if out is not None:
        from lexnet.job.valued import page  # or it says what to install, before anything is scored

        _refuse_place(out)
    predictor = load_predictor(bundle, engine=engine, workers=workers, threshold=threshold)
    manifest = read_data(data, None if fixes else predictor.bundle.classes)
    with Bars() as bars:
        result = evaluate(predictor, manifest, skip_bad, partial(bars.update, "val"), fixes)
    if as_json:
        print_json(
            {
                **asdict(result.scores),
                "part": result.part or None,
                "trained_on": result.trained_on,
                "copies": result.copies,
                "corrected": result.corrected,
                "ungrouped": result.ungrouped,
                "skipped": [f"{skip.path} {skip.reason}" for skip in result.skipped],
                "page": None if out is None else display(out),
            }
        )
    else:
        _say(result, as_csv, predictor.threshold)
    if out is not None:  # last: what was scored is not lost where it cannot be written
        write_atomic(out, page(result, predictor, display(bundle), data))
        say(f"page      {display(out)}", err=as_csv or as_json)


def _say(result: Valuation, as_csv: bool, threshold: float) -> None:
    """The scores and what they rest on; with CSV, a row a picture, these on stderr."""
    from lexnet.evaluate.predictions import predictions_csv

    tell = partial(say, err=as_csv)
    if as_csv:
        rows = predictions_csv(result.manifest, result.rows, result.probabilities, threshold)
        click.echo(plain(rows) if sys.stdout.isatty() else rows, nl=False)
    tell(describe(result.scores, result.part))
    if result.ungrouped is not None:
        say(
            f"warning: the bundle's groups, by {result.ungrouped!r}, are ignored, as matching such a pattern "
            "could take too long; the interval treats every picture as independent",
            err=True,
        )
    for word, text in result.notes():
        tell(f"{word:9} {text}")
    for skip in result.skipped:
        say(f"skipped {skip.path} {skip.reason}", err=True)


def _refuse_place(out: Path) -> None:
    """Before anything is scored: a page that is there, or a name that no browser opens as one."""
    if out.suffix.lower() not in (".html", ".htm"):
        raise click.UsageError(f"--out {display(out)}: the page is HTML; call it {out.stem}.html")
    if out.exists():
        raise OutputError(f"{display(out)} exists; choose another --out")


def describe(scores: Scores, part: str) -> str:
    """A row a class, then the totals."""
    from lexnet.cli.printing import percent, table
    from lexnet.evaluate.metrics import confused_pairs

    rows = [
        (
            row["class"],
            row["count"],
            percent(row["precision"]),
            percent(row["recall"]),
            "-" if row["f1"] is None else f"{row['f1']:.3f}",
        )
        for row in scores.per_class
    ]
    pairs = confused_pairs([row["class"] for row in scores.per_class], scores.confusion)
    mixed = ", ".join(f"{one['label']} as {one['predicted']} ({one['count']:,})" for one in pairs[:CONFUSED])
    more = f", and {len(pairs) - CONFUSED:,} pairs more" * (len(pairs) > CONFUSED)
    confused = f"confused  {mixed}{more}\n" * bool(pairs)
    low, high = scores.interval
    of_part = f" of the {part} part" if part else ""
    answered = ""
    if scores.answered < 1:
        wrong = scores.wrong_among_answered
        of_those = "" if wrong is None else f", and wrong in {percent(wrong)} of those"
        answered = f"\nanswered  {percent(scores.answered)}{of_those}"
    return (
        f"{table(('class', 'pictures', 'precision', 'recall', 'F1'), rows)}\n\n"
        f"accuracy  {percent(scores.accuracy)}  (95 %: {percent(low)} to {percent(high)}; "
        f"{scores.count:,} pictures{of_part})\n"
        f"{confused}"
        f"macro F1  {scores.macro_f1:.3f}   log loss {scores.log_loss:.3f}   "
        f"calibration error {scores.ece:.3f} (by chance {scores.ece_of_chance:.3f}){answered}"
    )
