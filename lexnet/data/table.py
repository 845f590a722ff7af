"""A CSV or Parquet file with a row a picture: `path`, `label`, perhaps `split`, `group`, `weight`, `sha256`.

Paths are relative to the file's folder, or to its place in an archive. A Parquet file may hold the
pictures themselves, in a column `image` or `bytes`; each is then called after its row, and by its path.
"""

import csv
import errno
import os
import unicodedata
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path, PurePath
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from lexnet.data.columns import Strings, rows_of, spelt
from lexnet.data.manifest import LEAST_WEIGHT, MOST_WEIGHT, Files, Manifest, Skipped, Source
from lexnet.data.parquet import check_twice, read_parquet
from lexnet.data.tree import MAX_MEMBERS, PART_NAMES, Progress, know_all, refuse_unknown
from lexnet.errors import DataError, PictureError
from lexnet.files import is_printable, natural

TABLES = (".csv", ".tsv", ".parquet")
COLUMNS = ("path", "label", "split", "group", "weight", "sha256")
LONGEST_LINE = 2**20  # characters; in a field csv takes 2**17
UNSLASHED = bytes({*range(256)} - {ord("\\")})
LOOKED_FOR = 20  # pictures, to tell whose slashes a table has
GONE = os.strerror(errno.ENOENT)
PRINTABLE = bytes(byte for byte in range(32, 256) if byte != 127)  # or a letter's piece in UTF-8


def is_table(path: PurePath) -> bool:
    """Whether the name is that of a table."""
    return path.suffix.lower() in TABLES


def read_table(
    path: Path, classes: list[str] | None = None, progress: Progress = lambda done, total: None
) -> Manifest:
    """The pictures of a table, each read and digested: what differs from the sha256 it gives is skipped.

    Raises `DataError` naming the first row that makes no sense.
    """
    return digested(list_table(path, classes), progress)


def is_listing(path: Path) -> bool:
    """Whether the table has the columns by which it lists pictures."""
    try:
        if path.suffix.lower() != ".parquet":
            with path.open(encoding="utf-8-sig", newline="") as file:
                _check_head(path, _head(_reader(file)), pictures=False)
        else:
            read_parquet(path, (), partial(_check_head, path))
    except DataError:
        return False
    except (UnicodeDecodeError, csv.Error):  # which is told when it is read
        pass
    return True


def list_table(path: Path, classes: list[str] | None = None, source: Source | None = None) -> Manifest:
    """The rows of a table as a manifest, with the sha256 it gives or none; no picture is read.

    `source` has the pictures where that is not the file's folder. Raises `DataError` naming the first row
    that makes no sense.
    """
    source = source or Files(path.parent)
    if path.suffix.lower() != ".parquet":
        columns = _csv_columns(path)
    else:
        columns, pictures = read_parquet(path, COLUMNS, partial(_check_head, path))
        source = pictures or source
    columns, skipped = _checked(columns, path, source)
    labels, names = columns["label"].codes()
    names = [_name(name, path) for name in names]
    if classes is None:
        classes = sorted(set(names), key=natural)
    else:
        refuse_unknown([(name, str(path)) for name in names], classes)
    index = {name: i for i, name in enumerate(classes)}
    return Manifest(
        name=str(path),
        source=source,
        classes=classes,
        paths=columns["path"],
        labels=np.asarray([index[name] for name in names], np.int64)[labels],
        parts=_parts(columns["split"], path),
        digests=columns["sha256"],
        groups=columns["group"],
        weights=_weights(columns["weight"], path),
        skipped=skipped,
    )


def digested(manifest: Manifest, progress: Progress) -> Manifest:
    """With each picture's sha256, size and mode; rows that cannot be used are skipped with their reason."""
    found = know_all(manifest.source, list(manifest.paths), progress)
    if len(found) > 1 and all(isinstance(one, PictureError) and GONE in one.reason for one in found):
        raise DataError(
            f"{manifest.name}: none of the {len(found):,} pictures is there, such as "
            f"{manifest.source.where(manifest.paths[0])}; paths are relative to the table's folder"
        )
    return manifest.with_known(found)


def _csv_columns(path: Path) -> dict[str, Strings]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = _reader(file)
            head = _head(rows)
            check_twice(head, COLUMNS, path)
            _check_head(path, head, pictures=False)
            table: dict[str, list[str]] = {name: [] for name in COLUMNS}
            for row in rows:
                if not any(row):
                    continue
                if len(table["path"]) == MAX_MEMBERS:
                    raise DataError(f"{path} has over {MAX_MEMBERS:,} rows; divide it")
                if len(row) != len(head):
                    raise DataError(
                        f"{path} line {rows.line_num} has {len(row)} fields, its head {len(head)}; mend it"
                    )
                record = dict(zip(head, row, strict=True))
                for name in COLUMNS:
                    table[name].append(record.get(name, "").strip())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as CSV ({error}); save it as UTF-8") from error
    return {name: Strings.of(values) for name, values in table.items()}


def _reader(file: TextIO) -> Any:
    return csv.reader(lines(file), delimiter=delimiter(file), skipinitialspace=True)


def _head(rows: Iterator[list[str]]) -> list[str]:
    """The columns' names in small letters, as we spell them."""
    names = [name.strip().lower() for name in next(rows, [])]
    ours = {theirs: ours for ours, theirs in spelt(names).items()}
    return [ours.get(name, name) for name in names]


def _place(path: Path, row: int) -> str:
    """Where a person finds the row: by its line, as editors count them, where there are lines."""
    if path.suffix.lower() == ".parquet":
        return f"row {row + 1}"
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = _reader(file)
        lines = (rows.line_num for fields in islice(rows, 1, None) if any(fields))
        return f"line {next(islice(lines, int(row), None))}"


def delimiter(file: TextIO) -> str:
    """What stands between the fields: a comma, or as many a spreadsheet writes it a semicolon or a tab."""
    head, _ = file.readline(LONGEST_LINE), file.seek(0)
    return max(",;\t", key=head.count)


def lines(file: TextIO) -> Iterator[str]:
    """The lines, of which one without end is cut: it would fill the memory."""
    return iter(partial(file.readline, LONGEST_LINE), "")


def _check_head(path: Path, head: list[str], pictures: bool) -> None:
    needed = ["label"] if pictures else ["path", "label"]
    if missing := [name for name in needed if name not in head]:
        raise DataError(
            f"{path} has no column {' and no column '.join(missing)}; it has {', '.join(head) or 'none'}. "
            "Call them path and label, and if you like split, group, weight and sha256"
        )


def _checked(
    columns: dict[str, Strings], path: Path, source: Source
) -> tuple[dict[str, Strings], list[Skipped]]:
    """The same without rows that say nothing certain of a picture; raises for what makes no sense at all."""
    if not len(columns["label"]):
        raise DataError(f"{path} has no rows; give a row for each picture")
    if len(empty := np.flatnonzero(columns["path"].lengths == 0)):
        raise DataError(f"{path} has no path in {_place(path, empty[0])}; fill it in or drop the row")
    if not columns["label"].lengths.any():
        raise DataError(f"{path} has no label in any row; fill them in")
    if columns["path"].foreign(PRINTABLE):
        for name in columns["path"]:
            if not is_printable(name):
                raise DataError(f"{path} lists a path that is not printable ({name!r}); rename the picture")
    digests = columns["sha256"].lower()
    odd = ~np.isin(digests.lengths, (0, 64))
    if odd.any() or digests.foreign(b"0123456789abcdef"):
        raise DataError(f"{path} has a sha256 that is not 64 hex digits; correct it, or leave the column out")
    columns |= {"sha256": digests, "path": _posix(columns["path"], source)}
    reasons = _repeated(columns) | _unlabelled(columns)
    skipped = [Skipped(columns["path"][row], *why) for row, why in sorted(reasons.items())]
    if not reasons:
        return columns, skipped
    keep = np.delete(np.arange(len(digests)), list(reasons))
    return {name: column.take(keep) for name, column in columns.items()}, skipped


def _posix(paths: Strings, source: Source) -> Strings:
    """With forward slashes, where the table was written on Windows and is read elsewhere."""
    if not paths.foreign(UNSLASHED):
        return paths
    some = list(islice((path for path in paths if "\\" in path), LOOKED_FOR))
    if any(_is_there(source, path) for path in some):
        return paths
    if not any(_is_there(source, path.replace("\\", "/")) for path in some):
        return paths
    return Strings.of(path.replace("\\", "/") for path in paths)


def _is_there(source: Source, path: str) -> bool:
    try:
        source.read(path)
    except PictureError:
        return False
    return True


def _unlabelled(columns: dict[str, Strings]) -> dict[int, tuple[str, bool]]:
    empty = np.flatnonzero(columns["label"].lengths == 0).tolist()
    return dict.fromkeys(empty, ("has no label", True))


def _repeated(columns: dict[str, Strings]) -> dict[int, tuple[str, bool]]:
    """Rows of a picture that is listed again: all but the first, or all where they contradict each other."""
    if columns["path"].repeated() is None:  # for a million rows without an object for each
        return {}
    labelled = np.flatnonzero(columns["label"].lengths).tolist()
    found: dict[int, tuple[str, bool]] = {}
    for places in rows_of(columns["path"][row] for row in labelled).values():
        rows = [labelled[place] for place in places]
        labels, parts = (
            list(dict.fromkeys(columns[name][row] for row in rows)) for name in ("label", "split")
        )
        if len(labels) > 1:
            found |= dict.fromkeys(rows, (f"is listed under {' and '.join(labels)}", True))
        elif len(parts) > 1:
            found |= dict.fromkeys(
                rows, (f"is listed in {' and '.join(part or 'no part' for part in parts)}", True)
            )
        else:
            found |= dict.fromkeys(rows[1:], ("is listed twice", False))
    return found


def _parts(column: Strings, path: Path) -> Strings:
    codes, values = column.codes()
    known = {"": "", **PART_NAMES}
    if odd := [value for value in values if value.lower() not in known]:
        raise DataError(f"{path} has the split {odd[0]!r}; use train, val or test, or leave all empty")
    if "" in values and len(values) > 1:
        place = _place(path, np.flatnonzero(codes == values.index(""))[0])
        raise DataError(f"{path} gives a split for some rows, but not for {place}; give all or none")
    return Strings.of([known[value.lower()] for value in values]).take(codes)


def _weights(column: Strings, path: Path) -> NDArray[np.float32]:
    """(N,) positive numbers; ones where the column is empty."""
    if not column.lengths.any():
        return np.ones(len(column), np.float32)
    weights = np.empty(len(column), np.float32)
    with np.errstate(over="ignore"):  # what is too large becomes infinite
        for row, text in enumerate(column):
            try:
                weights[row] = float(text)
            except ValueError:
                weights[row] = np.nan
    odd = np.flatnonzero(~((weights >= LEAST_WEIGHT) & (weights <= MOST_WEIGHT)))
    if len(odd):
        raise DataError(
            f"{path} has the weight {column[odd[0]]!r} in {_place(path, odd[0])}; give every row a positive "
            f"number from {LEAST_WEIGHT:g} to {MOST_WEIGHT:g}, or leave the column out"
        )
    return weights


def _name(label: str, path: Path) -> str:
    if not is_printable(label):
        raise DataError(f"{path} has a label that is not printable ({label!r}); correct it")
    return unicodedata.normalize("NFC", label)
