"""`lexnet check`: pictures → findings → a page, and a file of proposed corrections."""

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from lexnet.check.examine import BLOCKING, FAULTS, Findings, examine
from lexnet.check.propose import proposals, said_of
from lexnet.config import EngineChoice, PreprocessSpec
from lexnet.data.fixes import Fix, fixes_csv, kept, read_fixes
from lexnet.data.loader import load_row
from lexnet.data.manifest import Skipped
from lexnet.data.source import find_data, read_data
from lexnet.errors import ConfigError, OutputError
from lexnet.files import display, write_atomic
from lexnet.job.divide import corrected, grouped, tell_alike
from lexnet.job.events import Listener, Progress, Warned, ignore
from lexnet.job.folder import RUNS, name_of, refuse_inside
from lexnet.job.plan import DEFAULT_NET
from lexnet.report.check import Case, Section, Shot, render_check
from lexnet.report.sheet import jpeg, picture
from lexnet.transfer.trunk import open_trunk

PAGE, FIXES = "check.html", "fixes.csv"
SHOWN = 60  # cases of one fault on the page
THUMBNAIL = PreprocessSpec(size=160, short_side=160)


@dataclass(frozen=True)
class Checked:
    """What a check came to."""

    document: dict[str, Any]
    """What `--json` prints."""
    counts: dict[str, int]
    blocking: list[str]
    proposals: int
    """Rows of the file of corrections."""
    folder: Path


def check(
    data: str,
    out: Path | None = None,
    *,
    fixes: Path | None = None,
    grouping: str | None = None,
    fail_on: Sequence[str] = BLOCKING,
    engine: EngineChoice = "auto",
    workers: int | None = None,
    tell: Listener = ignore,
) -> Checked:
    """Looks the pictures over and writes check.html and fixes.csv; raises `LexNetError`.

    `fail_on` names the faults (of `FAULTS`) that block.
    """
    if unknown := [name for name in fail_on if name not in FAULTS]:
        raise ConfigError(f"fail_on={unknown[0]!r} is no fault; they are {', '.join(FAULTS)}")
    start = time.perf_counter()
    root = find_data(data)
    folder = _folder(out, name_of(root), root)
    manifest = read_data(data, progress=lambda done, total: tell(Progress("read pictures", done, total)))
    if grouping is not None:
        manifest = grouped(manifest, grouping, tell)
    agreed = read_fixes(fixes) if fixes is not None else []
    if fixes is not None:
        manifest = corrected(manifest, agreed, display(fixes), tell)
    tell_alike(manifest.classes, tell)
    found = examine(
        manifest,
        open_trunk(DEFAULT_NET, None, lambda text: tell(Warned(text)), every_stage=True),
        engine,
        workers,
        warn=lambda text: tell(Warned(text)),
        progress=lambda step, done, total: tell(Progress(step, done, total)),
    )
    found = found.reviewed(kept(agreed))
    counts = found.counts()
    blocking = [name for name in FAULTS if counts[name] and name in fail_on]
    facts = {
        "data": display(root),
        "pictures": len(found.manifest),
        "classes": len(found.manifest.classes),
        "seconds": time.perf_counter() - start,
        "fixes": FIXES,
    }
    new = proposals(found)
    again = {(fix.path, fix.fault) for fix in new}
    before = [fix for fix in agreed if fix.proposal == "relabel" or (fix.path, fix.fault) not in again]
    rows = [*before, *new]
    proposed = len(rows)
    write_atomic(folder / FIXES, fixes_csv(rows))
    sections = list(_sections(found, rows, fail_on))  # to `rows` come those that the page alone has
    write_atomic(folder / PAGE, render_check(facts, sections, rows, found.manifest.classes))
    document = _document(found) | {
        "blocking": blocking,
        "page": display(folder / PAGE),
        "fixes": display(folder / FIXES),
        "seconds": time.perf_counter() - start,
    }
    return Checked(document, counts, blocking, proposed, folder)


def _folder(out: Path | None, name: str, root: Path) -> Path:
    """A new folder for the page and the corrections: a fixes.csv that somebody has edited is never lost."""
    refuse_inside(out or RUNS, root)
    if out is not None and (out / FIXES).exists():
        raise OutputError(f"{out} holds a {FIXES} already; choose another --out")
    names = (RUNS / f"{name}-check{f'-{number}' if number > 1 else ''}" for number in count(1))
    folder = out or next(path for path in names if not path.exists())
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise OutputError(f"{display(there)} is no folder to write in; choose another --out")
    return folder


def _document(found: Findings) -> dict[str, Any]:
    manifest, near = found.manifest, found.apart()
    paths, classes = manifest.paths, manifest.classes

    def listed(sets: Iterable[tuple[int, ...]]) -> list[dict[str, Any]]:
        return [
            {
                "paths": [paths[row] for row in rows],
                "labels": [classes[manifest.labels[row]] for row in rows],
                "parts": [manifest.parts[row] for row in rows],
            }
            for rows in sets
        ]

    return {
        "pictures": len(manifest),
        "unreadable": [{"path": skip.path, "reason": skip.reason} for skip in found.unreadable],
        "exact_duplicates": listed(map(tuple, found.exact)),
        "near_duplicates": [
            {**record, "alike": pair.alike, "congruent": pair.congruent}
            for record, pair in zip(listed(p.rows for p in near), near, strict=True)
        ],
        "label_conflicts": listed(found.conflicts(exact=True)),
        "leaks": listed(found.leaks(exact=True)),
        "near_conflicts": listed(found.conflicts(exact=False)),
        "near_leaks": listed(found.leaks(exact=False)),
        "suspect_labels": [
            {
                "path": paths[doubt.row],
                "label": classes[manifest.labels[doubt.row]],
                "suggested": classes[doubt.label],
                "confidence": doubt.confidence,
            }
            for doubt in found.doubts
        ],
        "outliers": [{"path": paths[row], "spreads": far} for row, far in found.outliers],
        "classes": [{"class": name, "reason": reason} for name, reason in found.classes],
        "balance": found.balance(),
        "groups": [{"group": group, "parts": parts} for group, parts in found.groups.items()],
        "oddities": [
            {"path": paths[row], "what": list(odd)} for row, odd in enumerate(found.oddities) if odd
        ],
        "left_out": [{"path": skip.path, "reason": skip.reason} for skip in found.left_out()],
    }


def _sections(found: Findings, fixes: list[Fix], fail_on: Sequence[str]) -> Iterable[Section]:
    """Adds to `fixes` a row without a proposal for each picture that is shown and has none."""
    manifest = found.manifest
    place = {(fix.path, fix.fault): number for number, fix in enumerate(fixes)}

    @cache
    def thumbnail(row: int) -> bytes:
        return jpeg(picture(load_row(manifest, row, THUMBNAIL)))

    def fix_of(path: str, fault: str) -> int:
        if place.setdefault((path, fault), len(fixes)) == len(fixes):
            fixes.append(Fix(path, fault, ""))
        return place[path, fault]

    def shot(row: int, fault: str) -> Shot:
        return Shot(
            path=manifest.paths[row],
            label=manifest.classes[manifest.labels[row]],
            part=manifest.parts[row],
            thumbnail=thumbnail(row),
            row=fix_of(manifest.paths[row], fault),
        )

    def sets(rows: Iterable[tuple[int, ...]]) -> list[tuple[tuple[int, ...], str]]:
        return [(some, "") for some in rows]

    by_balance = sorted(found.balance()["classes"].items(), key=lambda item: item[1])
    notes: dict[str, list[tuple[tuple[int, ...], str]]] = {
        "label_conflicts": sets(found.conflicts(exact=True)),
        "leaks": sets(found.leaks(exact=True)),
        "near_conflicts": sets(found.conflicts(exact=False)),
        "near_leaks": sets(found.leaks(exact=False)),
        "exact_duplicates": sets(map(tuple, found.exact)),
        "near_duplicates": sets(pair.rows for pair in found.apart()),
        "suspect_labels": [((one.row,), said_of(one, manifest.classes)) for one in found.doubts],
        "outliers": [((row,), f"{far:.1f} spreads farther than the median") for row, far in found.outliers],
        "balance": [
            ((), f"{by_balance[0][0]}: {by_balance[0][1]}, {by_balance[-1][0]}: {by_balance[-1][1]}")
        ],
        "classes": [((), f"{name} {reason}") for name, reason in found.classes],
        "groups": [((), f"{group} is in {' and '.join(parts)}") for group, parts in found.groups.items()],
        "oddities": [((row,), "; ".join(odd)) for row, odd in enumerate(found.oddities) if odd],
    }

    def file(skip: Skipped, row: int | None) -> Case:
        return Case([Shot(path=skip.path, label="", part="", thumbnail=None, row=row)], skip.reason)

    files = {
        "unreadable": [file(skip, fix_of(skip.path, "unreadable")) for skip in found.unreadable[:SHOWN]],
        "left_out": [file(skip, None) for skip in found.left_out()[:SHOWN]],
    }
    for name, number in found.counts().items():
        cases = files.get(name) or [
            Case([shot(row, name) for row in rows], note) for rows, note in notes.get(name, [])[:SHOWN]
        ]
        yield Section(
            name=name,
            meaning=FAULTS[name],
            blocking=name in fail_on,
            count=number,
            cases=cases if number else [],
        )
