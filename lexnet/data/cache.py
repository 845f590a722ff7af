"""What lies in the cache: how much, whether it is intact, and how to be rid of it.

All of it can be made again: computed, or fetched. A file there is never changed, only added or removed.
"""

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lexnet.errors import OutputError
from lexnet.files import cache_folder, sealed_by, sha256

KINDS = {
    "activations": "pictures as a net's frozen stages leave them, for training its tail",
    "features": "pictures as a frozen net sees them, for a linear head",
    "pictures": "decoded pictures",
    "trunks": "the graphs of frozen nets",
    "archives": "compressed tars, unpacked, and tables out of archives",
    "samples": "sample sets that were fetched or made",
    "weights": "published weights that were fetched",
}
FETCHED = ("samples", "weights")
"""Kinds that only go when they are named: to have them again may need a network."""
DIGEST = re.compile(r"[0-9a-f]{64}")
NAMED = (".npy", ".onnx", ".safetensors", ".csv", ".tsv", ".parquet")
"""Files of these kinds are named after their own sha256, where they are named after one."""
OURS = re.compile(r"[0-9a-f]{32,64}(\.\w+)?|\..*\.part|digits|fashion-mnist(\.\w+)?")
"""What stands directly below a kind's folder; all else there is somebody's, and left alone."""
DAMAGED = ".damaged"
"""What the name of a damaged file ends in, once somebody has met it."""


@dataclass(frozen=True)
class Held:
    """What the cache holds of one kind."""

    kind: str
    files: int
    bytes: int
    newest: float | None
    """When the last file came, seconds since 1970; None where there is none."""


def held() -> list[Held]:
    """Every kind, those that are empty too."""
    found = []
    for kind in KINDS:
        statuses = [file.stat() for file in _files(kind)]
        newest = max((status.st_mtime for status in statuses), default=None)
        found.append(Held(kind, len(statuses), sum(status.st_size for status in statuses), newest))
    return found


def damaged() -> tuple[list[Path], int]:
    """Sets aside the files that have not the sha256 they are named after, or that lies beside them; (all set
    aside, how many were looked at)."""
    known = [(file, digest) for kind in KINDS for file in _files(kind) if (digest := _said(file))]
    for file, digest in known:
        if sha256(file) != digest:
            file.replace(file.with_suffix(DAMAGED))
    return [file for kind in KINDS for file in _files(kind) if file.suffix == DAMAGED], len(known)


def _said(file: Path) -> str | None:
    """The sha256 that the file should have, where that is known."""
    if DIGEST.fullmatch(file.stem) and file.suffix in NAMED:
        return file.stem
    mark = sealed_by(file)
    told = mark.is_file() and file.suffix not in (mark.suffix, DAMAGED)
    return mark.read_text(errors="replace") if told else None


def prune(kinds: list[str], older: float) -> tuple[int, int]:
    """Removes the files of these kinds that came over `older` days ago, all that were set aside as damaged,
    and what a killed process left half written a day ago; returns how many, and their bytes.

    A process that has one open keeps it until it ends. Raises `OutputError` for one that stays.
    """
    now, count, size = time.time(), 0, 0
    for kind in KINDS:
        for file in _files(kind):
            status = file.stat()
            days = abs(now - status.st_mtime) / 86_400  # a clock that went wrong dates some in the future
            half_written = file.suffix == ".part"  # by a process that is perhaps still at it
            spoiled = file.suffix == DAMAGED or (half_written and days > 1)
            if not spoiled and (half_written or kind not in kinds or days < older):
                continue
            try:
                file.unlink(missing_ok=True)
            except OSError as error:
                raise OutputError(
                    f"cannot remove {file}: {error.strerror}; {count:,} files were removed before it"
                ) from error
            count, size = count + 1, size + status.st_size
        for folder in sorted(_below(kind), reverse=True):
            if folder.is_dir() and not folder.is_symlink():
                with suppress(OSError):  # it is not empty
                    folder.rmdir()
    return count, size


def _files(kind: str) -> Iterator[Path]:
    return (file for file in sorted(_below(kind)) if file.is_file() and not file.is_symlink())


def _below(kind: str) -> Iterator[Path]:
    """All that LexNet may have put there; nothing through a link, and where LEXNET_CACHE is a folder of the
    user's, such as their home, nothing of theirs."""
    top = cache_folder(kind)
    if top.is_symlink() or not top.is_dir():
        return
    for entry in top.iterdir():
        if OURS.fullmatch(entry.name):
            yield entry
            if not entry.is_symlink():
                yield from entry.rglob("*")
