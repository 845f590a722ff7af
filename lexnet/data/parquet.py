"""A Parquet file as columns of text, and the pictures in it. Nobody vouches for the file: nothing is unpacked
before it is known how large it will be, and what many rows share is kept once."""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexnet.config import MAX_BYTES
from lexnet.data.columns import Strings, spelt
from lexnet.data.manifest import Source
from lexnet.data.tree import MAX_MEMBERS
from lexnet.errors import DataError, MissingExtra, PictureError

PICTURES = ("image", "bytes")
REPEATING = ("label", "split", "group", "weight")
BATCH, PACKED_BATCH = 2048, 65_536  # rows read at a time: of text, and of text kept once for many rows
LONGEST = 2**16  # bytes of a text
EACH, MORE = 2**10, 2**20  # bytes that a column's texts may have on average, and beyond that
OPEN_GROUPS = 4  # row groups of pictures that are kept unpacked, as long as together they are not too large
UNPACKED = 2**31  # bytes of a row group, and of the open ones


def read_parquet(
    path: Path, wanted: Sequence[str], check_head: Callable[[list[str], bool], None]
) -> tuple[dict[str, Strings], Source | None]:
    """The columns that are wanted, empty where there is none, and the pictures if it holds any.

    `check_head` is told the columns' names, and whether there are pictures, before any is read. Raises
    `DataError`.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtra("pyarrow") from error
    try:
        file = pq.ParquetFile(path, memory_map=True)
        starts = np.cumsum([0, *_group_rows(file)])
        if (rows := max(file.metadata.num_rows, int(starts[-1]))) > MAX_MEMBERS:  # empty ones take no bytes
            raise DataError(f"{path} has {rows:,} rows, over {MAX_MEMBERS:,}; divide it")
        names = file.schema_arrow.names
        check_twice([name.lower() for name in names], (*wanted, *PICTURES), path)
        head = {name.lower(): name for name in names}
        head |= {ours: head[theirs] for ours, theirs in spelt(head).items()}
        leaves = (_leaf(file, head[name]) for name in PICTURES if name in head)
        pictures = next(filter(None, leaves), None)
        check_head([*head], pictures is not None)
        if pictures is not None:
            _check_groups(file, path)
        packed = [leaf for name in REPEATING if name in head for leaf in _leaves(file, head[name])]
        shared = pq.ParquetFile(path, memory_map=True, metadata=file.metadata, read_dictionary=packed)
        columns = {name: _column(path, shared, file, head[name]) for name in wanted if name in head}
        if pictures is not None and "path" in wanted:
            columns["path"] = _named(columns.get("path") or _own_names(path, file, pictures), rows)
        if "label" in columns and (names := _label_names(file, head["label"])):
            columns["label"] = _spelt_out(columns["label"], names, path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(f"{path} cannot be read as Parquet ({error})") from error
    if {file.metadata.num_rows, int(starts[-1]), *map(len, columns.values())} != {rows}:
        raise DataError(f"{path} cannot be read as Parquet (its columns are not of one length)")
    source = None
    if pictures is not None:
        source = Rows(path, pictures, starts)
    columns = {name: columns[name] if name in columns else Strings.empty(rows) for name in wanted}
    return columns, source


def check_twice(head: list[str], names: Iterable[str], path: Path) -> None:
    """Raises `DataError` for one of these names that two columns have."""
    if twice := [name for name in names if head.count(name) > 1]:
        raise DataError(f"{path} has two columns called {twice[0]}; keep one")


def _check_groups(file: Any, path: Path) -> None:
    """Raises `DataError` for a row group of pictures that would not fit into memory, unpacked."""
    groups = map(file.metadata.row_group, range(file.metadata.num_row_groups))
    if (most := max((group.total_byte_size for group in groups), default=0)) > UNPACKED:
        raise _too_large(path, most)


def _too_large(path: Path, size: int) -> DataError:
    return DataError(
        f"{path} has a row group of {size:,} bytes, over {UNPACKED:,}; write it with a smaller row_group_size"
    )


def _leaf(file: Any, column: str) -> str | None:
    """Where a column has its pictures: in itself, or in a half of the Hugging Face pair of bytes and path."""
    import pyarrow as pa

    kind, leaf = file.schema_arrow.field(column).type, column
    if pa.types.is_struct(kind) and (place := kind.get_field_index("bytes")) >= 0:
        kind, leaf = kind.field(place).type, f"{column}.bytes"
    return leaf if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) else None


def _named(names: Strings | None, rows: int) -> Strings:
    """A path for each row: its number, by which it is found again, and the name it came with."""
    if names is None or len(names) != rows:
        return Strings.of(f"row-{row:08}" for row in range(rows))
    return Strings.of(f"row-{row:08}/{name}".rstrip("/") for row, name in enumerate(names))


def _own_names(path: Path, file: Any, leaf: str) -> Strings | None:
    """The other half of the Hugging Face pair, if it is there."""
    column, _, inner = leaf.partition(".")
    if not inner or file.schema_arrow.field(column).type.get_field_index("path") < 0:
        return None
    try:
        return _texts(path, file, f"{column}.path")
    except DataError:  # too long for names: perhaps addresses, or pictures again
        return None


def _label_names(file: Any, column: str) -> list[str]:
    """What the numbers of a Hugging Face ClassLabel stand for, by the notes that such a file carries."""
    try:
        notes = json.loads((file.schema_arrow.metadata or {})[b"huggingface"])
        feature = notes["info"]["features"][column]
        return list(map(str, feature["names"])) if feature["_type"] == "ClassLabel" else []
    except (KeyError, TypeError, ValueError, RecursionError):
        return []


def _spelt_out(labels: Strings, names: list[str], path: Path) -> Strings:
    """The names for the numbers; -1 stands for no label there."""
    codes, numbers = labels.codes()
    numbered = {str(number): name for number, name in enumerate(names)}
    known = {name: name for name in names} | numbered | {"": "", "-1": ""}
    if odd := [number for number in numbers if number not in known]:
        raise DataError(f"{path} has the label {odd[0]}, and names for {len(names)} labels only; correct it")
    return Strings.of([known[number] for number in numbers]).take(codes)


def _column(path: Path, shared: Any, file: Any, column: str) -> Strings:
    """The column's texts, as `shared` has opened the file, which keeps what many rows share once; or plainly
    where Parquet's delta encodings, which pyarrow cannot read so, repeat it anyway."""
    try:
        return _texts(path, shared, column)
    except OSError:
        return _texts(path, file, column)


def _texts(path: Path, file: Any, column: str) -> Strings:
    """The column as text, "" where there is none; read in pieces for memory's sake.

    What many rows share is not repeated for each before it is clear how much that will be. `DataError`
    for texts that are too long.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    outer, _, inner = column.partition(".") if column not in file.schema_arrow.names else (column, "", "")
    packed = not inner and pa.types.is_dictionary(file.schema_arrow.field(outer).type)
    pieces, size, rows = [], 0, 0
    for batch in file.iter_batches(columns=[column], batch_size=PACKED_BATCH if packed else BATCH):
        values = batch.column(0).field(inner) if inner else batch.column(0)
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
    leaf: str
    """The column, or `column.bytes`."""
    starts: NDArray[np.int64]
    """The first row of each group, and the number of rows."""
    name: str | None = None
    """What the file is called, where that is not its path."""
    _open: OrderedDict[int, tuple[list[bytes], int]] = field(
        default_factory=OrderedDict, repr=False, compare=False
    )
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def read(self, path: str) -> bytes:
        row = int(path.removeprefix("row-").partition("/")[0])
        group = int(np.searchsorted(self.starts, row, side="right")) - 1
        try:
            content = self._group(group)[row - int(self.starts[group])]
        except (DataError, MemoryError):
            raise
        except Exception as error:  # of pyarrow, which has many kinds
            raise PictureError(self.where(path), f"cannot be read ({error})") from error
        if not content:
            raise PictureError(self.where(path), "holds no picture; write the table with the pictures in it")
        if len(content) > MAX_BYTES:
            raise PictureError(self.where(path), f"has {len(content):,} bytes, over {MAX_BYTES:,}")
        return content

    def where(self, path: str) -> str:
        return f"{self.name or self.file}/{path}"

    def _group(self, number: int) -> list[bytes]:
        with self._lock:
            if number not in self._open:
                self._open[number] = self._unpacked(number)
                while (
                    len(self._open) > OPEN_GROUPS or sum(size for _, size in self._open.values()) > UNPACKED
                ):
                    self._open.popitem(last=False)
            return self._open[number][0]

    def _unpacked(self, number: int) -> tuple[list[bytes], int]:
        """The pictures of a row group, one that many rows share kept once, and the bytes they take.

        One by one, for what the file says of their size may be false; Arrow would copy a dictionary for each.
        Raises `DataError` past `UNPACKED`.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        pictures: list[bytes] = []
        distinct: dict[bytes, bytes] = {}
        size = 0
        file = pq.ParquetFile(self.file, memory_map=True)
        for batch in file.iter_batches(1, row_groups=[number], columns=[self.leaf]):
            cell = batch.column(0)
            cell = cell.field(0) if pa.types.is_struct(cell.type) else cell
            content = memoryview(cell[0].as_buffer() or b"")[: MAX_BYTES + 1].tobytes()  # no more is copied
            if content not in distinct:
                distinct[content] = content
                size += len(content)
            if size > UNPACKED:
                raise _too_large(self.file, size)
            pictures.append(distinct[content])
        return pictures, size
