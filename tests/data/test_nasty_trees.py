"""Whatever lies in a folder, reading it ends: each file is a row or is listed with its reason."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_makers import HEIC, class_folder, encode, noise, png_header, state_of

from lexnet.data.folder import read_folder
from lexnet.data.listing import read_listing
from lexnet.data.manifest import Manifest
from lexnet.errors import DataError
from lexnet.files import listed_as

QUICK = settings(deadline=None, derandomize=True, max_examples=150)
PICTURES = [encode(noise(seed, 8, 8)) for seed in range(4)]
NAMES = [
    "cat", "Cat", "dog", "10", "2", "02", "caf\u00e9", "cafe\u0301", "train", "TRAIN", "valid", "Test",
    "a.png", "A.PNG", "b.jpeg", "notes.txt", "no suffix", "x.png.", ".png", "..png", "n" * 251 + ".png",
    ".git", "._a.png", "__MACOSX", "Thumbs.db", "two\nlines.png", "\x1b[31m.png", os.fsdecode(b"caf\xe9.png"),
    " ", "-rf", "~", "%s", "'; --", "\u202egnp.exe", "\U0001f600.png", "C:", "\\", "*?",
]  # fmt: skip
CONTENTS = [*PICTURES, PICTURES[0][:60], b"", b"text", HEIC, png_header(60_000, 60_000)]
TARGETS = [".", "..", "cat", "../dog", "a.png", "nowhere", "a.png/x", "/dev/null", "../../outside"]


class Entry(NamedTuple):
    """One name to be put on the disk."""

    pieces: list[str]
    kind: str
    content: bytes
    target: str


ENTRIES = st.builds(
    Entry,
    st.builds(
        lambda folders, last: [*folders, last],
        st.lists(st.sampled_from(NAMES), max_size=3),
        st.sampled_from(NAMES) | st.sampled_from(["a.png", "b.jpeg", "2.png", "10.png"]),
    ),
    st.sampled_from(["file", "file", "file", "folder", "link", "pipe"]),
    st.sampled_from(CONTENTS),
    st.sampled_from(TARGETS),
)


def place(root: Path, entry: Entry) -> None:
    """Makes it, unless something else is in its way."""
    path = root.joinpath(*entry.pieces)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if entry.kind == "file":
            with path.open("xb") as file:
                file.write(entry.content)
        elif entry.kind == "folder":
            path.mkdir()
        elif entry.kind == "link":
            path.symlink_to(entry.target)
        else:
            os.mkfifo(path)
    except OSError:
        pass


def facts(manifest: Manifest) -> tuple[object, ...]:
    columns = (manifest.paths, manifest.parts, manifest.digests)
    return manifest.classes, manifest.labels.tolist(), [list(column) for column in columns], manifest.skipped


def unaccounted(root: Path, manifest: Manifest) -> list[str]:
    """What is neither a row nor skipped, nor below a folder that is skipped."""
    told = {*manifest.paths, *(skip.path for skip in manifest.skipped)}
    missing = []
    for path in root.rglob("*"):
        inside = path.relative_to(root)
        known = any(listed_as(place) in told for place in (inside, *inside.parents))
        if not known and not path.is_dir():
            missing.append(listed_as(inside))
    return missing


@contextmanager
def backwards() -> Iterator[None]:
    """The system lists folders the other way round, as for files made in another order."""
    scandir = os.scandir
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(os, "scandir", lambda path: reversed(list(scandir(path))))
        yield


@QUICK
@given(entries=st.lists(ENTRIES, max_size=12), divided=st.sampled_from([(), ("train",), ("train", "test")]))
def test_every_file_is_a_row_or_is_listed_with_its_reason(
    entries: list[Entry], divided: tuple[str, ...]
) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary, "below/data")
        class_folder(Path(temporary, "outside"), cat=1)
        for part in divided or ("",):
            class_folder(root / part, cat=1, dog=1)
        for entry in entries:
            place(root, entry)
        before = state_of(Path(temporary))
        try:
            manifest = read_folder(root)
        except DataError as error:
            assert str(root) in str(error)
            return
        assert unaccounted(root, manifest) == []
        told = [*manifest.paths, *(skip.path for skip in manifest.skipped)]
        assert len(told) == len(set(told)), "nothing is listed twice"
        assert all(skip.reason and skip.path.encode() for skip in manifest.skipped)
        for row, digest in enumerate(manifest.digests):
            assert hashlib.sha256(manifest.read(row)).hexdigest() == digest
        with backwards():
            assert facts(read_folder(root)) == facts(manifest)
        assert state_of(Path(temporary)) == before


@contextmanager
def deep(top: Path, name: str, levels: int) -> Iterator[None]:
    """Folders in folders with a picture in the last, reached step by step: no path is that long."""
    here = Path.cwd()
    os.chdir(top)
    try:
        for _ in range(levels):
            os.mkdir(name)
            os.chdir(name)
        Path("x.png").write_bytes(PICTURES[0])
        yield
        os.unlink("x.png")
        for _ in range(levels):
            os.chdir("..")
            os.rmdir(name)  # what clears up after a test would be as deep in calls
    finally:
        os.chdir(here)


def test_folders_deeper_than_python_calls_are_read(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "data", cat=1, dog=1)
    with deep(root / "cat", "d", 1100):
        assert list(read_folder(root).paths) == ["cat/0.png", f"cat/{'d/' * 1100}x.png", "dog/0.png"]


def test_a_path_longer_than_the_system_takes_is_listed(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "data", cat=1, dog=1)
    with deep(root / "cat", "d" * 200, 25):
        manifest = read_folder(root)
    assert list(manifest.paths) == ["cat/0.png", "dog/0.png"]
    assert [skip.reason for skip in manifest.skipped] == ["cannot be read (File name too long)"]


def test_a_link_to_nothing_is_told_from_a_link_that_may_not_be_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = class_folder(tmp_path / "data", cat=2, dog=1)
    (root / "cat/gone.png").symlink_to("0.png/x")
    (root / "cat/kept.png").symlink_to("1.png")
    look = os.stat

    def deny(path: str, **options: bool) -> os.stat_result:
        if os.path.basename(path) == "kept.png":
            raise PermissionError(13, "Permission denied")
        return look(path, **options)

    monkeypatch.setattr(os, "stat", deny)
    assert {skip.path: skip.reason for skip in read_folder(root).skipped} == {
        "cat/gone.png": "is a link to nothing",
        "cat/kept.png": "cannot be read (Permission denied)",
    }


@pytest.mark.parametrize("name", [os.fsdecode(b"caf\xe9.png"), "\ud800.png"])
def test_a_listed_path_that_is_not_utf_8_is_an_error_that_says_so(tmp_path: Path, name: str) -> None:
    root = class_folder(tmp_path / "data", cat=1, dog=1)
    with pytest.raises(DataError, match=r"\.png' is not written in UTF-8; rename it"):
        read_listing([root / "cat/0.png", root / name], ["a", "b"])
