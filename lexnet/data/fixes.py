"""Corrections that a person has agreed to, one a row: `lexnet check` proposes them, `--fixes` reads them.

    path,fault,proposal,value,why
    cat/12.jpg,suspect_labels,relabel,dog,dog with probability 0.97

A proposal is `drop`, `relabel` (value: the right class), `regroup` (value: the group) or `keep`.
Nothing in the source is changed: the corrections are applied to what is read from it.
"""

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields, replace
from io import StringIO
from pathlib import Path

import numpy as np

from lexnet.data.columns import Strings
from lexnet.data.manifest import Manifest, Skipped
from lexnet.data.table import delimiter, lines
from lexnet.errors import DataError, listed
from lexnet.files import check_file

FORMULA = ("=", "+", "-", "@")
PROPOSALS = ("drop", "relabel", "regroup", "keep")


@dataclass(frozen=True)
class Fix:
    """One row."""

    path: str
    fault: str
    proposal: str
    value: str = ""
    why: str = ""


COLUMNS = tuple(field.name for field in fields(Fix))


def kept(fixes: Iterable[Fix]) -> frozenset[tuple[str, str]]:
    """(path, fault) of what a person has looked at and keeps."""
    return frozenset((fix.path, fix.fault) for fix in fixes if fix.proposal == "keep")


def fixes_csv(fixes: Iterable[Fix]) -> str:
    """The file's text, with the byte order mark by which Excel knows UTF-8."""
    text = StringIO()
    text.write("\ufeff")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_inert(cell) for cell in astuple(fix)] for fix in fixes)
    return text.getvalue()


def _inert(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.lstrip("'").startswith(FORMULA) else cell


def _as_meant(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(FORMULA) else cell


def read_fixes(file: Path) -> list[Fix]:
    """The rows of a file; raises `DataError` naming the first line that makes no sense."""
    try:
        check_file(file)
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(lines(stream), delimiter=delimiter(stream))
            rows = [(reader.line_num, row) for row in reader if any(any(cell or "") for cell in row.values())]
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror}); check the path") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file} cannot be read as CSV ({error}); save it as UTF-8") from error
    found = []
    for line, row in rows:
        if missing := [name for name in ("path", "proposal") if not row.get(name)]:
            raise DataError(f"{file} line {line} has no {missing[0]}; its columns are {', '.join(COLUMNS)}")
        fix = Fix(*(_as_meant(row.get(name) or "") for name in COLUMNS))
        fix = replace(fix, proposal=fix.proposal.strip().lower())
        if fix.proposal not in PROPOSALS:
            raise DataError(f"{file} line {line} proposes {fix.proposal!r}; use {', '.join(PROPOSALS)}")
        if fix.proposal in ("relabel", "regroup") and not fix.value:
            raise DataError(f"{file} line {line} says {fix.proposal}, but not as what; fill in its value")
        found.append(fix)
    return found


def apply_fixes(manifest: Manifest, fixes: list[Fix], name: str) -> Manifest:
    """The manifest with the corrections made; what is dropped is recorded as skipped.

    Where a picture is dropped by one row, its other rows do not matter; nor do those that drop or keep one
    that is gone already. Raises `DataError` for other paths that are not there, or where none is, for a class
    that does not exist, and for two rows that disagree.
    """
    index = {path: row for row, path in enumerate(manifest.paths)}
    bad = {skip.path for skip in manifest.skipped}
    classes = {label: i for i, label in enumerate(manifest.classes)}
    dropped = {fix.path for fix in fixes if fix.proposal == "drop"}
    labels, groups = manifest.labels.copy(), list(manifest.groups)
    made: dict[tuple[str, str], str] = {}
    gone = [fix for fix in fixes if fix.path not in index and fix.path not in bad]
    all_gone = len(gone) == len(fixes)
    if lost := [fix for fix in gone if all_gone or fix.proposal not in ("drop", "keep")]:
        which = listed([fix.path for fix in lost])
        raise DataError(
            f"{name} has rows for pictures that are not in {manifest.name}:{which}\n"
            "remove the rows, or give the pictures that the file is of"
        )
    for fix in fixes:
        if fix.proposal in ("drop", "keep") or fix.path in dropped or fix.path not in index:
            continue
        if made.setdefault((fix.path, fix.proposal), fix.value) != fix.value:
            raise DataError(f"{name} has two values for {fix.path}: {fix.value} and another; keep one row")
        if fix.proposal == "regroup":
            groups[index[fix.path]] = fix.value
        elif fix.value not in classes:
            raise DataError(f"{name} calls {fix.path} {fix.value!r}, which is no class here; correct it")
        else:
            labels[index[fix.path]] = classes[fix.value]
    skipped = [replace(skip, bad=skip.bad and skip.path not in dropped) for skip in manifest.skipped]
    keep = np.asarray([row for path, row in index.items() if path not in dropped], np.int64)
    out = [Skipped(path, f"is dropped by {name}") for path in index if path in dropped]
    return replace(manifest, labels=labels, groups=Strings.of(groups), skipped=skipped).take(keep, out)


def counted_fixes(manifest: Manifest, fixes: list[Fix]) -> str:
    """How many rows of each proposal count, and why the others do not."""
    usable, unusable = {*manifest.paths}, {skip.path for skip in manifest.skipped}
    dropped = {fix.path for fix in fixes if fix.proposal == "drop"}
    counts = Counter[str]()
    for fix in fixes:
        changes = fix.proposal in ("relabel", "regroup")
        if fix.path not in usable | unusable:
            counts["of pictures that are gone"] += 1
        elif changes and fix.path in dropped:
            counts[f"{fix.proposal} of pictures that another row drops"] += 1
        elif changes and fix.path not in usable:
            counts[f"{fix.proposal} of pictures that cannot be used"] += 1
        else:
            counts[fix.proposal] += 1
    told = [f"{name} {counts.pop(name):,}" for name in PROPOSALS if name in counts]
    return ", ".join(told + [f"{count:,} {why}" for why, count in counts.items()]) or "no rows"
