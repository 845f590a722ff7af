"""What was computed once is kept, and what is damaged is not believed."""

import hashlib
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from lexnet.transfer.cache import FeatureCache

RECIPE = {"net": "x", "engine": "y 1"}
DIGESTS = [f"{i:064x}" for i in range(1, 7)]
ROWS = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LEXNET_CACHE", str(tmp_path))
    return tmp_path


def opened(warnings: list[str] | None = None, **recipe: object) -> FeatureCache:
    """A cache that must not warn, unless there is a list to warn into."""
    if warnings is None:
        return FeatureCache(RECIPE | recipe, pytest.fail)
    return FeatureCache(RECIPE | recipe, warnings.append)


def in_another_process(code: str) -> subprocess.Popen[str]:
    head = (
        "import sys, numpy as np\n"
        "from lexnet.transfer.cache import FeatureCache\n"
        f"cache = FeatureCache({RECIPE!r}, sys.exit)\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", head + code], stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )


def finished(process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors


def test_rows_come_back_in_the_order_asked_for() -> None:
    cache = opened()
    assert DIGESTS[0] not in cache
    cache.add(DIGESTS[:4], ROWS[:4])
    cache.add(DIGESTS[4:], ROWS[4:])
    for filled in (cache, opened()):
        assert all(digest in filled for digest in DIGESTS) and f"{99:064x}" not in filled
        assert np.array_equal(filled.read(DIGESTS[::-1]), ROWS[::-1])
        assert np.array_equal(filled.read([DIGESTS[5], DIGESTS[5], DIGESTS[0]]), ROWS[[5, 5, 0]])
        assert filled.read(DIGESTS).dtype == np.float32
    with pytest.raises(KeyError):
        opened().read([f"{99:064x}"])


def test_files_are_memory_mapped_and_named_after_their_bytes() -> None:
    opened().add(DIGESTS, ROWS)
    cache = opened()
    (file,) = cache.folder.iterdir()
    assert file.name == f"{hashlib.sha256(file.read_bytes()).hexdigest()}.npy"
    rows, _ = cache._rows[bytes.fromhex(DIGESTS[0])]
    assert isinstance(rows, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        rows["features"][0] = 0
    cache.read(DIGESTS)[:] = 0  # what a caller does with its copy
    assert np.array_equal(cache.read(DIGESTS), ROWS)


def test_the_same_rows_are_the_same_file() -> None:
    opened().add(DIGESTS, ROWS)
    opened().add(DIGESTS, ROWS)
    assert len(list(opened().folder.iterdir())) == 1


def test_another_process_finds_them() -> None:
    opened().add(DIGESTS, ROWS)
    finished(in_another_process(f"assert cache.read({DIGESTS!r}).tolist() == {ROWS.tolist()!r}"))


def test_processes_may_write_at_once() -> None:
    """Each writes forty files, half of them the other's as well; nothing is lost, nothing left behind."""
    code = (
        "for i in range(START, START + 40):\n    cache.add([f'{i:064x}'], np.full((1, 5), i, np.float32))\n"
    )
    writers = [in_another_process(code.replace("START", start)) for start in ("100", "120")]
    for writer in writers:
        finished(writer)
    cache = opened()
    wanted = [f"{i:064x}" for i in range(100, 160)]
    assert cache.read(wanted)[:, 0].tolist() == list(range(100, 160))
    assert len(list(cache.folder.iterdir())) == 60


@pytest.mark.parametrize("place", [0, 10, 90, 200, -1])
def test_a_flipped_byte_is_told_once_and_set_aside(place: int) -> None:
    opened().add(DIGESTS[:3], ROWS[:3])
    (file,) = opened().folder.iterdir()
    opened().add(DIGESTS[3:], ROWS[3:])
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)

    warnings: list[str] = []
    cache = opened(warnings)
    assert warnings == [f"cached features in {file} were damaged; they are computed again"]
    assert [digest in cache for digest in DIGESTS] == [False] * 3 + [True] * 3
    assert np.array_equal(cache.read(DIGESTS[3:]), ROWS[3:])
    assert not file.exists() and file.with_suffix(".damaged").read_bytes() == content

    cache = opened()
    cache.add(DIGESTS[:3], ROWS[:3])
    assert np.array_equal(opened().read(DIGESTS), ROWS)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"x" * 1000])
def test_a_file_that_is_none_of_ours_is_set_aside(content: bytes) -> None:
    cache = opened()
    cache.folder.mkdir(parents=True)
    (cache.folder / f"{'0' * 64}.npy").write_bytes(content)
    warnings: list[str] = []
    assert DIGESTS[0] not in opened(warnings)
    assert len(warnings) == 1


def test_a_file_that_another_process_sets_aside_first_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    opened().add(DIGESTS, ROWS)
    listed = list(opened().folder.iterdir())
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter([*listed, self / f"{'0' * 64}.npy"]))
    assert np.array_equal(opened().read(DIGESTS), ROWS)


def test_half_written_files_are_not_looked_at() -> None:
    cache = opened()
    cache.folder.mkdir(parents=True)
    (cache.folder / f".{'0' * 64}.npy.abc.part").write_bytes(b"half")
    assert DIGESTS[0] not in opened()


def test_recipes_never_share_rows() -> None:
    opened().add(DIGESTS, ROWS)
    for other in ({"engine": "y 2"}, {"net": "z"}, {"size": 224}, {"net": None}):
        assert DIGESTS[0] not in opened(**other)
    assert FeatureCache(dict(reversed(RECIPE.items())), pytest.fail).folder == opened().folder


def test_rows_with_python_objects_are_never_unpickled() -> None:
    """Even where the digest fits: a pickle runs code of whoever wrote it."""
    buffer = BytesIO()
    np.save(buffer, np.array([{"key": 1}], dtype=object), allow_pickle=True)
    cache = opened()
    cache.folder.mkdir(parents=True)
    (cache.folder / f"{hashlib.sha256(buffer.getvalue()).hexdigest()}.npy").write_bytes(buffer.getvalue())
    with pytest.raises(ValueError, match=r"Python objects|Object arrays"):
        opened()
