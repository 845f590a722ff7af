"""`lexnet check DATA`"""

from pathlib import Path
from typing import get_args

import click

from lexnet.cli import FAILED
from lexnet.cli.options import json_flag, workers_flag
from lexnet.cli.say import say
from lexnet.config import EngineChoice
from lexnet.files import display


@click.command("check")
@click.argument("data", metavar="DATA")
@click.option(
    "--fixes",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Corrections to apply first: a fixes.csv, as you edited it.",
)
@click.option(
    "--fail-on",
    help="Faults that block, with commas between them, such as suspect_labels; a wrong name lists them all.  "
    "[default: those that spoil training or its measure]",
)
@click.option(
    "--group-by", help="Regular expression on the path: pictures with the same match belong together."
)
@click.option(
    "--engine",
    type=click.Choice(get_args(EngineChoice)),
    default="auto",
    show_default=True,
    help="What runs the frozen net.",
)
@workers_flag
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder for the page.  [default: runs/NAME-check]"
)
@json_flag
def command(
    data: str,
    fixes: Path | None,
    fail_on: str | None,
    group_by: str | None,
    engine: EngineChoice,
    workers: int | None,
    out: Path | None,
    as_json: bool,
) -> int:
    """Look pictures over before anything is trained on them: broken files, copies, wrong labels.

    DATA is a folder with a folder of pictures for each class, or with train, val and test folders of those;
    a CSV or Parquet file (path, label); a zip or tar of any of these; or a sample set (clipart, digits,
    fashion-mnist).

    Writes a page with the pictures side by side, and fixes.csv with a proposal for each finding, to
    edit and give back with --fixes. Exits with 1 where a blocking fault stands.
    """
    from lexnet.check.examine import BLOCKING, FAULTS
    from lexnet.cli.listen import listener
    from lexnet.cli.printing import print_json, table
    from lexnet.cli.progress import Bars
    from lexnet.job.check import FIXES, PAGE, check

    names = [name.strip() for name in fail_on.split(",") if name.strip()] if fail_on is not None else BLOCKING
    with Bars() as bars:
        done = check(
            data,
            out,
            fixes=fixes,
            grouping=group_by,
            fail_on=names,
            engine=engine,
            workers=workers,
            tell=listener(bars),
        )
    if as_json:
        print_json(done.document)
    else:
        rows = [
            (
                name.replace("_", " "),
                meaning,
                f"{done.counts[name]:,}",
                "blocks" if name in done.blocking else "",
            )
            for name, meaning in FAULTS.items()
        ]
        say(table(("fault", "what it is", "found", ""), rows, left=2))
        say(f"\n{done.document['pictures']:,} pictures in {done.document['seconds']:.1f} s")
        say(f"page   {display(done.folder / PAGE)}\nfixes  {display(done.folder / FIXES)}")
    return FAILED if done.blocking else 0
