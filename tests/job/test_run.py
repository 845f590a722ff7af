"""The whole job, on the built-in clip art and on real photographs."""

import csv
import hashlib
import json
import shutil
import socket
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from picture_makers import class_folder, noise
from stopping import stopped_behind

import lexnet
from lexnet.config import FitConfig, ProbeConfig, SplitConfig, TrainConfig
from lexnet.data.manifest import Files, Manifest
from lexnet.data.samples import sample_folder
from lexnet.data.source import read_data
from lexnet.data.splits import split_hash
from lexnet.errors import ConfigError, DataError, OutputError, ParityError, UnknownStage, WeightsError
from lexnet.job import learn as learning
from lexnet.job import run as running
from lexnet.job import ship
from lexnet.job.check import check
from lexnet.job.divide import admit, tell_alike
from lexnet.job.events import Event, Found, Note, Progress, Warned
from lexnet.job.folder import name_of
from lexnet.job.job import Job
from lexnet.job.plan import make_plan
from lexnet.job.records import _majority_accuracy, _unseen, val_chose
from lexnet.job.run import Run, train, warn_small
from lexnet.preprocess import load
from lexnet.transfer.probe import Examples, Probe

# The JSON contract of `lexnet train`: keys may be added, these stay.
CONTRACT = {
    *("run", "bundle", "report", "net", "mode", "cut", "classes", "counts", "test_accuracy", "test_interval"),
    *("val_accuracy", "seconds", "steps", "params", "macs", "bundle_bytes", "verified"),
}
CLIPART = sample_folder("clipart")
SMALL_PROBE = TrainConfig(mode="probe", size=64)


def read_csv(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """Three classes of ten clip arts: trained in a second or two."""
    for name in ("birds", "flags", "fruit"):
        (tmp_path / "few" / name).mkdir(parents=True)
        for picture in sorted((CLIPART / name).iterdir())[:10]:
            shutil.copy(picture, tmp_path / "few" / name)
    return tmp_path / "few"


def test_the_run_folder_holds_all_that_was_promised(run: Run) -> None:
    names = {path.name for path in run.folder.iterdir()}
    assert names == {
        *("model.lexnet", "plan.yaml", "split.csv", "metrics.json"),
        *("history.csv", "report.html", "predictions.csv"),
    }
    assert json.loads((run.folder / "metrics.json").read_text()) == run.metrics


def test_the_json_contract(run: Run) -> None:
    metrics = run.metrics
    assert set(metrics) >= CONTRACT
    assert set(metrics["counts"]) == {"train", "val", "calibration", "test"}
    assert sum(metrics["counts"].values()) == 621
    low, high = metrics["test_interval"]
    assert low < metrics["test_accuracy"] < high
    assert metrics["verified"] is True and metrics["mode"] == "probe"
    assert metrics["bundle_bytes"] == Path(metrics["bundle"]).stat().st_size
    assert 0 < sum(metrics["steps"].values()) <= metrics["seconds"]
    net = lexnet.create_net("efficientnet_lite0", classes=12)
    assert metrics["params"] == sum(p.numel() for p in net.parameters())


def test_it_learns_and_a_recount_agrees(run: Run) -> None:
    """Accuracy equals a sequential recount of predictions.csv, and of the bundle on the test pictures."""
    rows = read_csv(run.folder / "predictions.csv")
    classes = run.metrics["classes"]
    said = [max(classes, key=lambda name: float(row[name])) for row in rows]
    right = [name == row["label"] for name, row in zip(said, rows, strict=True)]
    assert len(rows) == run.metrics["counts"]["test"]
    assert np.mean(right) == run.metrics["test_accuracy"] >= 0.6  # the commonest class: below 0.1
    split = [row for row in read_csv(run.folder / "split.csv") if row["split"] == "test"]
    model = lexnet.load(run.folder / "model.lexnet")
    assert model.predict([CLIPART / row["path"] for row in split]).tolist() == said
    assert [row["predicted"] for row in rows] == said
    assert [row["path"] for row in rows] == [row["path"] for row in split]


def test_results_are_called_as_the_pictures_are(tmp_path: Path) -> None:
    files = {"own.csv": "own", "own.tar.gz": "own", "OWN.TAR.GZ": "OWN", "own": "own", "my.own.tar": "my.own"}
    for name, called in files.items():
        (tmp_path / name).touch()
        assert name_of(tmp_path / name) == called
    (tmp_path / "v1.2").mkdir()
    (tmp_path / "photos").symlink_to("v1.2")
    assert [name_of(tmp_path / name) for name in ("v1.2", "photos")] == ["v1.2", "photos"]


def test_every_regularisation_up_to_one_much_too_weak_is_tried(run: Run) -> None:
    """A loose tolerance would end a weak one where the stronger one before it did."""
    tried = run.metrics["regularisation"]
    losses = tried["cv_log_loss"]
    assert len(set(losses)) == len(tried["candidates"]) > 3
    assert tried["candidates"] == list(ProbeConfig.candidates[: len(losses)])
    assert losses[-1] > 1.05 * min(losses) >= max(losses[int(np.argmin(losses)) : -1])


def test_of_several_commonest_classes_the_best_is_the_baseline() -> None:
    manifest = Manifest(
        name="data",
        source=Files(Path()),
        classes=["a", "b", "c"],
        paths=[f"{i}.png" for i in range(7)],
        labels=np.array([0, 1, 0, 1, 2, 1, 1]),
        parts=[*5 * ["train"], *2 * ["test"]],
        digests=[str(i) for i in range(7)],
    )
    assert _majority_accuracy(manifest, "test") == 1.0


@pytest.mark.parametrize(
    ("part", "steps", "unseen"), [("test", 9, "test"), ("val", 0, "val"), ("val", 9, "")]
)
def test_a_val_part_that_calibrates_a_trained_net_is_seen(part: str, steps: int, unseen: str) -> None:
    manifest, learned = SimpleNamespace(held_out_part=lambda: part), SimpleNamespace(steps=steps)
    assert _unseen(manifest, learned) == unseen


def test_the_split_is_recorded_and_divides(run: Run) -> None:
    rows = read_csv(run.folder / "split.csv")
    assert len({row["path"] for row in rows}) == len(rows) == 621
    for row in rows[::50]:
        assert hashlib.sha256((CLIPART / row["path"]).read_bytes()).hexdigest() == row["sha256"]
    for name in run.metrics["classes"]:
        parts = [row["split"] for row in rows if row["label"] == name]
        assert parts.count("test") == round(0.2 * len(parts)) and parts.count("val") == round(
            0.1 * len(parts)
        )


def test_the_bundle_has_the_hash_of_that_split(run: Run) -> None:
    part_of = {row["path"]: row["split"] for row in read_csv(run.folder / "split.csv")}
    manifest = read_data("clipart")
    manifest = manifest.with_parts(part_of[path] for path in manifest.paths)
    split = lexnet.load(run.folder / "model.lexnet").bundle.manifest["split"]
    assert split["sha256"] == split_hash(manifest) != split_hash(read_data("clipart"))


def test_again_from_the_same_request_or_from_its_plan_is_the_same_bundle(run: Run, tmp_path: Path) -> None:
    again = train("clipart", TrainConfig(mode="probe", workers=1), tmp_path / "again")
    plan = train(str(run.folder / "plan.yaml"), out=tmp_path / "plan")
    bundles = [(r.folder / "model.lexnet").read_bytes() for r in (run, again, plan)]
    assert bundles[0] == bundles[1] == bundles[2]
    assert (run.folder / "plan.yaml").read_text() == (plan.folder / "plan.yaml").read_text()


def test_a_plan_is_not_quietly_stronger_than_a_flag(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"plan.yaml brings its own settings; leave out the others"):
        train(str(run.folder / "plan.yaml"), TrainConfig(seed=5), tmp_path / "run")


def test_another_seed_divides_otherwise(run: Run, tmp_path: Path) -> None:
    other = train("clipart", TrainConfig(mode="probe", seed=1), tmp_path / "other")
    assert (other.folder / "split.csv").read_text() != (run.folder / "split.csv").read_text()


def test_the_listener_hears_what_was_found_decided_and_done(few: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    train(str(few), TrainConfig(), tmp_path / "run", events.append)
    found = next(event for event in events if isinstance(event, Found))
    assert found.manifest.classes == ["birds", "flags", "fruit"]
    assert any("efficientnet_lite0" in event.text for event in events if isinstance(event, Note))
    done = [event for event in events if isinstance(event, Progress) and event.step == "frozen net"]
    assert all(a.done < b.done <= b.total for a, b in pairwise(done))


def test_what_the_user_gives_is_never_overridden(few: Path, tmp_path: Path) -> None:
    run = train(str(few), TrainConfig(net="efficientnet_lite0", size=128, engine="torch"), tmp_path / "run")
    plan = yaml.safe_load((run.folder / "plan.yaml").read_text())
    assert (plan["net"], plan["size"], plan["engine"]) == ("efficientnet_lite0", 128, "torch")
    spec = lexnet.load(run.folder / "model.lexnet").spec
    assert (spec.size, spec.short_side) == (128, 160)
    assert run.metrics["trunk"]["engine"].startswith("torch")
    assert run.metrics["macs"] < 384_000_000 * (128 / 224) ** 2 * 1.05


@pytest.mark.parametrize(("golden", "count"), [("real", 8), ("synthetic", 8), ("none", 0)])
def test_golden_pictures_as_asked_for(few: Path, tmp_path: Path, golden: Any, count: int) -> None:
    run = train(str(few), TrainConfig(golden=golden), tmp_path / "run")
    model = lexnet.load(run.folder / "model.lexnet")
    assert len(model.bundle.golden) == min(count, 6 if golden == "real" else 8)  # 6 pictures were held out
    assert model.check_golden() == []


def test_nothing_of_the_machine_is_in_the_bundle(few: Path, tmp_path: Path) -> None:
    run = train(str(few), TrainConfig(), tmp_path / "run")
    content = (run.folder / "model.lexnet").read_bytes()
    assert str(tmp_path).encode() not in content


def test_no_network_and_no_usage_reports(few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **named: Any) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("LEXNET_CACHE", str(tmp_path / "cache"))  # cold: the engines really run
    run = train(str(few), TrainConfig(), tmp_path / "run")
    lexnet.load(run.folder / "model.lexnet", engine="openvino").predict(few)


def test_a_finished_run_is_never_overwritten(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = train(str(few), TrainConfig()), train(str(few), TrainConfig())
    assert (first.folder, second.folder) == (Path("runs/few"), Path("runs/few-2"))
    with pytest.raises(OutputError, match=r"runs.few exists already; choose another --out"):
        train(str(few), TrainConfig(), Path("runs/few"))


def test_a_folder_in_which_another_is_training_is_left_alone(few: Path, tmp_path: Path) -> None:
    refused: list[Event] = []

    def again(event: Event) -> None:
        """Begins the same run once more while the first is at work."""
        if isinstance(event, Progress) and event.step == "verify" and not refused:
            refused.append(event)
            with pytest.raises(OutputError, match="another process is training in"):
                train(str(few), SMALL_PROBE, tmp_path / "run")

    train(str(few), SMALL_PROBE, tmp_path / "run", again)
    assert refused


def test_the_time_that_the_command_took_to_start_is_of_the_budget(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[float] = []

    def stop(job: Job, manifest: Manifest) -> None:
        assert job.deadline is not None
        left.append(job.deadline - time.perf_counter())
        raise KeyboardInterrupt

    monkeypatch.setattr(learning, "look", stop)
    with pytest.raises(KeyboardInterrupt):
        train(str(few), TrainConfig(budget="5m"), tmp_path / "run")
    assert 0 < left[0] <= 300 - running.STARTED


def test_the_head_is_fitted_on_the_train_part_alone(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[list[str]] = []
    fit = learning.fit_probe

    def noted(examples: Examples, *others: Any) -> Probe:
        fitted.append(list(examples.units))
        return fit(examples, *others)

    monkeypatch.setattr(learning, "fit_probe", noted)
    run = train(str(few), SMALL_PROBE, tmp_path / "run")
    rows = read_csv(run.folder / "split.csv")
    assert {row["split"] for row in rows} == {"train", "val", "test"}
    assert fitted == [[row["sha256"] for row in rows if row["split"] == "train"]]


def test_a_graph_that_disagrees_is_not_written(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(trunk: bytes, weight: Any, bias: Any, temperature: float) -> Any:
        return append_head(trunk, weight, bias + np.eye(3)[0] * 0.1, temperature)

    append_head = ship.append_head
    monkeypatch.setattr(ship, "append_head", wrong)
    with pytest.raises(ParityError, match=r"disagrees with training on 6 held-out pictures.*most on .*\.png"):
        train(str(few), TrainConfig(), tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"plan.yaml", "choice.yaml", "reserve"}


def test_shuffled_labels_score_at_chance(tmp_path: Path) -> None:
    """If anything of the test part leaked into training, this would not come out at one in twelve."""
    pictures = sorted(CLIPART.glob("*/*.png"))
    order = np.random.default_rng(0).permutation(len(pictures))
    paths, labels = pictures, [pictures[i].parent.name for i in order]
    model = lexnet.Classifier(mode="tail", test=0.4, size=64, epochs=2)
    assert model.fit(paths, labels, on_event=lambda event: None).metrics_["accuracy"] < 0.2


def test_colour_alone_is_learned_through_every_path(tmp_path: Path) -> None:
    """A swapped channel order anywhere between the file and the bundle would confuse red and blue."""
    from PIL import Image

    random = np.random.default_rng(0)

    def speckled(colour: tuple[int, int, int]) -> np.ndarray:
        return (np.array(colour) + random.integers(-25, 25, (48, 64, 3))).astype(np.uint8)

    colours = {"red": (200, 30, 30), "blue": (30, 30, 200)}
    for name, colour in colours.items():
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(12):
            Image.fromarray(speckled(colour)).save(tmp_path / f"data/{name}/{i}.png")
    run = train(str(tmp_path / "data"), TrainConfig(), tmp_path / "run")
    assert run.metrics["accuracy"] == 1
    model = lexnet.load(run.folder / "model.lexnet")
    assert model.predict([speckled(colour) for colour in colours.values()]).tolist() == list(colours)


@pytest.mark.pictures
def test_clothing_photographs(test_data: Path, tmp_path: Path) -> None:
    """A tenth of the photographs, in the divided layout they come in."""
    for folder in sorted((test_data / "clothing").glob("*/*/")):
        target = tmp_path / "data" / folder.parent.name / folder.name
        target.mkdir(parents=True)
        pictures = sorted(folder.iterdir())
        for picture in pictures[: max(6, len(pictures) // 10)]:
            shutil.copy(picture, target)
    run = train(str(tmp_path / "data"), TrainConfig(mode="probe", size=128), tmp_path / "run")
    assert run.metrics["measured_on"] == "test" and run.metrics["counts"]["val"] > 0
    assert run.metrics["test_accuracy"] > 0.7


def test_every_picture_in_turn(few: Path, tmp_path: Path) -> None:
    """All thirty of an undivided folder; of a divided one all but those it keeps back to measure on."""
    config = TrainConfig(split=SplitConfig(folds=3, repeats=2), probe=ProbeConfig(candidates=(0.01, 0.1)))
    run = train(str(few), config, tmp_path / "a")
    turns = run.metrics["cross_validation"]
    assert turns["count"] == 30 and turns["folds"] == 3 and len(turns["repeats"]) == 2
    assert turns["interval"][0] < turns["accuracy"] <= turns["interval"][1] and turns["accuracy"] > 0.5
    assert "Cross-validation" in (run.folder / "report.html").read_text(encoding="utf-8")
    assert not any("--folds" in text for text in run.metrics["warnings"])
    assert lexnet.load(run.folder / "model.lexnet").bundle.manifest["measured"]["cross_validation"] == turns
    for row in read_csv(run.folder / "split.csv"):
        target = tmp_path / "divided" / row["split"] / row["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(few / row["path"], target)
    divided = train(str(tmp_path / "divided"), config, tmp_path / "b").metrics
    assert divided["cross_validation"]["count"] == 30 - divided["counts"]["test"]


def test_few_held_out_pictures_are_warned_about_with_a_way_on(few: Path, tmp_path: Path) -> None:
    metrics = train(str(few), TrainConfig(), tmp_path / "run").metrics
    (warning,) = (text for text in metrics["warnings"] if "only" in text)
    assert warning.startswith(f"only {metrics['counts']['test']} test pictures: the accuracy may be anywhere")
    assert warning.endswith("; --folds 5 measures on every picture in turn")
    assert metrics["cross_validation"] is None
    metrics = train(str(few), TAIL, tmp_path / "tail").metrics
    (warning,) = (text for text in metrics["warnings"] if "only" in text)
    assert warning.endswith(" %"), "folds would measure a head, not this net"


def test_what_a_kill_left_half_written_does_not_take_the_folder(few: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/.plan.yaml.0a1b.part").touch()
    run = train(str(few), TrainConfig(size=32), tmp_path / "run")
    assert not list(run.folder.glob(".*.part"))


def test_without_a_test_part_the_val_part_is_measured_and_said_to_be(few: Path, tmp_path: Path) -> None:
    for part, names in {"train": range(0, 7), "VALID": range(7, 10)}.items():
        for folder in few.iterdir():
            (tmp_path / "data" / part / folder.name).mkdir(parents=True)
            for i in names:
                shutil.copy(sorted(folder.iterdir())[i], tmp_path / "data" / part / folder.name)
    metrics = train(str(tmp_path / "data"), TrainConfig(), tmp_path / "run").metrics
    assert metrics["measured_on"] == "val"
    assert metrics["test_accuracy"] is None and metrics["test_interval"] is None
    assert metrics["val_accuracy"] == metrics["accuracy"]
    (warning,) = (text for text in metrics["warnings"] if "no test part" in text)
    assert warning.endswith("the accuracy is measured on the val part")
    (warning,) = (text for text in metrics["warnings"] if text.startswith("only 9 val pictures"))
    assert "--folds" not in warning, "they would measure on the train part"
    warned: list[Event] = []
    for config, what in (
        (TrainConfig(mode="tail", fit=FitConfig(patience=3)), "the epoch"),
        (TrainConfig(), "the mode"),
        (TrainConfig(mode="tail"), None),
    ):
        plan = replace(make_plan("x", config, ["a", "b"]), judged=what == "the mode")
        told = metrics | {"units": 2000, "val_chose": val_chose(plan)}
        warn_small(SimpleNamespace(held_out=range(2000), metrics=told), warned.append)  # type: ignore[arg-type]
        chose = f", which also chose {what}: it may be a point or two too high" if what else ""
        assert str(warned[-1]).endswith(f"the accuracy is measured on the val part{chose}")


def test_what_cannot_be_done_says_so_before_any_work(few: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="resnet18"):
        train(str(few), TrainConfig(net="resnet18"), tmp_path / "a")
    with pytest.raises(DataError, match=r"no folder .*nowhere; give one, or a sample set: clipart, digits"):
        train("nowhere", TrainConfig(), tmp_path / "b")
    (tmp_path / "plan.yaml").write_text("plan: 2\ndata: clipart\nspeed: 11\n")
    with pytest.raises(ConfigError, match="settings this lexnet does not know: speed"):
        train(str(tmp_path / "plan.yaml"), None, tmp_path / "c")
    assert not any((tmp_path / name).exists() for name in "abc")


def test_changed_copies_and_views_to_answer_by(few: Path, tmp_path: Path) -> None:
    """One run of both: what is measured, what is in the file, and what runs again."""
    told: list[Event] = []
    config = TrainConfig(recipe="alexnet", views=2, tta="mirror", size=64)
    first = train(str(few), config, tmp_path / "a", told.append)
    augmentation = first.metrics["augmentation"]
    assert (augmentation["name"], augmentation["views"]) == ("alexnet", 2)
    assert np.shape(augmentation["colour_axes"]) == (3, 3)
    assert first.metrics["verification"]["agreement"] == 1
    assert any("2 views by recipe alexnet, tta mirror" in e.text for e in told if isinstance(e, Note))
    assert 'id="seen"' in (first.folder / "report.html").read_text()
    model = lexnet.load(first.folder / "model.lexnet")
    assert model.spec.tta == "mirror"
    rows = read_csv(first.folder / "predictions.csv")
    paths = {hashlib.sha256(p.read_bytes()).hexdigest(): p for p in few.rglob("*.png")}
    said = model.predict_proba([paths[row["sha256"]] for row in rows])
    written = [[float(row[name]) for name in model.bundle.classes] for row in rows]
    np.testing.assert_allclose(said, written, atol=1e-5)
    again = train(str(first.folder / "plan.yaml"), None, tmp_path / "b")
    assert (again.folder / "model.lexnet").read_bytes() == (first.folder / "model.lexnet").read_bytes()


def test_a_recipe_of_ones_own_is_written_into_the_plan(few: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("flip: 0.5\nrotate: 20\nzoom: [0.9, 1.2]\n")
    config = TrainConfig(recipe=str(recipe), views=1, size=64)
    first = train(str(few), config, tmp_path / "a")
    recipe.unlink()  # the plan runs again without it
    plan = yaml.safe_load((first.folder / "plan.yaml").read_text())
    assert plan["recipe"]["flip"] == 0.5 and plan["recipe"]["zoom"] == [0.9, 1.2]
    again = train(str(first.folder / "plan.yaml"), None, tmp_path / "b")
    assert (again.folder / "model.lexnet").read_bytes() == (first.folder / "model.lexnet").read_bytes()
    assert first.metrics["augmentation"]["name"] == "own"


@pytest.mark.parametrize(
    ("names", "alike"),
    [
        (["Birds", "birds", "fish"], [["Birds", "birds"]]),
        (["T-shirt", "t_shirt", "t shirt", "shirt"], [["T-shirt", "t_shirt", "t shirt"]]),
        (["cat", "cat\u200b", "a", "b", "A"], [["cat", "cat\u200b"], ["a", "A"]]),
        (["1", "-1", "10", "1.0", "C", "C++", "C#", "tshirt", "t-shirt", "cote", "coté"], []),
    ],
)
def test_classes_that_are_spelt_alike_are_told(names: list[str], alike: list[list[str]]) -> None:
    told: list[Event] = []
    tell_alike(names, told.append)
    texts = [f"the classes {' and '.join(map(repr, some))} are spelt alike: are they one?" for some in alike]
    assert [event.text for event in told if isinstance(event, Warned)] == texts


def test_all_that_is_wrong_is_told_at_once(few: Path) -> None:
    (few / "birds" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    shutil.copy(next((few / "flags").iterdir()), few / "birds" / "flag.png")
    with pytest.raises(DataError) as caught:
        admit(read_data(str(few)), TrainConfig(), lambda event: None)
    told = str(caught.value)
    assert "1 picture cannot be used:\n  birds/torn.png" in told
    assert "2 pictures have copies under another label or in another part:\n  birds/flag.png" in told


def test_train_and_check_tell_of_them(few: Path, tmp_path: Path) -> None:
    shutil.copytree(few / "birds", few / "Birds")
    for path in (few / "Birds").iterdir():  # other pictures, or they would be copies
        noise(int(path.stat().st_size)).save(path)
    warned = "the classes 'Birds' and 'birds' are spelt alike: are they one?"
    told: list[Event] = []
    admit(read_data(str(few)), TrainConfig(), told.append)
    assert [event.text for event in told if isinstance(event, Warned)] == [warned]
    told.clear()
    check(str(few), tmp_path / "check", tell=told.append)
    assert warned in [event.text for event in told if isinstance(event, Warned)]


def test_a_recipe_that_may_break_labels_is_warned_of_before_the_work(tmp_path: Path) -> None:
    told: list[Event] = []
    config = TrainConfig(recipe="mirror", views=1, size=32, split=SplitConfig(per_class=8))
    train("digits", config, tmp_path / "a", told.append)
    texts = [event.text if isinstance(event, Warned) else "" for event in told]
    risk = next(
        i for i, text in enumerate(texts) if text.startswith("recipe mirror may change what a picture")
    )
    work = next(
        i for i, event in enumerate(told) if isinstance(event, Progress) and event.step == "frozen net"
    )
    assert risk < work


def test_without_a_recipe_nothing_is_changed_and_the_reason_is_told(run: Run) -> None:
    assert run.metrics["augmentation"] is None and run.metrics["tta"] == "none"
    assert 'id="seen"' not in (run.folder / "report.html").read_text()


def test_a_net_cut_short(few: Path, tmp_path: Path) -> None:
    run = train(str(few), TrainConfig(cut="stage5", size=64), tmp_path / "a")
    assert run.metrics["cut"] == "stage5" and run.metrics["verified"] and run.metrics["stages"] == []
    assert run.metrics["bundle_bytes"] < 4e6
    assert "frozen net" in run.metrics["steps"] and "net up to stage5" not in run.metrics["steps"]
    net = lexnet.net_from_bundle(run.folder / "model.lexnet")
    assert [name for name, _ in net.stages.named_children()] == [f"stage{n}" for n in range(1, 6)]
    model = lexnet.load(run.folder)
    assert model.bundle.path == lexnet.load(run.folder / "model.lexnet").bundle.path
    picture = next(few.rglob("*.png"))
    pixels = (torch.from_numpy(load(picture, model.spec).copy()).float() - 127.5) / 127.5
    with torch.no_grad():
        logits = net(pixels.permute(2, 0, 1)[None])
    scaled = torch.softmax(logits / model.bundle.manifest["temperature"], 1)
    np.testing.assert_allclose(model.predict_proba(picture), scaled.numpy(), atol=1e-5)


def test_what_a_run_has_seen_no_other_mode_or_cut_looks_at_again(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEXNET_CACHE", str(tmp_path / "cache"))
    first, *others = (
        TrainConfig(size=64),
        TrainConfig(size=64, cut="auto", seed=1),
        TrainConfig(size=64, cut="stage4"),
        TrainConfig(size=64, mode="tail", views=1, fit=FitConfig(epochs=1)),
    )
    run = train(str(few), first, tmp_path / "first")
    of_all = run.metrics["trunk"]["computed"]
    assert of_all == 30
    for number, config in enumerate(others):
        trunk = train(str(few), config, tmp_path / f"{number}").metrics["trunk"]
        assert (trunk["computed"], trunk["from_cache"]) == (0, of_all)


@pytest.mark.parametrize("cut", ["stem", "stage3.0"])
def test_a_net_may_end_behind_its_stem_or_inside_a_stage(cut: str, few: Path, tmp_path: Path) -> None:
    run = train(str(few), TrainConfig(cut=cut, size=64), tmp_path / "a")
    assert run.metrics["cut"] == cut and run.metrics["verified"]
    assert run.metrics["macs"] < run.metrics["whole"]["macs"] / 2


def test_copies_of_one_small_class_do_not_part_those_of_all(tmp_path: Path) -> None:
    """Eight originals of two classes and two of the third, each with two copies of less quality."""
    from PIL import Image

    root = tmp_path / "pictures"
    for name, count in (("birds", 8), ("flags", 8), ("fruit", 2)):
        (root / name).mkdir(parents=True)
        for file in sorted((CLIPART / name).iterdir())[:count]:
            with Image.open(file) as image:
                for quality in (95, 80, 60):
                    image.convert("RGB").save(root / name / f"{file.stem}-{quality}.jpg", quality=quality)
    told: list[Event] = []
    run = train(str(root), TrainConfig(mode="probe"), tmp_path / "run", told.append)
    assert any("near copies of fruit are on both sides" in e.text for e in told if isinstance(e, Warned))
    parts: dict[str, set[str]] = {}
    for row in read_csv(run.folder / "split.csv"):
        if row["label"] != "fruit":
            parts.setdefault(row["path"].rpartition("-")[0], set()).add(row["split"])
    assert len(parts) == 16 and sum(len(one) > 1 for one in parts.values()) <= 1


def test_where_to_cut_is_found_by_probes(few: Path, tmp_path: Path) -> None:
    told: list[Event] = []
    config = TrainConfig(cut="auto", max_macs=8e6, size=64)
    run = train(str(few), config, tmp_path / "a", told.append)
    assert [one["stage"] for one in run.metrics["stages"]] == [*(f"stage{n}" for n in range(1, 8)), None]
    costs = {one["stage"]: one["macs"] for one in run.metrics["stages"]}
    assert costs[run.metrics["cut"]] <= 8e6 < costs[None]
    assert any(e.text.startswith(f"cut {run.metrics['cut']}: ") for e in told if isinstance(e, Note))
    assert 'id="stages"' in (run.folder / "report.html").read_text()
    whole = train(str(few), TrainConfig(size=64), tmp_path / "b").metrics
    assert whole["whole"] is None
    assert run.metrics["whole"] == {"params": whole["params"], "macs": whole["macs"]}
    assert run.metrics["macs"] < whole["macs"] and run.metrics["params"] < whole["params"]
    assert lexnet.load(run.folder).bundle.manifest["whole"] == run.metrics["whole"]


def test_each_stage_is_probed_on_changed_copies_too_and_answers_by_its_views(
    few: Path, tmp_path: Path
) -> None:
    """A head after a stage comes to the same, whether it is one of the curve or the only one."""
    config = TrainConfig(cut="auto", size=64, recipe="mirror", views=2, tta="mirror")
    run = train(str(few), config, tmp_path / "auto")
    for number, stage in enumerate(("stage2", "stage5", None)):
        alone = train(str(few), replace(config, cut=stage or "none"), tmp_path / f"{number}").metrics
        of_head = alone["regularisation"]
        (judged,) = [one for one in run.metrics["stages"] if one["stage"] == stage]
        assert judged["accuracy"] == of_head["cv_accuracy"][of_head["candidates"].index(of_head["C"])]
        assert "changed copies" in alone["steps"] and alone["trunk"]["from_cache"] == 30


def test_more_pictures_than_memory_holds_are_refused_before_the_work(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lexnet.memory.free_memory", lambda: 100_000)
    for config in (TrainConfig(size=64), TrainConfig(mode="scratch", net="resnet20", size=32)):
        with pytest.raises(DataError, match=r"^30 pictures need some 0.0 GB of memory.*give --limit"):
            train(str(few), config, tmp_path / "a")
    with pytest.raises(DataError, match="of memory"):
        check(str(few), tmp_path / "checked")
    assert not (tmp_path / "checked").exists()


def test_a_stage_that_is_not_there_is_refused_before_the_work(few: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownStage, match="no 'stage99' to cut at"):
        train(str(few), TrainConfig(cut="stage99"), tmp_path / "a")
    assert not (tmp_path / "a").exists()
    with pytest.raises(ConfigError, match="max_macs=1e\\+08 limits cut='auto', not cut='none'"):
        TrainConfig(max_macs=1e8)


TAIL = TrainConfig(mode="tail", size=64, views=2, fit=FitConfig(epochs=3, batch_size=8))


def stopped_behind_an_epoch(data: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of `TAIL` that ends with its first checkpoint."""
    with stopped_behind(1, monkeypatch):
        train(str(data), TAIL, out)


def test_a_tail_is_trained_verified_and_taken_up_again(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once undisturbed, once stopped behind an epoch: the same bytes, the same numbers."""
    told: list[Event] = []
    first = train(str(few), TAIL, tmp_path / "a", told.append)
    metrics = first.metrics
    assert (metrics["mode"], metrics["frozen"], metrics["cut"]) == ("tail", "stage5", None)
    assert [one["epoch"] for one in metrics["history"]] == [1, 2, 3] and metrics["verified"]
    notes = [event.text for event in told if isinstance(event, Note)]
    assert any(note.startswith("cut stage5: ") for note in notes)
    assert any(note.startswith("recipe photo: ") for note in notes)
    history = read_csv(first.folder / "history.csv")
    assert [row["epoch"] for row in history] == ["1", "2", "3"] and float(history[0]["loss"]) > 0
    assert 'id="epochs"' in (first.folder / "report.html").read_text()
    net = lexnet.net_from_bundle(first.folder / "model.lexnet")
    published = lexnet.create_net("efficientnet_lite0", weights="imagenet").state_dict()
    frozen = [name for name in published if name.startswith(("stem", "stages.stage5"))]
    assert frozen and all(torch.equal(net.state_dict()[name], published[name]) for name in frozen)
    stopped_behind_an_epoch(few, tmp_path / "b", monkeypatch)
    again = train(str(few), TAIL, tmp_path / "b", told.append)
    assert (again.folder / "model.lexnet").read_bytes() == (first.folder / "model.lexnet").read_bytes()
    assert again.metrics["history"] == metrics["history"]


def test_what_is_refused_before_it_began_leaves_nothing_in_the_way(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = TrainConfig(mode="scratch", net="lenet5_modern", size=48)
    for out in (None, tmp_path / "run", Path()):
        (tmp_path / "here").mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / "here")
        with pytest.raises(ConfigError, match="lenet5_modern takes 32 px only"):
            train(str(few), wrong, out)
        assert not any(Path("runs").glob("*") if out is None else out.iterdir())
        Path("runs").is_dir() and Path("runs").rmdir()
    right = replace(wrong, size=None, fit=FitConfig(epochs=1))
    assert (train(str(few), right, tmp_path / "run").folder / "metrics.json").exists()


def test_a_tail_needs_pictures_to_calibrate_on(few: Path, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"needs a val part to calibrate on, and --val 0 leaves none; raise it"
    ):
        train(str(few), replace(TAIL, split=SplitConfig(val=0.0)), tmp_path / "a")
    with pytest.raises(ConfigError, match=r"max_macs=1e\+06 limits a cut net, mode=tail keeps it whole"):
        train(str(few), replace(TAIL, cut="auto", max_macs=1e6), tmp_path / "b")
    with pytest.raises(ConfigError, match="recipe=5 must be auto, a recipe's name or a YAML file's"):
        TrainConfig(recipe=5)  # type: ignore[arg-type]


def test_other_pictures_start_a_tail_anew(few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan is the same, the run is taken up, its weights are not: they know what may be tested now."""
    stopped_behind_an_epoch(few, tmp_path / "a", monkeypatch)
    shutil.copy(sorted((CLIPART / "birds").iterdir())[20], few / "birds")
    resumed = train(str(few), TAIL, tmp_path / "a")
    fresh = train(str(few), TAIL, tmp_path / "b")
    assert (resumed.folder / "model.lexnet").read_bytes() == (fresh.folder / "model.lexnet").read_bytes()


def test_heads_of_every_fold_have_changed_copies_of_their_own_pictures(few: Path, tmp_path: Path) -> None:
    """A copy of nothing among the examples would be NaN, which no head can be fitted on."""
    config = TrainConfig(recipe="mirror", views=1, size=64, split=SplitConfig(folds=2, repeats=1))
    measured = train(str(few), config, tmp_path / "a").metrics["cross_validation"]
    assert measured["count"] == 30 and measured["accuracy"] > 0.5


def test_folds_are_of_linear_heads(few: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="folds=3 measures linear heads; leave it out with mode=tail"):
        train(str(few), replace(TAIL, split=SplitConfig(folds=3)), tmp_path / "a")


def test_balanced_classes_find_more_of_the_rare_one(tmp_path: Path) -> None:
    """Four flags among forty birds: with equal weights hardly any is found, balanced more are."""
    for name, count in (("birds", 40), ("flags", 16)):
        for part, start, stop in (("train", 0, count if name == "birds" else 4), ("test", count, count + 8)):
            (tmp_path / "d" / part / name).mkdir(parents=True)
            for picture in sorted((CLIPART / name).iterdir())[start:stop]:
                shutil.copy(picture, tmp_path / "d" / part / name)
    config = TrainConfig(size=64, probe=ProbeConfig(cv=2, candidates=(0.001,)))
    plain = train(str(tmp_path / "d"), config, tmp_path / "a").metrics
    balanced = train(str(tmp_path / "d"), replace(config, class_weight="balanced"), tmp_path / "b").metrics
    recall = [{row["class"]: row["recall"] for row in m["per_class"]}["flags"] for m in (plain, balanced)]
    assert recall[1] > recall[0]


def test_a_setting_that_would_be_ignored_is_refused(few: Path, tmp_path: Path) -> None:
    for config, said in (
        (
            TrainConfig(mode="probe", fit=FitConfig(epochs=9, lr=0.1)),
            "epochs, lr: of no use to a linear head",
        ),
        (TrainConfig(mode="probe", views=8), "views=8 of each picture need a recipe that changes it"),
        (TrainConfig(recipe="none", views=4), "views=4 of each picture need a recipe that changes it"),
    ):
        with pytest.raises(ConfigError, match=said):
            train(str(few), config, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_groups_that_a_person_made_outlast_a_pattern(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "data", cat=12, dog=12)
    manifest = read_data(str(root))
    ours, others = list(manifest.paths)[:2], list(manifest.paths)[2:]
    rows = "".join(f"{path},,regroup,one thing,\n" for path in ours)
    (tmp_path / "fixes.csv").write_text(f"path,fault,proposal,value,why\n{rows}", encoding="utf-8")
    config = TrainConfig(fixes=str(tmp_path / "fixes.csv"), split=SplitConfig(group_by=r"(.+)\.png"))
    admitted = admit(manifest, config, lambda event: None)
    groups = dict(zip(admitted.paths, admitted.groups, strict=True))
    assert {groups[path] for path in ours} == {"one thing"}
    assert len({groups[path] for path in others}) > 2
