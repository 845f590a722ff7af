"""`lexnet nets`"""

import shutil
from typing import Any

import click

from lexnet.cli.options import json_flag
from lexnet.cli.say import say

WIDE = 112
KEYS = ("lexicon", "name", "params", "macs", "size", "year")


@click.command("nets")
@click.option(
    "--size", type=click.IntRange(39, 1024), help="Cost them at this size where they take it, pixels."
)
@click.option(
    "--sort", type=click.Choice(KEYS), default=KEYS[0], show_default=True, help="Order of the rows."
)
@json_flag
def command(size: int | None, sort: str, as_json: bool) -> None:
    """List the nets that can be built: their cost, and which weights there are.

    Where the terminal is wide enough, also their papers and the weights' licences.
    """
    from lexnet.cli.printing import print_json, table

    rows = lexicon(size)
    if sort != KEYS[0]:
        rows.sort(key=lambda row: row[sort])
    if as_json:
        print_json(rows)
        return
    wide = shutil.get_terminal_size((WIDE, 0)).columns >= WIDE
    shown = [
        (
            row["name"],
            ", ".join(map(_weights, row["weights"])) or "-",
            f"{row['params'] / 1e6:.2f} M",
            _count(row["macs"]),
            f"{row['size']}{'' if row['any_size'] else ' only'}",
            row["year"],
            *((row["paper"], ", ".join(w["licence"] for w in row["weights"]) or "-") if wide else ()),
        )
        for row in rows
    ]
    more = ("paper", "licence") if wide else ()
    head = ("net", "weights, top-1", "parameters", "multiply-adds", "pixels", "year", *more)
    say(table(head, shown, left=2))
    say("\n● on this machine  ○ to be had: `lexnet weights ls`    Layer by layer: `lexnet show NET`")


def lexicon(size: int | None = None) -> list[dict[str, Any]]:
    """A record for each net, in the order of the registry."""
    from lexnet.cost import cost_of
    from lexnet.nets import NETS
    from lexnet.weights.files import WEIGHTS
    from lexnet.weights.store import locate

    records = []
    for name, entry in NETS.items():
        weights = [
            {
                "tag": w.tag,
                "source": w.source,
                "licence": w.licence,
                "top1": w.top1,
                "here": locate(w) is not None,
            }
            for w in WEIGHTS
            if w.net == name
        ]
        family = {key: getattr(entry.family, key) for key in ("year", "paper")}
        side = size if size and entry.any_size else entry.size
        macs = entry.macs if side == entry.size else cost_of(entry, side).macs
        cost = {"params": entry.params, "macs": macs, "size": side, "any_size": entry.any_size}
        records.append({"name": name, "family": entry.family.name, **family, **cost, "weights": weights})
    return records


def _count(macs: int) -> str:
    return f"{macs / 1e6:.1f} M" if macs < 1e9 else f"{macs / 1e9:.2f} G"


def _weights(record: dict[str, Any]) -> str:
    return f"{'●' if record['here'] else '○'} {record['tag']} {100 * record['top1']:.1f} %"
