"""`lexnet val BUNDLE DATA`"""

from pathlib import Path

import click

from lexnet.cli.options import bundle_argument, json_flag


@click.command("val")
@bundle_argument
@click.argument("data", metavar="DATA")
@click.option("--skip-bad", is_flag=True, help="Go on without the pictures that cannot be used.")
@json_flag
@click.option("--workers", type=click.IntRange(1), help="Threads.  [default: all cores]")
def command(bundle: Path, data: str, skip_bad: bool, as_json: bool, workers: int | None) -> None:
    """Score a bundle on labelled pictures: a folder of class folders, or the test part of a divided one."""
    from dataclasses import asdict

    import numpy as np

    from lexnet.cli.progress import Bars
    from lexnet.cli.show import percent, print_json, table
    from lexnet.data.folder import read_folder
    from lexnet.data.source import find_data
    from lexnet.errors import DataError
    from lexnet.evaluate.metrics import score
    from lexnet.runtime.predictor import load_predictor

    predictor = load_predictor(bundle, workers=workers)
    manifest = read_folder(find_data(data), predictor.bundle.classes)
    part = next((part for part in ("test", "val", "train") if part in manifest.parts), "")
    rows = manifest.where(part)
    bad = [f"{skip.path} {skip.reason}" for skip in manifest.skipped if skip.bad]
    probabilities, labels = [], []
    with Bars() as bars:
        results = predictor.stream([manifest.file(int(i)) for i in rows])
        for done, (i, (_, prediction)) in enumerate(zip(rows, results, strict=True), start=1):
            bars.update("pictures", done, len(rows))
            if prediction.probabilities is None:
                bad.append(f"{manifest.paths[i]} {prediction.reason}")
            else:
                probabilities.append(prediction.probabilities)
                labels.append(manifest.labels[i])
    if bad and not skip_bad:
        shown = "\n  ".join(bad[:20])
        raise DataError(
            f"{len(bad)} pictures cannot be used:\n  {shown}\nmend or remove them, or use --skip-bad"
        )
    if not labels:
        raise DataError(f"{data} has no usable picture; give a folder with one folder for each class")
    threshold = float(predictor.bundle.manifest["threshold"])
    scores = score(np.stack(probabilities), np.asarray(labels), manifest.classes, threshold)
    if as_json:
        print_json({**asdict(scores), "part": part or None, "skipped": bad})
        return
    low, high = scores.interval
    click.echo(
        table(
            ("class", "pictures", "precision", "recall", "F1"),
            [
                (
                    row["class"],
                    row["count"],
                    percent(row["precision"]),
                    percent(row["recall"]),
                    f"{row['f1']:.3f}",
                )
                for row in scores.per_class
            ],
        )
    )
    click.echo(
        f"\naccuracy  {percent(scores.accuracy)}  (95 %: {percent(low)} to {percent(high)}; "
        f"{scores.count:,} pictures{f' of the {part} part' if part else ''})"
    )
    click.echo(
        f"macro F1  {scores.macro_f1:.3f}   log loss {scores.log_loss:.3f}   "
        f"calibration error {scores.ece:.3f}"
    )
    for line in bad:
        click.echo(f"skipped {line}", err=True)
