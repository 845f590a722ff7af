"""`lexnet.job.check`: from pictures to findings to corrections, and around again."""

import csv
import importlib.util
import json
import shutil
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest
from picture_makers import CLIPART, state_of
from PIL import Image, ImageOps

from lexnet.check.examine import FAULTS
from lexnet.config import PreprocessSpec, TrainConfig
from lexnet.data.fixes import Fix, fixes_csv, read_fixes
from lexnet.data.loader import load_row
from lexnet.data.manifest import Manifest
from lexnet.job import check as module
from lexnet.job.check import Checked, check
from lexnet.job.events import Event, Progress, Warned
from lexnet.job.run import train
from lexnet.preprocess import Pixels
from lexnet.transfer import extract

CLASSES = ("flags", "fruit", "music")


def faulty_folder(root: Path) -> Path:
    """Divided, with every fault that a correction can mend."""
    for label in CLASSES:
        for number, file in enumerate(sorted((CLIPART / label).iterdir())[:24]):
            part = "train" if number < 14 else "val" if number < 19 else "test"
            target = root / part / label / f"{number:02}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            with Image.open(file) as image:
                image.convert("RGB").resize((96, 96)).save(target)
    shutil.copy(root / "train/flags/00.png", root / "train/flags/copy.png")
    shutil.copy(root / "train/flags/01.png", root / "test/flags/leak.png")
    shutil.copy(root / "train/flags/02.png", root / "train/fruit/conflict.png")
    for number, target in (
        (3, "train/flags/near.png"),
        (4, "val/flags/near.png"),
        (5, "test/music/near.png"),
    ):
        with Image.open(root / f"train/flags/{number:02}.png") as image:
            ImageOps.mirror(image).save(root / target)
    whole = (root / "train/fruit/03.png").read_bytes()
    (root / "val/fruit/half.png").write_bytes(whole[: len(whole) // 2])
    (root / "train/music/text.png").write_text("text")
    return root


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return faulty_folder(tmp_path_factory.mktemp("faulty") / "pictures")


@pytest.fixture(scope="module")
def first(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Checked:
    return check(str(data), tmp_path_factory.mktemp("first") / "out")


def test_what_was_planted_is_found(first: Checked) -> None:
    expected = {"unreadable": 2, "classes": 0, "label_conflicts": 1, "leaks": 1, "groups": 0}
    expected |= {"exact_duplicates": 3, "near_duplicates": 3, "near_conflicts": 1, "near_leaks": 2}
    assert {name: first.counts[name] for name in expected} == expected
    assert first.blocking == ["unreadable", "label_conflicts", "leaks"]
    near = [set(row["paths"]) for row in first.document["near_duplicates"]]
    assert {"train/flags/03.png", "train/flags/near.png"} in near


def test_the_document_and_the_counts_agree(first: Checked) -> None:
    for name in FAULTS:
        if name != "balance":
            assert len(first.document[name]) == first.counts[name], name
    json.dumps(first.document, allow_nan=False)


def test_proposals_applied_as_they_are_leave_nothing_that_blocks(
    data: Path, first: Checked, tmp_path: Path
) -> None:
    before = state_of(data)
    fixes = first.folder / "fixes.csv"
    again = check(str(data), tmp_path / "again", fixes=fixes)
    assert again.blocking == []
    assert again.document["pictures"] < first.document["pictures"]
    assert state_of(data) == before
    run = train(str(data), TrainConfig(fixes=str(fixes)), tmp_path / "run")
    assert sum(run.metrics["counts"][part] for part in ("train", "val", "test")) == again.document["pictures"]


def test_every_fault_with_a_picture_has_its_row(first: Checked) -> None:
    with (first.folder / "fixes.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    faults = Counter(row["fault"] for row in rows)
    assert faults["unreadable"] == 2 and faults["exact_duplicates"] == 1 and faults["near_duplicates"] == 2
    assert (faults["leaks"], faults["near_leaks"]) == (1, 1)
    assert faults["label_conflicts"] >= 1 and faults["near_conflicts"] >= 1
    proposals = {row["path"]: row["proposal"] for row in rows if row["fault"] == "unreadable"}
    assert proposals == {"train/music/text.png": "drop", "val/fruit/half.png": "drop"}


def test_near_copies_that_somebody_keeps_are_told_no_more(data: Path, first: Checked, tmp_path: Path) -> None:
    """Copies of one file still are, and block: they would spoil the measure."""
    near = [path for pair in first.document["near_duplicates"] for path in pair["paths"]]
    kept = [Fix(path, fault, "keep") for path in near for fault in ("near_leaks", "near_conflicts")]
    (tmp_path / "fixes.csv").write_text(fixes_csv(kept), encoding="utf-8")
    again = check(str(data), tmp_path / "out", fixes=tmp_path / "fixes.csv")
    assert again.document["near_duplicates"] == first.document["near_duplicates"]
    for fault in ("leaks", "label_conflicts"):
        assert again.document[fault] == first.document[fault] and len(first.document[fault]) == 1
    for fault in ("near_leaks", "near_conflicts"):
        assert again.document[fault] == [] != first.document[fault]
    proposed = {(fix.path, fix.fault): fix.proposal for fix in read_fixes(again.folder / "fixes.csv")}
    before = {(fix.path, fix.fault): fix.proposal for fix in read_fixes(first.folder / "fixes.csv")}
    for path, fault in before.keys() & {(fix.path, fix.fault) for fix in kept}:
        assert (before[path, fault], proposed[path, fault]) == ("drop", "keep"), "and is not proposed again"


def test_the_page_shows_each_finding(first: Checked) -> None:
    html = (first.folder / "check.html").read_text(encoding="utf-8")
    for name, count in first.counts.items():
        assert (f'<section id="{name}">' in html) == bool(count), name
    for name in ("copy.png", "leak.png", "conflict.png", "near.png", "half.png", "text.png"):
        assert f"<bdi>{name}</bdi>" in html


def test_the_first_60_of_many_are_shown(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.SHOWN == 60
    root = tmp_path / "small"
    for label in CLASSES:
        (root / label).mkdir(parents=True)
        for number, file in enumerate(sorted((CLIPART / label).iterdir())[:25]):
            with Image.open(file) as image:
                image.convert("RGB").resize((24, 24)).save(root / label / f"{number}.png")
    done = check(str(root), tmp_path / "out")
    assert done.counts["oddities"] == len(done.document["oddities"]) == 75
    html = (done.folder / "check.html").read_text(encoding="utf-8")
    section = html[html.index('<section id="oddities">') :]
    assert section[: section.index("</section>")].count("<li>") == 60 and "The first 60 of 75." in section


def test_a_second_look_computes_nothing(
    data: Path, first: Checked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for what could not be decoded, which is tried again."""
    missing: list[str] = []

    def spy(manifest: Manifest, row: int, spec: PreprocessSpec) -> Pixels:
        missing.append(manifest.paths[row])
        return load_row(manifest, row, spec)

    monkeypatch.setattr(extract, "load_row", spy)
    events: list[Event] = []
    again = check(str(data), tmp_path / "again", tell=events.append)
    assert missing == ["val/fruit/half.png"] and again.counts == first.counts
    steps = {event.step for event in events if isinstance(event, Progress)}
    assert "decode" not in steps and not any(isinstance(event, Warned) for event in events)


# ---- benchmarks/planted.py: the truth by which `check` is measured


@pytest.fixture(scope="module")
def planted() -> ModuleType:
    file = Path(__file__).parents[2] / "benchmarks/planted.py"
    spec = importlib.util.spec_from_file_location("planted", file)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture(scope="module")
def photos(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fifth of the clothing photos, and more where a class of a part has fewer than 12."""
    root = tmp_path_factory.mktemp("photos") / "clothing"
    for folder in sorted((test_data / "clothing").glob("*/*/")):
        files = sorted(folder.iterdir())
        target = root / folder.relative_to(test_data / "clothing")
        target.mkdir(parents=True)
        for file in files[: max(12, len(files) // 5)]:
            shutil.copy(file, target)
    return root


def contents(root: Path) -> dict[str, bytes]:
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in root.rglob("*.jpg")}


@pytest.mark.pictures
def test_planted_faults_are_as_promised(planted: ModuleType, photos: Path, tmp_path: Path) -> None:
    before = state_of(photos)
    truth = planted.plant(photos, tmp_path / "a")
    assert state_of(photos) == before
    old, new = contents(photos), contents(tmp_path / "a")

    assert Counter(truth["broken"].values()) == dict.fromkeys(planted.BROKEN, 5)
    for path in truth["broken"]:
        assert new[path] != old[path]

    exact = truth["exact"]
    parts, labels = Counter(), Counter()
    for path, copy in exact:
        assert new[path] == new[copy] == old[path] and copy not in old
        parts[path.split("/")[0] == copy.split("/")[0]] += 1
        labels[path.split("/")[1] == copy.split("/")[1]] += 1
    assert (parts[False], labels[False], len(exact)) == (20, 10, 60)

    assert Counter(kind for *_, kind in truth["near"]) == {kind.__name__: 40 for kind in planted.NEAR}
    for path, copy, _ in truth["near"]:
        assert copy not in old and new[copy] != new[path] == old[path]
        assert path.split("/")[1] == copy.split("/")[1]

    trained = sum(path.startswith("train/") for path in old)
    assert len(truth["flipped"]) == round(0.05 * trained)
    for path, label in truth["flipped"].items():
        part, wrong, name = path.split("/")
        assert part == "train" and wrong != label
        assert new[path] == old[f"train/{label}/{name}"] and f"train/{label}/{name}" not in new

    touched = [*truth["broken"], *truth["flipped"]]
    touched += [path for path, _ in exact] + [path for path, *_ in truth["near"]]
    assert len(touched) == len(set(touched)), "a picture has two faults"
    assert len(new) == len(old) + 260
    rest = (
        set(old)
        - set(touched)
        - {f"train/{label}/{path.split('/')[2]}" for path, label in truth["flipped"].items()}
    )
    assert all(new[path] == old[path] for path in rest)


@pytest.mark.pictures
def test_a_seed_plants_the_same_again(
    planted: ModuleType, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = planted._bomb()
    monkeypatch.setattr(planted, "_bomb", lambda: bomb)
    truths = [planted.plant(photos, tmp_path / str(n), seed=seed) for n, seed in enumerate((7, 7, 8))]
    assert truths[0] == truths[1] != truths[2]
    assert contents(tmp_path / "0") == contents(tmp_path / "1")
    assert len(bomb) < 100_000
