"""Whatever is in a table: each row is a picture or is skipped with its reason, or the table is refused."""

import csv
import hashlib
import io
import struct
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_makers import encode, noise, state_of

from lexnet.config import SplitConfig
from lexnet.data.manifest import Manifest
from lexnet.data.splits import check_classes
from lexnet.data.table import COLUMNS, list_table, read_table
from lexnet.errors import DataError, LexNetError

QUICK = settings(deadline=None, derandomize=True, max_examples=150)
PICTURES = [encode(noise(seed, 8, 8)) for seed in range(4)]
CELLS = {
    "path": [
        "0.png", "1.png", "2.png", "./0.png", "../secret.png", "/dev/zero", "none.png", "", " ", ".", "a\0b",
        "two\nlines.png", "\x1b[31m", "x" * 5000, "caf\u00e9.png", "cafe\u0301.png", "text.jpg", '"', "a,b",
    ],
    "label": ["cat", "dog", "10", "2", "caf\u00e9", "cafe\u0301", "7" * 5000, "\u202e", '"', "c\x07t", ""],
    "split": ["", "train", "VAL", "validation", "test", "dev"],
    "group": ["", "g", "\0", "g" * 5000],
    "weight": ["", "1", "0.5", "1e300", "-1e300", "1e-300", "nan", "inf", "1_0", "9" * 5000],
    "sha256": ["", "", "", "abc", "0" * 64, "F" * 64],
}  # fmt: skip
ROWS = st.fixed_dictionaries({name: st.sampled_from(cells) for name, cells in CELLS.items()})
TAME = st.fixed_dictionaries({name: st.sampled_from(cells[:3]) for name, cells in CELLS.items()})


def folder_of(temporary: str) -> Path:
    """Pictures beside the table to come, and a file that is none."""
    root = Path(temporary, "data")
    root.mkdir()
    for i, name in enumerate(("0.png", "1.png", "2.png", "caf\u00e9.png")):
        (root / name).write_bytes(PICTURES[i])
    (root / "text.jpg").write_text("text")
    return root


def assert_sound(manifest: Manifest) -> None:
    """Each row has the digest of its bytes."""
    for row, digest in enumerate(manifest.digests):
        assert hashlib.sha256(manifest.read(row)).hexdigest() == digest
    assert all(skip.bad or skip.reason == "is listed twice" for skip in manifest.skipped)
    assert all(skip.reason for skip in manifest.skipped)


def make_csv(path: Path, rows: list[dict[str, str]], columns: list[str]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def make_parquet(path: Path, rows: list[dict[str, str]], columns: list[str]) -> Path:
    pq.write_table(pa.table({name: [row[name] for row in rows] for name in columns}), path, row_group_size=2)
    return path


@pytest.mark.parametrize("make", [make_csv, make_parquet])
@QUICK
@given(
    rows=st.lists(TAME, max_size=3, unique_by=lambda row: row["path"]),
    odd=st.lists(ROWS, max_size=2),
    columns=st.permutations(COLUMNS),
    count=st.integers(2, len(COLUMNS)),
)
def test_every_row_is_a_picture_or_skipped_or_the_table_is_refused(
    make: object, rows: list[dict[str, str]], odd: list[dict[str, str]], columns: list[str], count: int
) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        root = folder_of(temporary)
        rows = [*rows, *odd]
        path = make(root / f"list.{make.__name__.removeprefix('make_')}", rows, columns[:count])
        before = state_of(root)
        try:
            manifest = read_table(path)
        except DataError as error:
            assert str(path) in str(error)
            return
        finally:
            assert state_of(root) == before
        assert_sound(manifest)
        bad = {skip.path for skip in manifest.skipped if skip.bad and skip.reason != "has no label"}
        labelled = (row for row in rows if row["label"].strip())
        listed = [row["path"].strip() if make is make_csv else row["path"] for row in labelled]
        assert list(manifest.paths) == [name for name in dict.fromkeys(listed) if name not in bad]
        assert len(manifest) + len(manifest.skipped) == len(rows)


HEAD = b"path,label\n0.png,cat\n1.png,dog\n"
PIECES = st.sampled_from(
    [b",", b'"', b"\n", b"\r", b"\0", b"\xef\xbb\xbf", b"\xff", b"2.png,cat", b"path", b";", b"\\", b" "]
)


@QUICK
@given(start=st.sampled_from([HEAD, HEAD[:11], b""]), pieces=st.lists(PIECES | st.binary(max_size=4)))
def test_any_bytes_as_csv_end_in_rows_or_in_an_error_of_ours(start: bytes, pieces: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        path = folder_of(temporary) / "list.csv"
        path.write_bytes(start + b"".join(pieces))
        try:
            assert_sound(read_table(path))
        except DataError as error:
            assert str(path) in str(error)


def parquet_of(inside: bool, compression: str) -> bytes:
    """Three rows in two groups, with the pictures inside or by path."""
    pictures = {"image": PICTURES[:3]} if inside else {"path": ["0.png", "1.png", "2.png"]}
    table = pa.table({**pictures, "label": ["cat", "dog", "cat"], "group": ["g", None, ""]})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, row_group_size=2, compression=compression)
    return buffer.getvalue()


FILES = [parquet_of(inside, compression) for inside in (True, False) for compression in ("none", "snappy")]


@QUICK
@given(
    content=st.sampled_from(FILES),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.binary(min_size=1, max_size=4)), max_size=4),
    cut=st.just(0) | st.integers(0, 3000),
    tail=st.booleans(),
)
def test_damage_anywhere_in_parquet_ends_in_rows_or_in_an_error_of_ours(
    content: bytes, changes: list[tuple[int, bytes]], cut: int, tail: bool
) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        path = folder_of(temporary) / "list.parquet"
        changed = bytearray(content)
        for place, value in changes:
            place = len(content) - 9 - place % 900 if tail else place % len(content)  # what describes it
            changed[place : place + len(value)] = value
        path.write_bytes(changed[: len(changed) - cut])
        try:
            assert_sound(read_table(path))
        except LexNetError as error:
            assert str(path) in str(error)


def test_no_byte_of_parquet_changed_alone_ends_in_anything_else(tmp_path: Path) -> None:
    """Some make columns of another length, or another number of rows."""
    content = parquet_of(False, "none")
    path, refused = tmp_path / "list.parquet", 0
    (tmp_path / "1.png").write_bytes(PICTURES[1])
    for place in range(len(content)):
        path.write_bytes(content[:place] + b"\1" + content[place + 1 :])
        try:
            manifest = read_table(path)
            assert len(manifest) + len(manifest.skipped) == 3 and len(manifest) <= 1
        except DataError:
            refused += 1
    assert 0 < refused < len(content)


@pytest.mark.parametrize("name", ["path", "label", "split", "group", "weight", "sha256"])
def test_text_in_parquet_that_is_not_utf_8_is_an_error_that_says_so(tmp_path: Path, name: str) -> None:
    """Arrow itself writes and reads it without a word."""
    ends, data = struct.pack("<3i", 0, 1, 2), b"a\xff"
    odd = pa.Array.from_buffers(pa.string(), 2, [None, pa.py_buffer(ends), pa.py_buffer(data)])
    table = pa.table({"path": ["0.png", "1.png"], "label": ["cat", "dog"], name: odd})
    pq.write_table(table, tmp_path / "list.parquet")
    with pytest.raises(DataError, match=r"list\.parquet cannot be read as Parquet \(.*UTF8"):
        read_table(tmp_path / "list.parquet")


@pytest.mark.parametrize("weight", ["1e300", "-1e300", "1e-300"])
def test_a_weight_beyond_what_can_be_kept_is_named(tmp_path: Path, weight: str) -> None:
    (tmp_path / "list.csv").write_text(f"path,label,weight\n0.png,cat,1\n1.png,dog,{weight}\n")
    with pytest.raises(DataError, match=f"has the weight '{weight}' in line 3; give every row a positive"):
        read_table(tmp_path / "list.csv")


def test_a_hundred_thousand_classes_are_read_in_order_and_then_refused(tmp_path: Path) -> None:
    lines = [f"{i}.png,c{i},{i:064x}\n" for i in range(100_000)]
    (tmp_path / "list.csv").write_text("path,label,sha256\n" + "".join(lines[::-1]))
    manifest = list_table(tmp_path / "list.csv")
    assert manifest.classes == [f"c{i}" for i in range(100_000)]
    assert np.array_equal(manifest.labels, np.arange(100_000)[::-1])
    with pytest.raises(DataError, match="has 100,000 classes, over 2,000"):
        check_classes(manifest, SplitConfig())
