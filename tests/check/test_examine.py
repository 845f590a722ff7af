"""Every fault that can be found, planted; and a set that has none."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from picture_makers import CLIPART, HEIC, encode, noise, png_header, state_of, stored_as
from PIL import Image, ImageOps

from lexnet.check.examine import BLOCKING, FAULTS, RATIO, Findings, _classes, examine
from lexnet.data.manifest import Manifest
from lexnet.data.source import read_data
from lexnet.job.plan import DEFAULT_NET
from lexnet.transfer.trunk import open_trunk

CLEAN = ("birds", "flags", "desserts")
COUNT = 12


def picture(label: str, number: int) -> Image.Image:
    """A piece of clip art as an RGB picture with no side below 64 px."""
    files = []
    for file in sorted((CLIPART / label).iterdir()):
        with Image.open(file) as image:
            if min(image.size) >= 64:
                files.append(file)
    with Image.open(files[number]) as image:
        return image.convert("RGB")


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("originals")
    for label in CLEAN:
        (root / label).mkdir()
        for number in range(COUNT):
            picture(label, number).save(root / label / f"{number:02}.png")
    return root


@pytest.fixture
def clean(originals: Path, tmp_path: Path) -> Path:
    """Three classes of twelve pictures with nothing wrong; each test spoils its own copy."""
    shutil.copytree(originals, tmp_path / "pictures")
    return tmp_path / "pictures"


@pytest.fixture
def divided(originals: Path, tmp_path: Path) -> Path:
    """The same with eight for training and two each for validation and test."""
    for file in sorted(originals.glob("*/*.png")):
        number = int(file.stem)
        part = "train" if number < 8 else "val" if number < 10 else "test"
        target = tmp_path / "divided" / part / file.parent.name
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    return tmp_path / "divided"


def refuse(text: str) -> None:
    raise AssertionError(text)


def examined(data: Path | Manifest) -> Findings:
    manifest = data if isinstance(data, Manifest) else read_data(str(data))
    trunk = open_trunk(DEFAULT_NET, None, refuse)
    return examine(manifest, trunk, "onnxruntime", 2, warn=refuse, progress=lambda step, done, total: None)


def found(findings: Findings) -> dict[str, int]:
    return {name: count for name, count in findings.counts().items() if count}


def test_what_blocks_is_a_fault() -> None:
    assert set(BLOCKING) < set(FAULTS)


def test_a_clean_set_has_zeros_everywhere(clean: Path) -> None:
    before = state_of(clean)
    counts = examined(clean).counts()
    assert list(counts) == list(FAULTS)
    assert counts == dict.fromkeys(FAULTS, 0)
    assert state_of(clean) == before


def test_a_clean_divided_set_has_zeros_everywhere(divided: Path) -> None:
    assert examined(divided).counts() == dict.fromkeys(FAULTS, 0)


BROKEN: dict[str, bytes] = {
    "text.png": b"the camera was full\n",
    "empty.jpg": b"",
    "heic.jpg": HEIC,
    "bomb.png": png_header(60_000, 60_000),
    "archive.png": b"PK\x03\x04" + bytes(500),
}


def test_unreadable_files_are_named_with_their_reason(clean: Path) -> None:
    for name, content in BROKEN.items():
        (clean / "birds" / name).write_bytes(content)
    (clean / "birds" / "notes.txt").write_text("not meant as a picture")
    (clean / "birds" / ".hidden.png").write_text("nor this")
    findings = examined(clean)
    assert found(findings) == {"unreadable": len(BROKEN), "left_out": 2}
    assert {skip.path for skip in findings.unreadable} == {f"birds/{name}" for name in BROKEN}
    assert all(skip.reason for skip in findings.unreadable)
    assert "birds/notes.txt" in {skip.path for skip in findings.manifest.skipped}


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_half_a_file_is_found_by_decoding_it(kind: str, clean: Path) -> None:
    """Its header is whole, so reading the folder does not notice."""
    content = encode(picture("birds", 20), kind)
    (clean / "birds" / "half.jpg").write_bytes(content[: len(content) // 2])
    manifest = read_data(str(clean))
    assert "birds/half.jpg" in list(manifest.paths)
    findings = examined(manifest)
    assert [(skip.path, skip.bad) for skip in findings.unreadable] == [("birds/half.jpg", True)]
    assert "damaged" in findings.unreadable[0].reason
    assert len(findings.manifest) == len(findings.oddities) == len(manifest) - 1


def test_copies_of_a_damaged_file_are_all_named(clean: Path) -> None:
    content = encode(picture("birds", 20), "JPEG")
    for label in CLEAN:
        (clean / label / "half.jpg").write_bytes(content[: len(content) // 2])
    assert found(examined(clean)) == {"unreadable": 3}


def test_where_every_picture_is_broken_they_are_all_named(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "x.png").write_text("text")
    findings = examined(tmp_path)
    assert findings.counts()["unreadable"] == 2 and findings.counts()["classes"] == 2


def test_one_class_alone(clean: Path) -> None:
    for label in CLEAN[1:]:
        shutil.rmtree(clean / label)
    findings = examined(clean)
    assert findings.classes == [("birds", "is the only class; two are needed")]
    assert findings.doubts == []


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_class_with_hardly_any_picture(count: int, clean: Path) -> None:
    for file in sorted((clean / "desserts").iterdir())[count:]:
        file.unlink()
    said = f"has {count or 'no'} different picture{'s' * (count != 1)}"
    assert examined(clean).classes == [("desserts", said)]


def test_copies_of_a_file_and_pictures_of_a_group_count_once(clean: Path) -> None:
    """As when `train` divides them."""
    files = sorted((clean / "desserts").iterdir())
    for file in files[1:]:
        shutil.copy(files[0], file)
    assert examined(clean).classes == [("desserts", "has 1 different picture")]
    groups = ("series" if path.startswith("flags") else "" for path in read_data(str(clean)).paths)
    found = [("desserts", "has 1 different picture"), ("flags", "has 1 different picture")]
    said = [(name, f"{what} (a group counts as one)") for name, what in found]
    assert _classes(read_data(str(clean)).with_groups(groups)) == said


def test_what_is_not_looked_at_is_told(clean: Path) -> None:
    shutil.move(clean / "flags/00.png", clean / "cover.png")
    (clean / "flags/01.tga").write_bytes(b"")
    findings = examined(clean)
    assert findings.counts()["left_out"] == 2 and "left_out" not in BLOCKING
    assert [(skip.path, skip.reason) for skip in findings.left_out()] == [
        ("cover.png", "lies outside the class folders"),
        ("flags/01.tga", "is no picture by its name (.tga)"),
    ]


@pytest.mark.parametrize(("part", "left"), [("train", 1), ("val", 0), ("test", 0)])
def test_a_class_that_a_part_lacks(part: str, left: int, divided: Path) -> None:
    for file in sorted((divided / part / "flags").iterdir())[left:]:
        file.unlink()
    said = f"has {left or 'no'} different picture{'s' * (left != 1)} in the {part} part"
    findings = examined(divided)
    assert findings.classes == [("flags", said)] and findings.counts()["classes"] == 1


def test_one_file_twice_is_a_copy_and_no_near_copy(clean: Path) -> None:
    shutil.copy(clean / "flags/00.png", clean / "flags/again.png")
    findings = examined(clean)
    assert found(findings) == {"exact_duplicates": 1}
    paths = findings.manifest.paths
    assert {paths[row] for row in findings.exact[0]} == {"flags/00.png", "flags/again.png"}


def test_one_file_under_two_labels_is_a_conflict(clean: Path) -> None:
    shutil.copy(clean / "flags/00.png", clean / "desserts/again.png")
    counts = found(examined(clean))
    assert counts["label_conflicts"] == counts["exact_duplicates"] == 1
    assert "leaks" not in counts and "near_duplicates" not in counts


def test_one_file_in_two_parts_is_a_leak(divided: Path) -> None:
    shutil.copy(divided / "train/flags/00.png", divided / "test/flags/again.png")
    assert found(examined(divided)) == {"exact_duplicates": 1, "leaks": 1}


def mirror(source: Path, target: Path) -> None:
    with Image.open(source) as image:
        ImageOps.mirror(image).save(target)


@pytest.mark.parametrize("number", [3, 8])
def test_near_copies_beside_each_other_across_labels_and_across_parts(
    clean: Path, divided: Path, number: int
) -> None:
    mirror(clean / f"flags/{number:02}.png", clean / "flags/near.png")
    assert found(examined(clean)) == {"near_duplicates": 1}
    (clean / "flags/near.png").rename(clean / "desserts/near.png")
    assert found(examined(clean)).items() >= {"near_duplicates": 1, "near_conflicts": 1}.items()
    source = "train" if number < 8 else "val"
    mirror(divided / f"{source}/flags/{number:02}.png", divided / "test/flags/near.png")
    assert found(examined(divided)) == {"near_duplicates": 1, "near_leaks": 1}


def test_very_small_pictures_are_not_compared(clean: Path) -> None:
    small = picture("flags", 20).resize((31, 40))
    small.save(clean / "flags/small.png")
    ImageOps.mirror(small).save(clean / "flags/turned.png")
    counts = found(examined(clean))
    assert counts["oddities"] == 2 and "near_duplicates" not in counts


def test_a_pair_is_found_where_there_is_nothing_else(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
    picture("birds", 0).save(tmp_path / "a/1.png")
    mirror(tmp_path / "a/1.png", tmp_path / "b/2.png")
    assert examined(tmp_path).counts()["near_duplicates"] == 1


def test_a_group_with_pictures_in_two_parts(divided: Path) -> None:
    manifest = read_data(str(divided))
    inside = {"train/birds/00.png", "train/birds/01.png"}
    groups = ["one part" if path in inside else "" for path in manifest.paths]
    assert found(examined(manifest.with_groups(groups))) == {}
    inside = {"train/birds/00.png", "test/birds/10.png"}
    groups = ["two parts" if path in inside else "" for path in manifest.paths]
    findings = examined(manifest.with_groups(groups))
    assert findings.groups == {"two parts": ["test", "train"]}
    assert found(findings) == {"groups": 1}


def test_a_group_column_of_a_table_is_heeded(divided: Path) -> None:
    rows = ["path,label,split,group"]
    for file in sorted(divided.glob("*/*/*.png")):
        part, label, name = file.relative_to(divided).parts
        rows.append(
            f"{part}/{label}/{name},{label},{part},{'shoot 7' if name in ('07.png', '08.png') else ''}"
        )
    (divided / "list.csv").write_text("\n".join(rows))
    findings = examined(divided / "list.csv")
    assert findings.groups == {"shoot 7": ["train", "val"]}


def test_a_label_that_other_pictures_speak_against(clean: Path) -> None:
    """In a set of 108, all classes of one size."""
    for label in CLEAN:
        for number in range(COUNT, 36):
            picture(label, number).save(clean / label / f"{number}.png")
    (clean / "flags/20.png").rename(clean / "desserts/flag.png")
    findings = examined(clean)
    assert findings.counts()["suspect_labels"] >= 1
    assert "desserts/flag.png" in {findings.manifest.paths[doubt.row] for doubt in findings.doubts}


def test_a_picture_far_from_all_others(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty crops of one picture, and noise."""
    for label in CLEAN:
        shutil.rmtree(clean / label)
        (clean / label).mkdir()
    whole = picture("birds", 0).resize((160, 160))
    for number in range(21):
        box = (number, number, number + 120, number + 120)
        whole.crop(box).save(clean / CLEAN[number % 3] / f"{number}.png")
    noise(0, 120, 120).save(clean / "birds/noise.png")
    findings = examined(clean)
    assert [findings.manifest.paths[row] for row, _ in findings.outliers] == ["birds/noise.png"]
    assert findings.counts()["outliers"] == 1


def sized(*counts: int) -> dict[str, Any]:
    """The balance of classes of that many pictures, and whether it is called a fault."""
    labels = np.repeat(np.arange(len(counts)), counts)
    manifest = Manifest(
        name="data",
        source=None,  # type: ignore[arg-type]
        classes=[f"class{i}" for i in range(len(counts))],
        paths=[str(row) for row in range(len(labels))],  # type: ignore[arg-type]
        labels=labels,
        parts=[""] * len(labels),  # type: ignore[arg-type]
        digests=[f"{row:064x}" for row in range(len(labels))],  # type: ignore[arg-type]
    )
    findings = Findings(
        manifest=manifest, oddities=[], unreadable=[], exact=[], near=[], doubts=[], outliers=[], classes=[]
    )
    return findings.balance() | {"fault": findings.counts()["balance"]}


def test_balance_is_the_largest_class_to_the_smallest() -> None:
    assert sized(60, 40) == {"classes": {"class0": 60, "class1": 40}, "ratio": 1.5, "fault": 0}
    assert sized(10 * RATIO, 10)["fault"] == 0


def test_over_ten_times_the_pictures_of_another_is_a_fault() -> None:
    assert sized(10 * RATIO + 1, 10)["fault"] == 1
    assert sized(11, 0)["fault"] == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("turned.jpg", lambda image: stored_as(image, 6, "JPEG")),
        ("print.jpg", lambda image: encode(image.convert("CMYK"), "JPEG")),
        ("called.jpg", lambda image: encode(image)),
        ("small.png", lambda image: encode(image.resize((20, 20)))),
    ],
)
def test_oddities(name: str, content: Callable[[Image.Image], bytes], clean: Path) -> None:
    (clean / "flags" / name).write_bytes(content(picture("flags", 25)))
    findings = examined(clean)
    assert found(findings) == {"oddities": 1}
    rows = [row for row, odd in enumerate(findings.oddities) if odd]
    assert [findings.manifest.paths[row] for row in rows] == [f"flags/{name}"]


def test_what_was_looked_at_once_comes_from_the_cache(clean: Path) -> None:
    (clean / "birds" / "new.png").write_bytes(encode(noise(77, 64, 64)))
    manifest, steps = read_data(str(clean)), []
    trunk = open_trunk(DEFAULT_NET, None, refuse)
    for _ in range(2):
        told: set[str] = set()
        examine(
            manifest,
            trunk,
            "onnxruntime",
            2,
            warn=refuse,
            progress=lambda step, *_, told=told: told.add(step),
        )
        steps.append(told)
    assert steps == [{"frozen net", "headers", "decode"}, {"headers"}]


def test_a_train_part_alone_is_not_divided(divided: Path) -> None:
    """As train sees it, which sets something aside: two of a class are too few."""
    for part in ("val", "test"):
        shutil.rmtree(divided / part)
    for file in sorted((divided / "train/flags").iterdir())[2:]:
        file.unlink()
    assert examined(divided).classes == [("flags", "has 2 different pictures")]


def test_pictures_that_are_all_one_are_no_doubt_of_labels(tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / "one" / label).mkdir(parents=True)
        for number in range(2):
            noise(0).save(tmp_path / "one" / label / f"{number}.png")
    findings = examined(tmp_path / "one")
    assert findings.doubts == [] and findings.counts()["label_conflicts"] == 1
