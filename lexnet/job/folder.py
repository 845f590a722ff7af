"""Which folder a run writes to: never one that holds a finished run, but to train that one for longer."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path

from lexnet.errors import LexNetError, OutputError, TrainingError
from lexnet.files import write_atomic
from lexnet.job.plan import Plan, read_plan
from lexnet.settings import flat

RUNS = Path("runs")
PLAN, DONE = "plan.yaml", "metrics.json"
"""The first and the last file of a run: with the one and without the other it is unfinished."""
ASKED = "asked.yaml"
"""The plan that was asked for, while the one that was carried out takes its place and DONE is yet to come."""
CHOICE = "choice.yaml"
"""What was chosen by measuring: a run that goes on does not measure again."""
RESERVE = "reserve"
"""The seconds that were measured to be needed once the weights are trained: part of that choice."""
HEAD = "head.lexnet"
"""A bundle of the head alone, to use while the rest is trained."""
LATENCIES = "latencies.json"
"""Milliseconds that each place took where the net may end: a run that goes on does not measure again."""
DECISIVE = ("data", "net", "mode", "budget")
"""On these settings most of the others hang."""
RATE = "rate.json"
"""The learning rate that was measured, and its curve; a longer run takes the same."""
CHECKPOINT = "checkpoint.safetensors"
"""What an interrupted training goes on from."""


def claim(out: Path | None, name: str, plan: Plan) -> tuple[Path, Plan, bool]:
    """(folder, the plan that is carried out there, whether it goes on with what is there).

    Without `out` it is runs/NAME, or the next free number. It goes on with an unfinished run of the same
    plan; and where `out` holds a checkpoint of the same plan for fewer epochs, with that one. Raises
    `OutputError` for an `out` that holds anything else, or that cannot be written.
    """
    if out is not None:
        if (taken := _take(out, plan, named=True)) is None:
            raise OutputError(
                f"{out} exists already; choose another --out, or leave it out for a new folder in {RUNS}"
                + _longer_by(out, plan)
            )
        return out, *taken
    for number in count(1):
        folder = RUNS / (name if number == 1 else f"{name}-{number}")
        if (taken := _take(folder, plan, named=False)) is not None:
            return folder, *taken
    raise AssertionError("numbers do not end")


def _take(folder: Path, plan: Plan, *, named: bool) -> tuple[Plan, bool] | None:
    """Makes the folder ours, to go on with the run in it where it has one; None if it is another's.

    Making the folder decides between two processes that want the same number at the same time.
    """
    made = False
    try:
        folder.mkdir(parents=True)
        made = True
    except FileExistsError:
        if named and (longer := _longer(folder, plan)):
            return longer, True
        if unfinished := _unfinished(folder, plan):
            return unfinished, True
        if not (named and folder.is_dir() and all(_half_written(file) for file in folder.iterdir())):
            return None
    except OSError as error:
        raise OutputError(f"cannot make {folder}: {error.strerror}; choose another --out") from error
    try:
        write_atomic(folder / PLAN, plan.to_yaml())
    except OutputError:
        if made:
            with suppress(OSError):
                folder.rmdir()
        raise
    return plan, False


def name_of(root: Path) -> str:
    """What results of these pictures are called: as the folder, or as the file without its suffix."""
    name = Path(os.path.abspath(root)).name
    if root.is_dir():
        return name
    stem = Path(name).stem
    return Path(stem).stem if Path(stem).suffix.lower() == ".tar" else stem


def refuse_inside(out: Path, root: Path) -> None:
    """Raises `OutputError` where results would land among the pictures."""
    if out.resolve().is_relative_to(root.resolve()):
        raise OutputError(
            f"{out} lies inside the pictures' folder {root}; go to the folder above it, or give an --out "
            f"elsewhere, such as --out ../{RUNS / name_of(root)}"
        )


@contextmanager
def given_back(folder: Path, *, resumed: bool, named: bool) -> Iterator[None]:
    """Where something is refused before any training, the plan goes, and the folder too unless it was named:
    it is no run, and the corrected command may take it. A head that is there to use stays."""
    try:
        yield
    except LexNetError as error:
        if isinstance(error, TrainingError) and (folder / HEAD).exists():
            raise TrainingError(f"{error}; {folder / HEAD}, of the head alone, is there to use") from error
        with suppress(OSError):
            if not resumed and {file.name for file in folder.iterdir()} <= {PLAN, HEAD, LATENCIES}:
                for name in (HEAD, LATENCIES, PLAN):
                    (folder / name).unlink(missing_ok=True)
                if not named:
                    folder.rmdir()
        raise


def _half_written(file: Path) -> bool:
    """Whether it is what a kill left of a file that was being written."""
    return file.name.startswith(".") and file.suffix == ".part"


def _unfinished(folder: Path, plan: Plan) -> Plan | None:
    """The plan by which the folder's run goes on, if it was asked for just so and did not end."""
    try:
        texts = [f.read_text("utf-8") if f.is_file() else None for f in (folder / PLAN, folder / ASKED)]
        if plan.to_yaml() not in texts or (folder / DONE).exists():
            return None
        return plan if texts[0] == plan.to_yaml() else read_plan(folder / PLAN)
    except (OSError, UnicodeDecodeError, LexNetError):
        return None


def _longer(folder: Path, plan: Plan) -> Plan | None:
    """The plan by which the folder's run goes on, if it is the same but for more epochs.

    Nothing there is changed before the longer run has ended: until then it is what it was.
    """
    if not (folder / CHECKPOINT).exists():
        return None
    try:
        return with_more_epochs(read_plan(folder / PLAN), plan)
    except LexNetError:
        return None


def _longer_by(folder: Path, plan: Plan) -> str:
    """What the run in the folder has to be asked for with, to be trained for longer."""
    with suppress(OSError, LexNetError):
        if (folder / CHECKPOINT).exists():
            before = read_plan(folder / PLAN)
            had, has = ({"data": one.data, **flat(one.config)} for one in (before, plan))
            free = ("epochs", "raised", *(["compile"] if has["compile"] == "auto" else []))
            other = [name for name in had if had[name] != has[name] and name not in free]
            other = [name for name in other if name in DECISIVE] or other
            asked = ", ".join(f"{name}={had[name]}" for name in other)
            same = f"ask for {asked} as it has, and for" if other else "ask for"
            return f" (to train its run for longer, {same} more than its {had['epochs']} epochs)"
    return ""


def with_more_epochs(before: Plan, plan: Plan) -> Plan | None:
    """The plan that goes on from where `before` ended, if it is the same but for more epochs."""
    fit, old = plan.config.fit, before.config.fit
    if fit.epochs is None or old.epochs is None or fit.epochs <= old.epochs or plan.config.budget:
        return None
    raised = (*old.raised, old.epochs)
    if fit.raised not in ((), raised):
        return None
    settled = old.compile if fit.compile == "auto" else fit.compile
    longer = replace(plan.config, fit=replace(fit, raised=raised, compile=settled))
    as_before = replace(before.config, fit=replace(old, epochs=fit.epochs, raised=raised))
    return replace(plan, config=longer) if (before.data, as_before) == (plan.data, longer) else None
