"""Pictures given one by one, with labels of any type."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from picture_makers import class_folder

from lexnet.data.folder import read_folder
from lexnet.data.listing import read_listing
from lexnet.errors import DataError


class NA:
    """As pandas has it: neither equal nor unequal to itself."""

    def __ne__(self, other: object) -> "NA":  # type: ignore[override]
        return self

    def __bool__(self) -> bool:
        raise TypeError("boolean value of NA is ambiguous")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    root = class_folder(tmp_path / "data", a=3, b=3)
    return sorted(root.glob("*/*.png"))


@pytest.mark.parametrize(
    ("labels", "distinct", "classes"),
    [
        (["dog", "cat"] * 3, ["cat", "dog"], ["cat", "dog"]),
        ([10, 2] * 3, [2, 10], ["2", "10"]),
        ([-1, 1] * 3, [-1, 1], ["-1", "1"]),
        ([True, False] * 3, [False, True], ["False", "True"]),
        (np.asarray([7, 3] * 3, np.int8), [3, 7], ["3", "7"]),
        (np.asarray(["x", "y"] * 3), ["x", "y"], ["x", "y"]),
    ],
    ids=["str", "int", "negative", "bool", "int8 array", "str array"],
)
def test_labels_keep_their_type_and_their_order(
    files: list[Path], labels: Any, distinct: list[Any], classes: list[str]
) -> None:
    manifest, values = read_listing(files, labels)
    assert values.tolist() == distinct
    assert [type(value) for value in values.tolist()] == [type(value) for value in distinct]
    assert manifest.classes == classes
    assert [values[label] for label in manifest.labels] == list(labels)


def test_pictures_are_digested_as_in_a_folder_and_come_in_the_order_given(files: list[Path]) -> None:
    manifest, _ = read_listing(files[::-1], ["b", "b", "b", "a", "a", "a"])
    assert manifest.digests == list(read_folder(files[0].parents[1]).digests)[::-1]
    assert [Path(path) for path in manifest.paths] == files[::-1]
    assert set(manifest.parts) == {""}


def test_relative_paths_and_strings_find_the_same_files(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, _ = read_listing(files, list("aaabbb"))
    monkeypatch.chdir(files[0].parents[1])
    manifest, _ = read_listing([str(file.relative_to(Path.cwd())) for file in files], list("aaabbb"))
    assert manifest.paths == expected.paths


def test_a_bad_picture_is_left_out_with_its_label_and_reason(files: list[Path]) -> None:
    files[1].write_bytes(b"")
    manifest, values = read_listing([*files, files[0].parent / "none.png"], [1, 1, 1, 2, 2, 2, 3])
    assert manifest.labels.tolist() == [0, 0, 1, 1, 1]
    assert values.tolist() == [1, 2, 3] and manifest.classes == ["1", "2", "3"]
    assert [(skip.path, skip.reason, skip.bad) for skip in manifest.skipped] == [
        (str(files[1]), "is empty (0 bytes)", True),
        (str(files[0].parent / "none.png"), "cannot be read (No such file or directory)", True),
    ]


def test_as_many_labels_as_paths_are_needed(files: list[Path]) -> None:
    with pytest.raises(DataError, match="6 paths but 5 labels; give one label for each path"):
        read_listing(files, list("aaabb"))
    with pytest.raises(DataError, match="no paths were given; give at least two classes of pictures"):
        read_listing([], [])


@pytest.mark.parametrize(
    "labels",
    [
        ["a", "a", None, "b", "b", "b"],
        [0, 0, float("nan"), 1, 1, 1],
        np.eye(6),
        [[1], [1], [1], [2], [2], [2]],
        ["a", "a", NA(), "b", "b", "b"],
    ],
    ids=["None", "NaN", "one-hot", "column", "NA"],
)
def test_labels_that_are_missing_or_not_one_each_are_refused(files: list[Path], labels: Any) -> None:
    with pytest.raises(DataError, match=r"label(s of shape \(6| in place 2 is mis).*give one .* each path"):
        read_listing(files, labels)


def test_pictures_of_one_group_are_named_alike(files: list[Path]) -> None:
    files[1].write_bytes(b"")
    manifest, _ = read_listing(files, list("aaabbb"), groups=np.array([1, 1, 2, 2, 3, 3]))
    assert manifest.groups == ["1", "2", "2", "3", "3"]
    with pytest.raises(DataError, match="6 paths but 5 groups; give one group for each path"):
        read_listing(files, list("aaabbb"), groups=[1, 2, 3, 4, 5])
    with pytest.raises(DataError, match="the group in place 1 is missing"):
        read_listing(files, list("aaabbb"), groups=[1, None, 3, 4, 5, 6])


def test_labels_with_line_ends_are_refused_before_anything_is_trained(files: list[Path]) -> None:
    with pytest.raises(DataError, match=r"label 'cat\\n' holds characters that are not printable"):
        read_listing(files, ["cat\n", *["dog"] * (len(files) - 1)])


@pytest.mark.parametrize("labels", [["a", 1, "b", 2, "b", 2], [1, 1.5, "1", 2, 2, 2]])
def test_labels_of_mixed_types_are_refused_and_not_turned_into_text(
    files: list[Path], labels: list[Any]
) -> None:
    with pytest.raises(DataError, match="labels of several types"):
        read_listing(files, labels)
