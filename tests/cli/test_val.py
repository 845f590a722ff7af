"""`lexnet val`: the score of a bundle on pictures whose labels are known."""

import csv
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics as sk
from tiny import tiny_bundle

import lexnet
from lexnet.config import SplitConfig, TrainConfig
from lexnet.data.samples import sample_folder
from lexnet.data.source import read_data
from lexnet.evaluate.folder import evaluate
from lexnet.evaluate.intervals import wilson
from lexnet.job.run import train
from lexnet.runtime.bundle import parse_bundle
from lexnet.runtime.predictor import Predictor, load_predictor

Call = Callable[..., Any]
CLIPART = sample_folder("clipart")
CONTRACT = {
    "count",
    "accuracy",
    "interval",
    "macro_f1",
    "log_loss",
    "ece",
    "ece_of_chance",
    "answered",
    "wrong_among_answered",
    "per_class",
}


def copy(classes: tuple[str, ...], count: int, root: Path, start: int = 0) -> Path:
    """`count` pieces of clip art of each class below `root`, in files that no training has seen."""
    for name in classes:
        (root / name).mkdir(parents=True)
        for path in sorted((CLIPART / name).iterdir())[start : start + count]:
            with Image.open(path) as image:
                image.save(root / name / path.name, compress_level=1)
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copy(("birds", "flags", "music"), 6, tmp_path / "pictures")


def test_a_picture_whose_name_cannot_be_printed_is_not_left_out_without_a_word(
    call: Call, bundle: str, folder: Path
) -> None:
    next(folder.glob("flags/*")).rename(folder / "flags/a\tb.png")
    said = call("val", bundle, folder)
    assert said.code == 2 and r"flags/a\u0009b.png has a name that is not printable UTF-8" in said.err
    said = call("val", bundle, folder, "--skip-bad")
    assert said.code == 0 and r"skipped flags/a\u0009b.png has a name" in said.err
    assert "; 17 pictures)" in said.out


def test_the_table_and_the_sums_below_it(call: Call, bundle: str, folder: Path) -> None:
    said = call("val", bundle, folder)
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0].split() == ["class", "pictures", "precision", "recall", "F1"]
    assert len(lines) == 2 + 12 + 1 + 3
    assert re.search(r"^confused  \w+ as \w+ \(\d+\)", said.out, re.M)
    assert re.search(r"^birds +6 +[\d.]+ % +[\d.]+ % +[\d.]+$", said.out, re.M)
    assert re.search(r"^tools +0 +\S.* +- ", said.out, re.M)  # a class without pictures has no recall
    assert re.search(r"accuracy +[\d.]+ % +\(95 %: [\d.]+ % to [\d.]+ %; 18 pictures\)", said.out)
    assert re.search(r"macro F1 +[\d.]+ +log loss +[\d.]+ +calibration error +[\d.]+", said.out)


def test_one_picture_under_two_labels_is_refused_and_copies_are_told(
    call: Call, bundle: str, folder: Path
) -> None:
    bird = sorted(folder.glob("birds/*"))[0]
    shutil.copy(bird, bird.with_name("again.png"))
    said = call("val", bundle, folder)
    assert said.code == 0 and "copies    1 are the same file as another of them" in said.out
    assert "; 19 pictures)" in said.out
    shutil.copy(bird, folder / "flags" / "bird.png")
    said = call("val", bundle, folder)
    assert said.code == 2 and "have copies under another label or in another part" in said.err
    assert "flags/bird.png is the same file as birds/" in said.err
    said = call("val", bundle, folder, "--skip-bad")
    assert (
        said.code == 0 and "; 17 pictures)" in said.out and "skipped flags/bird.png is the same" in said.err
    )


def test_fixes_are_applied_first(call: Call, bundle: str, folder: Path, tmp_path: Path) -> None:
    bird, flag = (next(folder.glob(f"{name}/*")).relative_to(folder) for name in ("birds", "flags"))
    fixes = tmp_path / "fixes.csv"
    fixes.write_text(f"path,proposal,value\n{bird},relabel,music\n{flag},drop,\n")
    said = call("val", bundle, folder, "--json", "--fixes", fixes)
    counts = {row["class"]: row["count"] for row in json.loads(said.out)["per_class"]}
    assert (counts["birds"], counts["flags"], counts["music"]) == (5, 5, 7)
    assert json.loads(said.out)["corrected"] == "drop 1, relabel 1"
    assert "corrected drop 1, relabel 1\n" in call("val", bundle, folder, "--fixes", fixes).out
    fixes.write_text("path,proposal\nnone.png,drop\n")
    said = call("val", bundle, folder, "--fixes", fixes)
    assert said.code == 2 and "has rows for pictures that are not in" in said.err


def test_json_keeps_its_contract_and_agrees_with_a_recount(call: Call, bundle: str, folder: Path) -> None:
    said = call("val", bundle, folder, "--json")
    assert said.code == 0
    document = json.loads(said.out)
    assert set(document) >= CONTRACT
    model = lexnet.load(bundle)
    paths = sorted(folder.glob("*/*"))
    labels, predicted = [path.parent.name for path in paths], model.predict(paths)
    hits = int((predicted == np.array(labels)).sum())
    assert document["count"] == 18 and document["accuracy"] == pytest.approx(hits / 18)
    assert document["interval"] == pytest.approx(wilson(hits, 18))
    shares = model.predict_proba(paths)[np.arange(18), np.searchsorted(model.classes_, labels)]
    assert document["log_loss"] == pytest.approx(float(-np.log(shares).mean()), abs=1e-6)
    expected = sk.f1_score(labels, list(predicted), labels=["birds", "flags", "music"], average="macro")
    assert document["macro_f1"] == pytest.approx(expected)
    assert (document["answered"], document["wrong_among_answered"]) == (1.0, pytest.approx(1 - hits / 18))
    assert [row["class"] for row in document["per_class"]] == list(model.classes_)
    assert 0 <= document["ece"] <= 1 and len(document["interval"]) == 2


def test_csv_has_a_row_a_picture_and_the_summary_does_not_come_between(
    call: Call, bundle: str, folder: Path
) -> None:
    said, summary = call("val", bundle, folder, "--csv"), call("val", bundle, folder)
    assert said.code == 0 and summary.out in said.err
    rows, model = list(csv.DictReader(said.out.splitlines())), lexnet.load(bundle)
    paths = [folder / row["path"] for row in rows]
    assert sorted(paths) == sorted(folder.glob("*/*"))
    assert [row["label"] for row in rows] == [path.parent.name for path in paths]
    assert [row["predicted"] for row in rows] == list(model.predict(paths))
    shares = np.array([[float(row[name]) for name in model.classes_] for row in rows])
    np.testing.assert_allclose(shares, model.predict_proba(paths), atol=2e-6)
    middle = float(np.median(shares.max(axis=1)))
    some = csv.DictReader(call("val", bundle, folder, "--csv", "--threshold", middle).out.splitlines())
    assert [bool(row["predicted"]) for row in some] == list(shares.max(axis=1) >= middle - 1e-6)
    assert call("val", bundle, folder, "--csv", "--json").code == 2


def test_a_page_shows_the_mistakes(call: Call, bundle: str, folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    said = call("val", bundle, folder, "--out", page)
    assert said.code == 0 and said.out.endswith(f"page      {page}\n")
    html, found = page.read_text("utf-8"), json.loads(call("val", bundle, folder, "--json").out)
    wrong = round(found["count"] * (1 - found["accuracy"]))
    assert html.count("<figure>") == wrong > 0 and f"{wrong} mistake" in html
    again = call("val", bundle, folder, "--out", page)
    assert again.code == 2 and "exists; choose another --out" in again.err
    (tmp_path / "file").touch()
    lost = call("val", bundle, folder, "--out", tmp_path / "file/page.html")
    assert lost.code == 2 and "accuracy" in lost.out, "what was scored is not lost"
    assert "call it page.html" in call("val", bundle, folder, "--out", tmp_path / "page.txt").err


def test_every_engine_gives_the_same_score(
    call: Call, bundle: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def loading(path: Path, *, engine: str, **settings: Any) -> Predictor:
        asked.append(engine)
        return load_predictor(path, engine=engine, **settings)

    monkeypatch.setattr("lexnet.runtime.predictor.load_predictor", loading)
    flags = [(), ("--engine", "onnxruntime"), ("--engine", "openvino")]
    said = [json.loads(call("val", bundle, folder, "--json", *more).out) for more in flags]
    assert asked == ["auto", "onnxruntime", "openvino"]
    for document in said[1:]:
        assert document["accuracy"] == said[0]["accuracy"]
        assert document["log_loss"] == pytest.approx(said[0]["log_loss"], abs=1e-4)


def test_of_a_divided_folder_the_test_part_counts(call: Call, bundle: str, tmp_path: Path) -> None:
    copy(("birds", "flags"), 4, tmp_path / "train")
    copy(("birds", "flags"), 3, tmp_path / "validation", start=4)
    copy(("birds", "flags"), 2, tmp_path / "test", start=7)
    document = json.loads(call("val", bundle, tmp_path, "--json").out)
    assert (document["count"], document["part"]) == (4, "test")
    assert document == json.loads(call("val", bundle, tmp_path / "test", "--json").out) | {"part": "test"}
    assert "4 pictures of the test part" in call("val", bundle, tmp_path).out
    shutil.rmtree(tmp_path / "test")
    document = json.loads(call("val", bundle, tmp_path, "--json").out)
    assert (document["count"], document["part"]) == (6, "val")


def test_a_class_that_the_bundle_does_not_know_is_named(call: Call, bundle: str, folder: Path) -> None:
    (folder / "music").rename(folder / "spacecraft")
    said = call("val", bundle, folder)
    assert (said.code, said.out) == (2, "")
    assert "class 'spacecraft'" in said.err and "not among the 12 classes" in said.err


def test_a_bad_picture_is_named_or_skipped(call: Call, bundle: str, folder: Path) -> None:
    (folder / "flags" / "notes.png").write_text("no picture")
    whole = sorted((folder / "birds").iterdir())[0].read_bytes()
    (folder / "birds" / "half.png").write_bytes(whole[: len(whole) // 2])
    said = call("val", bundle, folder)
    assert (said.code, said.out) == (2, "")
    assert "2 pictures cannot be used" in said.err and "--skip-bad" in said.err
    assert "flags/notes.png is text" in said.err and "birds/half.png is damaged" in said.err
    said = call("val", bundle, folder, "--skip-bad", "--json")
    document = json.loads(said.out)
    assert (said.code, document["count"], len(document["skipped"])) == (0, 18, 2)


def test_abstentions_are_counted(call: Call, folder: Path, tmp_path: Path) -> None:
    for threshold, answered in ((0.0, 1.0), (1.0, 0.0)):
        path = tmp_path / "tiny.lexnet"
        path.write_bytes(tiny_bundle(classes=["birds", "flags", "music"], threshold=threshold))
        document = json.loads(call("val", path, folder, "--json").out)
        assert document["answered"] == answered
        assert (document["wrong_among_answered"] is None) == (answered == 0)


def test_a_sample_set_by_its_name_scores_as_training_said(call: Call, bundle: str) -> None:
    """The pictures it was trained on are not counted as if it had never seen them."""
    document = json.loads(call("val", bundle, "clipart", "--json").out)
    measured = lexnet.load(bundle).bundle.manifest["measured"]
    assert (document["part"], document["count"], document["trained_on"]) == (None, 124, 621 - 124)
    assert document["accuracy"] == measured["accuracy"] and document["interval"] == measured["interval"]


@pytest.mark.parametrize("data", ["no such folder", "empty", "a file"])
def test_no_pictures_no_score(data: str, call: Call, bundle: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a file").write_text("x")
    said = call("val", bundle, tmp_path / data)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("lexnet: ") and data in said.err


def test_pictures_that_were_trained_on_are_left_out_of_any_folder(
    call: Call, bundle: str, folder: Path
) -> None:
    rows = csv.DictReader(Path(bundle).with_name("split.csv").read_text().splitlines())
    trained = [row["path"] for row in rows if row["split"] == "train"]
    for path in sorted(trained)[:5]:
        shutil.copy(CLIPART / path, folder / "birds" / f"seen-{Path(path).name}")
    said = call("val", bundle, folder)
    assert "18 pictures)" in said.out
    assert said.out.splitlines()[-1] == "left out  5 pictures that the bundle was made with"
    for path in folder.glob("*/*"):
        if not path.name.startswith("seen-"):
            path.unlink()
    said = call("val", bundle, folder)
    assert said.code == 2 and "was made with all pictures of" in said.err


def test_what_is_no_bundle_ends_with_2(call: Call, folder: Path) -> None:
    said = call("val", sorted((folder / "flags").iterdir())[0], folder)
    assert said.code == 2 and "is not a LexNet bundle" in said.err


def test_what_training_grouped_is_grouped_here_too(call: Call, folder: Path, tmp_path: Path) -> None:
    """Four shots of each picture, which are right or wrong together."""
    pattern = r"/(\w+)-shot"
    for path in sorted(folder.glob("*/*")):
        for shot in range(4):
            with Image.open(path) as image:
                image.convert("RGB").save(
                    path.with_name(f"{path.stem}-shot{shot}.png"), compress_level=shot + 1
                )
        path.unlink()
    run = train(str(folder), TrainConfig(size=32, split=SplitConfig(group_by=pattern)), tmp_path / "run")
    said = json.loads(call("val", run.folder / "model.lexnet", folder, "--json").out)
    assert said["count"] == sum(run.metrics["counts"][part] for part in ("test",))
    assert said["interval"] == pytest.approx(run.metrics["interval"])
    alone = wilson(round(said["accuracy"] * said["count"]), said["count"])
    assert said["interval"][1] - said["interval"][0] > 1.2 * (alone[1] - alone[0])
    assert said["ungrouped"] is None
    parsed = parse_bundle((run.folder / "model.lexnet").read_bytes(), "b")
    split = parsed.manifest["split"] | {"group_by": "(a+)+$"}
    intricate = replace(parsed, manifest=parsed.manifest | {"split": split})
    found = evaluate(Predictor(intricate), read_data(str(folder), parsed.classes), skip_bad=False)
    assert found.ungrouped == "(a+)+$" and found.scores.units == said["count"]


def test_corrections_may_empty_a_class_that_the_bundle_does_not_know(
    call: Call, bundle: str, folder: Path, tmp_path: Path
) -> None:
    (folder / "flags").rename(folder / "banners")
    assert "class 'banners'" in call("val", bundle, folder).err
    rows = [f"banners/{file.name},relabel,flags\n" for file in sorted((folder / "banners").iterdir())]
    (tmp_path / "fixes.csv").write_text("path,proposal,value\n" + "".join(rows))
    said = call("val", bundle, folder, "--fixes", tmp_path / "fixes.csv")
    assert said.code == 0 and f"relabel {len(rows)}" in said.out
    (tmp_path / "fixes.csv").write_text("path,proposal,value\n" + "".join(rows[1:]))
    said = call("val", bundle, folder, "--fixes", tmp_path / "fixes.csv")
    assert said.code == 2 and "class 'banners'" in said.err, "one of them is left"
