"""A column of text without a Python object for each row: Arrow's own layout, one buffer and where each ends.

A million paths take the bytes of their letters and eight more each.
"""

from collections.abc import Hashable, Iterable, Iterator
from itertools import islice, pairwise
from typing import SupportsIndex, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=Hashable)

ROWS = 65_536  # decoded at a time while iterating
SPELT = {
    "label": ("labels", "class", "category", "target"),
    "path": ("file_name", "filename", "filepath", "file", "image_path"),
    "image": ("img",),
}
"""Other names of a table's columns, in sets that many have."""


class Strings:
    """(N,) text that cannot be changed."""

    __slots__ = ("_data", "_ends")

    def __init__(self, data: bytes, ends: NDArray[np.int64]) -> None:
        self._data = data
        self._ends = ends  # (N + 1,), from 0

    @classmethod
    def of(cls, values: Iterable[str]) -> "Strings":
        """The column of these values; one that is a column already is not copied."""
        if isinstance(values, Strings):
            return values
        buffer, ends = bytearray(), [0]
        for value in values:
            buffer += value.encode()
            ends.append(len(buffer))
        return cls(bytes(buffer), np.asarray(ends, np.int64))

    @classmethod
    def join(cls, columns: Iterable["Strings"]) -> "Strings":
        """The columns one below the other."""
        pieces, ends, length = list[bytes](), [np.zeros(1, np.int64)], 0
        for column in columns:
            pieces.append(column._data)
            ends.append(column._ends[1:] + length)
            length += len(column._data)
        return cls(b"".join(pieces), np.concatenate(ends))

    @classmethod
    def empty(cls, rows: int) -> "Strings":
        """As many empty texts."""
        return cls(b"", np.zeros(rows + 1, np.int64))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, row: SupportsIndex) -> str:
        row = range(len(self))[row]
        return self._data[self._ends[row] : self._ends[row + 1]].decode()

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), ROWS):
            ends = self._ends[start : start + ROWS + 1].tolist()
            for a, b in pairwise(ends):
                yield self._data[a:b].decode()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Strings):
            return self._data == other._data and np.array_equal(self._ends, other._ends)
        return (
            isinstance(other, (list, tuple))
            and len(self) == len(other)
            and all(a == b for a, b in zip(self, other, strict=True))
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, islice(self, 3)))
        return f"Strings({shown}{', ...' if len(self) > 3 else ''}; {len(self):,} rows)"

    def codes(self) -> tuple[NDArray[np.int64], list[str]]:
        """((N,) index into the distinct values, the distinct values in the order of their first row)."""
        index: dict[str, int] = {}
        codes = np.fromiter((index.setdefault(value, len(index)) for value in self), np.int64, len(self))
        return codes, list(index)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) bytes of each."""
        return np.diff(self._ends)

    def lower(self) -> "Strings":
        """In small letters, of ASCII ones."""
        return Strings(self._data.lower(), self._ends)

    def foreign(self, allowed: bytes) -> bool:
        """Whether some text holds a byte that is not allowed."""
        return bool(self._data.translate(None, allowed))

    def repeated(self) -> str | None:
        """A text that occurs twice, if there is one; eight bytes a row are enough to look for it."""
        hashes = np.fromiter(map(hash, self), np.int64, len(self))
        order = np.argsort(hashes, kind="stable")
        same = np.flatnonzero(hashes[order[1:]] == hashes[order[:-1]])
        pairs = ((self[order[i]], self[order[i + 1]]) for i in same)
        return next((a for a, b in pairs if a == b), None)

    def take(self, rows: NDArray[np.int64]) -> "Strings":
        """Those rows, in that order."""
        starts, stops = self._ends[:-1][rows], self._ends[1:][rows]
        data = bytearray()
        for place in range(0, len(rows), ROWS):
            some = (places[place : place + ROWS].tolist() for places in (starts, stops))
            data += b"".join(self._data[a:b] for a, b in zip(*some, strict=True))
        return Strings(bytes(data), np.concatenate([[0], np.cumsum(stops - starts)]))


def spelt(head: Iterable[str]) -> dict[str, str]:
    """Our name of a column → its name in this head, where that is another and there is but one."""
    names = {name.replace(" ", "_"): name for name in head}
    found = {ours: [names[name] for name in theirs if name in names] for ours, theirs in SPELT.items()}
    return {ours: theirs[0] for ours, theirs in found.items() if len(theirs) == 1 and ours not in names}


def rows_of(values: Iterable[T]) -> dict[T, list[int]]:
    """The rows of each distinct value, in the order of its first row."""
    found: dict[T, list[int]] = {}
    for row, value in enumerate(values):
        found.setdefault(value, []).append(row)
    return found


def repeats(chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) how often each of these values comes before its place."""
    ranked = np.argsort(chosen, kind="stable")
    result = np.empty(len(chosen), np.int64)
    result[ranked] = np.arange(len(chosen)) - np.searchsorted(chosen[ranked], chosen[ranked])
    return result
