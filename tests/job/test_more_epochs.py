"""A run trained for longer: it goes on from where it was, and its plan does the same from the beginning."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from picture_makers import clipart_folder
from stopping import stopped_behind

from lexnet.config import FitConfig, SplitConfig, TrainConfig
from lexnet.errors import ConfigError, OutputError
from lexnet.job import run as run_module
from lexnet.job.events import Event, Note, Progress
from lexnet.job.run import Run, train
from lexnet.train import loop

CONFIG = TrainConfig(
    net="lenet5_modern", mode="scratch", recipe="none", workers=1, split=SplitConfig(per_class=20)
)
MODEL, CHECKPOINT = "model.lexnet", "checkpoint.safetensors"
PER_EPOCH = 9  # 140 pictures, 16 a batch


def of(epochs: int, config: TrainConfig = CONFIG, **fit: Any) -> TrainConfig:
    return replace(config, fit=FitConfig(epochs=epochs, batch_size=16, **fit))


def stopped(config: TrainConfig, out: Path | None, behind: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is killed behind this epoch."""
    with stopped_behind(behind, monkeypatch):
        train("digits", config, out)


def trained_epochs(
    config: TrainConfig | None, out: Path | None, data: str = "digits"
) -> tuple[Run, int, list[str]]:
    """The run, how many steps it took now, and its notes."""
    steps: list[int] = []
    notes: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, Progress) and event.step == "train":
            steps.append(event.done)
        if isinstance(event, Note):
            notes.append(event.text)

    return train(data, config, out, listen), len(steps), notes


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of two epochs."""
    return train("digits", of(2), tmp_path_factory.mktemp("two") / "run")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != CHECKPOINT}


def test_a_finished_run_goes_on_where_it_ended(tmp_path: Path) -> None:
    train("digits", of(2), tmp_path / "run")
    run, steps, notes = trained_epochs(of(5), tmp_path / "run")
    assert steps == 3 * PER_EPOCH
    assert f"going on with the run of 2 epochs in {tmp_path / 'run'}" in notes
    decisions = [text for text in notes if not text.startswith("going on")]
    assert run.metrics["resumed"] and run.metrics["decisions"] == decisions
    assert [one["epoch"] for one in run.metrics["history"]] == [1, 2, 3, 4, 5]
    plan = yaml.safe_load((run.folder / "plan.yaml").read_text())
    assert (plan["fit"]["epochs"], plan["fit"]["raised"]) == (5, [2])
    again, steps, _ = trained_epochs(None, tmp_path / "again", str(run.folder / "plan.yaml"))
    assert steps == 5 * PER_EPOCH, "its plan alone does it all"
    assert (again.folder / MODEL).read_bytes() == (run.folder / MODEL).read_bytes()


def test_raised_twice_and_stopped_in_between_it_is_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train("digits", of(1), tmp_path / "run")
    two = train("digits", of(2), tmp_path / "run")
    before = files(two.folder)
    stopped(of(4), tmp_path / "run", 3, monkeypatch)
    assert files(two.folder) == before, "the last result stays whole until there is a new one"
    run, steps, _ = trained_epochs(of(4), tmp_path / "run")
    assert steps == PER_EPOCH
    at_once = train("digits", of(4, raised=(1, 2)), tmp_path / "once")
    assert (at_once.folder / MODEL).read_bytes() == (run.folder / MODEL).read_bytes()
    assert at_once.metrics["history"] == run.metrics["history"]


def test_a_killed_run_can_be_raised_and_comes_to_its_first_end_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(of(3), tmp_path / "run", 2, monkeypatch)
    run, steps, _ = trained_epochs(of(4), tmp_path / "run")
    assert steps == 2 * PER_EPOCH
    at_once = train("digits", of(4, raised=(3,)), tmp_path / "once")
    assert (at_once.folder / MODEL).read_bytes() == (run.folder / MODEL).read_bytes()
    assert (at_once.folder / "plan.yaml").read_text() == (run.folder / "plan.yaml").read_text()


def test_a_tail_goes_on_too(tmp_path: Path) -> None:
    folder = clipart_folder(tmp_path / "pictures", ("birds", "flags"), 12)
    config = TrainConfig(mode="tail", size=64, recipe="none", workers=1)
    train(str(folder), of(1, config), tmp_path / "run")
    run, steps, _ = trained_epochs(of(2, config), tmp_path / "run", str(folder))
    at_once, both, _ = trained_epochs(of(2, config, raised=(1,)), tmp_path / "once", str(folder))
    assert both == 2 * steps
    assert (at_once.folder / MODEL).read_bytes() == (run.folder / MODEL).read_bytes()


def test_without_its_name_a_run_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two trainings of different length may be at work side by side."""
    monkeypatch.chdir(tmp_path)
    stopped(of(2), None, 1, monkeypatch)
    before = {path.name: path.read_bytes() for path in Path("runs/digits").iterdir()}
    second = train("digits", of(3), None)
    assert second.folder == Path("runs/digits-2")
    assert {path.name: path.read_bytes() for path in Path("runs/digits").iterdir()} == before
    plan = yaml.safe_load((second.folder / "plan.yaml").read_text())
    assert plan["fit"]["raised"] == [], "and the new one has nothing of it"


@pytest.mark.parametrize(
    "config",
    [
        of(1),
        of(2),
        of(3, lr=0.01),
        of(3, raised=(1,)),
        replace(of(3), seed=1),
        replace(of(3), recipe="cifar"),
        replace(of(3), net="resnet20"),
    ],
    ids=["fewer", "as many", "another rate", "other totals", "another seed", "another recipe", "another net"],
)
def test_what_is_another_run_is_not_gone_on_with(two: Run, config: TrainConfig) -> None:
    before = {path.name: path.read_bytes() for path in two.folder.iterdir()}
    with pytest.raises(OutputError, match="run exists already; choose another --out"):
        train("digits", config, two.folder)
    assert {path.name: path.read_bytes() for path in two.folder.iterdir()} == before


def test_where_the_mode_was_chosen_for_a_run_it_says_how_to_ask_for_more(two: Run) -> None:
    """As where tiny pictures get a net of their own, and --epochs alone asks for a tail."""
    net = two.metrics["net"]
    again = rf"for longer, ask for net={net}, mode=scratch as it has, and for more than its 2 epochs\)"
    with pytest.raises(OutputError, match=again):
        train("digits", TrainConfig(fit=FitConfig(epochs=9)), two.folder)
    with pytest.raises(
        OutputError, match=r"longer, ask for seed=0 as it has, and for more than its 2 epochs"
    ):
        train("digits", replace(of(3), seed=1), two.folder)
    with pytest.raises(OutputError, match=r"longer, ask for budget=None as it has, and for more than its 2"):
        train("digits", replace(of(3), budget="5m"), two.folder)
    with pytest.raises(OutputError, match=r"longer, ask for compile=\w+ as it has, and for more than its 2"):
        train("digits", of(3, compile="always"), two.folder)
    with pytest.raises(OutputError, match=r"longer, ask for more than its 2 epochs\)"):
        train("digits", of(2), two.folder)


def test_a_plan_of_before_there_were_totals_is_the_same_run(two: Run) -> None:
    """As many epochs by a plan.yaml that differs in its text alone: nothing is trained, nothing lost."""
    plan = two.folder / "plan.yaml"
    whole = plan.read_text()
    plan.write_text("".join(line for line in whole.splitlines(True) if "raised" not in line))
    try:
        test_what_is_another_run_is_not_gone_on_with(two, of(2))
    finally:
        plan.write_text(whole)


def test_with_nothing_to_go_on_from_a_run_is_not_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped by patience, or before its first epoch ended."""
    patient = of(20, lr=0.05, patience=1)
    run = train("digits", patient, tmp_path / "patient")
    assert run.metrics["stopped"] and not (run.folder / CHECKPOINT).exists()
    with pytest.raises(OutputError, match="exists already"):
        train("digits", of(30, lr=0.05, patience=1), tmp_path / "patient")
    with monkeypatch.context() as patch:
        patch.setattr(loop, "step", lambda *arguments: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train("digits", of(2), tmp_path / "early")
    with pytest.raises(OutputError, match="exists already"):
        train("digits", of(3), tmp_path / "early")


@pytest.mark.parametrize("raised", [(4,), (3, 2), (4, 5), (2, 2)])
def test_totals_that_do_not_grow_are_refused(raised: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=r"raised=\(.*\) must grow, and end under epochs=4"):
        FitConfig(epochs=4, raised=raised)
    with pytest.raises(ConfigError, match=r"raised=\(2,\) must grow, and end under epochs=None"):
        FitConfig(raised=(2,))


@pytest.mark.parametrize("last", ["plan.yaml", "metrics.json"])
@pytest.mark.parametrize("before", [None, 2])
def test_a_run_that_is_stopped_at_its_very_last_files_can_be_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int | None, last: str
) -> None:
    """Its plan has all that was decided by then, which is more than was asked for."""
    asked = replace(of(3), cut="none")
    if before:
        train("digits", of(before), tmp_path / "run")
    write = run_module.write_atomic

    def full(path: Path, content: Any) -> None:
        if path.name == last:
            raise OutputError("the disk is full")
        write(path, content)

    with monkeypatch.context() as patch, pytest.raises(OutputError, match="the disk is full"):
        patch.setattr(run_module, "write_atomic", full)
        train("digits", asked, tmp_path / "run")
    run, steps, _ = trained_epochs(asked, tmp_path / "run")
    assert steps == 0, "what was trained is there"
    at_once = train("digits", of(3, raised=(before,)) if before else of(3), tmp_path / "once")
    assert files(at_once.folder).keys() == files(run.folder).keys()
    for name in (MODEL, "plan.yaml", "history.csv"):
        assert (at_once.folder / name).read_bytes() == (run.folder / name).read_bytes()
