"""Which folder a run writes to: never one that holds a finished run."""

from itertools import count
from pathlib import Path

from lexnet.errors import OutputError
from lexnet.files import write_atomic

RUNS = Path("runs")
PLAN, DONE = "plan.yaml", "metrics.json"
"""The first and the last file of a run: with the one and without the other it is unfinished."""
CHOICE = "choice.yaml"
"""What was chosen by measuring: a run that goes on does not measure again."""
CHECKPOINT = "checkpoint.safetensors"
"""What an interrupted training goes on from."""


def claim(out: Path | None, name: str, plan: str) -> tuple[Path, bool]:
    """(folder, whether it goes on with an unfinished run of the same plan); writes the plan into it.

    Without `out` it is runs/NAME, or the next free number. Raises `OutputError` for an `out` that
    holds anything else, or that cannot be written.
    """
    if out is not None:
        resumed = _take(out, plan, empty_will_do=True)
        if resumed is None:
            raise OutputError(
                f"{out} exists already; choose another --out, or leave it out to get a new number"
            )
        return out, resumed
    for number in count(1):
        folder = RUNS / (name if number == 1 else f"{name}-{number}")
        if (resumed := _take(folder, plan, empty_will_do=False)) is not None:
            return folder, resumed
    raise AssertionError("numbers do not end")


def _take(folder: Path, plan: str, *, empty_will_do: bool) -> bool | None:
    """Makes the folder ours: True if it is an unfinished run to go on with, None if it is another's.

    Making the folder decides between two processes that want the same number at the same time.
    """
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        if _unfinished(folder, plan):
            for leftover in folder.glob(".*.part"):  # of a run that was killed while it wrote
                leftover.unlink(missing_ok=True)
            return True
        if not (empty_will_do and folder.is_dir() and not any(folder.iterdir())):
            return None
    except OSError as error:
        raise OutputError(f"cannot make {folder}: {error.strerror}; choose another --out") from error
    try:
        write_atomic(folder / PLAN, plan)
    except OutputError:
        folder.rmdir()
        raise
    return False


def _unfinished(folder: Path, plan: str) -> bool:
    file = folder / PLAN
    try:
        return file.is_file() and not (folder / DONE).exists() and file.read_text(encoding="utf-8") == plan
    except (OSError, UnicodeDecodeError):
        return False
