"""What was left open is decided by measuring, once, and kept."""

import hashlib
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from picture_makers import class_folder, clipart_folder

from lexnet.config import FitConfig, ProbeConfig, Recipe, SplitConfig, TrainConfig
from lexnet.data.manifest import Files, Manifest
from lexnet.data.source import read_data
from lexnet.errors import ConfigError
from lexnet.job import budget, choose, features, learn, measure, ship
from lexnet.job.events import Choices, Event, Note, Option, Warned
from lexnet.job.job import Clock, Job
from lexnet.job.look import look_once
from lexnet.job.measure import Speeds
from lexnet.job.plan import decided, make_plan, read_plan
from lexnet.job.run import preview, train
from lexnet.transfer.extract import TorchEngine
from lexnet.transfer.pilot import Trial
from lexnet.transfer.probe import Probe

QUICK = Speeds(decode=0.001, look=0.002, view=0.003, tail=0.01, whole=0.1, forward=0.02)
SMALL = TrainConfig(size=64, budget="5m", fit=FitConfig())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of 30 clip arts."""
    return clipart_folder(tmp_path_factory.mktemp("choose") / "pictures", count=30)


def job(folder: Path, config: TrainConfig, seconds: float | None = None) -> Job:
    deadline = None if seconds is None else time.perf_counter() + seconds
    plan = make_plan(str(folder), config)
    return Job(plan=plan, clock=Clock(), tell=lambda event: None, workers=2, deadline=deadline)


@pytest.fixture
def speeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "measure", lambda job, manifest, enough: QUICK)
    monkeypatch.setattr(choose, "LEAST_TO_TRAIN", 10)


def test_the_time_of_each_choice_adds_up(folder: Path, speeds: None) -> None:
    """60 pictures: 42 to train on, 6 to validate, 12 to test; 229 epochs are 300 steps of 32."""
    found, reserve = budget.options(job(folder, SMALL), read_data(str(folder)))
    head = budget.HEAD * 42 * 2
    looked = budget.FIXED + 60 * 0.003 + head + 12 * 0.002
    judged = 18 * (0.001 + 0.02)
    times = {(one.mode, one.views, one.epochs): one.seconds for one in found}
    assert times["probe", None, None] == pytest.approx(looked)
    trained = (229 * 42 + 20 * 6 / 3) * 0.01  # judged twenty times, which is forth and not back
    changed = (42 * 4 + 6) * 0.003
    undone = head  # which is fitted again if the tail turns out to be no better
    assert times["tail", 4, 229] == pytest.approx(looked + judged + changed + trained + undone)
    assert times["finetune", None, 6] == pytest.approx(looked + judged + 6 * (42 * 0.1 + 6 * 0.02))
    assert reserve > judged
    with_a_head = replace(job(folder, SMALL), keep=folder.parent / "run")  # to use meanwhile
    for one, other in zip(budget.options(with_a_head, read_data(str(folder)))[0], found, strict=True):
        kept = (budget.SMALL + 6 * 0.002) * (one.mode in ("tail", "finetune"))
        assert one.seconds == pytest.approx(other.seconds + kept)


@pytest.mark.parametrize(
    ("seconds", "mode", "views"), [(300.0, "tail", 4), (30.0, "tail", 1), (8.0, "probe", None)]
)
def test_the_best_that_fits_is_taken(
    folder: Path, speeds: None, seconds: float, mode: str, views: int | None
) -> None:
    wanted = job(folder, SMALL, seconds)
    pictures = read_data(str(folder))
    chosen = budget.best(wanted, pictures, budget.options(wanted, pictures)[0])
    assert (chosen.mode, chosen.views) == (mode, views)


def test_an_option_has_to_fit_with_some_time_to_spare(folder: Path) -> None:
    """What was measured may take 15 % longer."""
    wanted = job(folder, SMALL, 110)
    assert budget._fits(wanted, Option(mode="probe", seconds=90))
    assert not budget._fits(wanted, Option(mode="probe", seconds=100))


def test_training_is_late_once_the_rest_would_not_be_done_in_time(folder: Path) -> None:
    wanted = job(folder, SMALL, 10)
    assert replace(wanted, reserve=15.0).late()
    assert not replace(wanted, reserve=1.0).late()
    assert not replace(wanted, deadline=None).late()


def test_a_hundred_pictures_are_enough_to_train_more_than_a_head() -> None:
    assert choose.too_few(100, 1) is None
    for train_part, val in ((99, 1), (100, 0)):
        said = choose.too_few(train_part, val)
        assert said == (
            f"mode probe: {train_part} training and {val} validation pictures are too few to train more on"
        )


def test_pictures_that_the_net_has_seen_before_take_no_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LEXNET_CACHE", str(tmp_path))
    asked, manifest = job(folder, SMALL), read_data(str(folder))
    for known in (0, 20, 60):
        asked.extract(asked.looking(), manifest.take(np.arange(known)), "frozen net")
        assert measure.measure(asked, manifest, lambda speeds: True).new == pytest.approx(1 - known / 60)
    times = []
    for new in (1.0, 0.0):
        monkeypatch.setattr(budget, "measure", lambda *asked, new=new: replace(QUICK, new=new))
        times.append({one.mode: one.seconds for one in budget.options(asked, manifest)[0]})
    spared = {mode: cold - times[1][mode] for mode, cold in times[0].items()}
    first = 60 * (QUICK.decode + QUICK.look)
    assert spared == pytest.approx({"tail": first, "finetune": first, "probe": first})


def test_the_steps_that_find_a_rate_take_their_time(folder: Path, speeds: None) -> None:
    pictures, wanted = read_data(str(folder)), replace(SMALL, mode="finetune")
    (usual, *_), _ = budget.options(job(folder, wanted), pictures)
    (finding, *_), _ = budget.options(job(folder, replace(wanted, fit=FitConfig(find_lr=True))), pictures)
    assert finding.seconds - usual.seconds == pytest.approx(80 * 32 * 0.1)


def test_a_tail_that_begins_inside_a_stage_is_measured(folder: Path) -> None:
    wanted = job(folder, replace(SMALL, mode="tail", cut="stage6.0"))
    assert measure.measure(wanted, read_data(str(folder)), lambda speeds: False).tail > 0


def test_what_the_user_gave_is_left_alone(folder: Path, speeds: None) -> None:
    config = replace(SMALL, mode="tail", views=7, recipe="mirror", fit=FitConfig(epochs=9))
    wanted = job(folder, config, 300)
    plan, _ = budget.within_budget(wanted, read_data(str(folder)))
    assert (plan.config.mode, plan.config.views, plan.config.fit.epochs) == ("tail", 7, 9)
    assert plan.config.budget is None and plan.config.recipe == "mirror"
    usual = replace(config, views=4)  # what is usual is left alone too, where it was given
    assert {one.views for one in budget.options(job(folder, usual), read_data(str(folder)))[0]} == {4}


def test_a_budget_trains_no_more_than_a_head_of_few_pictures_or_without_a_val_part(
    folder: Path, speeds: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = read_data(str(folder))
    unjudged = replace(SMALL, split=SplitConfig(val=0.0))
    plan, _ = budget.within_budget(job(folder, unjudged, 300), pictures)
    assert plan.config.mode == "probe"
    monkeypatch.setattr(choose, "LEAST_TO_TRAIN", 43)
    plan, _ = budget.within_budget(job(folder, SMALL, 300), pictures)
    assert plan.config.mode == "probe"
    assert plan.reasons[0].startswith("mode probe: 42 training and 6 validation pictures are too few")
    tail, *_ = budget.options(job(folder, SMALL), pictures)[0]
    assert tail.mode == "tail", "how long it would take is told all the same"


def test_what_a_probe_is_told_to_do_counts(folder: Path, speeds: None) -> None:
    """60 pictures, 42 to train on, 12 to test; a look takes 0.002 s, a changed copy 0.003."""

    def seconds(**settings: Any) -> float:
        found, _ = budget.options(
            job(folder, replace(SMALL, mode="probe", **settings)), read_data(str(folder))
        )
        return found[-1].seconds

    plain, head = seconds(), budget.HEAD * 42 * 2
    assert seconds(recipe="mirror") == pytest.approx(plain + 42 * 4 * 0.003 + 4 * head)
    assert seconds(tta="mirror") == pytest.approx(plain + (60 * 2 + 12) * 0.002)
    assert seconds(split=SplitConfig(folds=5, repeats=2)) == pytest.approx(plain + 10 * head)
    assert seconds(cut="stage3") == pytest.approx(plain)
    assert seconds(cut="stage3.1") == pytest.approx(plain + 60 * 0.002)
    assert seconds(cut="auto") == pytest.approx(plain + budget.STAGES * head)
    changed = seconds(recipe="mirror", cut="auto")  # of which each stage's head sees all
    assert changed == pytest.approx(plain + 42 * 4 * 0.003 + (4 + 5 * budget.STAGES) * head)


def test_a_tail_of_unchanged_pictures_has_no_views(folder: Path, speeds: None) -> None:
    wanted = job(folder, replace(SMALL, recipe="none"), 30)
    plan, _ = budget.within_budget(wanted, read_data(str(folder)))
    assert (plan.config.mode, plan.config.views, plan.config.recipe) == ("tail", None, "none")


def test_epochs_that_were_cut_down_take_the_warm_up_with_them(folder: Path) -> None:
    plan = make_plan(str(folder), replace(SMALL, mode="finetune", fit=FitConfig(warmup=3.0)))
    assert decided(plan, mode="finetune", epochs=2).config.fit.warmup == 2.0
    assert decided(plan, mode="finetune", epochs=9).config.fit.warmup == 3.0


def test_the_engine_that_was_asked_for_is_timed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    run = TorchEngine.run
    monkeypatch.setattr(TorchEngine, "run", lambda self, pixels: ran.append(self.name) or run(self, pixels))
    wanted = job(folder, replace(SMALL, mode="probe", engine="torch"))
    speeds = measure.measure(wanted, read_data(str(folder)), lambda speeds: True)
    assert len(ran) >= 48 and speeds.look > 0


@pytest.mark.parametrize(("mode", "part", "count"), [("tail", "val", 6), ("probe", "train", 42)])
def test_probabilities_fitted_to_what_the_net_has_learned_from_are_told(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: Any, part: str, count: int
) -> None:
    monkeypatch.setattr(ship, "known_before", lambda manifest, config: np.ones(len(manifest), bool))
    fit = FitConfig(epochs=1) if mode == "tail" else FitConfig()
    run = train(str(folder), TrainConfig(mode=mode, size=64, fit=fit), tmp_path / "run")
    said = f"{count} of the {count} {part} pictures were among those that"
    assert any(text.startswith(said) for text in run.metrics["warnings"])


def test_a_dry_run_gives_tiny_pictures_a_net_of_their_own_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "MANY", 1000)
    monkeypatch.setattr(budget, "measure", lambda job, manifest, enough: QUICK)
    found = preview("digits", TrainConfig(budget="5m"))
    assert [one["mode"] for one in found["choices"]] == ["scratch"]
    assert "net: resnet20" in found["plan"]


def test_a_net_that_is_open_stays_open_in_the_plan(folder: Path) -> None:
    """Else nobody could tell it from one that was asked for by its name."""
    plan = make_plan(str(folder), TrainConfig())
    assert (plan.config.net, plan.net()) == ("auto", "efficientnet_lite0")
    chosen = decided(plan, mode="tail")
    assert (chosen.config.net, chosen.config.views) == ("efficientnet_lite0", 4)
    assert not any(reason.startswith("net ") for reason in chosen.reasons), "it was told before"


def test_of_a_mode_that_was_asked_for_as_many_epochs_as_fit(folder: Path, speeds: None) -> None:
    wanted = job(folder, replace(SMALL, mode="finetune"), 20)
    plan, _ = budget.within_budget(wanted, read_data(str(folder)))
    assert plan.config.mode == "finetune"
    assert plan.config.fit.epochs is not None and 1 <= plan.config.fit.epochs < 6


@pytest.mark.parametrize(("seconds", "epochs", "fewer"), [(35.0, 2, False), (18.0, 1, True)])
def test_the_look_for_copies_counts_before_a_new_net_and_then_the_pictures_are_fewer(
    folder: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, epochs: int, fewer: bool
) -> None:
    """5 fixed, 60 looked at for 0.1 each, an epoch of 42 for 0.2 each: 19.4 s with one epoch."""
    new = Speeds(decode=0.0, look=0.1, whole=0.2)
    monkeypatch.setattr(budget, "measure", lambda job, manifest, enough: new)
    wanted = job(folder, TrainConfig(mode="scratch", budget="5m"), seconds)
    pictures = read_data(str(folder))
    chosen = budget.best(wanted, pictures, budget.options(wanted, pictures)[0])
    assert chosen.epochs == epochs and chosen.seconds * budget.SPARE <= seconds
    assert (chosen.limit is not None) == fewer


@pytest.mark.parametrize(
    ("mode", "seconds", "modes"), [("auto", 4.0, 1), ("auto", 300.0, 7), ("probe", 300.0, 1)]
)
def test_what_there_is_no_time_for_or_nobody_asked_for_is_not_measured(
    folder: Path, monkeypatch: pytest.MonkeyPatch, mode: Any, seconds: float, modes: int
) -> None:
    trained = []
    monkeypatch.setattr(choose, "LEAST_TO_TRAIN", 10)

    def fake(net: Any, shape: Any, *settings: Any) -> float:
        trained.append(shape)
        return 0.001

    monkeypatch.setattr(measure, "_trained", fake)
    found, _ = budget.options(job(folder, replace(SMALL, mode=mode), seconds), read_data(str(folder)))
    assert [one.mode for one in found][-1] == "probe" and bool(trained) == (modes > 1)
    assert len(found) == modes


def test_a_machine_so_busy_that_measuring_takes_long_is_measured_by_single_steps(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []
    made = measure.make_optimiser
    monkeypatch.setattr(measure, "make_optimiser", lambda net, fit: steps.append(0) or made(net, fit))
    entropy = measure.F.cross_entropy

    def counted(*given: Any) -> Any:
        steps[-1] += 1
        return entropy(*given)

    monkeypatch.setattr(measure.F, "cross_entropy", counted)
    pictures, wanted = read_data(str(folder)), replace(SMALL, mode="finetune")
    speeds = measure.measure(job(folder, wanted, 0.0), pictures, lambda speeds: False)
    assert steps == [1, 1] and speeds.tail > 0 and speeds.whole > 0
    assert measure.measure(job(folder, SMALL, 0.0), pictures, lambda speeds: False).whole == 0
    assert steps == [1, 1, 1], "within a budget nothing but a tail is chosen by itself"
    measure.measure(job(folder, SMALL), pictures, lambda speeds: False)
    assert min(steps[3:]) >= 3 and len(steps) == 5


def test_where_measuring_would_leave_no_time_for_a_head_it_ends(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A head takes 5 s and more, measuring a tail 300 looks of 0.1 s."""
    monkeypatch.setattr(choose, "LEAST_TO_TRAIN", 10)
    asked = []

    def slow(job: Job, manifest: Manifest, enough: Any) -> Speeds:
        seen = Speeds(decode=0.0, look=0.1, new=0.0)
        asked.append(enough(seen))
        return seen

    monkeypatch.setattr(budget, "measure", slow)
    for seconds in (30.0, 60.0):
        budget.options(job(folder, SMALL, seconds), read_data(str(folder)))
    assert asked == [True, False]


def test_what_is_chosen_is_told_with_all_that_was_open(folder: Path, speeds: None) -> None:
    pictures, heard = read_data(str(folder)), list[Event]()
    for mode, seconds, said in (
        ("finetune", 20.0, "epochs 2: the best that fits into 5m"),
        ("auto", 300.0, "mode tail, epochs 229, views 4: the best that fits into 5m"),
    ):
        wanted = replace(job(folder, replace(SMALL, mode=mode), seconds), tell=heard.append)
        plan, _ = budget.within_budget(wanted, pictures)
        assert plan.reasons[0] == said
        (choices,) = (event for event in heard if isinstance(event, Choices))
        assert choices.chosen in choices.options, "which has an arrow in the table"
        heard.clear()


def test_no_picture_is_left_out_to_spare_a_second(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = replace(QUICK, new=0.0)
    monkeypatch.setattr(budget, "measure", lambda *asked: quick)
    plan, _ = budget.within_budget(job(folder, SMALL, 1.0), read_data(str(folder)))
    assert plan.config.mode == "probe" and plan.config.split.limit is None


def test_batches_of_one_can_be_timed(folder: Path) -> None:
    """Whose batch norms have nothing to learn from, for which training itself refuses them."""
    wanted = job(folder, replace(SMALL, mode="finetune", fit=FitConfig(batch_size=1, norms="trained")))
    assert measure.measure(wanted, read_data(str(folder)), lambda speeds: False).whole > 0


def test_what_is_kept_back_behind_the_training_is_kept_with_the_choice(folder: Path, tmp_path: Path) -> None:
    wanted = replace(job(folder, SMALL), reserve=23.5)
    choose.keep_choice(replace(wanted, keep=tmp_path), wanted.plan)
    assert choose.kept_choice(tmp_path) == (read_plan(tmp_path / "choice.yaml"), 23.5)
    assert choose.kept_choice(tmp_path / "none") is None
    (tmp_path / "reserve").unlink()  # as in a run that an earlier version began
    assert choose.kept_choice(tmp_path) is None


def test_where_nothing_fits_fewer_pictures_are_taken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "measure", lambda job, manifest, enough: replace(QUICK, look=1.0))
    wanted = job(folder, SMALL, 40)
    plan, _ = budget.within_budget(wanted, read_data(str(folder)))
    assert plan.config.mode == "probe"
    assert plan.config.split.limit is not None and 20 <= plan.config.split.limit < 60
    assert "more would take longer than 5m" in plan.reasons[0]


def test_a_dry_run_says_what_and_how_long_and_writes_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    events: list[Event] = []
    found = preview(str(folder), replace(SMALL, budget="2m"), events.append)
    assert [one["mode"] for one in found["choices"]][-1] == "probe" and found["chosen"] in found["choices"]
    table = next(event for event in events if isinstance(event, Choices))
    assert table.chosen in table.options and all(one.seconds > 0 for one in table.options)
    assert not list(tmp_path.iterdir())


def fake(gain: float, noise_like: int) -> Any:
    """A pilot that comes out so: of 100 pictures the tail gains some and loses some."""
    head, tail = np.zeros(100, bool), np.zeros(100, bool)
    head[:noise_like] = True
    tail[noise_like : noise_like + round(100 * gain) + noise_like] = True
    return lambda *arguments: Trial(head, tail, np.arange(len(head)).astype(str), 0.01)


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even few pictures are enough for a pilot, and for one of its own, whose head leaves it room."""
    monkeypatch.setattr(learn, "_hits", lambda *arguments: 0)
    monkeypatch.setattr(choose, "LEAST_TO_TRAIN", 10)
    monkeypatch.setattr(choose, "TAIL_STEPS", 2)


@pytest.mark.parametrize(
    ("gain", "lost", "mode"), [(0.2, 5, "tail"), (0.02, 20, "probe"), (0.02, 0, "probe"), (0.0, 0, "probe")]
)
def test_a_tail_has_to_gain_more_than_noise(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tried: None,
    gain: float,
    lost: int,
    mode: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(choose, "try_tail", fake(gain, lost))
    monkeypatch.setattr("lexnet.job.learn._beside_the_head", lambda *arguments: (1, "it is better"))
    events: list[Event] = []
    monkeypatch.setattr("lexnet.config.TAIL_STEPS", 20)
    run = train(str(folder), TrainConfig(size=64), tell=events.append)
    assert run.metrics["mode"] == mode and run.metrics["val_chose"] == ["mode"]
    assert any(isinstance(e, Note) and e.text.startswith(f"mode {mode}") for e in events)
    again = train(str(run.folder / "plan.yaml"), out=tmp_path / "again")
    assert (again.folder / "model.lexnet").read_bytes() == (run.folder / "model.lexnet").read_bytes()


def test_a_tail_that_is_no_better_on_the_val_part_is_not_kept(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tried: None
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(choose, "try_tail", fake(0.5, 0))
    monkeypatch.setattr("lexnet.job.learn._beside_the_head", lambda *arguments: (0, "it is no better"))
    monkeypatch.setattr("lexnet.config.TAIL_STEPS", 20)
    monkeypatch.setattr(
        "lexnet.job.plan.breaks_labels", lambda recipe, classes: ["a risk"] * (recipe != Recipe())
    )
    run = train(str(folder), TrainConfig(size=64))
    assert not any("a risk" in text for text in run.metrics["warnings"]), "which was the tail's"
    assert run.metrics["mode"] == "probe" and run.metrics["frozen"] is None
    assert run.metrics["val_chose"] == ["mode"]
    assert yaml.safe_load((run.folder / "plan.yaml").read_text())["mode"] == "probe"
    again = train(str(run.folder / "plan.yaml"), out=tmp_path / "again")
    assert (again.folder / "model.lexnet").read_bytes() == (run.folder / "model.lexnet").read_bytes()


def test_where_no_time_is_left_for_a_tail_its_head_is_there_in_time(
    folder: Path, tmp_path: Path, speeds: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine has become slow since it was measured. A tail that was asked for is one all the same."""
    monkeypatch.setattr(learn, "_hits", lambda *arguments: 0)
    monkeypatch.setenv("LEXNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Job, "late", lambda self: True)
    run = train(str(folder), SMALL, tmp_path / "run")
    assert run.metrics["mode"] == "probe" and run.metrics["frozen"] is None
    assert "mode probe: no time was left to train a tail in" in run.metrics["decisions"]
    again = train(str(run.folder / "plan.yaml"), out=tmp_path / "again")
    assert (again.folder / "model.lexnet").read_bytes() == (run.folder / "model.lexnet").read_bytes()
    asked = train(str(folder), replace(SMALL, mode="tail"), tmp_path / "tail").metrics
    assert asked["mode"] == "tail" and asked["stopped"]


def test_where_the_head_leaves_nothing_to_gain_no_tail_is_trained(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose, "LEAST_TO_TRAIN", 10)
    monkeypatch.setattr("lexnet.job.tail.train_tail", None)  # whoever calls it fails
    run = train(str(folder), TrainConfig(), tmp_path / "run")
    trying = "with 42 pictures trying it is training it; it is kept if more of the 6 val pictures"
    assert any(trying in text for text in run.metrics["decisions"])
    assert run.metrics["mode"] == "probe" and run.metrics["val_accuracy"] == 1
    assert "mode probe: a linear head is right on all 6 val pictures" in run.metrics["decisions"]


def test_a_tail_is_compared_with_a_head_that_answers_by_as_many_views(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[tuple[int, ...]] = []
    probabilities = Probe.probabilities

    def seen(probe: Probe, features: np.ndarray) -> np.ndarray:
        looked.append(features.shape[:2])
        return probabilities(probe, features)

    def compared(*arguments: Any) -> tuple[int, str]:
        with monkeypatch.context() as patch:
            patch.setattr(Probe, "probabilities", seen)
            return beside_the_head(*arguments)

    beside_the_head = learn._beside_the_head
    monkeypatch.setattr(learn, "_beside_the_head", compared)
    monkeypatch.setattr(choose, "LEAST_TO_TRAIN", 10)
    monkeypatch.setattr("lexnet.config.TAIL_STEPS", 5)
    train(str(folder), replace(SMALL, tta="mirror", budget="10m"), tmp_path / "run")
    assert looked == [(6, 2)], "the six pictures of the val part, as they are and mirrored"


def test_whoever_goes_on_does_not_measure_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = replace(SMALL, budget="10m")
    monkeypatch.setattr("lexnet.config.TAIL_STEPS", 20)
    monkeypatch.setattr(choose, "LEAST_TO_TRAIN", 10)
    monkeypatch.setattr(learn, "_hits", lambda *arguments: 0)

    def killed(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("lexnet.job.tail.train_tail", killed)
        with pytest.raises(KeyboardInterrupt):
            train(str(folder), config)
    assert yaml.safe_load((tmp_path / "runs/pictures/choice.yaml").read_text())["mode"] == "tail"
    monkeypatch.setattr(budget, "within_budget", killed)
    told: list[Event] = []
    run = train(str(folder), config, tell=told.append)
    why = re.compile(r"mode tail, epochs \d+, views 4: the best that fits into 10m")
    assert any(isinstance(e, Note) and why.fullmatch(e.text) for e in told), "the reason is kept"
    assert run.folder == Path("runs/pictures") and run.metrics["mode"] in ("tail", "probe")
    assert not (run.folder / "choice.yaml").exists()


def test_training_that_is_late_ends_at_a_step_and_can_be_repeated(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """42 pictures by 8: six steps an epoch."""
    monkeypatch.chdir(tmp_path)
    calls = iter(range(1000))
    monkeypatch.setattr(Job, "late", lambda self: next(calls) == 8)
    config = TrainConfig(size=64, mode="tail", views=1, fit=FitConfig(epochs=4, batch_size=8))
    run = train(str(folder), config)
    assert run.metrics["stopped"] == "after 8 steps, to end in time" and len(run.metrics["history"]) == 2
    assert yaml.safe_load((run.folder / "plan.yaml").read_text())["fit"]["steps"] == 8
    monkeypatch.setattr(Job, "late", lambda self: False)
    again = train(str(run.folder / "plan.yaml"), out=tmp_path / "again")
    assert (again.folder / "model.lexnet").read_bytes() == (run.folder / "model.lexnet").read_bytes()


def test_many_tiny_pictures_get_a_net_of_their_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digits = read_data("digits")
    monkeypatch.setattr(choose, "MANY", 1000)
    plan = choose.without_a_look(job(Path("digits"), TrainConfig()).plan, digits)
    assert plan is not None and (plan.config.mode, plan.config.net) == ("scratch", "resnet20")
    some_larger = digits.sizes.copy()
    some_larger[: len(digits) // 200] = 400
    assert (
        choose.without_a_look(job(Path("digits"), TrainConfig()).plan, replace(digits, sizes=some_larger))
        == plan
    )
    some_larger[: len(digits) // 50] = 400
    assert (
        choose.without_a_look(job(Path("digits"), TrainConfig()).plan, replace(digits, sizes=some_larger))
        is None
    )
    assert choose.without_a_look(job(Path("digits"), TrainConfig(mode="probe")).plan, digits) is None
    given = job(Path("digits"), TrainConfig(net="efficientnet_lite0"))
    assert choose.without_a_look(given.plan, digits) is None, "its net is given"
    probing = job(Path("digits"), TrainConfig(probe=ProbeConfig(cv=3)))
    assert choose.without_a_look(probing.plan, digits) is None, "somebody wants a head"
    unjudged = job(Path("digits"), TrainConfig(split=SplitConfig(val=0.0)))
    assert choose.without_a_look(unjudged.plan, digits) is None, "a new net is calibrated on a val part"
    monkeypatch.setattr(choose, "MANY", 10)
    assert choose.without_a_look(job(folder, TrainConfig()).plan, read_data(str(folder))) is None


def test_a_budget_that_cannot_be_kept_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "measure", lambda job, manifest, enough: QUICK)
    told: list[str] = []
    for left, warned in ((60.0, 0), (1.0, 1)):
        given = replace(SMALL, mode="probe", split=SplitConfig(limit=60))  # which is never cut down
        wanted = replace(job(folder, given, left), tell=lambda event: told.append(getattr(event, "text", "")))
        told.clear()
        budget.within_budget(wanted, read_data(str(folder)))
        assert sum("budget=5m will not be kept to: mode probe takes some" in text for text in told) == warned


def test_a_dry_run_warns_of_what_breaks_labels(tmp_path: Path, speeds: None) -> None:
    class_folder(tmp_path / "signs", left=8, right=8)
    events: list[Event] = []
    preview(str(tmp_path / "signs"), TrainConfig(mode="probe", recipe="mirror", size=64), events.append)
    assert any(isinstance(e, Warned) and "there is a class 'left'" in e.text for e in events)


@pytest.mark.parametrize("text", ["5", "-5m", "m", "soon", "1.2.3m", "40d", "1h30"])
def test_a_budget_that_is_no_time_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match="must be a time of 10 seconds or more, such as 90s, 5m or 1h30m"):
        TrainConfig(budget=text)


def test_settings_of_one_way_to_learn_choose_it() -> None:
    assert make_plan("x", TrainConfig(split=SplitConfig(folds=3))).config.mode == "probe"
    assert make_plan("x", TrainConfig(fit=FitConfig(epochs=2))).config.mode == "tail"
    assert make_plan("x", TrainConfig()).config.mode == "auto"


def test_a_real_pilot(folder: Path, monkeypatch: pytest.MonkeyPatch, tried: None) -> None:
    """Clip art at 64 px, a few steps: it says what it saw, and when it does not pay nothing is gained."""
    monkeypatch.setattr(choose, "TAIL_STEPS", 4)
    trials: list[Trial] = []
    try_tail = choose.try_tail
    monkeypatch.setattr(choose, "try_tail", lambda *a: trials.append(try_tail(*a)) or trials[-1])
    wanted = job(folder, TrainConfig(size=64))
    plan = choose.with_a_pilot(wanted, look_once(wanted, read_data(str(folder))))
    (trial,) = trials
    assert len(trial.head) == len(trial.tail) == 9 + 6  # a fifth of the training pictures, and the val part
    assert trial.head.mean() > 0.6 and trial.seconds > 0
    assert plan.config.mode == ("tail" if trial.pays else "probe")
    points, error = 100 * trial.gain, 100 * trial.noise
    assert f"{points:+.1f} points where it was tried (standard error {error:.1f})" in plan.reasons[0]


@pytest.mark.parametrize("seed", range(5))
def test_a_pilot_has_some_of_the_rarest_class_and_parts_nothing_that_belongs_together(seed: int) -> None:
    """2,400 and 1,200 pictures in bursts of four, and a class of five."""
    labels = np.repeat([0, 1, 2], [2400, 1200, 5])
    groups = [f"g{row // 4}" if row < 3600 else "" for row in range(len(labels))]
    manifest = Manifest(
        name="data",
        source=Files(Path("data")),
        classes=["a", "b", "c"],
        paths=[f"{row}.png" for row in range(len(labels))],
        labels=labels,
        parts=["val" if row < 3600 and row % 100 < 4 else "train" for row in range(len(labels))],
        digests=[hashlib.sha256(str(row).encode()).hexdigest() for row in range(len(labels))],
        groups=groups,
    )
    pairs = [(8, 2404)]  # two bursts of two classes that show one thing
    rows, taught = choose.pilot_rows(manifest, pairs, seed)
    first, others = rows[:taught], rows[taught:]
    assert np.bincount(manifest.labels[first])[2] >= 2 and len(set(rows)) == len(rows)
    assert 800 <= taught <= 804 and abs(np.bincount(manifest.labels[first])[0] / taught - 2 / 3) < 0.01
    trained = [row for row in others if manifest.parts[row] == "train"]
    assert not {groups[row] for row in first} & {groups[row] for row in trained} - {""}
    assert not ({8, 2404} & set(first) and {8, 2404} & set(trained))


def test_a_pilot_that_cannot_hold_every_class_is_left_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tried: None
) -> None:
    monkeypatch.setattr(choose, "TAIL_STEPS", 4)
    monkeypatch.setattr(choose, "PILOT", 2)
    wanted = job(folder, TrainConfig(size=64))
    plan = choose.with_a_pilot(wanted, look_once(wanted, read_data(str(folder))))
    assert plan.config.mode == "probe" and "do not hold 2 of each class" in plan.reasons[0]


def test_few_pictures_are_not_tried_on(folder: Path) -> None:
    wanted = job(folder, TrainConfig(size=64))
    plan = choose.with_a_pilot(wanted, look_once(wanted, read_data(str(folder))))
    assert (
        plan.config.mode == "probe" and "42 training and 6 validation pictures are too few" in plan.reasons[0]
    )


def test_a_cut_that_was_measured_is_kept_in_the_plan(folder: Path, tmp_path: Path) -> None:
    config = TrainConfig(size=64, cut="auto", max_latency=1e9, max_size=8e6)
    run = train(str(folder), config, tmp_path / "run")
    plan = yaml.safe_load((run.folder / "plan.yaml").read_text())
    assert plan["cut"] == run.metrics["cut"] != "auto" and plan["max_latency"] is None
    assert 4 * run.metrics["params"] < 8e6 + 4 * 2 * 1280
    again = train(str(run.folder / "plan.yaml"), None, tmp_path / "again")
    assert (again.folder / "model.lexnet").read_bytes() == (run.folder / "model.lexnet").read_bytes()
    with pytest.raises(ConfigError, match=r"max_latency=0.001 is under the .* of the cheapest; raise it"):
        train(str(folder), replace(config, max_latency=0.001), tmp_path / "none")
    assert not any((tmp_path / "none").iterdir()), "it is given back"


def test_whoever_goes_on_with_a_cut_that_was_measured_goes_on_with_the_same(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine is a hundred times as slow meanwhile."""
    config = TrainConfig(size=64, cut="auto", max_latency=50.0)
    speed = [1.0]
    monkeypatch.setattr(features, "_measured", lambda job, one: speed[0] * one.place.macs / 1e6)
    fit_probe = learn.fit_probe

    def killed(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(learn, "fit_probe", killed)
        with pytest.raises(KeyboardInterrupt):
            train(str(folder), config, tmp_path / "run")
    speed[0] = 100.0
    run = train(str(folder), config, tmp_path / "run")
    assert learn.fit_probe is fit_probe and run.metrics["resumed"]
    speed[0] = 1.0
    undisturbed = train(str(folder), config, tmp_path / "undisturbed")
    assert (run.folder / "model.lexnet").read_bytes() == (undisturbed.folder / "model.lexnet").read_bytes()
    assert {path.name for path in run.folder.iterdir()} == {
        path.name for path in undisturbed.folder.iterdir()
    }


def test_an_option_is_what_it_says() -> None:
    assert Option(mode="tail", seconds=1.0) != Option(mode="tail", seconds=1.0, limit=3)
