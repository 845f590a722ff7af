"""What a training goes on from: in the run's folder while it lasts, in the cache when it has ended.

runs/NAME/checkpoint.safetensors ─ the end ─ cache/trained/KEY/SHA256.safetensors ─ more epochs
"""

import hashlib
from contextlib import suppress
from pathlib import Path

from lexnet.errors import OutputError
from lexnet.files import cache_folder, write_atomic
from lexnet.job.folder import CHECKPOINT

SUFFIX = ".safetensors"


def ended(of: str, totals: tuple[int, ...]) -> str:
    """The name of where a training of this identity is, having come to each of these totals of epochs."""
    return hashlib.sha256(f"{of} {totals}".encode()).hexdigest()[:32]


def checkpoint(keep: Path | None, of: str, raised: tuple[int, ...]) -> Path | None:
    """The file that a run in the folder `keep` goes on from, if it is there.

    For a run of more epochs than an earlier one of the same identity it begins as that one's end. Where
    the cache has lost it, the run trains the earlier epochs too.
    """
    if keep is None:
        return None
    file = keep / CHECKPOINT
    if raised and not file.exists():
        for earlier in cache_folder("trained", ended(of, raised)).glob(f"*{SUFFIX}"):
            content = earlier.read_bytes()
            if hashlib.sha256(content).hexdigest() == earlier.stem:
                write_atomic(file, content)
    return file


def set_aside(folder: Path, name: str | None) -> None:
    """Moves a finished run's checkpoint to the cache, under this name; it is lost where there is no room."""
    file = folder / CHECKPOINT
    if name is not None and file.exists():
        content = file.read_bytes()
        with suppress(OutputError):
            write_atomic(cache_folder("trained", name, hashlib.sha256(content).hexdigest() + SUFFIX), content)
    file.unlink(missing_ok=True)
