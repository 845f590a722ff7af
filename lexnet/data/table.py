"""A CSV or Parquet file with a row a picture: `path`, `label`, perhaps `split`, `group`, `weight`, `sha256`.

Paths are relative to the file's folder. A Parquet file may hold the pictures themselves, in a column
`image` or `bytes`; each is then called after its row.
"""

import csv
import threading
import unicodedata
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexnet.config import MAX_BYTES
from lexnet.data.columns import Strings
from lexnet.data.manifest import Files, Manifest, Skipped, Source
from lexnet.data.tree import PART_NAMES, Progress, digest_all
from lexnet.errors import DataError, MissingExtra, PictureError
from lexnet.files import is_printable, natural

TABLES = (".csv", ".parquet")
COLUMNS = ("path", "label", "split", "group", "weight", "sha256")
PICTURES = ("image", "bytes")
REPEATING = ("label", "split", "group", "weight")
BATCH, PACKED_BATCH = 2048, 65_536  # rows read at a time: of text, and of text kept once for many rows
LONGEST = 2**16  # bytes of a text
EACH, MORE = 2**10, 2**20  # bytes that a column's texts may have on average, and beyond that
OPEN_GROUPS = 4  # row groups of pictures that are kept unpacked
UNPACKED = 2**31  # bytes of a row group


def is_table(path: Path) -> bool:
    """Whether the name is that of a table."""
    return path.suffix.lower() in TABLES


def read_table(
    path: Path, classes: list[str] | None = None, progress: Progress = lambda done, total: None
) -> Manifest:
    """The pictures of a table, each read and digested: what differs from the sha256 it gives is skipped.

    Raises `DataError` naming the first row that makes no sense.
    """
    return _digested(list_table(path, classes), progress)


def list_table(path: Path, classes: list[str] | None = None) -> Manifest:
    """The rows of a table as a manifest, with the sha256 it gives or none; no picture is read.

    Raises `DataError` naming the first row that makes no sense.
    """
    source: Source = Files(path.parent)
    if path.suffix.lower() == ".csv":
        columns = _csv_columns(path)
    else:
        columns, pictures = _parquet_columns(path)
        source = pictures or source
    labels, names = columns["label"].codes()
    names = [_name(name, path) for name in names]
    if classes is None:
        classes = sorted(set(names), key=natural)
    elif unknown := sorted(set(names) - set(classes)):
        raise DataError(
            f"{path} has the label {unknown[0]!r}, which is not among the {len(classes)} classes that are "
            "trained on; correct the label or drop its rows"
        )
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
    )


def _digested(manifest: Manifest, progress: Progress) -> Manifest:
    """With the sha256 of each picture's bytes; rows that cannot be used are skipped with their reason."""
    found = digest_all(manifest.source, list(manifest.paths), progress)
    reasons = list(map(_fault, found, manifest.digests))
    bad = [
        Skipped(path, reason, bad=True)
        for path, reason in zip(manifest.paths, reasons, strict=True)
        if reason
    ]
    whole = manifest.with_digests(digest if isinstance(digest, str) else "" for digest in found)
    return whole.take(np.flatnonzero([reason is None for reason in reasons]), bad) if bad else whole


def _fault(found: str | PictureError, given: str) -> str | None:
    """Why a picture with this sha256 cannot be that of the row, if it cannot."""
    if isinstance(found, PictureError):
        return found.reason
    return None if given in ("", found) else "has another sha256 than the table says"


def _csv_columns(path: Path) -> dict[str, Strings]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            head = [name.strip().lower() for name in next(rows, [])]
            _check_twice(head, COLUMNS, path)
            _check_head(head, path, pictures=False)
            table: dict[str, list[str]] = {name: [] for name in COLUMNS}
            for row in rows:
                if not row:
                    continue
                if len(row) != len(head):
                    raise DataError(
                        f"{path} line {rows.line_num} has {len(row)} fields, its head {len(head)}; mend it"
                    )
                record = dict(zip(head, row, strict=True))
                for name in COLUMNS:
                    table[name].append(record.get(name, "").strip())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as CSV ({error}); save it as UTF-8") from error
    return _checked({name: Strings.of(values) for name, values in table.items()}, path)


def _parquet_columns(path: Path) -> tuple[dict[str, Strings], Source | None]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtra("pyarrow") from error
    try:
        file = pq.ParquetFile(path, memory_map=True)
        names = file.schema_arrow.names
        _check_twice([name.lower() for name in names], (*COLUMNS, *PICTURES), path)
        head = {name.lower(): name for name in names}
        pictures = next(
            (head[name] for name in PICTURES if name in head and _holds_bytes(file, head[name])), None
        )
        _check_head([name.lower() for name in names], path, pictures=pictures is not None)
        if pictures is not None:
            _check_groups(file, path)
        packed = [leaf for name in REPEATING if name in head for leaf in _leaves(file, head[name])]
        shared = pq.ParquetFile(path, memory_map=True, metadata=file.metadata, read_dictionary=packed)
        columns = {name: _column(path, (shared, file), head[name]) for name in COLUMNS if name in head}
        starts = np.cumsum([0, *_group_rows(file)])
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(f"{path} cannot be read as Parquet ({error})") from error
    rows = file.metadata.num_rows
    if {rows, int(starts[-1]), *map(len, columns.values())} != {rows}:
        raise DataError(f"{path} cannot be read as Parquet (its columns are not of one length)")
    source = None
    if pictures is not None:
        columns["path"] = Strings.of(f"row-{row:08}" for row in range(rows))
        source = Rows(path, pictures, tuple(_leaves(file, pictures)), starts)
    columns = {name: columns[name] if name in columns else Strings.empty(rows) for name in COLUMNS}
    return _checked(columns, path), source


def _check_groups(file: Any, path: Path) -> None:
    """Raises `DataError` for a row group of pictures that would not fit into memory, unpacked."""
    groups = map(file.metadata.row_group, range(file.metadata.num_row_groups))
    if (most := max((group.total_byte_size for group in groups), default=0)) > UNPACKED:
        raise DataError(
            f"{path} has a row group of {most:,} bytes, over {UNPACKED:,}; write it with a smaller "
            "row_group_size"
        )


def _holds_bytes(file: Any, column: str) -> bool:
    """Whether the column is of pictures: bytes, or the Hugging Face pair of bytes and path."""
    import pyarrow as pa

    kind = file.schema_arrow.field(column).type
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_struct(kind))


def _column(path: Path, files: tuple[Any, Any], column: str) -> Strings:
    """The column's texts by the first of the two openings, which keeps what many rows share once; by the
    other where Parquet's delta encodings, which pyarrow cannot read so, repeat it anyway."""
    try:
        return _texts(path, files[0], column)
    except OSError:
        return _texts(path, files[1], column)


def _texts(path: Path, file: Any, column: str) -> Strings:
    """The column as text, "" where there is none; read in pieces for memory's sake.

    What many rows share is not repeated for each before it is clear how much that will be. `DataError`
    for texts that are too long.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    packed = pa.types.is_dictionary(file.schema_arrow.field(column).type)
    pieces, size, rows = [], 0, 0
    for batch in file.iter_batches(columns=[column], batch_size=PACKED_BATCH if packed else BATCH):
        values = batch.column(0)
        texts = _text(values.dictionary if packed else values, strip=column.lower() != "path")
        lengths = pc.binary_length(texts)
        size += pc.sum(lengths.take(values.indices) if packed else lengths).as_py() or 0
        rows += len(values)
        if (pc.max(lengths).as_py() or 0) > LONGEST or size > MORE + EACH * rows:
            raise DataError(
                f"{path} has texts in its column {column} of over {LONGEST:,} bytes, or of over {EACH:,} on "
                "average; shorten them"
            )
        pieces.append(_from_arrow(pc.fill_null(texts.take(values.indices) if packed else texts, "")))
    return Strings.join(pieces)


def _leaves(file: Any, column: str) -> list[str]:
    """The paths of what Parquet keeps the column in: one, or several of a struct."""
    paths = (file.schema.column(number).path for number in range(len(file.schema)))
    return [path for path in paths if path.split(".")[0] == column]


def _text(values: Any, strip: bool) -> Any:
    """The values as Arrow's text, NaN as null. Raises for bytes that are no UTF-8."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_floating(values.type):  # where pandas had numbers and gaps
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    texts = pc.cast(values, pa.large_string())
    texts.validate(full=True)
    return pc.utf8_trim_whitespace(texts) if strip else texts


def _group_rows(file: Any) -> Iterator[int]:
    for group in range(file.metadata.num_row_groups):
        yield file.metadata.row_group(group).num_rows


def _from_arrow(array: Any) -> Strings:
    """Arrow's own buffers; only the offsets are moved to start at 0."""
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    start, stop = (int(ends[0]), int(ends[-1])) if len(ends) else (0, 0)
    return Strings(bytes(data[start:stop]) if data else b"", ends - start)


@dataclass(frozen=True)
class Rows:
    """Pictures inside a Parquet file, unpacked a row group at a time."""

    file: Path
    column: str
    leaves: tuple[str, ...]
    """What Parquet keeps the column in."""
    starts: NDArray[np.int64]
    """The first row of each group, and the number of rows."""
    _open: OrderedDict[int, Any] = field(default_factory=OrderedDict, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def read(self, path: str) -> bytes:
        row = int(path.removeprefix("row-"))
        group = int(np.searchsorted(self.starts, row, side="right")) - 1
        try:
            value = self._group(group)[row - int(self.starts[group])].as_py()
        except Exception as error:  # of pyarrow, which has many kinds
            raise PictureError(self.where(path), f"cannot be read ({error})") from error
        content = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(content, bytes) or not content:
            raise PictureError(self.where(path), "holds no picture")
        if len(content) > MAX_BYTES:
            raise PictureError(self.where(path), f"has {len(content):,} bytes, over {MAX_BYTES:,}")
        return content

    def where(self, path: str) -> str:
        return f"{self.file}/{path}"

    def _group(self, number: int) -> Any:
        import pyarrow.parquet as pq

        with self._lock:
            if number not in self._open:
                try:  # a picture that many rows share is kept once
                    file = pq.ParquetFile(self.file, read_dictionary=list(self.leaves))
                    table = file.read_row_group(number, columns=[self.column])
                except OSError:  # delta encodings
                    table = pq.ParquetFile(self.file).read_row_group(number, columns=[self.column])
                self._open[number] = table.column(0)
                while len(self._open) > OPEN_GROUPS:
                    self._open.popitem(last=False)
            return self._open[number]


def _check_twice(head: list[str], names: tuple[str, ...], path: Path) -> None:
    if twice := [name for name in names if head.count(name) > 1]:
        raise DataError(f"{path} has two columns called {twice[0]}; keep one")


def _check_head(head: list[str], path: Path, pictures: bool) -> None:
    needed = ["label"] if pictures else ["path", "label"]
    if missing := [name for name in needed if name not in head]:
        raise DataError(
            f"{path} has no column {' and no column '.join(missing)}; it has {', '.join(head) or 'none'}. "
            "Give path and label, and if you like split, group, weight and sha256"
        )


def _checked(columns: dict[str, Strings], path: Path) -> dict[str, Strings]:
    """The same; raises for an empty table, a row without path or label, or a path listed twice."""
    if not len(columns["label"]):
        raise DataError(f"{path} has no rows; give a row for each picture")
    for name in ("path", "label"):
        if len(empty := np.flatnonzero(columns[name].lengths == 0)):
            raise DataError(f"{path} has no {name} in row {empty[0] + 1}; fill it in or drop the row")
    if twice := columns["path"].repeated():
        raise DataError(f"{path} lists {twice} more than once; keep one row for each picture")
    digests = columns["sha256"].lower()
    odd = ~np.isin(digests.lengths, (0, 64))
    if odd.any() or digests.foreign(b"0123456789abcdef"):
        raise DataError(f"{path} has a sha256 that is not 64 hex digits; correct it, or leave the column out")
    return columns | {"sha256": digests}


def _parts(column: Strings, path: Path) -> Strings:
    codes, values = column.codes()
    known = {"": "", **PART_NAMES}
    if odd := [value for value in values if value.lower() not in known]:
        raise DataError(f"{path} has the split {odd[0]!r}; use train, val or test, or leave all empty")
    if "" in values and len(values) > 1:
        row = int(np.flatnonzero(codes == values.index(""))[0])
        raise DataError(f"{path} gives a split for some rows, but not for row {row + 1}; give all or none")
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
    odd = np.flatnonzero(~((weights > 0) & np.isfinite(weights)))
    if len(odd):
        raise DataError(
            f"{path} has the weight {column[odd[0]]!r} in row {odd[0] + 1}; give every row a positive "
            "number, or leave the column out"
        )
    return weights


def _name(label: str, path: Path) -> str:
    if not is_printable(label):
        raise DataError(f"{path} has a label that is not printable ({label!r}); correct it")
    return unicodedata.normalize("NFC", label)
