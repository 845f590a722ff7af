"""`lexnet check DATA`"""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from lexnet.cli import FAILED
from lexnet.cli.options import json_flag, workers_flag
from lexnet.cli.say import say
from lexnet.config import EngineChoice

if TYPE_CHECKING:
    from lexnet.job.check import Checked

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

    Writes a page with the pictures side by side, and fixes.csv with a proposal for each finding: change
    it on the page or by hand, and give it back with --fixes. Exits with 1 where a blocking fault stands.
    """
    from lexnet.check.examine import BLOCKING
    from lexnet.cli.listen import listener
    from lexnet.cli.printing import print_json
    from lexnet.cli.progress import Bars
    from lexnet.job.check import check

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
        grouped = [] if group_by is None else ["--group-by", group_by]
        train = ["lexnet", "train", data, "--fixes", done.document["fixes"], *grouped]
        say(summary(done, shlex.join(train)))
    return FAILED if done.blocking else 0


def summary(done: "Checked", train: str) -> str:
    """A row a fault, examples of those that block, and how to go on: by the command `train`."""
    from lexnet.check.examine import FAULTS
    from lexnet.cli.printing import table

    named = {name: name.replace("_", " ") for name in FAULTS}
    rows = [
        (named[name], meaning, f"{done.counts[name]:,}", "blocks" if name in done.blocking else "")
        for name, meaning in FAULTS.items()
    ]
    lines = [table(("fault", "what it is", "found", ""), rows, left=2)]
    for name in done.blocking:
        lines += ["", f"{named[name]}: {FAULTS[name]}", examples(done.document[name])]
    lines += [
        "",
        f"{done.document['pictures']:,} pictures in {done.document['seconds']:.1f} s",
        f"page   {done.document['page']}",
        f"fixes  {done.document['fixes']}",
    ]
    if done.proposals:
        suspects = " (suspect labels are kept unless you relabel them there)"
        hint = suspects if done.counts["suspect_labels"] else ""
        more = ", add to the classes named above" if "classes" in done.blocking else ""
        lines += [
            f"next   choose on the page what you know better{hint}, save it as the fixes{more}, then",
            f"       {train}",
        ]
    return "\n".join(lines)


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
