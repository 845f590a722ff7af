"""`lexnet cache ls, verify, prune`"""

import time

import click

from lexnet.cli import FAILED
from lexnet.cli.options import json_flag
from lexnet.cli.say import say
from lexnet.data.cache import KINDS


@click.group("cache")
def command() -> None:
    """What was computed once and is kept on disk: what there is, whether it is intact, and removing it."""


@command.command("ls")
@json_flag
def ls(as_json: bool) -> None:
    """List what is kept, by kind."""
    from lexnet.cli.printing import megabytes, print_json, table
    from lexnet.data.cache import held
    from lexnet.files import cache_folder, display

    found = held()
    if as_json:
        print_json([vars(one) for one in found])
        return
    rows = [
        (one.kind, KINDS[one.kind], f"{one.files:,}", megabytes(one.bytes), _ago(one.newest)) for one in found
    ]
    files, size = sum(one.files for one in found), sum(one.bytes for one in found)
    total = ("all", "", f"{files:,}", megabytes(size), "")
    say(table(("kind", "what", "files", "size", "newest"), [*rows, total], left=2))
    say(f"in {display(cache_folder())}")


@command.command("verify")
@json_flag
def verify(as_json: bool) -> int:
    """Check every file against its sha256. Exits with 1 where one is damaged.

    Damaged files are set aside, so that nothing reads them; prune removes them.
    """
    from lexnet.cli.printing import print_json
    from lexnet.data.cache import damaged
    from lexnet.files import display

    aside, checked = damaged()
    bad = [display(file) for file in aside]
    if as_json:
        print_json({"damaged": bad})
    else:
        for file in bad:
            say(f"damaged: {file}")
        again = "what they kept is computed again, weights and samples are to be fetched again"
        more = f"; {again}, and `lexnet cache prune` removes them" if bad else ""
        say(f"{checked:,} files checked, {len(bad)} damaged{more}")
    return FAILED if bad else 0


@command.command("prune")
@click.option(
    "--kind", "kinds", multiple=True, type=click.Choice(list(KINDS)), help="Only this kind; may be repeated."
)
@click.option(
    "--older",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    help="Only entries older than this many days.",
)
@json_flag
def prune(kinds: tuple[str, ...], older: float, as_json: bool) -> None:
    """Remove what was kept long ago, and what is damaged. Fetched weights and samples go only where --kind
    names them."""
    from lexnet.cli.printing import megabytes, print_json
    from lexnet.data.cache import FETCHED
    from lexnet.data.cache import prune as remove

    if not older >= 0:
        raise click.UsageError(f"--older {older}: give a number of days")
    chosen = list(kinds) or [kind for kind in KINDS if kind not in FETCHED]
    count, size = remove(chosen, older)
    if as_json:
        print_json({"removed": count, "bytes": size})
    else:
        say(f"removed {count:,} files, {megabytes(size)}")


def _ago(when: float | None) -> str:
    if when is None:
        return "-"
    days = (time.time() - when) / 86_400
    return "today" if days < 1 else f"{days:.0f} days ago"
