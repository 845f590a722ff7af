import csv
import re
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lexnet.data import samples
from lexnet.data.samples import SAMPLES, sample_folder
from lexnet.errors import DataError, MissingExtra, OutputError

CLIPART = sample_folder("clipart")
PICTURES = sorted(CLIPART.glob("*/*"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LEXNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def test_each_class_of_clipart_has_40_to_60_pictures() -> None:
    counts = Counter(path.parent.name for path in PICTURES)
    assert len(counts) == 12
    assert {name: n for name, n in counts.items() if not 40 <= n <= 60} == {}
    assert SAMPLES["clipart"].startswith(f"{len(PICTURES)} ")


def test_clipart_adds_at_most_3_mb_to_the_package() -> None:
    assert sum(path.stat().st_size for path in PICTURES) <= 3_000_000


def test_clipart_pictures_are_png_up_to_160_px_with_something_on_them() -> None:
    for path in PICTURES:
        assert re.fullmatch(r"[a-z0-9_]+\.png", path.name), path
        values = pixels(path)
        assert 64 <= max(values.shape[:2]) <= 160, path
        assert values.min() != values.max(), path


def test_no_two_clipart_pictures_are_the_same() -> None:
    seen: dict[tuple[tuple[int, ...], bytes], Path] = {}
    for path in PICTURES:
        values = pixels(path)
        twin = seen.setdefault((values.shape, values.tobytes()), path)
        assert twin == path, f"{path} has the pixels of {twin}"


def test_the_provenance_table_names_every_picture_and_no_other() -> None:
    with open(CLIPART.with_suffix(".csv"), encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    files = [f"clipart/{path.parent.name}/{path.name}" for path in PICTURES]
    assert [(row["file"], row["class"]) for row in rows] == [(file, file.split("/")[1]) for file in files]
    assert len({row["original"] for row in rows}) == len(rows)
    assert all("Public Domain" in row["licence"] and row["source"] for row in rows)


def test_digits_are_scikit_learns_own(cache: Path) -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    expected = datasets.load_digits()
    folder = sample_folder("digits")
    assert folder.is_relative_to(cache)
    files = sorted(folder.glob("*/*.png"), key=lambda path: path.stem)
    assert [path.stem for path in files] == [f"{index:04}" for index in range(1797)]
    assert [int(path.parent.name) for path in files] == expected.target.tolist()
    for path, values in zip(files, expected.images, strict=True):
        with Image.open(path) as picture:
            assert picture.mode == "L"
            read = np.asarray(picture)
        np.testing.assert_array_equal(np.rint(read * (16 / 255)), values)
        assert read.max() == np.rint(values.max() * 255 / 16)


def test_digits_are_written_once(cache: Path) -> None:
    pytest.importorskip("sklearn")
    one = sample_folder("digits") / "0" / "0000.png"
    before = one.stat()
    assert sample_folder("digits") == cache / "samples" / "digits"
    assert (one.stat().st_ino, one.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_two_writers_of_the_digits_at_once_leave_one_whole_folder(cache: Path) -> None:
    pytest.importorskip("sklearn")
    folder = cache / "samples" / "digits"
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(samples._write_digits, [folder] * 2))
    assert len(list(folder.glob("*/*.png"))) == 1797
    assert list(folder.parent.iterdir()) == [folder], "a temporary folder was left behind"


def test_digits_written_by_another_process_are_kept(cache: Path) -> None:
    pytest.importorskip("sklearn")
    folder = cache / "samples" / "digits"
    (folder / "0").mkdir(parents=True)
    (folder / "0" / "first.png").write_bytes(b"the first one's")
    samples._write_digits(folder)
    assert list(folder.glob("*/*")) == [folder / "0" / "first.png"]


def test_digits_of_which_some_were_removed_are_written_anew(cache: Path) -> None:
    for picture in sample_folder("digits").glob("7/*"):
        picture.unlink()
    assert len(list(sample_folder("digits").glob("*/*.png"))) == 1797


def test_a_cache_that_cannot_be_written_says_what_to_set(cache: Path) -> None:
    pytest.importorskip("sklearn")
    cache.write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="set LEXNET_CACHE"):
        sample_folder("digits")


def test_digits_without_scikit_learn_say_what_to_install(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtra, match=r"scikit-learn.*pip install '\.\[train\]'"):
        sample_folder("digits")
    assert not cache.exists()


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(DataError, match=r"'clip-art' \(did you mean clipart\?\); there are clipart, digits"):
        sample_folder("clip-art")
    with pytest.raises(DataError, match=r"'zzz'; there are clipart, digits"):
        sample_folder("zzz")


def test_naming_the_samples_loads_neither_numpy_nor_pillow() -> None:
    code = (
        "import sys, lexnet.data.samples as s; s.sample_folder('clipart'); "
        "print(*{'numpy', 'PIL', 'sklearn', 'torch'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""
