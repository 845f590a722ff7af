"""`lexnet show NET or BUNDLE`"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lexnet.cli.options import json_flag
from lexnet.cli.say import say
from lexnet.files import display, is_printable

if TYPE_CHECKING:
    from lexnet.cost import Cost
    from lexnet.nets import Entry

BAR = 16
KEYS = ("order", "params", "macs", "activations")


@click.command("show")
@click.argument("what", metavar="NET or BUNDLE")
@click.option("--size", type=click.IntRange(1, 4096), help="Side of the picture, pixels.  [default: its own]")
@click.option(
    "--classes", type=click.IntRange(0), help="How many classes; 0 for features.  [default: its own]"
)
@click.option(
    "--sort", type=click.Choice(KEYS), default=KEYS[0], show_default=True, help="Order of the layers."
)
@json_flag
def command(what: str, size: int | None, classes: int | None, sort: str, as_json: bool) -> None:
    """Show a net layer by layer with its costs, or what a bundle is."""
    from lexnet.cli.printing import print_json

    if (path := _file(what)) is not None:
        if size or classes is not None or sort != KEYS[0]:
            raise click.UsageError("--size, --classes and --sort are for nets; a bundle is as it is")
        document = _bundle(path)
        print_json(document) if as_json else say(_facts(document))
        return
    from lexnet.cost import cost_of
    from lexnet.nets import NETS, resolve

    name = resolve(what)
    entry = NETS[name]
    cost = cost_of(entry, size, classes)
    if as_json:
        facts = {
            "size": size or entry.size,
            "channels": entry.channels,
            "classes": entry.classes if classes is None else classes,
        }
        print_json({"name": name, **facts, **_document(cost, sort)})
    else:
        say(_page(name, entry, cost, size or entry.size, sort))


def _file(what: str) -> Path | None:
    """The bundle that is meant, None for a net: a net's name wins over a file that is called so."""
    from lexnet.errors import BundleError, UnknownNet
    from lexnet.runtime.bundle import BUNDLE

    path = Path(what)
    if "/" not in what and os.sep not in what and path.suffix != ".lexnet":
        from lexnet.nets import resolve  # loads torch

        try:
            resolve(what)
            return None
        except UnknownNet:
            if not os.path.isfile(path) and not (path / BUNDLE).is_file():
                raise
    if (path / BUNDLE).is_file():
        return path / BUNDLE
    if os.path.isdir(path):
        raise BundleError(f"{display(path)} is a folder; give the bundle in it, such as model.lexnet")
    if not os.path.isfile(path):
        raise BundleError(f"there is no file {display(path)}; give a bundle, or a net of `lexnet nets`")
    return path


def _document(cost: "Cost", sort: str) -> dict[str, Any]:
    stages = [
        {"name": part, **_numbers(stage), "shape": list(stage.shape)} for part, stage in cost.stages().items()
    ]
    layers = [
        {"name": layer.name, "kind": layer.kind, **_numbers(layer), "shape": list(layer.shape)}
        for layer in _ordered(cost, sort)
    ]
    return {**_numbers(cost), "stages": stages, "layers": layers}


def _numbers(cost: Any) -> dict[str, int]:
    return {key: getattr(cost, key) for key in ("params", "macs", "activations", "bytes")}


def _ordered(cost: "Cost", sort: str) -> list[Any]:
    if sort == KEYS[0]:
        return list(cost.layers)
    return sorted(cost.layers, key=lambda layer: -getattr(layer, sort))


def _page(name: str, entry: "Entry", cost: "Cost", size: int, sort: str) -> str:
    from lexnet.cli.printing import table

    key = "macs" if sort == KEYS[0] else sort
    extra = ("activations",) if key == "activations" else ()

    def row(label: str, kind: str, part: Any) -> tuple[str, ...]:
        share = getattr(part, key) / max(1, getattr(cost, key))
        counts = (f"{part.params:,}", f"{part.macs:,}", *(f"{part.activations:,}" for _ in extra))
        return (label, kind, "×".join(map(str, part.shape)), *counts, f"{100 * share:.1f} %", _bar(share))

    rows = []
    if sort == KEYS[0]:
        for part, stage in cost.stages().items():
            rows.append(row(part, "", stage))
            for layer in stage.layers:
                path = layer.name.removeprefix("stages.").removeprefix(part).removeprefix(".")
                rows.append(row(f"  {path}", layer.kind, layer))
    else:
        rows = [row(layer.name.removeprefix("stages."), layer.kind, layer) for layer in _ordered(cost, sort)]
    of = {"macs": "multiply-adds", "params": "parameters", "activations": "activations"}[key]
    head = ("layer", "kind", "output", "parameters", "multiply-adds", *extra, "share", f"of {of}")
    family = entry.family
    return "\n".join([
        f"{name}: {family.name} ({family.year}, {family.paper}), for {entry.channels}×{size}×{size} pixels",
        "",
        table(head, rows, left=2),
        "",
        f"{cost.params:,} parameters ({cost.bytes / 1e6:,.1f} MB as float32), {cost.macs:,} multiply-adds, "
        f"{cost.activations:,} activations",
    ])  # fmt: skip


def _bar(share: float) -> str:
    """Eighths of a block, at least one for what is not zero."""
    eighths = max(round(share * BAR * 8), int(share > 0))
    return ("█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8]).strip().ljust(BAR)


def _bundle(path: Path) -> dict[str, Any]:
    """What the manifest says, without the golden pictures' numbers."""
    from lexnet.runtime.bundle import read_bundle

    bundle = read_bundle(path)
    facts = {key: value for key, value in bundle.manifest.items() if key not in ("golden", "members")}
    if isinstance(split := facts.get("split"), dict):
        facts["split"] = {key: value for key, value in split.items() if key != "seen"}
    return {**facts, "golden": len(bundle.golden), "bytes": path.stat().st_size}


def _facts(document: dict[str, Any]) -> str:
    """What there is to say, the accuracy first."""
    from lexnet.cli.printing import megabytes, percent

    document = {"size": megabytes(document["bytes"]), **document}
    del document["bytes"]
    match document.get("measured"):
        case {"accuracy": float(hits), "interval": [float(low), float(high)], "count": count, "part": part}:
            seen = f"{percent(hits)} (95 %: {percent(low)} to {percent(high)}) of {count} {part} pictures"
            others = {key: value for key, value in document.items() if key not in ("measured", "format")}
            document = {"accuracy": _plain(seen), **others}
    return "\n".join(_lines(document))


def _lines(facts: dict[str, Any], margin: str = "") -> Iterator[str]:
    """A line for each fact; what is of many parts has a line for each of these, farther in."""
    told = {_plain(key): value for key, value in facts.items() if value not in (None, {}, [])}
    width = max(map(len, told), default=0)
    for key, value in told.items():
        if isinstance(value, dict) and len(value) > 3:
            yield f"{margin}{key}"
            yield from _lines(value, margin + "  ")
        else:
            yield f"{margin}{key:{width}}  {_shown(value)}"


def _shown(value: Any) -> str:
    """On one line: a bundle may come from anywhere, and must not draw on the terminal."""
    if isinstance(value, dict):
        told = ((key, inner) for key, inner in value.items() if inner is not None)
        return ", ".join(f"{_plain(key)} {_shown(inner)}" for key, inner in told)
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, float):
        return f"{value:.4g}"
    return _plain(str(value))


def _plain(text: str) -> str:
    return text if is_printable(text) else ascii(text)[1:-1]
