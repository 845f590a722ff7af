"""What was computed once of each picture (pixels, features), kept on disk and read back memory-mapped.

    KIND/RECIPE/SHA256.npy     N times (the picture's sha256, its row)

RECIPE is the digest of everything a row depends on besides the picture. A file is named after the
sha256 of its own bytes and appears by an atomic rename, so any number of processes may share a
store without locks, and a flipped byte is seen: the file is then set aside and its pictures are
computed again.
"""

import hashlib
import json
import mmap
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lexnet.config import available_cores
from lexnet.data.manifest import Manifest, Skipped
from lexnet.errors import DataError, OutputError, PictureError
from lexnet.files import cache_folder, free_bytes, sha256, write_atomic

Rows = NDArray[Any]
"""(N, ...) of any type and shape; a recipe's are all alike."""

MANY = 1024  # files
LAYOUT = 2
"""Raised when what is in a file changes: older files are then not looked at."""
TYPES = (np.uint8, np.float16, np.float32)
"""Of pictures, activations and features."""


class Store:
    """The rows of one recipe. `warn` is told once about each damaged file."""

    def __init__(self, kind: str, recipe: Mapping[str, Any], warn: Callable[[str], None]) -> None:
        text = json.dumps({**recipe, "layout": LAYOUT}, sort_keys=True).encode()
        self.folder = cache_folder(kind, hashlib.sha256(text).hexdigest()[:32])
        with ThreadPoolExecutor(available_cores()) as pool:
            intact = list(pool.map(lambda file: _intact(file, warn), sorted(self.folder.glob("*.npy"))))
        # one after another: numpy parses a header with ast, which threads of Python 3.11 trip over
        shards = [shard for file in intact if file and (shard := _known_shard(file, warn))]
        usual = Counter(shard.dtype for shard in shards).most_common(1)
        self._shards = [shard for shard in shards if shard.dtype == usual[0][0]]  # rows of one shape
        self._open = [_mapped(shard) for shard in self._shards[: _at_once()]]
        self._index: _Index | None = None

    def find(self, digests: Iterable[str]) -> NDArray[np.int64]:
        """(N,) the place of each picture's row, -1 where there is none."""
        if self._index is None:
            self._index = _Index([self._array(i)["key"].copy() for i in range(len(self._shards))])
        return self._index.find(_keys(digests))

    def read(self, places: NDArray[np.int64], items: NDArray[np.int64] | None = None) -> Rows:
        """(N, ...) a copy of the rows at these places, or of one item of each; (0, 0) of an empty store."""
        if not self._shards:
            return np.empty((0, 0), np.float32)
        row = self._shards[0].dtype["row"]
        result = np.empty((len(places), *row.shape[0 if items is None else 1 :]), row.base)
        starts = np.cumsum([0, *(shard.rows for shard in self._shards)])
        shards = np.searchsorted(starts, places, side="right") - 1
        for number in np.unique(shards):
            mine = np.flatnonzero(shards == number)
            rows, own = self._array(number)["row"], places[mine] - starts[number]
            result[mine] = rows[own] if items is None else rows[own, items[mine]]
        return result

    def add(self, digests: Iterable[str], rows: Rows) -> None:
        """Keeps a row for each of these pictures."""
        keys = _keys(digests)
        shard = np.empty(len(keys), [("key", "S32"), ("row", rows.dtype, rows.shape[1:])])
        shard["key"], shard["row"] = keys, rows
        buffer = BytesIO()
        np.lib.format.write_array(buffer, shard, allow_pickle=False)
        content = buffer.getbuffer()
        file = self.folder / f"{hashlib.sha256(content).hexdigest()}.npy"
        if not file.exists():  # another process had the same pictures; Windows cannot replace a mapped file
            write_atomic(file, content)
        self._shards.append(_shard(file))
        if len(self._open) < _at_once():
            self._open.append(_mapped(self._shards[-1]))
        self._index = None

    def _array(self, number: int) -> NDArray[np.void]:
        """A shard's keys and rows: of the first they stay mapped, the others are opened again each time."""
        return self._open[number] if number < len(self._open) else _mapped(self._shards[number])


class _Shard(NamedTuple):
    """A file, and where in it the array of its keys and rows lies."""

    file: Path
    offset: int
    rows: int
    dtype: np.dtype[np.void]


def _shard(file: Path) -> _Shard:
    array = np.lib.format.open_memmap(file, mode="r")  # no pickle, and no zip
    return _Shard(file, array.offset, len(array), array.dtype)


def _known_shard(file: Path, warn: Callable[[str], None]) -> _Shard | None:
    """The file, if it is one of ours: anybody's bytes may be named after their sha256."""
    try:
        shard = _shard(file)
        names, key, row = shard.dtype.names, shard.dtype["key"], shard.dtype["row"]
        if names == ("key", "row") and key == "S32" and row.base in TYPES and row.ndim:
            return shard
    except Exception:  # what numpy takes for an archive or a pickle fails in ways of its own
        pass
    with suppress(OSError):  # another process was first, or nobody may
        file.replace(file.with_suffix(".damaged"))
    warn(f"{file} is no file of this cache; it is left out")
    return None


def _mapped(shard: _Shard) -> NDArray[np.void]:
    """The array, read-only; in a third of the time that numpy's own memmap takes."""
    try:
        with shard.file.open("rb", buffering=0) as stream:
            content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError as error:
        raise DataError(
            f"{shard.file} was removed while it was in use; the same command, run again, makes it anew"
        ) from error
    return np.frombuffer(content, shard.dtype, shard.rows, shard.offset)


def _at_once() -> int:
    """How many files a store keeps open, as the system limits them: macOS to as few as 256."""
    if sys.platform == "win32":
        return MANY
    import resource

    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MANY if allowed == resource.RLIM_INFINITY else max(8, min(MANY, allowed // 8))


class SideBySide:
    """Several stores, filled with one look at each picture: a row here is one of each, joined."""

    def __init__(self, stores: Sequence[Store], widths: Sequence[int]) -> None:
        self._stores, self._ends = stores, np.cumsum(widths)[:-1]

    def find(self, digests: Iterable[str]) -> NDArray[np.int64]:
        """(N,) 0 where every store has the picture's row, else -1."""
        wanted = list(digests)
        found = [store.find(wanted) >= 0 for store in self._stores]
        return np.where(np.all(found, axis=0), 0, -1)

    def add(self, digests: Iterable[str], rows: Rows) -> None:
        """Keeps each store's own part, (N, its width), of the rows (N, sum of the widths), that it lacks."""
        wanted = list(digests)
        for store, part in zip(self._stores, np.split(rows, self._ends, axis=1), strict=True):
            new = np.flatnonzero(store.find(wanted) < 0)
            if len(new):
                store.add([wanted[i] for i in new], np.ascontiguousarray(part[new]))


class _Index:
    """Sorted keys, and the place of each, counted through all shards."""

    def __init__(self, keys: list[NDArray[np.bytes_]]) -> None:
        joined = np.concatenate(keys) if keys else np.empty(0, "S32")
        self._places = np.argsort(joined, kind="stable")
        self._keys = joined[self._places]

    def find(self, wanted: NDArray[np.bytes_]) -> NDArray[np.int64]:
        if not len(self._keys):
            return np.full(len(wanted), -1, np.int64)
        near = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        return np.where(self._keys[near] == wanted, self._places[near], -1)


def _keys(digests: Iterable[str]) -> NDArray[np.bytes_]:
    """(N,) the 32 bytes of each sha256."""
    return np.frombuffer(bytes.fromhex("".join(digests)), "S32")


def _intact(file: Path, warn: Callable[[str], None]) -> Path | None:
    """The file, if its bytes are those it was named after."""
    try:
        if file.is_file() and sha256(file) == file.stem:  # a pipe would keep us waiting
            return file
        file.replace(file.with_suffix(".damaged"))
        warn(f"{file} was damaged; what it kept of some pictures is computed again")
    except FileNotFoundError:
        pass  # another process has just set it aside
    except OSError as error:
        warn(f"{file} cannot be used ({error.strerror}); what it keeps of some pictures is computed again")
    return None


def _refuse_too_much(needed: int, count: int) -> None:
    """Raises `OutputError` where the cache's disk has less room than that."""
    if needed > (free := free_bytes(cache_folder())):
        raise OutputError(
            f"what is kept of {count:,} pictures takes {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are "
            f"free at {cache_folder()}; make room there, or name another place by LEXNET_CACHE"
        )


def fill(
    store: Store | SideBySide,
    manifest: Manifest,
    compute: Callable[[list[int]], Iterable[tuple[int, Rows | PictureError]]],
    shard: int,
    progress: Callable[[int, int], None],
) -> tuple[Manifest, int]:
    """Computes the rows that the store lacks; returns the pictures that have one now, and how many
    rows were computed.

    `compute` is given the numbers of the pictures and gives each with its row, or with why there is
    none, which the manifest's `skipped` then says. `shard` rows are kept at a time, and also what
    there is when it is interrupted: it is not computed again. Raises `OutputError` at the first where the
    disk has no room for all.
    """
    lacking = np.flatnonzero(store.find(manifest.digests) < 0)
    _, first = np.unique(_keys(manifest.digests.take(lacking)), return_index=True)  # one of several copies
    missing = lacking[np.sort(first)].tolist()
    reasons: dict[str, str] = {}
    fresh: list[tuple[str, Rows]] = []

    def keep() -> None:
        if fresh:
            store.add([digest for digest, _ in fresh], np.stack([row for _, row in fresh]))
            fresh.clear()

    try:
        for done, (i, row) in enumerate(compute(missing), start=1):
            if isinstance(row, PictureError):
                reasons[manifest.digests[i]] = row.reason
            else:
                if done == 1 + len(reasons):
                    _refuse_too_much(row.nbytes * len(missing), len(missing))
                fresh.append((manifest.digests[i], row))
            if len(fresh) == shard:
                keep()
            progress(done, len(missing))
    finally:
        keep()
    if not reasons:
        return manifest, len(missing)
    there = store.find(manifest.digests) >= 0
    bad = [Skipped(manifest.paths[i], reasons[manifest.digests[i]], bad=True) for i in np.flatnonzero(~there)]
    return manifest.take(np.flatnonzero(there), bad), len(missing) - len(reasons)
