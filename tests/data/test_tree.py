"""Pictures by their bytes: the digest of each, or why it cannot be used."""

import hashlib
import tracemalloc
from pathlib import Path

import pytest
from picture_makers import class_folder, encode, noise

from lexnet.data.folder import read_folder
from lexnet.data.manifest import Files, Known
from lexnet.data.tree import Tree, know_all, read_tree
from lexnet.errors import DataError, PictureError

SIZE = 200_000


class Half:
    """A source whose every other picture is HEIC, made anew whenever it is read."""

    def read(self, path: str) -> bytes:
        return b"\0\0\0\x18ftypheic" + bytes(SIZE) if int(path) % 2 else encode(noise(int(path), 8, 8))

    def where(self, path: str) -> str:
        return f"half/{path}"


def test_a_bad_picture_leaves_its_reason_and_not_its_bytes() -> None:
    know_all(Half(), ["0", "1"], lambda done, total: None)  # Pillow loads its decoders
    tracemalloc.start()
    found = know_all(Half(), [str(i) for i in range(400)], lambda done, total: None)
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 10 * SIZE, f"{kept:,} bytes are kept of 200 pictures of {SIZE:,}"
    assert found[2] == Known(hashlib.sha256(encode(noise(2, 8, 8))).hexdigest(), 8, 8, "RGB")
    bad = [one for one in found if isinstance(one, PictureError)]
    assert len(bad) == 200 and bad[0].path == "half/1" and bad[0].reason.startswith("is HEIC")


def test_parts_inside_classes_are_refused(tmp_path: Path) -> None:
    for label in ("hat", "shoes"):
        class_folder(tmp_path / "data" / label, train=2, Test=2)
    with pytest.raises(
        DataError, match=r"inside its classes, such as hat/Test; put them around .* \(Test/hat\)"
    ):
        read_folder(tmp_path / "data")


def test_a_folder_that_cannot_be_read_is_told_with_its_pictures(tmp_path: Path) -> None:
    """Whether it holds parts cannot be seen; the others say that it is a class."""

    def folders(path: str) -> list[str]:
        if path == "shoes":
            raise DataError("shoes cannot be read")
        return [] if path else ["hat", "shoes"]

    files = [("hat/1.png", None), ("shoes", "cannot be read (Permission denied)")]
    (tmp_path / "hat").mkdir()
    noise(0).save(tmp_path / "hat/1.png")
    manifest = read_tree(Tree("data", Files(tmp_path), files, folders), None, lambda done, total: None)
    assert list(manifest.paths) == ["hat/1.png"] and [skip.path for skip in manifest.skipped if skip.bad] == [
        "shoes"
    ]
