"""What the verbs print."""

import json
import shutil
import sys
import textwrap
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, TextIO

from lexnet.cli.say import say
from lexnet.data.manifest import PARTS, Manifest
from lexnet.job.events import Choices, Judged
from lexnet.job.events import percent as percent

ROWS = 40
EPOCHS = 20  # lines of a training
NARROW = 16  # a column is folded to no less


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    say(json.dumps(document, ensure_ascii=False, allow_nan=False))


def megabytes(size: int) -> str:
    """A file's size in millions of bytes."""
    return f"{size / 1e6:,.1f} MB"


def table(
    head: Sequence[str], rows: Sequence[Sequence[Any]], left: int = 1, *, to: TextIO | None = None
) -> str:
    """Columns under their heads: the first `left` to the left, the others to the right.

    Where it goes to (stdout) a terminal that is too narrow, the widest column is folded.
    """
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    terminal = shutil.get_terminal_size().columns if (to or sys.stdout).isatty() else sys.maxsize
    widest = widths.index(max(widths))
    room = terminal - sum(widths) - 2 * (len(widths) - 1) + widths[widest]
    widths[widest] = min(widths[widest], max(room, NARROW))

    def lines(row: Sequence[str]) -> list[str]:
        folded = (
            textwrap.wrap(cell, width) if len(cell) > width else [cell]
            for cell, width in zip(row, widths, strict=True)
        )
        return [
            "  ".join(
                cell.ljust(width) if i < left else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(pieces, widths, strict=True))
            ).rstrip()
            for pieces in zip_longest(*folded, fillvalue="")
        ]

    rule = "  ".join("─" * width for width in widths)
    return "\n".join([*lines(cells[0]), rule, *(line for row in cells[1:] for line in lines(row))])


def found_table(manifest: Manifest) -> str:
    """The pictures of each class in each part, and what was skipped and why."""
    parts = [part for part in PARTS if len(manifest.where(part))]
    counts = {part: manifest.counts(part) for part in parts}
    if not parts:
        parts, counts = ["pictures"], {"pictures": manifest.counts("")}
    rows = [(name, *(int(counts[part][i]) for part in parts)) for i, name in enumerate(manifest.classes)]
    if len(rows) > ROWS:
        hidden = len(rows) - ROWS + 1
        rest = (f"... and {hidden} more", *(int(counts[part][ROWS - 1 :].sum()) for part in parts))
        rows = [*rows[: ROWS - 1], rest]
    total = (f"{len(manifest.classes)} classes", *(int(counts[part].sum()) for part in parts))
    return table(("class", *parts), [*rows, total], to=sys.stderr) + _skipped(manifest)


def choices_table(choices: Choices) -> str:
    """How long each way to learn would take here; an arrow at the one that was taken."""
    rows = []
    for one in choices.options:
        times = one.seconds / max(choices.seconds or 0.0, 0.01)
        share = f"{times:.0%}" if times < 10 else "over 10 times"
        rows.append(("→ " * (one == choices.chosen) + one.mode, str(one), duration(one.seconds), share))
    head = ("choice", "", "time", "of the time left")
    many = len(head) if choices.seconds is not None else len(head) - 1
    return table(head[:many], [row[:many] for row in rows], left=2, to=sys.stderr)


def epoch_line(event: Judged) -> str | None:
    """What an epoch came to: its loss, and what the val part says if there is one; None for most of many."""
    every, done = -(-event.epochs // EPOCHS), round(event.record["epoch"])
    if done % every and done != event.epochs:
        return None
    return f"  {event}"


def duration(seconds: float) -> str:
    """95 → 95 s, 272 → 4.5 min"""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _skipped(manifest: Manifest) -> str:
    """One line for each reason, with an example."""
    reasons: dict[str, list[str]] = {}
    for skip in manifest.skipped:
        reasons.setdefault(skip.reason, []).append(skip.path)
    lines = [
        f"skipped {f'{len(paths):,} such as ' if len(paths) > 1 else ''}{paths[0]}: {reason}"
        for reason, paths in list(reasons.items())[:ROWS]
    ]
    if len(reasons) > ROWS:
        lines.append(f"and {len(reasons) - ROWS} more reasons")
    return "".join(f"\n{line}" for line in lines)
