"""Which folder a run writes to: never one that holds a finished run."""

from pathlib import Path

from lexnet.errors import OutputError
from lexnet.files import write_atomic

PLAN, DONE = "plan.yaml", "metrics.json"
"""The first and the last file of a run: with the one and without the other it is unfinished."""


def claim(out: Path | None, name: str, plan: str) -> tuple[Path, bool]:
    """(folder, whether it goes on with an unfinished run of the same plan); writes the plan into it.

    Without `out` it is runs/NAME, or the next free number. Raises `OutputError` for an `out` that
    holds anything else, or that cannot be written.
    """
    if out is not None:
        if not _is_free(out) and not _unfinished(out, plan):
            raise OutputError(
                f"{out} exists already; choose another --out, or leave it out to get a new number"
            )
        return out, _open(out, plan)
    number = 1
    while True:
        folder = Path("runs") / (name if number == 1 else f"{name}-{number}")
        if _is_free(folder) or _unfinished(folder, plan):
            return folder, _open(folder, plan)
        number += 1


def _open(folder: Path, plan: str) -> bool:
    resumed = _unfinished(folder, plan)
    if not resumed:
        write_atomic(folder / PLAN, plan)
    return resumed


def _is_free(folder: Path) -> bool:
    try:
        return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    except OSError as error:
        raise OutputError(f"{folder} cannot be read ({error.strerror}); choose another --out") from error


def _unfinished(folder: Path, plan: str) -> bool:
    file = folder / PLAN
    try:
        return file.is_file() and not (folder / DONE).exists() and file.read_text(encoding="utf-8") == plan
    except OSError:
        return False
