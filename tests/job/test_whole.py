"""Whole nets trained from scratch, from published weights and from bundles."""

import csv
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from picture_makers import class_folder, clipart_folder
from stopping import stopped_behind
from tiny import tiny_bundle

import lexnet
from lexnet.augment.recipes import RECIPES
from lexnet.config import FitConfig, PreprocessSpec, SplitConfig, TrainConfig
from lexnet.data.loader import Pictures
from lexnet.data.manifest import Manifest
from lexnet.data.samples import sample_folder
from lexnet.data.source import read_data
from lexnet.errors import BundleError, ConfigError, DataError, ShapeError
from lexnet.evaluate.calibrate import fit_temperature
from lexnet.job import finish, whole
from lexnet.job.events import Event, Note, Warned
from lexnet.job.job import Job
from lexnet.job.plan import make_plan
from lexnet.job.run import Run, train
from lexnet.preprocess import Pixels, load, load_views
from lexnet.runtime.engines import OnnxRuntime
from lexnet.runtime.predictor import Predictor
from lexnet.train import compiled, finder
from lexnet.train.pixels import TrainingPictures as Batches
from lexnet.transfer.views import colour_axes

SCRATCH = TrainConfig(
    net="lenet5_modern",
    mode="scratch",
    recipe="none",
    workers=1,
    split=SplitConfig(per_class=60),
    fit=FitConfig(epochs=6, batch_size=32),
)
FINETUNE = TrainConfig(
    mode="finetune", size=64, recipe="mirror", workers=1, fit=FitConfig(epochs=3, batch_size=8, lr=1e-4)
)
PROBE = TrainConfig(mode="probe", size=64, workers=1)
MODEL = "model.lexnet"


@pytest.fixture(scope="module")
def digits(shared_cache: Path) -> Path:
    return sample_folder("digits")


@pytest.fixture(scope="module")
def scratch(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """LeNet-5 on 42 of each digit."""
    return train("digits", SCRATCH, tmp_path_factory.mktemp("scratch") / "run")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clipart_folder(tmp_path_factory.mktemp("two") / "pictures", ("birds", "flags"), 12)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clipart_folder(tmp_path_factory.mktemp("three") / "pictures", ("birds", "flags", "fruit"), 12)


@pytest.fixture(scope="module")
def probed(two: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(str(two), PROBE, tmp_path_factory.mktemp("probe") / "run")


@pytest.fixture(scope="module")
def cut(two: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(str(two), replace(PROBE, cut="stage3"), tmp_path_factory.mktemp("cut") / "run")


def part(run: Run, root: Path, name: str) -> list[Path]:
    """The pictures of this part."""
    rows = csv.DictReader((run.folder / "split.csv").read_text(encoding="utf-8").splitlines())
    return [root / row["path"] for row in rows if row["split"] == name]


def bundle_of(run: Run) -> Predictor:
    return lexnet.load(run.folder / MODEL)


def said(run: Run, pixels: list[Pixels]) -> tuple[np.ndarray, np.ndarray]:
    """Logits of the bundle's graph, and those of its net in torch."""
    model = bundle_of(run)
    graph = OnnxRuntime(model.bundle.model, 1).run(np.stack(pixels))["logits"]
    x = (np.stack(pixels).astype(np.float32) - np.float32(model.spec.mean)) / np.float32(model.spec.std)
    with torch.no_grad():
        net = lexnet.net_from_bundle(run.folder / MODEL)
        return graph, net(torch.from_numpy(x.transpose(0, 3, 1, 2))).numpy()


# --- where it is trained


def test_a_net_is_judged_where_it_was_trained_and_in_float32(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`cpu:0` computes as `cpu` does and is another name: it stands for a GPU."""
    seen, normalised = [], finish.normalised

    def note(pixels: Pixels, spec: PreprocessSpec, device: torch.device) -> torch.Tensor:
        seen.append((device, torch.backends.cudnn.allow_tf32))
        return normalised(pixels, spec, device)

    monkeypatch.setattr(finish, "normalised", note)
    monkeypatch.setattr(whole, "device_of", lambda fit: torch.device("cpu", 0))
    few = replace(SCRATCH, split=SplitConfig(per_class=10), fit=FitConfig(epochs=1))
    train("digits", few, tmp_path / "run")
    assert seen and set(seen) == {(torch.device("cpu", 0), False)}


# --- a picture that changes


@pytest.mark.parametrize("of", ["train", "val"])
def test_a_picture_that_is_gone_after_the_first_look_is_named(
    of: str, two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it, those behind it would be trained on under the label of another."""
    root, again = tmp_path / "pictures", whole.decoded_again
    shutil.copytree(two, root)

    def meddle(job: Job, manifest: Manifest, part: str, spec: PreprocessSpec) -> Pictures:
        (root / manifest.paths[manifest.where(of)[0]]).unlink(missing_ok=True)
        return again(job, manifest, part, spec)

    monkeypatch.setattr(whole, "decoded_again", meddle)
    monkeypatch.setenv("LEXNET_CACHE", str(tmp_path / "cache"))
    with pytest.raises(
        DataError, match=r"png cannot be read \(No such .*\), after it was seen once; run again"
    ):
        train(str(root), FINETUNE, tmp_path / "run")


# --- from scratch


def test_from_scratch_it_learns_and_is_verified(scratch: Run) -> None:
    metrics = scratch.metrics
    assert (metrics["net"], metrics["mode"], metrics["frozen"], metrics["cut"]) == (
        *("lenet5_modern", "scratch", None, None),
    )
    assert metrics["counts"] == {"train": 420, "val": 60, "calibration": 60, "test": 120}
    assert metrics["accuracy"] > 0.85 and metrics["verified"]  # by chance: 0.1
    assert metrics["weights"] is None and metrics["trunk"] is None and metrics["regularisation"] is None
    assert [one["epoch"] for one in metrics["history"]] == list(range(1, 7)) and metrics["stopped"] is None
    assert metrics["history"][-1]["loss"] < metrics["history"][0]["loss"]
    assert metrics["fit"]["norms"] == "trained" and metrics["fit"]["lr"] == 3e-3
    assert bundle_of(scratch).bundle.manifest["training"]["steps"] == 6 * -(-420 // 32)
    assert bundle_of(scratch).check_golden() == []
    assert 'id="epochs"' in (scratch.folder / "report.html").read_text(encoding="utf-8")


def test_grey_pictures_are_seen_grey_with_the_training_parts_own_mean(scratch: Run, digits: Path) -> None:
    spec = bundle_of(scratch).spec
    assert (spec.channels, spec.size, spec.short_side) == (1, 32, 32)
    levels = np.stack([load(path, spec) for path in part(scratch, digits, "train")]).astype(np.float64)
    assert spec.mean == pytest.approx((levels.mean(),), abs=1e-3)
    assert spec.std == pytest.approx((levels.std(),), abs=1e-3)


def test_the_bundles_net_says_what_the_bundle_says(scratch: Run, digits: Path) -> None:
    spec = bundle_of(scratch).spec
    graph, net = said(scratch, [load(path, spec) for path in part(scratch, digits, "test")[::4]])
    np.testing.assert_allclose(net, graph, atol=1e-4)


def test_its_plan_gives_the_same_bundle(scratch: Run, tmp_path: Path) -> None:
    again = train(str(scratch.folder / "plan.yaml"), out=tmp_path / "again")
    assert (again.folder / MODEL).read_bytes() == (scratch.folder / MODEL).read_bytes()
    assert (again.folder / "plan.yaml").read_text() == (scratch.folder / "plan.yaml").read_text()


@pytest.mark.parametrize("behind", [1, 3])
def test_stopped_and_taken_up_again_it_gives_the_same_bundle(
    scratch: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behind: int
) -> None:
    """Behind this epoch, once its checkpoint is there."""
    with stopped_behind(behind, monkeypatch):
        train("digits", SCRATCH, tmp_path / "run")
    assert (tmp_path / "run/checkpoint.safetensors").exists()
    again = train("digits", SCRATCH, tmp_path / "run")
    assert (again.folder / MODEL).read_bytes() == (scratch.folder / MODEL).read_bytes()
    assert again.metrics["history"] == scratch.metrics["history"]


class Counted:
    """In place of torch.compile: the net as it is, and how often it was asked."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, net: torch.nn.Module, **options: object) -> Any:
        def answer(x: torch.Tensor) -> torch.Tensor:
            self.sizes.append(len(x))
            return net(x)

        return answer


@pytest.mark.parametrize("asked", ["always", "auto"])
def test_a_compiled_net_answers_whole_batches_and_is_taken_up_again(
    scratch: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: Any
) -> None:
    """On auto once compiling is found to pay; what goes on with it is not asked again."""
    fast = Counted()
    monkeypatch.setattr(torch, "compile", fast)
    config = replace(SCRATCH, fit=replace(SCRATCH.fit, compile=asked))
    monkeypatch.setattr(compiled, "LONG", 0.0)
    monkeypatch.setattr(compiled, "CLEARLY", 10.0)
    with stopped_behind(3, monkeypatch):
        train("digits", config, tmp_path / "run")
    monkeypatch.setattr(compiled, "CLEARLY", 0.0)  # asked again, auto would now say no
    before = len(fast.sizes)
    run = train("digits", config, tmp_path / "run")
    assert len(fast.sizes) - before >= 3 * (420 // 32) and set(fast.sizes) == {32}, (
        "the odd batch is not among them"
    )
    plan = yaml.safe_load((run.folder / "plan.yaml").read_text())
    assert plan["fit"]["compile"] == "always" == run.metrics["fit"]["compile"]
    assert run.metrics["history"] == scratch.metrics["history"], "this one's answers are the net's own"


def test_a_short_training_is_not_compiled_and_says_so_in_its_plan(scratch: Run) -> None:
    assert scratch.metrics["fit"]["compile"] == "never"
    assert yaml.safe_load((scratch.folder / "plan.yaml").read_text())["fit"]["compile"] == "never"


def test_to_compile_without_a_whole_batch_is_refused(tmp_path: Path) -> None:
    fit = FitConfig(epochs=1, batch_size=512, compile="always")
    with pytest.raises(ConfigError, match="there are 420 training pictures for batch_size=512; lower it"):
        train("digits", replace(SCRATCH, fit=fit), tmp_path / "run")


def test_coloured_pictures_have_a_mean_for_each_colour_and_room_for_crops(two: Path, tmp_path: Path) -> None:
    config = replace(SCRATCH, net="resnet20", size=32, recipe="auto", split=SplitConfig())
    told: list[Event] = []
    run = train(str(two), replace(config, fit=FitConfig(epochs=1, batch_size=8)), tmp_path / "a", told.append)
    spec = bundle_of(run).spec
    assert (spec.channels, spec.size, spec.short_side) == (3, 32, 36)
    squares = replace(spec, size=36)  # where the crops come from
    levels = np.stack([load(path, squares) for path in part(run, two, "train")]).astype(np.float64)
    np.testing.assert_allclose(spec.mean, levels.mean((0, 1, 2)), atol=1e-3)
    np.testing.assert_allclose(spec.std, levels.std((0, 1, 2)), atol=1e-3)
    assert len(set(spec.mean)) == 3 and run.metrics["augmentation"]["name"] == "cifar"
    assert any(e.text == "pictures 32 px, in colour" for e in told if isinstance(e, Note))


def test_grey_is_made_of_coloured_pictures_where_it_is_asked_for(two: Path, tmp_path: Path) -> None:
    config = replace(SCRATCH, channels=1, recipe="photo", split=SplitConfig(), fit=FitConfig(epochs=1))
    run = train(str(two), config, tmp_path / "a")
    assert bundle_of(run).spec.channels == 1 and run.metrics["verified"]


def test_a_source_that_keeps_a_test_part_back_lends_val_pictures_from_its_train_part(
    digits: Path, tmp_path: Path
) -> None:
    for name in ("train", "test"):
        for label in "01":
            (tmp_path / "d" / name / label).mkdir(parents=True)
            start = 0 if name == "train" else 20
            for picture in sorted((digits / label).iterdir())[start : start + 20]:
                shutil.copy(picture, tmp_path / "d" / name / label)
    config = replace(SCRATCH, split=SplitConfig(val=0.25), fit=FitConfig(epochs=1))
    told: list[Event] = []
    run = train(str(tmp_path / "d"), config, tmp_path / "a", told.append)
    assert run.metrics["counts"] == {"train": 30, "val": 10, "calibration": 10, "test": 40}
    notes = [event.text for event in told if isinstance(event, Note)]
    assert "10 of the train part are its val part: the weights are not fitted to them" in notes


def test_sampled_classes_come_as_often_and_the_rare_one_is_found(digits: Path, tmp_path: Path) -> None:
    """Six eights among sixty threes to train on; thirty of each to be told apart."""
    for label, count in (("3", 60), ("8", 6)):
        for name, start, stop in (("train", 0, count), ("val", 60, 80), ("test", 90, 120)):
            (tmp_path / "d" / name / label).mkdir(parents=True)
            for picture in sorted((digits / label).iterdir())[start:stop]:
                shutil.copy(picture, tmp_path / "d" / name / label)
    config = replace(SCRATCH, split=SplitConfig(), fit=FitConfig(epochs=6, batch_size=8))
    plain = train(str(tmp_path / "d"), config, tmp_path / "a").metrics
    sampled = train(str(tmp_path / "d"), replace(config, class_weight="sampled"), tmp_path / "b")
    recall = [
        {row["class"]: row["recall"] for row in metrics["per_class"]}["8"]
        for metrics in (plain, sampled.metrics)
    ]
    assert recall[1] > recall[0]
    assert bundle_of(sampled).bundle.manifest["training"]["class_weight"] == "sampled"


def test_balanced_classes_count_alike_in_every_step_and_in_the_temperature(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice as many threes as eights; the temperature is fitted to the val part."""
    for label, count in (("3", 60), ("8", 30)):
        (tmp_path / "d" / label).mkdir(parents=True)
        for picture in sorted((digits / label).iterdir())[:count]:
            shutil.copy(picture, tmp_path / "d" / label)
    asked: list[tuple[np.ndarray, np.ndarray]] = []
    fit = finish.fit_temperature

    def noted(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
        asked.append((labels, weights))
        return fit(logits, labels, weights)

    def given(**named: Any) -> Batches:
        asked.append((named["labels"], named["weights"]))
        return Batches(**named)

    monkeypatch.setattr(finish, "fit_temperature", noted)
    monkeypatch.setattr(whole, "TrainingPictures", given)
    config = replace(SCRATCH, class_weight="balanced", split=SplitConfig(), fit=FitConfig(epochs=1))
    run = train(str(tmp_path / "d"), config, tmp_path / "run")
    for (labels, weights), name in zip(asked, ("train", "val"), strict=True):
        truth = Counter(path.parent.name for path in part(run, tmp_path / "d", name))
        assert Counter(run.metrics["classes"][label] for label in labels) == truth, name
        counts = np.bincount(labels, weights)
        assert truth["3"] == 2 * truth["8"] and counts[0] == pytest.approx(counts[1], rel=1e-5), name


def test_steps_and_patience_end_it_and_say_why(tmp_path: Path) -> None:
    few = replace(SCRATCH, split=SplitConfig(per_class=10))
    steps = train("digits", replace(few, fit=FitConfig(batch_size=8, steps=13)), tmp_path / "a")
    assert steps.metrics["stopped"] == "after 13 steps, as it was told"
    assert bundle_of(steps).bundle.manifest["training"]["steps"] == 13
    fit = FitConfig(epochs=50, batch_size=8, lr=0.05, patience=2)
    patient = train("digits", replace(few, fit=fit), tmp_path / "b").metrics
    losses = [one["val_log_loss"] for one in patient["history"]]
    assert patient["stopped"] == "after 2 epochs without a lower validation loss"
    assert losses.index(min(losses)) == len(losses) - 3


def test_a_measured_rate_is_taken_and_its_curve_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finder, "STEPS", 30)
    config = replace(
        SCRATCH,
        split=SplitConfig(per_class=20),
        fit=FitConfig(epochs=1, batch_size=16, find_lr=True),
    )
    told: list[Event] = []
    run = train("digits", config, tmp_path / "a", told.append)
    rates = run.metrics["rates"]
    lowest = min(loss for _, loss in rates[finder.SETTLED :])
    highest = max(rate for rate, loss in rates if loss <= finder.NEARLY * lowest)
    assert run.metrics["fit"]["lr"] == highest / 10 != 3e-3 and len(rates) > 10
    assert any(e.text.startswith(f"learning rate {highest / 10:.2g}: ") for e in told if isinstance(e, Note))
    plan = yaml.safe_load((run.folder / "plan.yaml").read_text())
    assert (plan["fit"]["lr"], plan["fit"]["find_lr"]) == (None, True), "the plan measures again"
    again = train(str(run.folder / "plan.yaml"), None, tmp_path / "b")
    assert (again.folder / MODEL).read_bytes() == (run.folder / MODEL).read_bytes()
    monkeypatch.setattr(whole, "find_rate", lambda *arguments: pytest.fail("a longer run measured again"))
    longer = train("digits", replace(config, fit=replace(config.fit, epochs=2)), tmp_path / "a")
    assert [tuple(one) for one in longer.metrics["rates"]] == rates


def test_a_broken_picture_is_told_and_not_a_crash(tmp_path: Path) -> None:
    """Its first bytes are sound."""
    root = class_folder(tmp_path / "d", a=9, b=9)
    whole = (root / "a/0.png").read_bytes()
    (root / "a/broken.png").write_bytes(whole[:60])
    config = replace(SCRATCH, net="resnet20", split=SplitConfig(), fit=FitConfig(epochs=1))
    with pytest.raises(DataError, match=r"1 picture cannot be used:\n  a/broken.png"):
        train(str(root), config, tmp_path / "a")
    run = train(str(root), replace(config, skip_bad=True), tmp_path / "b")
    assert [skip["path"] for skip in run.metrics["skipped"]] == ["a/broken.png"]


def test_a_last_batch_of_one_picture_is_no_trouble_to_batch_norms(tmp_path: Path) -> None:
    """Eighteen pictures, seventeen a batch, by a net whose last stages see one pixel of them."""
    root = class_folder(tmp_path / "d", a=12, b=12)
    config = replace(SCRATCH, net="mobilenet_v2", size=32, split=SplitConfig())
    metrics = train(
        str(root), replace(config, fit=FitConfig(epochs=1, batch_size=17)), tmp_path / "a"
    ).metrics
    assert metrics["counts"]["train"] == 18 and metrics["verified"]


# --- from published weights


def test_a_batch_of_one_is_refused_where_batch_norms_would_learn_from_it(tmp_path: Path) -> None:
    config = replace(SCRATCH, net="resnet20", fit=FitConfig(epochs=1, batch_size=1))
    with pytest.raises(ConfigError, match=r"batch_size=1: batch norms learn from how .*; take 2 or more"):
        train("digits", config, tmp_path / "run")


@pytest.mark.parametrize("mode", ["tail", "finetune"])
def test_training_starts_where_the_probe_ended(mode: Any, two: Path, probed: Run, tmp_path: Path) -> None:
    """At the lowest rate there is, it ends there too."""
    fit = FitConfig(epochs=1, batch_size=8, lr=1e-8, warmup=0)
    still = replace(FINETUNE, mode=mode, recipe="none", fit=fit)
    run = train(str(two), still, tmp_path / "a")
    pixels = [load(path, bundle_of(run).spec) for path in part(run, two, "test")]
    (ours, _), (probes, _) = said(run, pixels), said(probed, pixels)
    np.testing.assert_allclose(ours, probes, atol=1e-3)
    assert run.metrics["regularisation"] == probed.metrics["regularisation"]


def test_finetuning_trains_every_stage_and_is_verified(two: Path, tmp_path: Path) -> None:
    run = train(str(two), FINETUNE, tmp_path / "a")
    losses = [one["loss"] for one in run.metrics["history"]]
    assert run.metrics["mode"] == "finetune" and run.metrics["verified"] and losses[-1] < losses[0]
    assert run.metrics["weights"]["tag"] == "imagenet" and run.metrics["fit"]["layer_decay"] == 0.7
    pixels = [load(path, bundle_of(run).spec) for path in part(run, two, "test")]
    graph, net = said(run, pixels)
    np.testing.assert_allclose(net, graph, atol=1e-3)
    published = lexnet.create_net("efficientnet_lite0", weights="imagenet").state_dict()
    trained = lexnet.net_from_bundle(run.folder / MODEL).state_dict()
    for name in published:
        if name.endswith("norm.bias"):  # a convolution that took its norm in has another one
            assert not torch.equal(trained[name], published[name]), name
    again = train(str(run.folder / "plan.yaml"), None, tmp_path / "b")
    assert (again.folder / MODEL).read_bytes() == (run.folder / MODEL).read_bytes()


def test_batch_norms_learn_where_they_are_told_to(two: Path, tmp_path: Path) -> None:
    fit = FitConfig(epochs=1, batch_size=9, norms="trained")
    run = train(str(two), replace(FINETUNE, fit=fit), tmp_path / "a")
    published = lexnet.create_net("efficientnet_lite0", weights="imagenet").state_dict()
    trained = lexnet.net_from_bundle(run.folder / MODEL).state_dict()
    means = [name for name in published if name.endswith("running_mean")]
    assert means and not any(torch.equal(trained[name], published[name]) for name in means)
    assert all(trained[name].abs().sum() > 0 for name in means), "not folded away"
    assert run.metrics["verified"]


def test_grey_pictures_by_weights_that_know_colours(two: Path, tmp_path: Path) -> None:
    """The first convolution's weights summed over the colours, and the colours' mean normalisation."""
    run = train(str(two), replace(PROBE, channels=1), tmp_path / "a")
    spec = bundle_of(run).spec
    assert (spec.channels, spec.mean, spec.std) == (1, (127.5,), (127.5,))
    net = lexnet.net_from_bundle(run.folder / MODEL)
    published = lexnet.create_net("efficientnet_lite0", weights="imagenet")
    first, known = next(net.parameters()), next(published.parameters())
    torch.testing.assert_close(first, known.sum(1, keepdim=True))
    tuned = train(str(two), replace(FINETUNE, channels=1), tmp_path / "b")
    assert bundle_of(tuned).spec.channels == 1 and tuned.metrics["verified"]


def test_a_measured_rate_does_not_hang_on_what_was_drawn_before(
    two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The net has dropout, whose draws belong to the plan and not to the program around it."""
    monkeypatch.setattr(finder, "STEPS", 3)
    config = replace(FINETUNE, fit=FitConfig(epochs=1, batch_size=8, find_lr=True))
    curves = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        curves.append(train(str(two), config, tmp_path / str(seed)).metrics["rates"])
    assert curves[0] == curves[1]


# --- from a bundle


def test_a_bundle_goes_on_with_one_more_class(
    two: Path, three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEXNET_CACHE", str(tmp_path / "cache"))
    probed = train(str(two), PROBE, tmp_path / "first")
    config = TrainConfig(mode="probe", from_=str(probed.folder / MODEL), workers=1)
    run = train(str(three), config, tmp_path / "a")
    model = bundle_of(run)
    assert model.bundle.classes == ["birds", "flags", "fruit"] and model.spec.size == 64
    assert run.metrics["net"] == "efficientnet_lite0" and run.metrics["accuracy"] >= 0.5
    assert run.metrics["weights"]["tag"] == "bundle" and run.metrics["weights"]["licence"] == "Apache-2.0"
    assert [one["tag"] for one in model.bundle.manifest["weights"]] == ["bundle", "imagenet"]
    known, of_all = (len(read_data(str(root))) for root in (two, three))
    assert run.metrics["trunk"]["computed"] == of_all - known  # the frozen net is the one of before
    pixels = [load(path, model.spec) for path in part(run, three, "test")]
    features = [
        OnnxRuntime(bundle_of(one).bundle.model, 1).run(np.stack(pixels))["features"] for one in (run, probed)
    ]
    np.testing.assert_allclose(*features, atol=1e-4)


def test_a_bundle_cut_at_its_stem_goes_on_as_a_tail(three: Path, tmp_path: Path) -> None:
    """Of which its head alone is left to train."""
    first = train(str(three), replace(PROBE, cut="stem"), tmp_path / "first")
    fit = FitConfig(epochs=1, batch_size=16)
    tail = TrainConfig(mode="tail", from_=str(first.folder / MODEL), recipe="none", workers=1, fit=fit)
    run = train(str(three), tail, tmp_path / "tail")
    assert run.metrics["frozen"] == run.metrics["cut"] == "stem" and run.metrics["verified"]


def test_a_cut_bundle_goes_on_cut(three: Path, cut: Run, tmp_path: Path) -> None:
    """As a probe again and with all that is left of it trained; the graph, the facts and the net agree."""
    source = str(cut.folder / MODEL)
    for config in (
        TrainConfig(mode="probe", from_=source, workers=1),
        TrainConfig(mode="finetune", from_=source, workers=1, fit=FitConfig(epochs=1, batch_size=16)),
    ):
        run = train(str(three), config, tmp_path / config.mode)
        assert run.metrics["cut"] == "stage3" and run.metrics["verified"]
        assert run.metrics["macs"] < 0.5 * lexnet_macs(64)
        net = lexnet.net_from_bundle(run.folder / MODEL)
        assert [name for name, _ in net.stages.named_children()] == ["stage1", "stage2", "stage3"]
        spec = bundle_of(run).spec
        graph, torchs = said(run, [load(path, spec) for path in part(run, three, "test")])
        np.testing.assert_allclose(torchs, graph, atol=1e-3)


def lexnet_macs(size: int) -> float:
    """Of the whole default net, about: 385 million at 224 pixels."""
    return 385e6 * (size / 224) ** 2


def test_a_net_from_scratch_goes_on_in_colour(scratch: Run, digits: Path, tmp_path: Path) -> None:
    """Its one channel is shared out in thirds: a grey picture in colours gives the same features."""
    source = str(scratch.folder / MODEL)
    config = TrainConfig(mode="probe", from_=source, channels=3, workers=1, split=SplitConfig(per_class=20))
    run = train("digits", config, tmp_path / "a")
    spec, grey = bundle_of(run).spec, bundle_of(scratch)
    assert (spec.channels, spec.mean) == (3, grey.spec.mean * 3)
    assert run.metrics["weights"]["licence"] == "yours"
    paths = part(run, digits, "test")
    np.testing.assert_allclose(bundle_of(run).embed(paths), grey.embed(paths), atol=1e-3)


def test_a_plan_that_goes_on_from_a_bundle_is_carried_out_anywhere(
    three: Path, probed: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bundle was named from the folder that one was in; its place is no part of what is made."""
    monkeypatch.chdir(probed.folder)
    config = TrainConfig(mode="probe", from_=MODEL, workers=1)
    run = train(str(three), config, tmp_path / "a")
    monkeypatch.chdir(tmp_path)
    again = train(str(run.folder / "plan.yaml"), None, tmp_path / "b")
    assert (again.folder / MODEL).read_bytes() == (run.folder / MODEL).read_bytes()
    assert str(probed.folder).encode() not in (again.folder / MODEL).read_bytes()


# --- what is decided and what is refused


@pytest.mark.parametrize("mode", ["probe", "tail", "finetune", "scratch"])
def test_several_views_are_what_is_calibrated_measured_and_served(
    mode: Any, two: Path, tmp_path: Path
) -> None:
    """And the axes of the colours, which are kept, are those of the training pictures."""
    views = 1 if mode in ("probe", "tail") else None
    fit = FitConfig() if mode == "probe" else FitConfig(epochs=1, batch_size=8)
    config = TrainConfig(mode=mode, size=64, recipe="alexnet", views=views, tta="mirror", fit=fit)
    run = train(str(two), replace(config, net="resnet20") if mode == "scratch" else config, tmp_path / "run")
    model = bundle_of(run)
    assert model.spec.tta == "mirror"
    rows = list(csv.DictReader((run.folder / "predictions.csv").read_text("utf-8").splitlines()))
    written = [[float(row[name]) for name in model.bundle.classes] for row in rows]
    paths = [two / row["path"] for row in rows]
    np.testing.assert_allclose(model.predict_proba(paths), written, atol=1e-5)

    split = csv.DictReader((run.folder / "split.csv").read_text("utf-8").splitlines())
    part_of = {row["path"]: row["split"] for row in split}
    manifest = read_data(str(two))
    manifest = manifest.with_parts(part_of[path] for path in manifest.paths)
    axes = colour_axes(RECIPES["alexnet"], manifest, manifest.where("train"), model.spec, 0)
    np.testing.assert_allclose(run.metrics["augmentation"]["colour_axes"], axes, rtol=1e-6)
    if mode == "probe":  # calibrated on its training pictures, out of fold
        return
    graph, val = OnnxRuntime(model.bundle.model, 1), manifest.where("val")
    logits = [graph.run(load_views(two / manifest.paths[row], model.spec))["logits"] for row in val]
    assert np.shape(logits) == (len(val), 2, 2) and np.ptp(logits, axis=1).max() > 0.01
    temperature = fit_temperature(np.stack(logits), manifest.labels[val], np.ones(len(val), np.float32))
    assert run.metrics["temperature"] == pytest.approx(temperature, rel=1e-3)


def test_what_nobody_chose_is_decided_with_reasons() -> None:
    plan = make_plan("/data", TrainConfig(mode="scratch"))
    assert (plan.config.net, plan.config.recipe, plan.config.fit.epochs) == ("resnet20", "cifar", 20)
    assert any(reason.startswith("net resnet20: small enough") for reason in plan.reasons)
    large = make_plan("/data", TrainConfig(mode="scratch", net="resnet18"))
    assert large.config.recipe == "photo"
    tuned = make_plan("/data", TrainConfig(mode="finetune"))
    assert (tuned.config.net, tuned.config.recipe) == ("efficientnet_lite0", "photo")


@pytest.mark.parametrize(("mode", "told"), [("probe", True), ("tail", True), ("finetune", False)])
def test_a_recipe_that_mixes_pictures_says_where_they_are_not_mixed(mode: Any, told: bool) -> None:
    plan = make_plan("/data", TrainConfig(mode=mode, recipe="strong"))
    assert any("pictures are not mixed" in reason for reason in plan.reasons) == told
    assert not any("mixed" in reason for reason in make_plan("/data", TrainConfig(mode=mode)).reasons)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            TrainConfig(mode="probe", fit=FitConfig(patience=3, find_lr=True)),
            "find_lr, patience: of no use to a linear head; leave it out, or take another --mode",
        ),
        (
            TrainConfig(mode="probe", class_weight="sampled"),
            "class_weight='sampled': a linear head sees all pictures at once; take balanced",
        ),
        (
            TrainConfig(mode="finetune", cut="auto", max_macs=1e6),
            r"max_macs=1e\+06 limits a cut net, mode=finetune keeps it whole; leave it out",
        ),
        (
            TrainConfig(mode="scratch", split=SplitConfig(folds=4)),
            "folds=4 measures linear heads; leave it out with mode=scratch",
        ),
        (
            TrainConfig(mode="finetune", cut="stage3"),
            "cut='stage3': mode=finetune trains the whole net; leave it out",
        ),
        (
            TrainConfig(mode="scratch", cut="auto"),
            "cut='auto': mode=scratch trains the whole net; leave it out",
        ),
        (
            TrainConfig(mode="scratch", views=8),
            "views=8: mode=scratch makes new copies every epoch; leave it out",
        ),
        (
            TrainConfig(mode="tail", fit=FitConfig(device="cuda")),
            "device='cuda': a tail is trained on the CPU; leave it out, or --mode finetune",
        ),
        (
            TrainConfig(mode="tail", fit=FitConfig(find_lr=True)),
            "find_lr: a tail starts from a fitted head at a known rate; leave it out, give --lr, or --mode",
        ),
    ],
    ids=lambda value: value.mode if isinstance(value, TrainConfig) else None,
)
def test_a_setting_that_the_mode_would_ignore_is_refused(config: TrainConfig, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_plan("/data", config)


def test_a_bundle_brings_its_own_net(tmp_path: Path) -> None:
    source = tmp_path / "resnet.lexnet"
    source.write_bytes(tiny_bundle(net="resnet20"))
    plan = make_plan("/data", TrainConfig(mode="finetune", from_=str(source)))
    assert plan.config.net == "resnet20" and any(str(source) in reason for reason in plan.reasons)
    assert make_plan("/data", TrainConfig(mode="finetune", from_=str(source), net="resnet20")).config.net
    with pytest.raises(ConfigError, match=r"net='resnet18', but .*resnet.lexnet holds a resnet20; leave one"):
        make_plan("/data", TrainConfig(mode="finetune", from_=str(source), net="resnet18"))
    with pytest.raises(ConfigError, match=r"mode=scratch starts from nothing, and from='.*' from a bundle"):
        make_plan("/data", TrainConfig(mode="scratch", from_=str(source)))
    with pytest.raises(BundleError, match=r"nowhere\.lexnet cannot be read"):
        make_plan("/data", TrainConfig(mode="finetune", from_=str(tmp_path / "nowhere.lexnet")))


def test_a_size_that_the_net_cannot_take_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="size=64: lenet5_modern takes 32 px only; leave it out"):
        train("digits", replace(SCRATCH, size=64), tmp_path / "a")


@pytest.mark.parametrize("budget", [None, "60s"])
def test_pictures_too_small_for_a_new_net_are_refused(tmp_path: Path, budget: str | None) -> None:
    few = TrainConfig(
        mode="scratch", net="googlenet_2014", workers=1, budget=budget, split=SplitConfig(per_class=10)
    )
    with pytest.raises(ShapeError, match="the net cannot take pictures of 1x"):
        train("digits", few, tmp_path / "a")


def test_a_device_that_is_not_there_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("lexnet.job.learn.look", None)  # whoever calls it fails: it is refused before
    for mode in ("scratch", "finetune"):
        few = TrainConfig(mode=mode, split=SplitConfig(per_class=10), fit=FitConfig(device="cuda"))
        with pytest.raises(ConfigError, match="device='cuda', and torch sees no such device here; leave it"):
            train("digits", few, tmp_path / "a")


@pytest.mark.parametrize("mode", ["scratch", "finetune"])
def test_without_pictures_to_calibrate_on_it_says_so(two: Path, tmp_path: Path, mode: Any) -> None:
    net = "resnet20" if mode == "scratch" else "auto"
    config = TrainConfig(mode=mode, net=net, size=64, workers=1, split=SplitConfig(val=0.0))
    with pytest.raises(
        DataError, match=f"mode={mode} needs a val part to calibrate on, and --val 0 leaves none"
    ):
        train(str(two), config, tmp_path / "a")


def test_a_bundle_that_goes_on_is_not_measured_on_what_it_was_trained_on(three: Path, tmp_path: Path) -> None:
    config = replace(FINETUNE, fit=FitConfig(epochs=1, batch_size=8))
    first = train(str(three), config, tmp_path / "first")
    again = TrainConfig(mode="probe", workers=1, from_=str(first.folder / MODEL), seed=1)
    told: list[Event] = []
    second = train(str(three), again, tmp_path / "second", told.append)
    assert set(part(second, three, "test")) == set(part(first, three, "test"))
    assert not any("looks better" in event.text for event in told if isinstance(event, Warned))
    fewer = replace(again, from_=str(second.folder / MODEL), split=SplitConfig(per_class=8), seed=2)
    third = train(str(three), fewer, tmp_path / "third", told.append)
    known = set(bundle_of(second).bundle.seen.tolist())
    assert known <= set(bundle_of(third).bundle.seen.tolist()), "what was learned before is not forgotten"


def test_a_test_part_that_was_trained_on_is_told(three: Path, tmp_path: Path) -> None:
    """Trained weights have seen it; a head on published weights, which is not taken along, is no matter."""
    config = replace(FINETUNE, fit=FitConfig(epochs=1, batch_size=8))
    trained = train(str(three), config, tmp_path / "trained")
    headed = train(str(three), PROBE, tmp_path / "headed")
    for i, picture in enumerate(part(trained, three, "train")):
        place = tmp_path / "d" / ("train" if i % 2 else "test") / picture.parent.name
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, place)
    onward = TrainConfig(mode="probe", from_=str(headed.folder / MODEL), workers=1)
    again = train(str(three), onward, tmp_path / "again")
    for first, name in ((trained, "a"), (headed, "b"), (again, "c")):
        told: list[Event] = []
        config = TrainConfig(mode="probe", from_=str(first.folder / MODEL), workers=1)
        run = train(str(tmp_path / "d"), config, tmp_path / name, told.append)
        count = run.metrics["counts"]["test"]
        warning = f"{count} of the {count} pictures to measure on were among those that"
        warned = any(isinstance(event, Warned) and event.text.startswith(warning) for event in told)
        assert warned == (first is trained)
