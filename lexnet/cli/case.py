"""`lexnet case NAME`"""

from pathlib import Path
from typing import Any

import click

from lexnet.cli.options import json_flag, workers_flag
from lexnet.cli.say import say

WORDS = {True: "holds", False: "does not hold", None: "not shown"}


@click.command("case")
@click.argument("name", required=False)
@click.option("--full", is_flag=True, help="The long version, which may take hours.")
@click.option(
    "--data",
    type=click.Path(exists=True, path_type=Path),
    help="Pictures of your own, one folder a class: photographs for `transfer`, handwriting for `lenet5`, "
    "32×32 for `resnet`, which learns them by the paper's schedule with --full and a GPU.",
)
@workers_flag
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("cases"),
    show_default=True,
    help="Folder for the pages.",
)
@json_flag
def command(
    name: str | None, full: bool, data: Path | None, workers: int | None, out: Path, as_json: bool
) -> None:
    """Run a case study: an experiment on what the lectures claim, with a verdict.

    Without NAME it lists them; `all` runs each and writes a booklet.
    """
    from dataclasses import replace

    from lexnet.cases import NAMES, find_case
    from lexnet.cases.run import PHOTOS, new_lab, run_case, write_booklet
    from lexnet.cli.listen import listener
    from lexnet.cli.printing import print_json, table
    from lexnet.cli.progress import Bars

    if name is None:
        cases = [(one, find_case(one).claim) for one in NAMES]
        if as_json:
            print_json([{"name": one, "claim": claim} for one, claim in cases])
        else:
            say(table(("case", "claim"), cases, left=2))
        return
    found: list[dict[str, Any]] = []
    for one in NAMES if name == "all" else (name,):
        with Bars() as bars:
            own = data if name != "all" or one == PHOTOS else None
            lab = replace(new_lab(workers, own), tell=listener(bars))
            found.append(run_case(one, lab, out, full=full))
        if name == "all":
            page = write_booklet(found, lab, out, full=full)
        if not as_json:
            say(summary(found[-1]))
    if as_json:
        print_json(found if name == "all" else found[0])
    elif name == "all":
        say(f"booklet  {page}")


def summary(found: dict[str, Any]) -> str:
    """What a case came to, in a few lines."""
    lines = [f"{found['claim']}", f"{WORDS[found['holds']].upper()}, in {found['seconds']:.0f} s", ""]
    for one in found["findings"]:
        lines += [f"{WORDS[one['holds']]:14} {one['claim']}", f"{'':14} {one['seen']}"]
    return "\n".join([*lines, "", f"page  {found['page']}", ""])
