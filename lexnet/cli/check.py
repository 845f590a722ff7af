"""`lexnet check DATA`"""

import shlex
from pathlib import Path
from typing import Any, get_args

import click

from lexnet.cli import FAILED
from lexnet.cli.options import json_flag, workers_flag
from lexnet.cli.say import say
from lexnet.config import EngineChoice
from lexnet.files import display

EXAMPLES = 3  # of each fault that blocks


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
        for name in done.blocking:
            say(f"\n{name.replace('_', ' ')}: {FAULTS[name]}\n{examples(done.document[name])}")
        fixes_path = display(done.folder / FIXES)
        say(f"\n{done.document['pictures']:,} pictures in {done.document['seconds']:.1f} s")
        say(f"page   {display(done.folder / PAGE)}\nfixes  {fixes_path}")
        if done.blocking:
            grouped = [] if group_by is None else ["--group-by", group_by]
            again = shlex.join(["lexnet", "train", data, "--fixes", fixes_path, *grouped])
            more = ", add to the classes named above" * ("classes" in done.blocking)
            kept = " (suspect labels are kept unless you write relabel and the class there)"
            hint = kept * bool(done.counts["suspect_labels"])
            say(f"next   look at the page, edit the fixes where you know better{hint}{more}, then")
            say(f"       {again}")
    return FAILED if done.blocking else 0


def examples(records: Any) -> str:
    """The first few of what was found, a line each."""
    if isinstance(records, dict):  # the balance of classes
        sizes = sorted(records["classes"].items(), key=lambda one: one[1])
        return f"  {sizes[0][0]} has {sizes[0][1]:,}, {sizes[-1][0]} has {sizes[-1][1]:,}"
    lines = [_named(record) for record in records[:EXAMPLES]]
    if more := len(records) - len(lines):
        lines.append(f"and {more:,} more")
    return "\n".join(f"  {line}" for line in lines)


def _named(record: dict[str, Any]) -> str:
    if paths := record.get("paths"):
        more = [f"{len(paths) - EXAMPLES:,} more"] if len(paths) > EXAMPLES else []
        shown = " and ".join([*paths[:EXAMPLES], *more])
        labels, parts = ({*filter(None, record[key])} for key in ("labels", "parts"))
        return f"{shown} ({', '.join(sorted(labels) + sorted(parts) * (len(parts) > 1))})"
    if "suggested" in record:
        return f"{record['path']}: {record['label']}, or {record['suggested']}?"
    named = record.get("path") or record.get("class") or record.get("group")
    why = record.get("reason") or ", ".join(record.get("what") or record.get("parts") or ())
    return f"{named}: {why}" if why else f"{named}"
