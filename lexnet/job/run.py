"""`lexnet train`: data → plan → pictures → bundle → run folder."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lexnet.config import TrainConfig, available_cores, seconds
from lexnet.data.manifest import Manifest
from lexnet.data.samples import SAMPLES
from lexnet.data.source import find_data, read_data
from lexnet.data.splits import cut_down, split_csv
from lexnet.errors import ConfigError, OutputError, ParityError
from lexnet.evaluate.predictions import predictions_csv
from lexnet.files import alone_in, display, write_atomic
from lexnet.job.divide import admit
from lexnet.job.events import Choices, Heard, Listener, Note, Progress, Warned, ignore
from lexnet.job.folder import (
    ASKED,
    CHECKPOINT,
    CHOICE,
    DONE,
    HEAD,
    LATENCIES,
    PLAN,
    RATE,
    RESERVE,
    RUNS,
    claim,
    given_back,
    name_of,
    refuse_inside,
)
from lexnet.job.job import Clock, Job
from lexnet.job.learn import learn
from lexnet.job.plan import Plan, announce, decided, make_plan, read_plan
from lexnet.job.ship import Outcome
from lexnet.report.page import render
from lexnet.runtime.bundle import BUNDLE, parse_bundle
from lexnet.runtime.predictor import Predictor

REPORT, SPLIT, PREDICTIONS, HISTORY = "report.html", "split.csv", "predictions.csv", "history.csv"
FIXES = "fixes.csv"
"""The corrections that were made, as they were given."""
SMALL_TEST = 300
STARTED = 1.5  # seconds that the command has taken before the clock starts


@dataclass(frozen=True)
class Run:
    """A finished run."""

    folder: Path
    metrics: dict[str, Any]
    outcome: Outcome


def train(
    data: str,
    config: TrainConfig | None = None,
    out: Path | None = None,
    tell: Listener = ignore,
    command: str = "",
) -> Run:
    """Trains on a folder, a sample set or a saved plan, which brings its own config; writes a run folder.

    Raises `LexNetError`. Whatever happens, no file in the folder is ever half written; the folder
    is finished when it holds metrics.json, which is written last.
    """
    clock, heard = Clock(), Heard(tell)
    plan = plan_for(data, config)
    root = find_data(plan.data)
    refuse_inside(out or RUNS, root)
    with clock.step("read pictures"):
        found = read_data(
            plan.data, progress=lambda done, total: heard(Progress("read pictures", done, total))
        )
        manifest = admit(found, plan.config, heard)
    plan = plan_for(data, config, manifest.classes)  # a recipe that suits them
    return carry_out(manifest, plan, out, name_of(root), clock, heard, command, STARTED)


def carry_out(
    manifest: Manifest,
    asked: Plan,
    out: Path | None,
    name: str,
    clock: Clock,
    heard: Heard,
    command: str,
    before: float = 0.0,
) -> Run:
    """A plan for admitted pictures in a run folder, `out` or runs/NAME; it goes on with what is there.

    A budget counts from so many seconds `before` the clock.
    """
    folder, plan, resumed = claim(out, name, asked)
    busy = f"another process is training in {folder}; wait for it, or give --out"
    with alone_in(folder, busy), given_back(folder, resumed=resumed, named=out is not None):
        if (folder / DONE).exists() and not plan.config.fit.raised:
            raise OutputError(f"another process has just finished this run in {folder}")
        announce(plan, heard)
        if out is None and not resumed and folder.name != name:
            other = RUNS / name
            what = "is there already" if (other / DONE).exists() else "has not ended, and is another"
            heard(Note(f"{other} {what}: this run is {folder}", lasting=False))
        _clear(folder)
        given = plan.config.fixes
        fixes = None if given is None else Path(given).read_bytes()  # now: they may be edited meanwhile
        if resumed:
            manifest = cut_down(manifest, plan.config.split, plan.config.seed)  # by what was decided since
            earlier = plan.config.fit.raised
            what = f"run of {earlier[-1]} epochs" if earlier else "unfinished run"
            heard(Note(f"going on with the {what} in {folder}", lasting=False))
        outcome = learn(manifest, plan, clock, heard, folder, before)
        with clock.step("verify"):
            check_bundle(outcome.bundle)
        warn_small(outcome, heard)
        said = {"decisions": heard.decisions, "warnings": heard.warnings}
        facts = said | {"command": command, "resumed": resumed}
        return Run(folder, _written(folder, asked, outcome, clock, facts, fixes), outcome)


def _written(
    folder: Path, asked: Plan, outcome: Outcome, clock: Clock, facts: dict[str, Any], fixes: bytes | None
) -> dict[str, Any]:
    """The run's metrics, which are its last file, after all the others."""
    with clock.step("write"):
        (folder / DONE).unlink(missing_ok=True)  # of fewer epochs: from here on it is another run
        write_atomic(folder / SPLIT, split_csv(outcome.manifest))
        predicted = predictions_csv(outcome.manifest, outcome.held_out, outcome.probabilities)
        write_atomic(folder / PREDICTIONS, predicted)
        write_atomic(folder / HISTORY, history_csv(outcome.metrics))
        write_atomic(folder / BUNDLE, outcome.bundle)
        if fixes is not None:
            write_atomic(folder / FIXES, fixes)
    metrics = {
        "run": display(folder),
        "bundle": display(folder / BUNDLE),
        "report": display(folder / REPORT),
        **outcome.metrics,
        "verified": True,
        "seconds": time.perf_counter() - clock.start,
        "steps": clock.steps,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **facts,
    }
    write_atomic(folder / REPORT, render(metrics, outcome.mistakes, outcome.seen))
    write_atomic(folder / ASKED, asked.to_yaml())
    write_atomic(folder / PLAN, outcome.plan.to_yaml())
    write_atomic(folder / DONE, json.dumps(metrics, indent=1, ensure_ascii=False, allow_nan=False))
    for name in (ASKED, CHOICE, RESERVE, HEAD, LATENCIES):
        (folder / name).unlink(missing_ok=True)
    if metrics["stopped"] or not metrics["history"]:  # nothing that more epochs could go on from
        (folder / CHECKPOINT).unlink(missing_ok=True)
        (folder / RATE).unlink(missing_ok=True)
    return metrics


def _clear(folder: Path) -> None:
    """Removes what a run that was killed had half written."""
    for leftover in folder.glob(".*.part"):
        leftover.unlink(missing_ok=True)


def preview(data: str, config: TrainConfig | None, tell: Listener = ignore) -> dict[str, Any]:
    """What `train` would do, and how long each choice would take here; nothing is trained or written.

    Raises `LexNetError`.
    """
    plan = plan_for(data, config)
    manifest = admit(read_data(plan.data), plan.config, tell)
    return foresee(manifest, plan_for(data, config, manifest.classes), tell)


def foresee(manifest: Manifest, plan: Plan, tell: Listener) -> dict[str, Any]:
    """`preview` of a plan for admitted pictures."""
    from lexnet.job.budget import choose_from, heads_only, options  # load torch
    from lexnet.job.choose import without_a_look

    if len(plan.config.nets()) > 1:
        raise ConfigError(f"net={plan.config.net!r}: a dry run measures one net; name it")
    announce(plan, tell)
    if new := without_a_look(plan, manifest):
        plan = new
        announce(plan, tell)
    for risk in plan.risks(manifest.classes):
        tell(Warned(risk))
    budget = plan.config.budget
    deadline = None if budget is None else time.perf_counter() + seconds(budget)
    workers = plan.config.workers or available_cores()
    job = Job(plan=plan, clock=Clock(), tell=tell, workers=workers, deadline=deadline)
    if few := heads_only(job, manifest):
        tell(Note(few))
        job = replace(job, plan=decided(plan, mode="probe"))
    elif plan.config.mode == "auto" and budget is None:
        tell(Note("without --budget: first a head, then a tail, which is kept where it proves better"))
    tell(Note("measuring this machine takes up to half a minute"))
    found, _ = options(replace(job, deadline=None), manifest)
    if budget is None:
        chosen = found[0]
        tell(Choices(tuple(found), chosen, None))
    else:
        chosen = choose_from(job, manifest, found)
    document = {"plan": plan.to_yaml(), "reasons": list(plan.reasons), "choices": list(map(asdict, found))}
    return document | {"chosen": asdict(chosen)}


def is_plan(data: str) -> bool:
    """Whether DATA is a saved plan and not pictures."""
    return Path(data).suffix.lower() in (".yaml", ".yml") and Path(data).is_file()


def plan_for(data: str, config: TrainConfig | None, classes: Sequence[str] = ()) -> Plan:
    """The plan of that name, or one with these settings for those pictures."""
    if is_plan(data):
        if config is not None:
            raise ConfigError(f"{data} brings its own settings; leave out the others, or change them in it")
        return _with_own_fixes(read_plan(Path(data), classes), Path(data).parent / FIXES)
    if "://" not in data and (data not in SAMPLES or Path(data).exists()):
        data = str(Path(data).absolute())
    return make_plan(data, config or TrainConfig(), classes)


def _with_own_fixes(plan: Plan, own: Path) -> Plan:
    """The plan with the corrections that its run keeps: those it was given may have changed since."""
    if plan.config.fixes is None or not own.is_file():
        return plan
    return replace(plan, config=replace(plan.config, fixes=str(own.absolute())))


def check_bundle(content: bytes) -> None:
    """Reads the bundle as anyone would and runs its golden pictures; raises `ParityError`."""
    problems = Predictor(parse_bundle(content, BUNDLE), engine="onnxruntime").check_golden()
    if problems:
        raise ParityError(f"{BUNDLE}: {problems[0]}; it was not written; please report it")


def history_csv(metrics: dict[str, Any]) -> str:
    """What was seen epoch by epoch; for a probe, of each regularisation that was tried."""
    if epochs := metrics["history"]:
        lines = [",".join(f"{value:.9g}" for value in one.values()) for one in epochs]
        return "\n".join([",".join(epochs[0]), *lines, ""])
    tried = metrics["regularisation"]
    rows = zip(tried["candidates"], tried["cv_log_loss"], tried["cv_accuracy"], strict=True)
    return "C,cv_log_loss,cv_accuracy\n" + "".join(f"{c},{loss:.6f},{hit:.6f}\n" for c, loss, hit in rows)


def warn_small(outcome: Outcome, tell: Listener) -> None:
    """Tells where few pictures, or those that helped to choose, were there to measure on."""
    count, part, units = len(outcome.held_out), outcome.metrics["measured_on"], outcome.metrics["units"]
    if units < SMALL_TEST and outcome.metrics["cross_validation"] is None:
        low, high = outcome.metrics["interval"]
        shown = f"{100 * low:.0f} to {100 * high:.0f} %"
        foldable = outcome.metrics["mode"] == "probe" and not outcome.given
        more = "; --folds 5 measures on every picture in turn" * foldable
        alike = f" of {units:,} groups or sets of near copies" * (units < count)
        tell(Warned(f"only {count} {part} pictures{alike}: the accuracy may be anywhere from {shown}{more}"))
    if part == "val":
        what = " and the ".join(outcome.metrics["val_chose"])
        chosen = f", which also chose the {what}: it may be a point or two too high" if what else ""
        tell(Warned(f"there is no test part: the accuracy is measured on the val part{chosen}"))
