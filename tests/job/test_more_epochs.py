"""A run trained for longer: it goes on from where it was, and its plan does the same from the beginning."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from picture_makers import clipart_folder

from lexnet.config import FitConfig, SplitConfig, TrainConfig
from lexnet.errors import ConfigError, OutputError
from lexnet.files import cache_folder
from lexnet.job.events import Event, Note, Progress
from lexnet.job.run import Run, train
from lexnet.train import loop

CONFIG = TrainConfig(
    net="lenet5_modern", mode="scratch", recipe="none", workers=1, split=SplitConfig(per_class=20)
)
MODEL = "model.lexnet"


def of(epochs: int, config: TrainConfig = CONFIG, **fit: Any) -> TrainConfig:
    return replace(config, fit=FitConfig(epochs=epochs, batch_size=16, **fit))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of this test's own."""
    monkeypatch.setenv("LEXNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def stopped(config: TrainConfig, out: Path | None, behind: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is killed behind this epoch."""
    write = loop.write_checkpoint

    def stop(path: Path, tensors: Any, facts: dict[str, Any]) -> None:
        write(path, tensors, facts)
        if len(facts["history"]) == behind:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "write_checkpoint", stop)
        with pytest.raises(KeyboardInterrupt):
            train("digits", config, out)


def trained_epochs(config: TrainConfig, out: Path | None, data: str = "digits") -> tuple[Run, int, list[str]]:
    """The run, how many steps it took now, and its notes."""
    steps: list[int] = []
    notes: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, Progress) and event.step == "train":
            steps.append(event.done)
        if isinstance(event, Note):
            notes.append(event.text)

    return train(data, config, out, listen), len(steps), notes


PER_EPOCH = 9  # 140 pictures, 16 a batch


def test_a_finished_run_goes_on_where_it_ended(tmp_path: Path, cache: Path) -> None:
    train("digits", of(2), tmp_path / "run")
    assert not (tmp_path / "run/checkpoint.safetensors").exists()
    run, steps, notes = trained_epochs(of(5), tmp_path / "run")
    assert steps == 3 * PER_EPOCH
    assert f"going on with the run of 2 epochs in {tmp_path / 'run'}" in notes
    assert [one["epoch"] for one in run.metrics["history"]] == [0, 1, 2, 3, 4]
    plan = yaml.safe_load((run.folder / "plan.yaml").read_text())
    assert (plan["fit"]["epochs"], plan["fit"]["raised"]) == (5, [2])
    again = train(str(run.folder / "plan.yaml"), None, tmp_path / "again")
    assert (again.folder / MODEL).read_bytes() == (run.folder / MODEL).read_bytes()


def test_its_plan_does_the_same_where_nothing_was_kept(tmp_path: Path, cache: Path) -> None:
    train("digits", of(2), tmp_path / "run")
    run = train("digits", of(3), tmp_path / "run")
    kept = [file for file in cache_folder("trained").rglob("*") if file.is_file()]
    assert len(kept) == 2, "the end of each"
    kept[0].write_bytes(kept[0].read_bytes()[:-1])  # a damaged one is as good as none
    shutil.rmtree(kept[1].parent)
    again, steps, _ = trained_epochs(None, tmp_path / "again", str(run.folder / "plan.yaml"))  # type: ignore[arg-type]
    assert steps == 3 * PER_EPOCH
    assert (again.folder / MODEL).read_bytes() == (run.folder / MODEL).read_bytes()


def test_raised_twice_and_stopped_in_between_it_is_all_the_same(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train("digits", of(1), tmp_path / "run")
    train("digits", of(2), tmp_path / "run")
    stopped(of(4), tmp_path / "run", 3, monkeypatch)
    assert (tmp_path / "run" / MODEL).exists(), "the last result stays until there is a new one"
    run, steps, _ = trained_epochs(of(4), tmp_path / "run")
    assert steps == PER_EPOCH
    at_once = train("digits", of(4, raised=(1, 2)), tmp_path / "once")
    assert (at_once.folder / MODEL).read_bytes() == (run.folder / MODEL).read_bytes()
    assert at_once.metrics["history"] == run.metrics["history"]


def test_a_killed_run_can_be_raised_and_comes_to_its_first_end_before(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stopped(of(3), None, 2, monkeypatch)
    run, steps, _ = trained_epochs(of(4), None)
    assert run.folder == Path("runs/digits") and steps == 2 * PER_EPOCH
    at_once = train("digits", of(4, raised=(3,)), tmp_path / "once")
    assert (at_once.folder / MODEL).read_bytes() == (run.folder / MODEL).read_bytes()


def test_a_tail_goes_on_too(tmp_path: Path, cache: Path) -> None:
    folder = clipart_folder(tmp_path / "pictures", ("birds", "flags"), 12)
    config = TrainConfig(mode="tail", size=64, recipe="none", workers=1)
    train(str(folder), of(1, config), tmp_path / "run")
    run = train(str(folder), of(2, config), tmp_path / "run")
    at_once = train(str(folder), of(2, config, raised=(1,)), tmp_path / "once")
    assert (at_once.folder / MODEL).read_bytes() == (run.folder / MODEL).read_bytes()


def test_without_its_name_a_finished_run_stays_as_it_is(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = train("digits", of(1), None)
    before = (first.folder / MODEL).read_bytes()
    second = train("digits", of(2), None)
    assert second.folder == Path("runs/digits-2") and (first.folder / MODEL).read_bytes() == before
    plan = yaml.safe_load((second.folder / "plan.yaml").read_text())
    assert plan["fit"]["raised"] == [], "and the new one has nothing of it"


@pytest.mark.parametrize(
    "config",
    [of(1), of(2), of(3, lr=0.01), replace(of(3), seed=1), replace(of(3), net="resnet20")],
    ids=["fewer", "as many", "another rate", "another seed", "another net"],
)
def test_what_is_another_run_is_not_gone_on_with(tmp_path: Path, cache: Path, config: TrainConfig) -> None:
    first = train("digits", of(2), tmp_path / "run")
    before = {path.name: path.read_bytes() for path in first.folder.iterdir()}
    with pytest.raises(OutputError, match="run exists already; choose another --out"):
        train("digits", config, tmp_path / "run")
    assert {path.name: path.read_bytes() for path in first.folder.iterdir()} == before


@pytest.mark.parametrize("raised", [(4,), (3, 2), (4, 5), (2, 2)])
def test_totals_that_do_not_grow_are_refused(raised: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=r"raised=\(.*\) must grow, and end under epochs=4"):
        FitConfig(epochs=4, raised=raised)
    with pytest.raises(ConfigError, match=r"raised=\(2,\) must grow, and end under epochs=None"):
        FitConfig(raised=(2,))
