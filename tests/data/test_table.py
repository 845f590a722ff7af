"""A CSV or Parquet file with a row a picture becomes the manifest that the folder would be."""

import csv
import hashlib
import json
import os
import sys
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_makers import class_folder, encode, noise

from lexnet.config import PreprocessSpec, SplitConfig
from lexnet.data import parquet
from lexnet.data.folder import read_folder
from lexnet.data.groups import group_by
from lexnet.data.loader import load_row
from lexnet.data.manifest import Manifest
from lexnet.data.splits import assign_parts, split_csv
from lexnet.data.table import is_listing, is_table, list_table, read_table
from lexnet.errors import DataError, MissingExtra, PictureError

SPEC = PreprocessSpec(size=32, short_side=40)
PICTURES = [encode(noise(seed, 8, 8)) for seed in range(12)]
SHA = [hashlib.sha256(content).hexdigest() for content in PICTURES]
Row = dict[str, Any]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return class_folder(tmp_path / "data", cat=3, dog=2)


def rows_of(root: Path) -> list[Row]:
    """A row for each file, labelled by its folder."""
    return [
        {"path": path.relative_to(root).as_posix(), "label": path.parent.name}
        for path in sorted(root.glob("*/*"))
    ]


def make_csv(path: Path, rows: list[Row]) -> Path:
    text = StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    return path


def make_parquet(path: Path, rows: list[Row]) -> Path:
    pq.write_table(pa.table({name: [row[name] for row in rows] for name in rows[0]}), path)
    return path


def given_text(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


MAKERS: dict[str, Callable[[Path, list[Row]], Path]] = {"csv": make_csv, "parquet": make_parquet}
both = pytest.mark.parametrize("kind", MAKERS)
EMPTY = "holds no picture; write the table with the pictures in it"


def facts(manifest: Manifest) -> list[tuple[str, str, str, str, str]]:
    """(path, class, part, group, sha256) of each row."""
    names = [manifest.classes[label] for label in manifest.labels]
    columns = (manifest.paths, names, manifest.parts, manifest.groups, manifest.digests)
    return list(zip(*columns, strict=True))


def bad(manifest: Manifest) -> dict[str, str]:
    return {skip.path: skip.reason for skip in manifest.skipped if skip.bad}


# --- the same as the folder


@both
def test_a_table_of_a_folders_files_is_that_folder(root: Path, kind: str) -> None:
    expected = read_folder(root)
    path = MAKERS[kind](root / f"list.{kind}", rows_of(root))
    assert is_table(path)
    manifest = read_table(path)
    assert manifest.classes == expected.classes
    assert facts(manifest) == facts(expected)
    assert np.array_equal(manifest.sizes, expected.sizes) and manifest.sizes.all()
    assert list(manifest.modes) == list(expected.modes) and all(manifest.modes)
    assert manifest.name == str(path) and manifest.skipped == []
    assert manifest.source.where("cat/0.png") == str(root / "cat/0.png")
    for row in range(len(manifest)):
        assert np.array_equal(load_row(manifest, row, SPEC), load_row(expected, row, SPEC))


@both
def test_paths_are_relative_to_the_table_or_absolute(root: Path, tmp_path: Path, kind: str) -> None:
    expected = read_folder(root).digests
    rows = rows_of(root)
    above = [row | {"path": f"data/{row['path']}"} for row in rows]
    beside = [row | {"path": f"../data/{row['path']}"} for row in rows]
    absolute = [row | {"path": str(root / row["path"])} for row in rows]
    (tmp_path / "lists").mkdir()
    for name, given_rows in {"a": above, "lists/b": beside, "lists/c": absolute}.items():
        assert read_table(MAKERS[kind](tmp_path / f"{name}.{kind}", given_rows)).digests == expected


def test_paths_do_not_depend_on_where_one_stands(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_csv(root / "list.csv", rows_of(root))
    monkeypatch.chdir(tmp_path)
    assert len(read_table(Path("data/list.csv"))) == 5
    monkeypatch.chdir(root)
    assert len(read_table(Path("list.csv"))) == 5


@both
def test_all_columns_in_any_order_and_case(tmp_path: Path, kind: str) -> None:
    for i in range(6):
        (tmp_path / f"{i}.png").write_bytes(PICTURES[i])
    rows = [
        {
            "SHA256": SHA[i],
            "Split": ("train", "Valid", "TEST")[i % 3],
            "notes": f"a, b\n{i}",
            "Label": "ab"[i % 2],
            "GROUP": f"g{i // 2}",
            "Path": f"{i}.png",
        }
        for i in range(6)
    ]
    expected = [
        (f"{i}.png", "ab"[i % 2], ("train", "val", "test")[i % 3], f"g{i // 2}", SHA[i]) for i in range(6)
    ]
    assert facts(read_table(MAKERS[kind](tmp_path / f"list.{kind}", rows))) == expected
    turned = [dict(reversed(row.items())) for row in rows]
    assert facts(read_table(MAKERS[kind](tmp_path / f"turned.{kind}", turned))) == expected


@both
def test_numeric_labels_come_in_natural_order(root: Path, kind: str) -> None:
    labels = ["10", "9", "2", "1", "10"] if kind == "csv" else [10, 9, 2, 1, 10]
    rows = [row | {"label": label} for row, label in zip(rows_of(root), labels, strict=True)]
    manifest = read_table(MAKERS[kind](root / f"list.{kind}", rows))
    assert manifest.classes == ["1", "2", "9", "10"]
    assert manifest.labels.tolist() == [3, 2, 1, 0, 3]


@both
def test_given_classes_keep_their_order_and_an_unknown_label_is_named(root: Path, kind: str) -> None:
    path = MAKERS[kind](root / f"list.{kind}", rows_of(root))
    manifest = read_table(path, ["emu", "dog", "cat"])
    assert manifest.classes == ["emu", "dog", "cat"]
    assert manifest.labels.tolist() == [2, 2, 2, 1, 1]
    with pytest.raises(DataError, match=r"class 'dog' in .* is not among the 1 classes"):
        read_table(path, ["cat"])


@both
def test_a_label_spelt_in_two_unicode_forms_is_one_class_as_in_a_folder(root: Path, kind: str) -> None:
    rows = rows_of(root)
    for row, label in zip(rows, ["caf\u00e9", "cafe\u0301", "caf\u00e9", "tea", "tea"], strict=True):
        row["label"] = label
    assert read_table(MAKERS[kind](root / f"list.{kind}", rows)).classes == ["caf\u00e9", "tea"]


@both
def test_rows_whose_file_cannot_be_used_are_skipped_as_bad(root: Path, kind: str) -> None:
    (root / "dog/1.png").write_bytes(b"")
    (root / "cat/1.png").write_bytes(b"not found")
    odd = [("cat/none.png", "cat"), ("cat", "cat")]
    rows = rows_of(root) + [{"path": path, "label": label} for path, label in odd]
    manifest = read_table(MAKERS[kind](root / f"list.{kind}", rows))
    assert list(manifest.paths) == ["cat/0.png", "cat/2.png", "dog/0.png"]
    assert manifest.labels.tolist() == [0, 0, 1]
    assert bad(manifest) == {
        "cat/1.png": "is text, not a picture",
        "dog/1.png": "is empty (0 bytes)",
        "cat/none.png": "cannot be read (No such file or directory)",
        "cat": "is not a regular file",
    }


@both
def test_a_part_and_a_group_stay_with_their_row_when_others_are_skipped(root: Path, kind: str) -> None:
    rows = [
        row | {"split": ("train", "test")[i % 2], "group": f"g{i}"} for i, row in enumerate(rows_of(root))
    ]
    rows[1]["path"] = "none.png"
    manifest = read_table(MAKERS[kind](root / f"list.{kind}", rows))
    assert [(part, group) for _, _, part, group, _ in facts(manifest)] == [
        ("train", "g0"), ("train", "g2"), ("test", "g3"), ("train", "g4"),
    ]  # fmt: skip


def test_progress_is_told_share_by_share(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lexnet.data.threads.SHARE", 2)
    told: list[tuple[int, int]] = []
    read_table(make_csv(root / "list.csv", rows_of(root)), None, lambda *step: told.append(step))
    assert told == [(2, 5), (4, 5), (5, 5)]


NAMES = st.text(st.sampled_from("ab1 ,;'\"\u00e9\u65e5\U0001f600#\\|%&-_()"), min_size=1, max_size=8).filter(
    lambda name: name == name.strip()
)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(names=st.lists(NAMES, min_size=2, max_size=6, unique=True))
def test_any_printable_label_and_group_survives(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    rows = [
        {"path": f"{name}.png", "label": name, "group": name, "sha256": SHA[i]}
        for i, name in enumerate(names)
    ]
    expected = [(f"{name}.png", name, "", name, SHA[i]) for i, name in enumerate(names)]
    for kind, make in MAKERS.items():
        assert facts(list_table(make(folder / f"any.{kind}", rows))) == expected, kind


# --- CSV as people write it


@pytest.mark.parametrize(
    "text",
    [
        "path,label\ncat/0.png,cat\ndog/0.png,dog\n",
        "path,label\ncat/0.png,cat\ndog/0.png,dog",
        "path,label\r\ncat/0.png,cat\r\ndog/0.png,dog\r\n",
        "\ufeffpath,label\ncat/0.png,cat\ndog/0.png,dog\n",
        "\ufeffpath,label\r\n\r\ncat/0.png,cat\r\n\r\n\r\ndog/0.png,dog\r\n\r\n",
        'path,label\n"cat/0.png","cat"\n"dog/0.png","dog"\n',
        '"Path" , LABEL \n cat/0.png , cat \ndog/0.png,dog\n',
        "label,path\ncat,cat/0.png\ndog,dog/0.png\n",
        "label,size,path\ncat,8,cat/0.png\ndog,,dog/0.png\n",
        "path,label,split,group,sha256\ncat/0.png,cat,,,\ndog/0.png,dog,,,\n",
    ],
    ids=[
        *(
            "plain",
            "no last newline",
            "CRLF",
            "BOM",
            "BOM, CRLF and blank lines",
            "quoted",
            "spaces",
            "turned",
        ),
        *("another column", "empty columns"),
    ],
)
def test_csv_as_programs_write_it(root: Path, text: str) -> None:
    manifest = read_table(given_text(root / "list.csv", text))
    assert [(path, label) for path, label, *_ in facts(manifest)] == [
        ("cat/0.png", "cat"),
        ("dog/0.png", "dog"),
    ]


def test_commas_and_quotes_belong_to_the_name(root: Path) -> None:
    os.rename(root / "cat/0.png", root / 'cat/a, "b".png')
    text = 'path,label\n"cat/a, ""b"".png","cat, ""black"""\ndog/0.png,dog\n'
    manifest = read_table(given_text(root / "list.csv", text))
    assert list(manifest.paths) == ['cat/a, "b".png', "dog/0.png"]
    assert manifest.classes == ['cat, "black"', "dog"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column path and no column label; it has none"),
        ("\n\n", "has no column path and no column label; it has none"),
        (
            "path\na.png\n",
            "has no column label; it has path. Call them path and label, and if you",
        ),
        ("where;label\na.png;cat\n", "has no column path; it has where, label"),
        ("file,filename,label\na,b,cat\n", "has no column path; it has file, filename, label"),
        ("path,label\na\x0bb.png,cat\n", r"lists a path that is not printable \('a\\x0bb.png'\); rename"),
        ("label\ncat\n", "has no column path; it has label"),
        ("path,label\n", "has no rows; give a row for each picture"),
        ("path,label\n\n\n", "has no rows; give a row for each picture"),
        ("path,label\na.png,cat\nb.png\n", "line 3 has 1 fields, its head 2; mend it"),
        ("path,label\na.png,cat\n\nb.png,dog,x\n", "line 4 has 3 fields, its head 2"),
        ("path,label\r\na.png,cat\r\nb, c.png,dog\r\n", "line 3 has 3 fields, its head 2"),
        ('path,label,n\na.png,cat,"1\n2"\nb.png,dog\n', "line 4 has 2 fields, its head 3"),
        ("path,label\na.png,\nb.png,\n", "has no label in any row; fill them in"),
        (
            "path,label\na.png,cat\nb.png,dog\n",
            ": none of the 2 pictures is there, such as .*a.png; paths are",
        ),
        ("path,label\na.png,cat\n  ,dog\n", "has no path in line 3; fill it in or drop the row"),
        ('path;label\r\n;\r\n\r\n"a\n\n.png";cat\r\n;dog\r\n', "has no path in line 7; fill it in"),
        ("path,label,split\na.png,cat,dve\n", "has the split 'dve'; use train, val or test, or leave all"),
        ("path,label,split\na.png,cat,test\nb.png,cat,\n", "gives a split for some rows, but not for line 3"),
        ("path,label,weight\na.png,cat,3e38\n", r"has the weight '3e38' in line 2; .* from 1e-15 to 1e\+15"),
        ("path,label\na.png,c\x07at\n", r"has a label that is not printable \('c\\x07at'\); correct it"),
    ],
)
def test_rows_that_make_no_sense_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=f"list.csv ?{message}"):
        read_table(given_text(tmp_path / "list.csv", text))


@pytest.mark.parametrize("mark", [";", "\t"])
def test_a_spreadsheet_may_write_another_mark_between_fields_and_rows_of_nothing(
    root: Path, mark: str
) -> None:
    lines = [f"path{mark}label", *(f"{row['path']}{mark}{row['label']}" for row in rows_of(root)), mark, mark]
    text = "\ufeff" + "\r\n".join(lines) + "\r\n"
    assert read_table(given_text(root / "list.csv", text)).paths == read_folder(root).paths


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_csv_in_another_encoding_is_told_what_to_save_it_as(tmp_path: Path, encoding: str) -> None:
    content = "path,label\na.png,café\n".encode(encoding)
    with pytest.raises(DataError, match=r"list\.csv cannot be read as CSV \(.*\); save it as UTF-8"):
        read_table(given_text(tmp_path / "list.csv", content))


def test_a_field_of_a_megabyte_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read as CSV \(field larger than field limit"):
        read_table(given_text(tmp_path / "list.csv", f"path,label\n{'a' * 2**20},cat\n"))


@both
def test_a_table_that_is_not_there_is_an_error_that_says_so(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DataError, match=rf"none\.{kind} cannot be read as (CSV|Parquet) \(.*No such file"):
        read_table(tmp_path / f"none.{kind}")


@both
def test_a_label_of_thousands_of_digits_is_a_label(tmp_path: Path, kind: str) -> None:
    """Python refuses to turn more than 4,300 digits into a number, and classes are sorted by numbers."""
    rows = [
        {"path": f"{i}.png", "label": label, "sha256": SHA[i]} for i, label in enumerate(("a", "7" * 5000))
    ]
    assert len(list_table(MAKERS[kind](tmp_path / f"list.{kind}", rows)).classes) == 2


def test_a_column_named_twice_is_refused(root: Path) -> None:
    text = "path,label,Label\ncat/0.png,cat,1\ndog/0.png,dog,1\n"
    with pytest.raises(DataError, match="label"):
        read_table(given_text(root / "list.csv", text))


# --- sha256


@both
def test_rows_are_listed_with_the_digests_that_they_have_and_no_picture_is_read(
    tmp_path: Path, kind: str
) -> None:
    rows = [{"path": f"none{i}.png", "label": "ab"[i % 2], "sha256": SHA[i] if i else ""} for i in range(4)]
    manifest = list_table(MAKERS[kind](tmp_path / f"list.{kind}", rows))
    assert manifest.digests == ["", *SHA[1:4]] and manifest.skipped == []
    with pytest.raises(PictureError, match=r"none1\.png: cannot be read \(No such file or directory\)"):
        load_row(manifest, 1, SPEC)


@both
def test_a_picture_that_is_not_the_one_whose_digest_the_table_gives_is_bad(root: Path, kind: str) -> None:
    """Overwritten, gone, or no picture any more: the bytes decide, not what a cache knows of that digest."""
    digests = list(read_folder(root).digests)
    rows = [row | {"sha256": sha} for row, sha in zip(rows_of(root), digests, strict=True)]
    path = MAKERS[kind](root / f"list.{kind}", rows)
    assert read_table(path).skipped == []
    (root / "cat/0.png").write_bytes(PICTURES[7])
    (root / "cat/1.png").unlink()
    (root / "dog/1.png").write_text("404 Not Found")
    manifest = read_table(path)
    assert list(manifest.paths) == ["cat/2.png", "dog/0.png"] and manifest.digests == digests[2:4]
    assert bad(manifest) == {
        "cat/0.png": "has another sha256 than the table says",
        "cat/1.png": "cannot be read (No such file or directory)",
        "dog/1.png": "is text, not a picture",
    }


@both
def test_digests_that_are_missing_are_filled_in(root: Path, kind: str) -> None:
    digests = list(read_folder(root).digests)
    rows = [
        row | {"sha256": sha if i % 2 else ""}
        for i, (row, sha) in enumerate(zip(rows_of(root), digests, strict=True))
    ]
    rows.append({"path": "none.png", "label": "cat", "sha256": ""})
    manifest = read_table(MAKERS[kind](root / f"list.{kind}", rows))
    assert manifest.digests == digests and set(bad(manifest)) == {"none.png"}


@both
def test_a_digest_in_capitals_is_the_same_digest(root: Path, kind: str) -> None:
    """As PowerShell's Get-FileHash writes it."""
    digests = read_folder(root).digests
    rows = [row | {"sha256": sha.upper()} for row, sha in zip(rows_of(root), digests, strict=True)]
    manifest = read_table(MAKERS[kind](root / f"list.{kind}", rows))
    assert manifest.digests == digests
    assert load_row(manifest, 0, SPEC).shape == (32, 32, 3)


@pytest.mark.parametrize("value", ["abc", "z" * 64, SHA[0][:-1], f"{SHA[0]}0"])
def test_what_is_no_sha256_is_refused(root: Path, value: str) -> None:
    rows = [row | {"sha256": value} for row in rows_of(root)[:2]]
    with pytest.raises(DataError, match="sha256"):
        read_table(make_csv(root / "list.csv", rows))


def test_the_record_of_a_split_is_a_table_that_divides_the_same_again(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "data", cat=10, dog=10)
    divided = assign_parts(read_folder(root), SplitConfig(), seed=3)
    manifest = read_table(given_text(root / "split.csv", split_csv(divided)))
    assert facts(manifest) == facts(divided) and manifest.classes == divided.classes


# --- Parquet


def embedded(path: Path, values: list[Any], kind: pa.DataType, name: str = "image", **columns: Any) -> Path:
    """Pictures inside the file, in row groups of three."""
    labels = columns.pop("label", ["ab"[i % 2] for i in range(len(values))])
    table = pa.table({name: pa.array(values, kind), "label": labels, **columns})
    pq.write_table(table, path, row_group_size=3)
    return path


HUGGING_FACE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
EMBEDDED: dict[str, tuple[pa.DataType, Callable[[bytes], Any]]] = {
    "binary": (pa.binary(), bytes),
    "large binary": (pa.large_binary(), bytes),
    "Hugging Face": (HUGGING_FACE, lambda content: {"bytes": content, "path": "a.png"}),
    "Hugging Face without a path": (HUGGING_FACE, lambda content: {"bytes": content, "path": None}),
}


@pytest.mark.parametrize("name", ["image", "bytes", "Image", "img"])
@pytest.mark.parametrize("shape", EMBEDDED)
def test_pictures_inside_the_file(tmp_path: Path, shape: str, name: str) -> None:
    kind, wrap = EMBEDDED[shape]
    path = embedded(tmp_path / "a.parquet", [wrap(content) for content in PICTURES], kind, name)
    assert pq.ParquetFile(path).metadata.num_row_groups == 4
    manifest = read_table(path)
    assert manifest.digests == SHA and manifest.classes == ["a", "b"]
    assert [manifest.read(row) for row in reversed(range(12))] == PICTURES[::-1]
    own = "/a.png" * (shape == "Hugging Face")
    assert list(manifest.paths)[:2] == [f"row-00000000{own}", f"row-00000001{own}"]
    assert manifest.source.where(manifest.paths[7]) == f"{path}/row-00000007{own}"
    for row in (0, 5, 11):
        (tmp_path / "one.png").write_bytes(PICTURES[row])
        one = read_table(make_csv(tmp_path / "one.csv", [{"path": "one.png", "label": "a"}]))
        assert np.array_equal(load_row(manifest, row, SPEC), load_row(one, 0, SPEC))


def test_labels_may_be_the_labels_columns_name(tmp_path: Path) -> None:
    path = embedded(tmp_path / "a.parquet", PICTURES, pa.binary(), "img")
    table = pq.read_table(path)
    pq.write_table(table.rename_columns({"label": "labels"}), path)
    manifest = read_table(path)
    assert manifest.classes == ["a", "b"] and manifest.digests == SHA


def test_class_numbers_groups_and_splits_beside_the_pictures(tmp_path: Path) -> None:
    path = embedded(
        tmp_path / "a.parquet",
        PICTURES,
        pa.binary(),
        label=[10, 9, 2] * 4,
        split=["train", "validation", "test"] * 4,
        group=[f"g{i // 2}" for i in range(12)],
    )
    manifest = read_table(path)
    assert manifest.classes == ["2", "9", "10"]
    assert list(manifest.parts) == ["train", "val", "test"] * 4
    assert list(manifest.groups) == [f"g{i // 2}" for i in range(12)]


def test_rows_without_a_picture_are_skipped_as_bad(tmp_path: Path) -> None:
    values = [*PICTURES[:4], None, b"", b"not found", *PICTURES[4:6]]
    manifest = read_table(embedded(tmp_path / "a.parquet", values, pa.binary()))
    assert manifest.digests == SHA[:6]
    assert manifest.labels.tolist() == [0, 1, 0, 1, 1, 0]
    assert bad(manifest) == {
        "row-00000004": EMPTY,
        "row-00000005": EMPTY,
        "row-00000006": "is text, not a picture",
    }
    hugging = [{"bytes": PICTURES[0], "path": "a"}, {"bytes": None, "path": "a"}, None]
    manifest = read_table(embedded(tmp_path / "b.parquet", hugging, HUGGING_FACE))
    assert manifest.digests == SHA[:1] and set(bad(manifest)) == {"row-00000001/a", "row-00000002"}


@pytest.mark.parametrize("pair", [True, False])
def test_the_paths_beside_the_pictures_stay_in_their_names(tmp_path: Path, pair: bool) -> None:
    """A group can be told from them, and a person knows the picture again."""
    names = [f"scene{i // 3}/{i}.png" for i in range(12)]
    own = [{"bytes": content, "path": name} for content, name in zip(PICTURES, names, strict=True)]
    columns = {"image": own} if pair else {"image": PICTURES, "path": names}
    pq.write_table(pa.table({**columns, "label": ["a", "b"] * 6}), tmp_path / "a.parquet")
    manifest = read_table(tmp_path / "a.parquet")
    assert list(manifest.paths) == [f"row-{i:08}/{name}" for i, name in enumerate(names)]
    assert [manifest.read(row) for row in range(12)] == PICTURES
    assert len(set(group_by(manifest, r"scene\d+").groups)) == 4


def noted(path: Path, labels: list[int | None], notes: object) -> Path:
    """Pictures with numbers for labels, and what a Hugging Face file notes of them."""
    table = pa.table({"image": PICTURES[: len(labels)], "label": labels})
    content = notes if isinstance(notes, bytes) else json.dumps(notes).encode()
    pq.write_table(table.replace_schema_metadata({b"huggingface": content}), path)
    return path


CLASS_LABEL = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}


def test_the_numbers_of_a_class_label_are_spelt_out(tmp_path: Path) -> None:
    manifest = read_table(noted(tmp_path / "a.parquet", [1, 0, 1, 1], CLASS_LABEL))
    assert manifest.classes == ["cat", "dog"] and manifest.labels.tolist() == [1, 0, 1, 1]
    with pytest.raises(DataError, match="has the label 2, and names for 2 labels only"):
        read_table(noted(tmp_path / "a.parquet", [1, 0, 2], CLASS_LABEL))
    table = pa.table({"image": PICTURES[:2], "label": ["dog", "cat"]})  # written out since
    notes = {b"huggingface": json.dumps(CLASS_LABEL).encode()}
    pq.write_table(table.replace_schema_metadata(notes), tmp_path / "b.parquet")
    assert read_table(tmp_path / "b.parquet").classes == ["cat", "dog"]
    manifest = read_table(noted(tmp_path / "a.parquet", [1, -1], CLASS_LABEL))  # no label is what that means
    assert bad(manifest) == {"row-00000001": "has no label"} and len(manifest) == 1


@pytest.mark.parametrize(
    "notes",
    [
        b"no JSON",
        b"[" * 100_000,
        [],
        {"info": None},
        {"info": {"features": {"label": {"dtype": "int64", "_type": "Value"}}}},
        {"info": {"features": {"label": {"names": 5, "_type": "ClassLabel"}}}},
    ],
)
def test_notes_that_name_no_labels_change_nothing(tmp_path: Path, notes: object) -> None:
    assert read_table(noted(tmp_path / "a.parquet", [1, 0], notes)).classes == ["0", "1"]


def test_many_threads_over_many_row_groups_get_the_right_bytes(tmp_path: Path) -> None:
    contents = [encode(noise(seed, 8 + seed % 5, 8)) for seed in range(40)]
    manifest = read_table(embedded(tmp_path / "a.parquet", contents, pa.binary()))
    rows = np.random.default_rng(0).permutation(np.repeat(np.arange(40), 25))
    with ThreadPoolExecutor(16) as pool:
        for row, content in zip(rows, pool.map(manifest.read, rows), strict=True):
            assert content == contents[row]
    assert isinstance(manifest.source, parquet.Rows)
    assert len(manifest.source._open) <= parquet.OPEN_GROUPS, "what was unpacked is let go again"


def test_a_picture_inside_the_file_is_under_the_same_limit_as_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("preprocess", "data.archive", "data.members", "data.parquet", "config"):
        monkeypatch.setattr(f"lexnet.{module}.MAX_BYTES", 5_000, raising=False)
    values = [*PICTURES[:3], encode(noise(0, 80, 80))]
    manifest = read_table(embedded(tmp_path / "a.parquet", values, pa.binary()))
    assert manifest.digests == SHA[:3] and set(bad(manifest)) == {"row-00000003"}


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.dictionary(pa.int32(), pa.string()),
        pa.dictionary(pa.int8(), pa.large_string()),
        pytest.param(getattr(pa, "string_view", pa.string)(), id="string_view"),
    ],
    ids=str,
)
@pytest.mark.parametrize("groups", [2, 1000])
def test_text_however_it_is_encoded(root: Path, kind: pa.DataType, groups: int) -> None:
    rows = rows_of(root)
    columns = {name: pa.array([row[name] for row in rows]).cast(pa.string()) for name in ("path", "label")}
    columns = {name: column.cast(kind) for name, column in columns.items()}
    path = root / "list.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=groups, use_dictionary=["label"])
    assert facts(read_table(path)) == facts(read_folder(root))


def test_a_null_where_something_is_needed_is_named(root: Path) -> None:
    rows = rows_of(root)
    rows[2]["label"] = None
    manifest = read_table(make_parquet(root / "list.parquet", rows))
    assert bad(manifest) == {rows[2]["path"]: "has no label"} and len(manifest) == 4
    rows[2]["path"] = None
    with pytest.raises(DataError, match="has no path in row 3; fill it in or drop the row"):
        read_table(make_parquet(root / "list.parquet", rows))


@both
def test_a_picture_listed_twice_counts_once_and_under_two_labels_not_at_all(root: Path, kind: str) -> None:
    rows = rows_of(root)
    twice, both_ways = rows[0], rows[1] | {"label": "dog"}
    manifest = read_table(MAKERS[kind](root / f"list.{kind}", [*rows, twice, both_ways]))
    assert list(manifest.paths) == [row["path"] for row in rows if row is not rows[1]]
    assert bad(manifest) == {rows[1]["path"]: "is listed under cat and dog"}
    assert [skip.reason for skip in manifest.skipped if not skip.bad] == ["is listed twice"]


@pytest.mark.parametrize("label", ["labels", "Class", "category", "target"])
@pytest.mark.parametrize("path", ["file_name", "FileName", "filepath"])
@both
def test_columns_may_have_the_names_that_others_give_them(
    root: Path, kind: str, path: str, label: str
) -> None:
    rows = [{path: row["path"], label: row["label"]} for row in rows_of(root)]
    assert facts(read_table(MAKERS[kind](root / f"list.{kind}", rows))) == facts(read_folder(root))


def test_a_table_that_was_written_on_windows_is_read(root: Path) -> None:
    rows = [row | {"path": row["path"].replace("/", "\\")} for row in rows_of(root)]
    assert facts(read_table(make_csv(root / "list.csv", rows))) == facts(read_folder(root))


def test_nulls_elsewhere_are_empty(root: Path) -> None:
    rows = [row | {"split": None, "group": ("g", None)[i % 2]} for i, row in enumerate(rows_of(root))]
    manifest = read_table(make_parquet(root / "list.parquet", rows))
    assert set(manifest.parts) == {""} and list(manifest.groups) == ["g", "", "g", "", "g"]
    rows[1]["split"] = "test"
    with pytest.raises(DataError, match="gives a split for some rows, but not for row 1; give all or none"):
        read_table(make_parquet(root / "list.parquet", rows))


def test_a_number_that_is_none_is_empty(root: Path) -> None:
    """As pandas writes a gap among numbers."""
    rows = [row | {"group": 7.0 if i % 2 else float("nan")} for i, row in enumerate(rows_of(root))]
    manifest = read_table(make_parquet(root / "list.parquet", rows))
    assert list(manifest.groups) == ["", "7", "", "7", ""]
    rows = [row | {"label": float("nan") if i == 2 else 1.0} for i, row in enumerate(rows)]
    assert bad(read_table(make_parquet(root / "list.parquet", rows))) == {rows[2]["path"]: "has no label"}


@both
def test_spaces_around_a_label_or_a_group_are_none_of_it(root: Path, kind: str) -> None:
    rows = [
        row | {"label": f" {row['label']}\t", "group": (" ", "g ")[i % 2]}
        for i, row in enumerate(rows_of(root))
    ]
    manifest = read_table(MAKERS[kind](root / f"list.{kind}", rows))
    assert manifest.classes == ["cat", "dog"] and list(manifest.groups) == ["", "g", "", "g", ""]


@pytest.mark.parametrize("name", ["image", "bytes", "Label"])
def test_parquet_with_a_column_twice_is_refused(tmp_path: Path, name: str) -> None:
    path = embedded(tmp_path / "a.parquet", PICTURES, pa.binary())
    table = pq.read_table(path)
    for _ in range(2 - (name.lower() in table.column_names)):
        table = table.append_column(name, table["image"])
    pq.write_table(table, path)
    with pytest.raises(DataError, match=rf"a\.parquet has two columns called {name.lower()}; keep one"):
        read_table(path)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"path": ["a.png"]}, "has no column label; it has path"),
        ({"label": ["a"]}, "has no column path; it has label"),
        ({"x": [1]}, "has no column path and no column label; it has x"),
        ({"path": ["a.png"], "label": [""]}, "has no label in any row"),
        ({"path": ["a.png"], "label": ["a"], "split": ["dve"]}, "has the split 'dve'"),
        ({"path": ["a.png"], "label": ["a\x1b[31m"]}, "has a label that is not printable"),
        ({"path": pa.array([], pa.string()), "label": pa.array([], pa.string())}, "has no rows; give a row"),
        ({"path": pa.array([], pa.null()), "label": pa.array([], pa.null())}, "has no rows; give a row"),
        ({"image": pa.array([], pa.binary()), "label": pa.array([], pa.int64())}, "has no rows; give a row"),
        ({"image": [b"x"]}, "has no column label; it has image"),
    ],
)
def test_parquet_that_makes_no_sense_is_named(tmp_path: Path, columns: Any, message: str) -> None:
    pq.write_table(pa.table(columns), tmp_path / "list.parquet")
    with pytest.raises(DataError, match=rf"list\.parquet {message}"):
        read_table(tmp_path / "list.parquet")


@pytest.mark.parametrize("name", ["path", "label", "group"])
@pytest.mark.parametrize("dictionary", [True, False])
@pytest.mark.parametrize(("length", "rows"), [(70_000, 1), (10_000, 3_000)])
def test_texts_that_would_fill_the_memory_are_refused(
    tmp_path: Path, length: int, rows: int, dictionary: bool, name: str
) -> None:
    """One text for all rows takes next to nothing in Parquet; each row of ours has its own."""
    few = [f"{i}.png" for i in range(100)]
    columns = {"path": [f"{i}.png" for i in range(rows + 100)], "label": ["a"] * (rows + 100)}
    columns[name] = few + ["x" * length] * rows
    pq.write_table(pa.table(columns), tmp_path / "list.parquet", use_dictionary=dictionary)
    assert (tmp_path / "list.parquet").stat().st_size < 2_000_000
    with pytest.raises(DataError, match=f"has texts in its column {name} of over 65,536 bytes, or of over"):
        list_table(tmp_path / "list.parquet")


def test_a_long_text_here_and_there_is_taken(tmp_path: Path) -> None:
    columns = {"path": ["a.png", "b.png"], "label": ["a" * 60_000, "b"], "group": ["g" * 65_536, None]}
    pq.write_table(pa.table(columns), tmp_path / "list.parquet")
    assert list_table(tmp_path / "list.parquet").groups == ["g" * 65_536, ""]


def test_a_row_group_that_would_fill_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = embedded(tmp_path / "a.parquet", PICTURES, pa.binary())
    monkeypatch.setattr(parquet, "UNPACKED", 1_000)
    with pytest.raises(
        DataError, match=r"a row group of .* bytes, over 1,000; write it with a smaller row_g"
    ):
        read_table(path)


@pytest.mark.parametrize("shape", EMBEDDED)
def test_a_row_group_larger_than_the_file_says_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: str
) -> None:
    kind, wrap = EMBEDDED[shape]
    rows = [wrap(bytes([i]) * 1_000_000) for i in range(50)]
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": pa.array(rows, kind), "label": ["a", "b"] * 25}), path)
    monkeypatch.setattr(parquet, "UNPACKED", 10_000_000)
    monkeypatch.setattr(parquet, "_check_groups", lambda file, path: None)  # which believes it
    with pytest.raises(DataError, match=r"a\.parquet has a row group of 1.,...,... bytes, over 10,000,000"):
        read_table(path)


def test_row_groups_that_are_too_large_together_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = embedded(tmp_path / "a.parquet", PICTURES, pa.binary())
    source = list_table(path).source
    monkeypatch.setattr(parquet, "UNPACKED", sum(map(len, PICTURES[6:])))
    assert [source.read(f"row-{row}") for row in range(12)] == PICTURES
    assert list(source._open) == [2, 3]


def test_a_csv_of_more_rows_than_are_taken_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lexnet.data.table.MAX_MEMBERS", 1_000)
    (tmp_path / "a.csv").write_text("path,label\n" + "a.png,a\n\n" * 1_001)
    with pytest.raises(DataError, match=r"a\.csv has over 1,000 rows; divide it"):
        list_table(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("path,label\n" + "".join(f"{i}.png,a\n\n" for i in range(1_000)))
    assert len(list_table(tmp_path / "a.csv")) == 1_000


def test_of_a_line_without_end_no_more_than_a_piece_is_held(tmp_path: Path) -> None:
    with (tmp_path / "a.csv").open("wb") as file:
        file.truncate(2**27)  # sparse: zeros that take no bytes on the disk
    tracemalloc.start()
    assert is_listing(tmp_path / "a.csv"), "which is told when it is read"
    with pytest.raises(DataError, match=r"a\.csv cannot be read as CSV"):
        list_table(tmp_path / "a.csv")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2**25


@pytest.mark.parametrize("name", ["image", "path"])
def test_more_rows_than_are_taken_are_refused_before_any_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Rows without pictures take no bytes of the file."""
    monkeypatch.setattr(parquet, "MAX_MEMBERS", 1_000)
    monkeypatch.setattr(parquet, "_column", lambda *_: pytest.fail("a column was read"))
    pq.write_table(
        pa.table({name: pa.nulls(1_001, pa.binary()), "label": ["a"] * 1_001}), tmp_path / "a.parquet"
    )
    with pytest.raises(DataError, match=r"a\.parquet has 1,001 rows, over 1,000; divide it"):
        read_table(tmp_path / "a.parquet")


@pytest.mark.parametrize("dictionary", [True, False])
@pytest.mark.parametrize("shape", EMBEDDED)
def test_a_picture_that_many_rows_share_is_unpacked_once(
    tmp_path: Path, shape: str, dictionary: bool
) -> None:
    kind, wrap = EMBEDDED[shape]
    content, rows = encode(noise(0, 400, 400)), 200
    columns = {"image": pa.array([wrap(content)] * rows, kind), "label": ["a", "b"] * (rows // 2)}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet", use_dictionary=dictionary)
    source = list_table(tmp_path / "a.parquet").source
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    assert source.read("row-00000199") == content
    kept = pa.total_allocated_bytes() - before + tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 10 * len(content)


@pytest.mark.parametrize(
    "label",
    [
        pa.array([["a"], ["b"]]),
        pa.array([{"name": "a"}, {"name": "b"}]),
        pa.array([b"\xff", b"\xfe"]),
    ],
    ids=["list", "struct", "not UTF-8"],
)
def test_labels_that_cannot_be_text_are_an_error_that_says_so(tmp_path: Path, label: pa.Array) -> None:
    pq.write_table(pa.table({"path": ["a.png", "b.png"], "label": label}), tmp_path / "list.parquet")
    with pytest.raises(DataError, match=r"list\.parquet .*"):
        read_table(tmp_path / "list.parquet")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not parquet", b"PAR1" + bytes(100) + b"PAR1"])
def test_what_is_no_parquet_is_an_error_that_says_so(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match=r"list\.parquet cannot be read as Parquet"):
        read_table(given_text(tmp_path / "list.parquet", content))


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_truncated_parquet_is_an_error_that_says_so(root: Path, share: float) -> None:
    path = make_parquet(root / "list.parquet", rows_of(root))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(DataError, match=r"list\.parquet cannot be read as Parquet"):
        read_table(path)


def test_damage_among_the_pictures_is_told_picture_by_picture(tmp_path: Path) -> None:
    """The pages of one row group cannot be read; the rest can."""
    path = tmp_path / "a.parquet"
    table = pa.table({"image": PICTURES, "label": ["a", "b"] * 6})
    pq.write_table(table, path, row_group_size=3, compression="zstd", use_dictionary=False)
    chunk = pq.ParquetFile(path).metadata.row_group(1).column(0)
    content = bytearray(path.read_bytes())
    start = chunk.data_page_offset  # the page's own header
    content[start : start + 16] = b"\xff" * 16
    path.write_bytes(content)
    manifest = read_table(path)
    assert set(bad(manifest)) == {f"row-{row:08}" for row in (3, 4, 5)}
    assert manifest.digests == SHA[:3] + SHA[6:]


def test_a_file_that_is_gone_is_told_by_the_picture(tmp_path: Path) -> None:
    path = embedded(tmp_path / "a.parquet", PICTURES, pa.binary())
    manifest = read_table(path)
    assert isinstance(manifest.source, parquet.Rows)
    manifest.source._open.clear()
    path.unlink()
    with pytest.raises(PictureError, match=r"a\.parquet/row-00000000: cannot be read"):
        load_row(manifest, 0, SPEC)


def test_without_pyarrow_parquet_says_what_to_install_and_csv_works(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_parquet(root / "list.parquet", rows_of(root))
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=r"pyarrow is not installed.*pip install '\.\[train\]'"):
        read_table(path)
    assert len(read_table(make_csv(root / "list.csv", rows_of(root)))) == 5


def test_suffixes_in_any_case(root: Path) -> None:
    for kind, make in MAKERS.items():
        path = make(root / f"LIST.{kind.upper()}", rows_of(root))
        assert is_table(path) and len(read_table(path)) == 5
    assert not is_table(Path("a.tsb")) and not is_table(Path("csv"))


@both
def test_weights_follow_their_pictures(kind: str, root: Path) -> None:
    rows = [row | {"weight": 0.5 + number} for number, row in enumerate(rows_of(root))]
    manifest = read_table(MAKERS[kind](root / f"list.{kind}", rows[::-1]))
    assert manifest.weights.dtype == np.float32
    assert manifest.weights.tolist() == [4.5, 3.5, 2.5, 1.5, 0.5]
    keep = np.asarray([4, 0])
    assert manifest.take(keep).weights.tolist() == [0.5, 4.5]
    assert manifest.take(keep).paths == [rows[0]["path"], rows[4]["path"]]


@both
def test_without_weights_all_count_the_same(kind: str, root: Path) -> None:
    assert read_table(MAKERS[kind](root / f"list.{kind}", rows_of(root))).weights.tolist() == [1.0] * 5


@both
@pytest.mark.parametrize("weight", ["0", "-1", "nan", "inf", "much", ""])
def test_a_weight_that_is_no_positive_number_is_named_with_its_row(
    kind: str, weight: str, root: Path
) -> None:
    rows = [row | {"weight": "2"} for row in rows_of(root)]
    rows[3]["weight"] = weight
    place = "line 5" if kind == "csv" else "row 4"
    with pytest.raises(DataError, match=rf"has the weight '{weight}' in {place}; give every row a positive"):
        read_table(MAKERS[kind](root / f"list.{kind}", rows))


def test_delta_encodings_which_share_nothing_are_read_too(tmp_path: Path) -> None:
    """As DuckDB writes texts and pictures on pages of version 2."""
    columns = {"label": ["a", "b", "a"], "group": ["x", "y", "x"], "image": PICTURES[:3]}
    encodings = {"label": "DELTA_BYTE_ARRAY", "group": "DELTA_LENGTH_BYTE_ARRAY", "image": "DELTA_BYTE_ARRAY"}
    path = tmp_path / "list.parquet"
    pq.write_table(pa.table(columns), path, use_dictionary=False, column_encoding=encodings)
    manifest = read_table(path)
    assert (list(manifest.groups), manifest.classes, manifest.skipped) == (["x", "y", "x"], ["a", "b"], [])
    assert manifest.digests == SHA[:3]


@both
def test_a_picture_listed_in_two_parts_is_in_none(root: Path, kind: str) -> None:
    rows = [row | {"split": "train" if i % 2 else "test"} for i, row in enumerate(rows_of(root))]
    manifest = read_table(MAKERS[kind](root / f"list.{kind}", [*rows, rows[1] | {"split": "test"}]))
    assert bad(manifest) == {rows[1]["path"]: "is listed in train and test"} and len(manifest) == 4


@both
def test_a_row_without_a_label_does_not_take_the_picture_with_it(root: Path, kind: str) -> None:
    rows = rows_of(root)
    manifest = read_table(MAKERS[kind](root / f"list.{kind}", [rows[0] | {"label": ""}, *rows]))
    assert list(manifest.paths) == [row["path"] for row in rows]
    assert bad(manifest) == {rows[0]["path"]: "has no label"}


def test_a_table_from_windows_is_known_though_its_first_picture_is_gone(root: Path) -> None:
    rows = [row | {"path": row["path"].replace("/", "\\")} for row in rows_of(root)]
    gone = {"path": "cat\\gone.png", "label": "cat"}
    manifest = read_table(make_csv(root / "list.csv", [gone, *rows]))
    assert list(manifest.paths) == [row["path"] for row in rows_of(root)] and list(bad(manifest)) == [
        "cat/gone.png"
    ]


@pytest.mark.parametrize("name", ["Image Path", "Filename"])
def test_columns_as_many_sets_call_them(root: Path, name: str) -> None:
    rows = [{name: row["path"], "Class": row["label"]} for row in rows_of(root)]
    assert list(read_table(make_csv(root / "list.csv", rows)).paths) == [row["path"] for row in rows_of(root)]
