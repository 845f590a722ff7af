"""`lexnet weights ls, fetch, verify`"""

from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import click

from lexnet.cli import FAILED
from lexnet.cli.options import json_flag
from lexnet.cli.say import say

FACTS = ("net", "tag", "classes", "top1", "bytes", "licence", "source", "sha256")
SHARED = ("github.com", "huggingface.co")


@click.group("weights")
def command() -> None:
    """Published weights: what there is, bringing it here, and whether it is intact."""


@command.command("ls")
@json_flag
def ls(as_json: bool) -> None:
    """List the published sets and their licences. Says which are on this machine."""
    from lexnet.cli.printing import percent, print_json, table
    from lexnet.weights.files import WEIGHTS
    from lexnet.weights.store import locate

    rows = []
    for w in WEIGHTS:
        here = locate(w)
        facts = {key: getattr(w, key) for key in FACTS}
        rows.append({**facts, "path": str(here) if here else None})
    if as_json:
        print_json(rows)
        return
    shown = [
        (
            row["net"],
            row["tag"],
            "here" if row["path"] else "-",
            row["licence"],
            _site(row["source"]),
            percent(row["top1"]),
            f"{row['bytes'] / 1e6:.1f}",
        )
        for row in rows
    ]
    head = ("net", "data", "", "licence", "source", "top-1", "MB")
    say(table(head, shown, left=5))


def _site(address: str) -> str:
    """Whose they are: a site, or of one that many share the owner."""
    url = urlsplit(address)
    return url.path.split("/")[1] if url.netloc in SHARED else url.netloc.removeprefix("download.")


@command.command("fetch")
@click.argument("nets", nargs=-1, required=True, metavar="NET...")
@click.option("--tag", help="Which set, where a net has several.  [default: its first]")
@click.option(
    "--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A copy you brought."
)
@click.option("--offline", is_flag=True, help="Use no network: only say what is missing.")
def fetch(nets: tuple[str, ...], tag: str | None, file: Path | None, offline: bool) -> None:
    """Bring published weights here. A download that broke off goes on where it stopped."""
    from lexnet.cli.printing import megabytes
    from lexnet.cli.progress import Bars
    from lexnet.errors import ConfigError
    from lexnet.files import display
    from lexnet.nets import resolve
    from lexnet.weights.fetch import fetch
    from lexnet.weights.files import find_weights
    from lexnet.weights.store import locate

    sets = [find_weights(resolve(net), tag) for net in nets]
    if file and len(sets) > 1:
        raise ConfigError(f"--file is one file, and these are {len(sets)} nets; fetch them one by one")
    for weights in sets:
        if not offline and not file and locate(weights) is None:
            say(f"{weights.net}: {megabytes(weights.bytes)}, {weights.licence}, from {weights.source}")
        with Bars() as bars:
            path = fetch(weights, partial(bars.update, "download"), file=file, offline=offline)
        say(f"{weights.net}: {weights.tag} weights in {display(path)}")


@command.command("verify")
@click.argument("nets", nargs=-1, metavar="[NET...]")
@json_flag
def verify(nets: tuple[str, ...], as_json: bool) -> int:
    """Check the weights here against their sha256. Exits with 1 if one is damaged."""
    from lexnet.cli.printing import print_json
    from lexnet.nets import resolve
    from lexnet.weights.files import WEIGHTS, find_weights
    from lexnet.weights.store import intact, locate, need

    sets = [find_weights(resolve(net)) for net in nets]
    paths = {w: need(w) for w in sets} if sets else {w: here for w in WEIGHTS if (here := locate(w))}
    rows = [
        {"net": w.net, "tag": w.tag, "path": str(path), "intact": intact(w, path)}
        for w, path in paths.items()
    ]
    if as_json:
        print_json(rows)
    else:
        for row in rows:
            say(f"{row['net']}: {'intact' if row['intact'] else 'DAMAGED'}, {row['path']}")
        if not rows:
            say("no published weights are on this machine")
    return 0 if all(row["intact"] for row in rows) else FAILED
