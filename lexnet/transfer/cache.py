"""What a frozen net said of a picture, kept on disk so that it is never asked twice.

    features/RECIPE/SHA256.npy     rows of (picture's sha256, features), memory-mapped

RECIPE is the digest of everything a feature depends on besides the picture. A file is named after
the sha256 of its own bytes and appears by an atomic rename, so any number of processes may share a
cache without locks, and a flipped byte is seen: the file is then set aside and its pictures are
computed again.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexnet.files import cache_folder, write_atomic

Rows = NDArray[Any]
"""(N, width) of any type; a recipe's are all alike."""


class FeatureCache:
    """The rows of one recipe. `warn` is told once about each damaged file."""

    def __init__(self, recipe: Mapping[str, Any], warn: Callable[[str], None]) -> None:
        text = json.dumps(recipe, sort_keys=True).encode()
        self.folder = cache_folder("features", hashlib.sha256(text).hexdigest()[:32])
        self._rows: dict[bytes, tuple[NDArray[Any], int]] = {}
        for file in sorted(self.folder.glob("*.npy")):
            rows = _read(file, warn)
            self._rows.update({key.tobytes(): (rows, i) for i, key in enumerate(rows["key"])})

    def __contains__(self, digest: str) -> bool:
        return bytes.fromhex(digest) in self._rows

    def read(self, digests: Iterable[str]) -> Rows:
        """(N, width) for pictures that are all in the cache."""
        if not self._rows:
            return np.empty((0, 0), np.float32)
        found = [self._rows[bytes.fromhex(digest)] for digest in digests]
        if not found:
            some, _ = next(iter(self._rows.values()))
            return np.asarray(some["features"][:0])
        return np.stack([rows["features"][i] for rows, i in found])

    def add(self, digests: list[str], features: Rows) -> None:
        """Keeps (N, width) features of these pictures."""
        row = np.dtype([("key", np.uint8, 32), ("features", features.dtype, features.shape[1])])
        rows = np.empty(len(digests), row)
        rows["key"] = [list(bytes.fromhex(digest)) for digest in digests]
        rows["features"] = features
        buffer = BytesIO()
        np.lib.format.write_array(buffer, rows, allow_pickle=False)
        content = buffer.getvalue()
        file = self.folder / f"{hashlib.sha256(content).hexdigest()}.npy"
        if not file.exists():  # another process had the same pictures; Windows cannot replace a mapped file
            write_atomic(file, content)
        self._rows.update({key.tobytes(): (rows, i) for i, key in enumerate(rows["key"])})


def _read(file: Path, warn: Callable[[str], None]) -> NDArray[Any]:
    """The file's rows, memory-mapped; none if its bytes are not those it was named after."""
    try:
        with file.open("rb") as stream:
            intact = hashlib.file_digest(stream, "sha256").hexdigest() == file.stem
        if intact:
            return np.load(file, mmap_mode="r", allow_pickle=False)
        file.replace(file.with_suffix(".damaged"))
        warn(f"cached features in {file} were damaged; they are computed again")
    except FileNotFoundError:
        pass  # another process has just set it aside
    return np.empty(0, np.dtype([("key", np.uint8, 32)]))
