"""Which folder a run writes to: never one that holds a finished run, but to train that one for longer."""

from dataclasses import replace
from itertools import count
from pathlib import Path

from lexnet.errors import LexNetError, OutputError
from lexnet.files import write_atomic
from lexnet.job.plan import Plan, read_plan

RUNS = Path("runs")
PLAN, DONE = "plan.yaml", "metrics.json"
"""The first and the last file of a run: with the one and without the other it is unfinished."""
CHOICE = "choice.yaml"
"""What was chosen by measuring: a run that goes on does not measure again."""
CHECKPOINT = "checkpoint.safetensors"
"""What an interrupted training goes on from."""


def claim(out: Path | None, name: str, plan: Plan) -> tuple[Path, Plan, bool]:
    """(folder, the plan that is now written in it, whether it goes on with a run that is there).

    Without `out` it is runs/NAME, or the next free number. It goes on with an unfinished run of the same
    plan or of one for fewer epochs, and in `out` with a finished one for fewer epochs too. Raises
    `OutputError` for an `out` that holds anything else, or that cannot be written.
    """
    if out is not None:
        if (taken := _take(out, plan, named=True)) is None:
            raise OutputError(
                f"{out} exists already; choose another --out, or leave it out to get a new number"
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
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        if there := _goes_on(folder, plan, finished_too=named):
            for leftover in folder.glob(".*.part"):  # of a run that was killed while it wrote
                leftover.unlink(missing_ok=True)
            return there, True
        if not (named and folder.is_dir() and not any(folder.iterdir())):
            return None
    except OSError as error:
        raise OutputError(f"cannot make {folder}: {error.strerror}; choose another --out") from error
    try:
        write_atomic(folder / PLAN, plan.to_yaml())
    except OutputError:
        folder.rmdir()
        raise
    return plan, False


def _goes_on(folder: Path, plan: Plan, *, finished_too: bool) -> Plan | None:
    """The plan by which the run in the folder goes on, if it is this plan's."""
    file, done = folder / PLAN, (folder / DONE).exists()
    try:
        text = file.read_text(encoding="utf-8")
        if text == plan.to_yaml():
            return None if done else plan
        if done and not finished_too:
            return None
        longer = with_more_epochs(read_plan(file), plan)
    except (OSError, UnicodeDecodeError, LexNetError):
        return None
    if longer is None or (done and longer.to_yaml() == text):
        return None
    (folder / DONE).unlink(missing_ok=True)  # first: from now on it is unfinished
    write_atomic(file, longer.to_yaml())
    return longer


def with_more_epochs(before: Plan, plan: Plan) -> Plan | None:
    """The plan that goes on from where `before` ended, if it is the same but for more epochs."""
    fit, old = plan.config.fit, before.config.fit
    if fit.epochs is None or old.epochs is None or fit.epochs < old.epochs or plan.config.budget:
        return None
    raised = old.raised if fit.epochs == old.epochs else (*old.raised, old.epochs)
    settled = old.compile if fit.compile == "auto" else fit.compile
    longer = replace(plan.config, fit=replace(fit, raised=raised, compile=settled))
    as_before = replace(before.config, fit=replace(old, epochs=fit.epochs, raised=raised))
    if (before.data, as_before) != (plan.data, longer):
        return None
    return replace(plan, config=longer)
