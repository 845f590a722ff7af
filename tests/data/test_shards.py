"""Parquet files in one folder, or in one archive, are one set of pictures."""

import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from picture_makers import class_folder

from lexnet.data.archive import read_archive
from lexnet.data.folder import read_folder
from lexnet.errors import DataError


@pytest.fixture
def contents(tmp_path: Path) -> list[bytes]:
    return [file.read_bytes() for file in sorted(class_folder(tmp_path / "made", a=6).glob("*/*"))]


def write(path: Path, pictures: list[bytes], labels: list[str]) -> None:
    path.parent.mkdir(exist_ok=True)
    images = [{"bytes": content, "path": f"{i}.png"} for i, content in enumerate(pictures)]
    pq.write_table(pa.table({"image": images, "label": labels}), path)


def test_their_names_say_the_parts_and_the_classes_are_those_of_all(
    tmp_path: Path, contents: list[bytes]
) -> None:
    data = tmp_path / "set" / "data"
    data.parent.mkdir()
    write(data / "train-00000-of-00002.parquet", contents[:2], ["cat", "fox"])
    write(data / "train-00001-of-00002.parquet", contents[2:4], ["dog", "cat"])
    write(data / "validation-00000-of-00001.parquet", contents[4:], ["dog", "fox"])
    (data.parent / "README.md").touch()
    for root in (data, data.parent):
        manifest = read_folder(root)
        assert manifest.classes == ["cat", "dog", "fox"]
        assert [manifest.classes[label] for label in manifest.labels] == [
            "cat",
            "fox",
            "dog",
            "cat",
            "dog",
            "fox",
        ]
        assert list(manifest.parts) == ["train"] * 4 + ["val"] * 2
        assert [manifest.read(row) for row in range(6)] == contents
    assert manifest.paths[3] == "train-00001-of-00002.parquet/row-00000001/1.png"
    assert manifest.source.where(manifest.paths[0]).startswith(str(data / "train-00000-of-00002.parquet"))


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
@pytest.mark.parametrize("folder", ["", "set/", "set/data/"])
def test_an_archive_of_them_is_what_its_folder_is(
    tmp_path: Path, contents: list[bytes], kind: str, folder: str
) -> None:
    names = ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001")
    for name, start in zip(names, (0, 2, 4), strict=True):
        write(tmp_path / "data" / f"{name}.parquet", contents[start : start + 2], ["cat", "dog"])
    path = tmp_path / f"hub.{kind}"
    files = {f"{folder}{file.name}": file for file in sorted((tmp_path / "data").iterdir())}
    files[f"{folder.split('/')[0]}/README.md".removeprefix("/")] = tmp_path / "README.md"
    (tmp_path / "README.md").touch()
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, file in files.items():
                archive.write(file, name)
    else:
        with tarfile.open(path, "w:gz") as archive:
            for name, file in files.items():
                archive.add(file, name)
    there, here = read_folder(tmp_path / "data"), read_archive(path)
    assert (list(here.paths), list(here.parts)) == (list(there.paths), list(there.parts))
    assert here.classes == there.classes and here.labels.tolist() == there.labels.tolist()
    assert [here.read(row) for row in range(6)] == [there.read(row) for row in range(6)]
    assert (
        here.source.where(here.paths[0]) == f"{path}/{folder}test-00000-of-00001.parquet/row-00000000/0.png"
    )


def test_without_parts_in_their_names_nothing_is_divided(tmp_path: Path, contents: list[bytes]) -> None:
    for i in (0, 3):
        write(tmp_path / "set" / f"{i}.parquet", contents[i : i + 3], ["cat", "dog", "cat"])
    assert set(read_folder(tmp_path / "set").parts) == {""}


def test_parts_beside_what_is_none_are_refused(tmp_path: Path, contents: list[bytes]) -> None:
    for name in ("train-0", "test-0", "more"):
        write(tmp_path / "set" / f"{name}.parquet", contents[:2], ["cat", "dog"])
    with pytest.raises(DataError, match=r"and beside them more\.parquet; move it elsewhere"):
        read_folder(tmp_path / "set")


def test_a_row_without_a_label_is_named_with_its_file(tmp_path: Path, contents: list[bytes]) -> None:
    write(tmp_path / "set" / "a.parquet", contents[:3], ["cat", "", "dog"])
    write(tmp_path / "set" / "b.parquet", contents[3:5], ["cat", "dog"])
    manifest = read_folder(tmp_path / "set")
    assert len(manifest) == 4
    assert [(skip.path, skip.reason, skip.bad) for skip in manifest.skipped] == [
        ("a.parquet/row-00000001/1.png", "has no label", True)
    ]


def test_a_damaged_picture_is_named_with_its_file(tmp_path: Path, contents: list[bytes]) -> None:
    write(tmp_path / "set" / "a.parquet", [contents[0], b"no picture"], ["cat", "dog"])
    write(tmp_path / "set" / "b.parquet", contents[1:3], ["cat", "dog"])
    skipped = read_folder(tmp_path / "set").skipped
    assert [(skip.path, skip.bad) for skip in skipped] == [("a.parquet/row-00000001/1.png", True)]


def test_a_split_in_some_files_alone_is_refused(tmp_path: Path, contents: list[bytes]) -> None:
    """The pictures of the others would be in no part."""
    write(tmp_path / "set" / "a.parquet", contents[:2], ["cat", "dog"])
    images = [{"bytes": content, "path": ""} for content in contents[2:]]
    divided = pa.table(
        {"image": images, "label": ["cat", "dog"] * 2, "split": ["train", "train", "test", "test"]}
    )
    pq.write_table(divided, tmp_path / "set" / "b.parquet")
    with pytest.raises(
        DataError, match=r"gives a split for some files, but not for a\.parquet; give all or none"
    ):
        read_folder(tmp_path / "set")
