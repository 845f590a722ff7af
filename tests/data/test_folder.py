"""A folder becomes a manifest: every file is either a labelled picture or listed with its reason."""

import errno
import hashlib
import os
import unicodedata
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from picture_makers import HEIC, class_folder, noise, png_header, state_of

from lexnet.config import SplitConfig
from lexnet.data.folder import read_folder
from lexnet.data.manifest import Manifest
from lexnet.data.source import find_data
from lexnet.data.splits import check_classes
from lexnet.data.tree import PART_NAMES
from lexnet.errors import DataError
from lexnet.files import HIDDEN


def of_class(manifest: Manifest, name: str) -> set[str]:
    label = manifest.classes.index(name)
    return {manifest.paths[i] for i in np.flatnonzero(manifest.labels == label)}


def skips(manifest: Manifest) -> dict[str, tuple[str, bool]]:
    return {skip.path: (skip.reason, skip.bad) for skip in manifest.skipped}


# --- class folders


def test_folders_are_classes_and_files_below_them_their_pictures(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "data", cat=2, dog=3)
    before = state_of(root)
    manifest = read_folder(root)
    assert manifest.classes == ["cat", "dog"]
    assert manifest.labels.tolist() == [0, 0, 1, 1, 1]
    assert manifest.paths == ["cat/0.png", "cat/1.png", "dog/0.png", "dog/1.png", "dog/2.png"]
    assert set(manifest.parts) == {""} and manifest.skipped == []
    assert manifest.source.where(manifest.paths[4]) == str(root / "dog/2.png")
    assert state_of(root) == before, "reading changes nothing"


def test_the_same_folder_is_read_the_same_whatever_order_the_system_lists_it_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = class_folder(tmp_path / "data", cat=3, dog=3, emu=3)
    expected = read_folder(root)
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: reversed(list(scandir(path))))
    seen = read_folder(root)
    assert (seen.classes, seen.paths, seen.digests) == (expected.classes, expected.paths, expected.digests)
    assert seen.labels.tolist() == expected.labels.tolist()


def test_class_10_comes_after_class_2(tmp_path: Path) -> None:
    manifest = read_folder(class_folder(tmp_path / "data", **dict.fromkeys(("10", "1", "2"), 1)))
    assert manifest.classes == ["1", "2", "10"]
    assert manifest.labels.tolist() == [0, 1, 2]


def test_nested_folders_belong_to_the_class_at_the_top(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "data", cat=1, dog=1)
    (root / "cat/siamese/kittens").mkdir(parents=True)
    noise(7).save(root / "cat/siamese/kittens/a.png")
    assert of_class(read_folder(root), "cat") == {"cat/0.png", "cat/siamese/kittens/a.png"}


def test_stray_and_hidden_files_are_listed_and_are_no_class(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "data", cat=1, dog=1)
    (root / "cat/notes.txt").write_text("meow")
    (root / "cat/LICENSE").write_text("free")
    noise(1).save(root / "stray.png")
    for name in (".git", ".ipynb_checkpoints", "__MACOSX"):
        (root / name).mkdir()
        noise(2).save(root / name / "a.png")
    noise(3).save(root / "dog/._0.png")
    manifest = read_folder(root)
    assert manifest.classes == ["cat", "dog"]
    assert len(manifest) == 2
    assert skips(manifest) == {
        "cat/notes.txt": ("is no picture by its name (.txt)", False),
        "cat/LICENSE": ("is no picture by its name (no suffix)", False),
        "stray.png": ("lies outside the class folders", False),
        "dog/._0.png": (HIDDEN, False),
        **dict.fromkeys((".git", ".ipynb_checkpoints", "__MACOSX"), (HIDDEN, False)),
    }


def test_suffixes_in_any_case_are_pictures(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "data", cat=1, dog=1)
    os.rename(root / "cat/0.png", root / "cat/0.PNG")
    assert of_class(read_folder(root), "cat") == {"cat/0.PNG"}


def test_a_class_spelt_in_two_unicode_forms_is_one_class(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    assert composed != decomposed
    root = class_folder(tmp_path / "data", **{composed: 1, decomposed: 1, "tea": 1})
    manifest = read_folder(root)
    assert manifest.classes == [composed, "tea"]
    assert of_class(manifest, composed) == {f"{composed}/0.png", f"{decomposed}/0.png"}
    assert all((root / path).is_file() for path in manifest.paths), "paths keep the spelling of the disk"


def test_a_class_folder_whose_name_is_not_utf_8_is_listed_and_is_no_class(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "data", cat=1, dog=1)
    (root / os.fsdecode(b"caf\xe9")).mkdir()
    noise(9).save(root / os.fsdecode(b"caf\xe9") / "0.png")
    (root / os.fsdecode(b"caf\xe9") / "notes.txt").touch()
    noise(9).save(root / "cat" / os.fsdecode(b"caf\xe9.png"))
    manifest = read_folder(root)
    assert manifest.classes == ["cat", "dog"]
    reason = "has a name that is not printable UTF-8"
    assert skips(manifest) == {
        "caf\\xe9/0.png": (reason, True),
        "caf\\xe9/notes.txt": (reason, False),
        "cat/caf\\xe9.png": (reason, True),
    }
    assert all(skip.path.encode() for skip in manifest.skipped), "so that it can be written and shown"


def test_links_that_lead_nowhere_or_round_are_listed(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "data", cat=1, dog=1)
    (root / "cat/up").symlink_to("..")
    (root / "dog/ring").symlink_to("ring")
    (root / "ring").symlink_to("ring")
    (root / "dog/gone.png").symlink_to("nowhere.png")
    os.mkfifo(root / "dog/pipe.png")
    manifest = read_folder(root)
    assert manifest.classes == ["cat", "dog"] and len(manifest) == 2
    assert skips(manifest) == {
        "cat/up": ("is a link to a folder that is seen elsewhere", False),
        "dog/ring": ("is a link to nothing", False),
        "ring": ("is a link to nothing", False),
        "dog/gone.png": ("is a link to nothing", True),
        "dog/pipe.png": ("is not a regular file", True),
    }, "what is called a picture is lost"


def test_where_all_pictures_are_lost_it_is_said_why(tmp_path: Path) -> None:
    (tmp_path / "data/cat").mkdir(parents=True)
    (tmp_path / "data/cat/gone.png").symlink_to("nowhere.png")
    with pytest.raises(DataError, match=r"path and label\n  cat/gone\.png is a link to nothing$"):
        read_folder(tmp_path / "data")


def test_what_the_header_betrays_is_bad_and_told_why(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "data", cat=1, dog=1)
    for name, content in {
        "empty.jpg": b"", "text.jpg": b"not found", "phone.heic": HEIC,
        "bomb.png": png_header(60_000, 60_000), "line.png": png_header(1, 65_535),
    }.items():  # fmt: skip
        (root / "cat" / name).write_bytes(content)
    manifest = read_folder(root)
    assert len(manifest) == 2
    assert skips(manifest) == {
        "cat/empty.jpg": ("is empty (0 bytes)", True),
        "cat/text.jpg": ("is text, not a picture", True),
        "cat/phone.heic": ("is HEIC, which Pillow cannot decode here; convert it to JPEG", True),
        "cat/bomb.png": ("has over 64,000,000 pixels; make it smaller", True),
        "cat/line.png": ("is 1x65535, longer than 100 times its width; crop it", True),
    }


def test_an_unreadable_picture_is_bad_and_told_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = class_folder(tmp_path / "data", cat=2, dog=1)

    def deny(path: str, *how: Any, **options: Any) -> IO[Any]:
        if os.path.basename(path) == "1.png":
            raise PermissionError(errno.EACCES, "Permission denied")
        return open(path, *how, **options)

    monkeypatch.setattr("lexnet.preprocess.open", deny, raising=False)
    assert skips(read_folder(root)) == {"cat/1.png": ("cannot be read (Permission denied)", True)}


def test_a_folder_that_cannot_be_read_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = class_folder(tmp_path / "data", cat=1, dog=1)
    class_folder(root / "cat", inside=2)
    scandir = os.scandir

    def deny(path: Path) -> Any:
        if Path(path).name == "inside":
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", deny)
    assert skips(read_folder(root)) == {"cat/inside": ("cannot be read (Permission denied)", True)}


def test_the_digest_is_of_the_files_bytes(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "data", cat=1, dog=1)
    (root / "dog/copy.png").write_bytes((root / "cat/0.png").read_bytes())
    first, other, copy = read_folder(root).digests
    assert first == copy != other and len(first) == 64


# --- train, val and test folders

SPELLINGS = [
    ("train", "val", "test"),
    ("train", "valid", "test"),
    ("train", "validation", "test"),
    ("Train", "Valid", "TEST"),
    ("TRAIN", "Validation", "Test"),
    ("Training", "valid", "Testing"),
]


@pytest.mark.parametrize("names", SPELLINGS, ids="-".join)
def test_a_divided_folder_says_which_part_each_picture_is_in(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name, count in zip(names, (3, 2, 1), strict=True):
        class_folder(tmp_path / name, cat=count, dog=count)
    assert set(read_folder(tmp_path).parts) != {""}
    manifest = read_folder(tmp_path)
    assert manifest.classes == ["cat", "dog"]
    assert {part: manifest.counts(part).tolist() for part in ("train", "val", "test")} == {
        "train": [3, 3], "val": [2, 2], "test": [1, 1],
    }  # fmt: skip
    assert set(manifest.parts) <= set(PART_NAMES.values())


def test_hidden_folders_do_not_make_a_divided_folder_undivided(tmp_path: Path) -> None:
    for name in ("train", "test"):
        class_folder(tmp_path / name, cat=2, dog=2)
    (tmp_path / ".cache").mkdir()
    (tmp_path / "labels.csv").touch()
    manifest = read_folder(tmp_path)
    assert manifest.classes == ["cat", "dog"]
    assert skips(manifest)["labels.csv"] == ("lies outside the class folders", False)


def test_a_class_called_train_among_other_classes_stays_a_class(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "vehicles", bus=1, train=1, tram=1)
    assert set(read_folder(root).parts) == {""}
    manifest = read_folder(root)
    assert manifest.classes == ["bus", "train", "tram"]
    assert set(manifest.parts) == {""}


@pytest.mark.parametrize("other", ["eval", "test1"])
def test_one_part_beside_what_is_none_is_not_taken_for_a_class(tmp_path: Path, other: str) -> None:
    class_folder(tmp_path / "train", cat=2, dog=2)
    if other == "eval":  # with the same classes inside
        class_folder(tmp_path / other, cat=1, dog=1)
    else:  # with pictures, as for a competition
        class_folder(tmp_path, test1=3)
    with pytest.raises(DataError, match=rf"has folders for train and others beside them:\n  {other}\ncall"):
        read_folder(tmp_path)


def test_a_class_called_train_may_have_folders_of_its_own(tmp_path: Path) -> None:
    class_folder(tmp_path / "train", steam=1, diesel=1)
    class_folder(tmp_path / "bus", red=1, blue=1)
    assert read_folder(tmp_path).classes == ["bus", "train"]


# --- folders around everything, and tables


def test_one_folder_around_everything_is_looked_into(tmp_path: Path) -> None:
    inner = class_folder(tmp_path / "download" / "photos", cat=2, dog=1)
    (tmp_path / "download" / "README.txt").touch()
    manifest = read_folder(tmp_path)
    assert manifest.classes == ["cat", "dog"] and list(manifest.paths) == list(read_folder(inner).paths)


def test_a_folder_with_pictures_beside_or_in_it_is_a_class(tmp_path: Path) -> None:
    class_folder(tmp_path / "a", cat=1)
    class_folder(tmp_path / "a" / "cat", old=2)
    assert read_folder(tmp_path / "a").classes == ["cat"]
    class_folder(tmp_path / "b" / "cat", old=2, new=2)
    assert read_folder(tmp_path / "b", ["cat", "dog"]).classes == ["cat", "dog"]
    class_folder(tmp_path / "c" / "train", cat=2, dog=2)
    assert set(read_folder(tmp_path / "c").parts) == {"train"}


def test_a_table_beside_a_folder_of_pictures_says_what_they_are(tmp_path: Path) -> None:
    pictures = sorted(class_folder(tmp_path / "data", images=4).glob("*/*"))
    rows = "".join(f"images/{file.name},{'ab'[i % 2]}\n" for i, file in enumerate(pictures))
    (tmp_path / "data/labels.csv").write_text(f"filename,class\n{rows}")
    for root in (tmp_path / "data", tmp_path):
        manifest = read_folder(root)
        assert manifest.classes == ["a", "b"] and manifest.labels.tolist() == [0, 1, 0, 1]


def test_class_folders_count_more_than_a_table_beside_them(tmp_path: Path) -> None:
    class_folder(tmp_path, cat=2, dog=2)
    (tmp_path / "list.csv").write_text("path,label\ncat/0.png,x\ndog/0.png,y\n")
    assert read_folder(tmp_path).classes == ["cat", "dog"]


def test_a_class_missing_in_a_part_does_not_shift_the_others(tmp_path: Path) -> None:
    class_folder(tmp_path / "train", ant=2, bee=2, cow=2)
    class_folder(tmp_path / "val", bee=1, cow=1)
    class_folder(tmp_path / "test", cow=1)
    manifest = read_folder(tmp_path)
    assert manifest.classes == ["ant", "bee", "cow"]
    assert manifest.counts("val").tolist() == [0, 1, 1]
    assert manifest.counts("test").tolist() == [0, 0, 1]


def test_a_class_that_is_not_trained_on_is_named(tmp_path: Path) -> None:
    class_folder(tmp_path / "train", ant=2, bee=2)
    class_folder(tmp_path / "test", bee=1, cow=1, dog=1)
    with pytest.raises(DataError) as caught:
        read_folder(tmp_path)
    assert str(caught.value) == (
        f"class 'cow' in {tmp_path / 'test/cow'} is not among the 2 classes that are known (nor dog): "
        "ant, bee; rename it or leave it out; to learn it, add it to the train part"
    )


def test_given_classes_keep_their_order_and_others_are_named(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "data", ant=1, bee=1)
    assert read_folder(root, ["cow", "bee", "ant"]).labels.tolist() == [2, 1]
    with pytest.raises(DataError, match=r"class 'bee' in .*bee is not among the 1 classes"):
        read_folder(root, ["ant"])


def test_parts_without_a_train_folder_are_an_error_that_says_so(tmp_path: Path) -> None:
    class_folder(tmp_path / "val", cat=2, dog=2)
    class_folder(tmp_path / "Test", cat=2, dog=2)
    with pytest.raises(DataError, match="holds Test, val but no train folder; add one"):
        read_folder(tmp_path)


# --- what cannot be trained on


def test_what_is_no_folder_is_told_what_to_give(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "none"):
        with pytest.raises(DataError, match="is not a folder; give a folder that holds one folder for each"):
            read_folder(path)


def test_a_folder_without_pictures_is_told_the_layout(tmp_path: Path) -> None:
    noise(0).save(tmp_path / "a.png")
    with pytest.raises(
        DataError,
        match=r"no pictures in class folders \(1 outside them\); give .*, or a CSV",
    ):
        read_folder(tmp_path)


def test_a_folder_that_may_not_be_listed_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "scandir", deny)
    with pytest.raises(DataError, match=r"cannot be read \(Permission denied\); check its permissions"):
        read_folder(tmp_path)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"cat": 5}, r"has 1 class \(cat\); a classifier needs two or more"),
        ({"cat": 5, "dog": 0}, "class 'dog' has no usable picture; add some or drop the class"),
        (
            {"cat": 1, "dog": 1},
            "class 'cat' has 1 different picture, at least 3 are needed; add some or drop",
        ),
        ({"cat": 5, "dog": 2}, "class 'dog' has 2 different pictures, at least 3 are needed"),
    ],
)
def test_too_few_classes_or_pictures_are_named(tmp_path: Path, counts: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_classes(read_folder(class_folder(tmp_path / "data", **counts)), SplitConfig())


def test_copies_do_not_count_as_different_pictures(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "data", cat=4, dog=1)
    for i in range(5):
        (root / f"dog/copy{i}.png").write_bytes((root / "dog/0.png").read_bytes())
    with pytest.raises(DataError, match="class 'dog' has 1 different picture, at least 3"):
        check_classes(read_folder(root), SplitConfig())


def test_a_divided_folder_needs_two_different_pictures_of_a_class_to_train_on(tmp_path: Path) -> None:
    class_folder(tmp_path / "train", cat=2, dog=1)
    class_folder(tmp_path / "test", cat=2, dog=2)
    with pytest.raises(DataError, match="'dog' has 1 different picture to train on, at least 2 are needed"):
        check_classes(read_folder(tmp_path), SplitConfig())


def test_a_folder_with_only_a_train_part_is_still_to_be_divided(tmp_path: Path) -> None:
    class_folder(tmp_path / "train", cat=2, dog=2)
    with pytest.raises(DataError, match="'cat' has 2 different pictures, at least 3 are needed"):
        check_classes(read_folder(tmp_path), SplitConfig())


# --- size


def test_ten_thousand_classes_are_read_in_order(tmp_path: Path) -> None:
    header = png_header(8, 8)
    for k in range(10_000):
        (tmp_path / f"c{k}").mkdir()
        (tmp_path / f"c{k}/a.png").write_bytes(header + str(k).encode())
    manifest = read_folder(tmp_path)
    assert manifest.classes == [f"c{k}" for k in range(10_000)]
    assert manifest.labels.tolist() == list(range(10_000))
    with pytest.raises(DataError, match="has 10,000 classes, over 2,000"):
        check_classes(manifest, SplitConfig())


def test_pictures_are_only_read_and_never_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = class_folder(tmp_path / "data", cat=2, dog=2)

    def refuse(*_: object) -> None:
        pytest.fail("a picture was decoded while listing")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", refuse)
    assert len(read_folder(root)) == 4
    content = (root / "cat/0.png").read_bytes()
    assert hashlib.sha256(content).hexdigest() == read_folder(root).digests[0]


# --- what the word DATA stands for


def test_data_is_a_folder_or_a_sample_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_data(str(tmp_path)) == tmp_path
    assert find_data("clipart").name == "clipart"
    (tmp_path / "clipart").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_data("clipart").resolve() == tmp_path / "clipart", "a folder of that name wins"
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file is a file of another kind; give a folder"):
        find_data("file")
    with pytest.raises(DataError, match="there is no folder nowhere; give one, or a sample set: clipart"):
        find_data("nowhere")


def test_a_folder_whose_own_name_is_not_utf_8_is_an_error_that_says_so(tmp_path: Path) -> None:
    root = class_folder(tmp_path / os.fsdecode(b"caf\xe9"), cat=3, dog=3)
    with pytest.raises(DataError, match=r"caf\\xe9 is not written in UTF-8; rename it"):
        find_data(str(root))


def test_parts_with_other_folders_beside_them_are_neither_parts_nor_classes(tmp_path: Path) -> None:
    for part in ("train", "test"):
        class_folder(tmp_path / "data" / part, cat=2, dog=2)
    class_folder(tmp_path / "data", unlabelled=1)
    with pytest.raises(
        DataError, match=r"folders for test, train and others beside them:\n  unlabelled\ncall them"
    ):
        read_folder(tmp_path / "data")
