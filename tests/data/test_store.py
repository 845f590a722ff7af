"""What was computed once is kept, and what is damaged is not believed."""

import hashlib
import mmap
import os
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lexnet.data.columns import Strings
from lexnet.data.manifest import Files, Manifest
from lexnet.data.store import Store, fill
from lexnet.errors import DataError, OutputError

RECIPE = {"net": "x", "engine": "y 1"}
DIGESTS = [f"{256 * i:064x}" for i in range(1, 7)]  # they end in zeros
ROWS = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LEXNET_CACHE", str(tmp_path))
    return tmp_path


def opened(warnings: list[str] | None = None, **recipe: object) -> Store:
    """A store that must not warn, unless there is a list to warn into."""
    return Store("rows", RECIPE | recipe, pytest.fail if warnings is None else warnings.append)


def has(store: Store, digests: list[str]) -> list[bool]:
    return (store.find(digests) >= 0).tolist()


def read(store: Store, digests: list[str]) -> NDArray[np.float32]:
    return store.read(store.find(digests))


def in_another_process(code: str) -> subprocess.Popen[str]:
    head = (
        "import sys, numpy as np\n"
        "from lexnet.data.store import Store\n"
        f"store = Store('rows', {RECIPE!r}, sys.exit)\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", head + code], stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )


def finished(process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors


def test_rows_come_back_in_the_order_asked_for() -> None:
    store = opened()
    assert has(store, DIGESTS) == [False] * 6
    store.add(DIGESTS[:4], ROWS[:4])
    store.add(DIGESTS[4:], ROWS[4:])
    for filled in (store, opened()):
        assert has(filled, [*DIGESTS, f"{99:064x}"]) == [True] * 6 + [False]
        assert np.array_equal(read(filled, DIGESTS[::-1]), ROWS[::-1])
        assert np.array_equal(read(filled, [DIGESTS[5], DIGESTS[5], DIGESTS[0]]), ROWS[[5, 5, 0]])
        assert read(filled, DIGESTS).dtype == np.float32


def test_files_are_memory_mapped_and_named_after_their_bytes() -> None:
    opened().add(DIGESTS, ROWS)
    store = opened()
    (file,) = store.folder.iterdir()
    assert file.name == f"{hashlib.sha256(file.read_bytes()).hexdigest()}.npy"
    (shard,) = store._open
    base = shard
    while isinstance(base, np.ndarray):
        base = base.base
    assert isinstance(base.obj if isinstance(base, memoryview) else base, mmap.mmap)
    with pytest.raises(ValueError, match="read-only"):
        shard["row"][0] = 0
    read(store, DIGESTS)[:] = 0  # what a caller does with its copy
    assert np.array_equal(read(store, DIGESTS), ROWS)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_more_files_than_a_process_may_open(own_cache: Path) -> None:
    """Where the system allows 64, eight are kept open and the others opened when they are read."""
    code = (
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
        "wanted = [f'{i:064x}' for i in range(100)]\n"
        "for i, digest in enumerate(wanted):\n"
        "    store.add([digest], np.full((1, 5), i, np.float32))\n"
        f"for one in (store, Store('rows', {RECIPE!r}, sys.exit)):\n"
        "    for _ in range(2):\n"
        "        rows = one.read(one.find(wanted[::-1]))\n"
        "        assert rows[:, 0].tolist() == list(range(100))[::-1]\n"
        "        assert one.read(one.find(wanted), np.arange(100) % 5).tolist() == list(range(100))\n"
    )
    finished(in_another_process(code))
    assert len(list(opened().folder.iterdir())) == 100


def test_a_file_that_is_removed_while_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is kept open is read to the end; for another there is a way on."""
    monkeypatch.setattr("lexnet.data.store._at_once", lambda: 1)
    opened().add(DIGESTS[:3], ROWS[:3])
    store = opened()
    store.add(DIGESTS[3:], ROWS[3:])
    places = store.find(DIGESTS)
    if sys.platform != "win32":  # which lets nobody remove an open file
        store._shards[0].file.unlink()
    store._shards[1].file.unlink()
    assert np.array_equal(store.read(places[:3]), ROWS[:3])
    with pytest.raises(DataError, match="was removed while it was in use; the same command, run again"):
        store.read(places)
    assert not has(opened(), DIGESTS)[3]


def test_the_same_rows_are_the_same_file() -> None:
    opened().add(DIGESTS, ROWS)
    opened().add(DIGESTS, ROWS)
    assert len(list(opened().folder.iterdir())) == 1


def test_another_process_finds_them() -> None:
    opened().add(DIGESTS, ROWS)
    finished(in_another_process(f"assert store.read(store.find({DIGESTS!r})).tolist() == {ROWS.tolist()!r}"))


def test_processes_may_write_at_once() -> None:
    """Each writes forty files, half of them the other's as well; nothing is lost, nothing left behind."""
    code = (
        "for i in range(START, START + 40):\n    store.add([f'{i:064x}'], np.full((1, 5), i, np.float32))\n"
    )
    writers = [in_another_process(code.replace("START", start)) for start in ("100", "120")]
    for writer in writers:
        finished(writer)
    store = opened()
    wanted = [f"{i:064x}" for i in range(100, 160)]
    assert read(store, wanted)[:, 0].tolist() == list(range(100, 160))
    assert len(list(store.folder.iterdir())) == 60


@pytest.mark.parametrize(
    "what",
    ["pipe", "folder", "link to itself", "nothing", "text", "half a zip", "an archive", "another array"],
)
def test_what_is_no_file_of_the_cache_is_told_and_does_no_harm(what: str) -> None:
    """Under a name as the cache gives it; of the last five by their own sha256."""
    opened().add(DIGESTS[:3], ROWS[:3])
    folder = opened().folder
    buffer = BytesIO()
    np.savez(buffer, a=np.arange(3)) if what == "an archive" else np.save(buffer, np.arange(3))
    known = {"text": b"hello", "half a zip": b"PK\x03\x04aaaa", "pipe": b"", "folder": b"", "nothing": b""}
    content = known.get(what, buffer.getvalue())
    file = folder / f"{hashlib.sha256(content).hexdigest()}.npy"
    if what == "pipe":
        os.mkfifo(file)
    elif what == "folder":
        file.mkdir()
    elif what == "link to itself":
        file.symlink_to(file.name)
    else:
        file.write_bytes(content)
    warnings: list[str] = []
    store = opened(warnings)
    assert len(warnings) == 1 and str(file) in warnings[0]
    assert np.array_equal(read(store, DIGESTS[:3]), ROWS[:3])


@pytest.mark.parametrize("place", [0, 10, 90, 200, -1])
def test_a_flipped_byte_is_told_once_and_set_aside(place: int) -> None:
    opened().add(DIGESTS[:3], ROWS[:3])
    (file,) = opened().folder.iterdir()
    opened().add(DIGESTS[3:], ROWS[3:])
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)

    warnings: list[str] = []
    store = opened(warnings)
    assert warnings == [f"{file} was damaged; what it kept of some pictures is computed again"]
    assert has(store, DIGESTS) == [False] * 3 + [True] * 3
    assert np.array_equal(read(store, DIGESTS[3:]), ROWS[3:])
    assert not file.exists() and file.with_suffix(".damaged").read_bytes() == content

    store = opened()
    store.add(DIGESTS[:3], ROWS[:3])
    assert np.array_equal(read(opened(), DIGESTS), ROWS)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"x" * 1000])
def test_a_file_that_is_none_of_ours_is_set_aside(content: bytes) -> None:
    store = opened()
    store.folder.mkdir(parents=True)
    (store.folder / f"{'0' * 64}.npy").write_bytes(content)
    warnings: list[str] = []
    assert not any(has(opened(warnings), DIGESTS))
    assert len(warnings) == 1


def test_a_file_that_another_process_sets_aside_first_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    opened().add(DIGESTS, ROWS)
    listed = list(opened().folder.iterdir())
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter([*listed, self / f"{'0' * 64}.npy"]))
    assert np.array_equal(read(opened(), DIGESTS), ROWS)


def test_half_written_files_are_not_looked_at() -> None:
    store = opened()
    store.folder.mkdir(parents=True)
    (store.folder / f".{'0' * 64}.npy.abc.part").write_bytes(b"half")
    assert not any(has(opened(), DIGESTS))


def test_recipes_never_share_rows() -> None:
    opened().add(DIGESTS, ROWS)
    for other in ({"engine": "y 2"}, {"net": "z"}, {"size": 224}, {"net": None}):
        assert not any(has(opened(**other), DIGESTS))
    assert Store("rows", dict(reversed(RECIPE.items())), pytest.fail).folder == opened().folder


@pytest.mark.parametrize("row", [("U4", (2,)), ("f8", (5,)), ("f4", ())])
def test_rows_that_no_net_gives_are_left_out(row: tuple[str, tuple[int, ...]]) -> None:
    opened().add(DIGESTS, ROWS)
    odd = np.zeros(2, [("key", "S32"), ("row", *row)])
    buffer = BytesIO()
    np.save(buffer, odd)
    (opened().folder / f"{hashlib.sha256(buffer.getvalue()).hexdigest()}.npy").write_bytes(buffer.getvalue())
    warnings: list[str] = []
    assert all(has(opened(warnings), DIGESTS)) and len(warnings) == 1


def test_rows_of_another_width_than_most_are_left_out() -> None:
    for start in (0, 3):
        opened().add(DIGESTS[start : start + 3], ROWS[start : start + 3])
    odd = np.zeros(2, [("key", "S32"), ("row", "f4", (7,))])
    buffer = BytesIO()
    np.save(buffer, odd)
    (opened().folder / f"{hashlib.sha256(buffer.getvalue()).hexdigest()}.npy").write_bytes(buffer.getvalue())
    store = opened()
    np.testing.assert_array_equal(store.read(store.find(DIGESTS)), ROWS)


def test_rows_with_python_objects_are_never_unpickled() -> None:
    """Even where the digest fits: a pickle runs code of whoever wrote it."""
    buffer = BytesIO()
    np.save(buffer, np.array([{"key": 1}], dtype=object), allow_pickle=True)
    store = opened()
    store.folder.mkdir(parents=True)
    (store.folder / f"{hashlib.sha256(buffer.getvalue()).hexdigest()}.npy").write_bytes(buffer.getvalue())
    warnings: list[str] = []
    assert has(opened(warnings), DIGESTS) == [False] * 6
    assert len(warnings) == 1 and "is no file of this cache; it is left out" in warnings[0]


def test_what_the_disk_has_no_room_for_is_told_at_the_first_row(monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = Manifest(
        name="six", source=Files(Path()), classes=["a"], paths=Strings.of("abcdef"),
        labels=np.zeros(6, np.int64), parts=Strings.empty(6), digests=Strings.of(DIGESTS),
    )  # fmt: skip
    monkeypatch.setattr("lexnet.data.store.free_bytes", lambda folder: 6 * ROWS[0].nbytes - 1)
    computed: list[int] = []

    def compute(rows: list[int]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        for row in rows:
            computed.append(row)
            yield row, ROWS[row]

    with pytest.raises(
        OutputError, match=r"what is kept of 6 pictures takes .* GB are free at .*LEXNET_CACHE"
    ):
        fill(opened(), manifest, compute, 4, lambda done, total: None)
    assert computed == [0] and not has(opened(), DIGESTS)[0]
    monkeypatch.setattr("lexnet.data.store.free_bytes", lambda folder: 6 * ROWS[0].nbytes)
    assert fill(opened(), manifest, compute, 4, lambda done, total: None)[1] == 6


@pytest.mark.parametrize("shape", [(), (3,), (4, 4, 3)])
@pytest.mark.parametrize("kind", [np.uint8, np.float16])
def test_rows_of_any_shape_and_type(shape: tuple[int, ...], kind: type) -> None:
    rows = np.random.default_rng(0).integers(0, 99, (6, *shape)).astype(kind)
    store = opened(shape=shape, kind=str(kind))
    store.add(DIGESTS[:2], rows[:2])
    store.add(DIGESTS[2:], rows[2:])
    some = read(store, [DIGESTS[i] for i in (5, 1, 0, 3)])
    assert some.dtype == kind and np.array_equal(some, rows[[5, 1, 0, 3]])


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=30), st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_picture_gets_its_own_row(keys: list[bytes], data: st.DataObject) -> None:
    """Whatever the digests, also with zero bytes at their ends, and however they lie in the files."""
    digests = [key.hex() for key in dict.fromkeys(keys)]
    rows = np.arange(len(digests), dtype=np.int32)[:, None]
    cut = data.draw(st.integers(0, len(digests)))
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEXNET_CACHE", folder)
        store = opened()
        for part in (slice(None, cut), slice(cut, None)):
            if digests[part]:
                store.add(digests[part], rows[part])
        wanted = data.draw(st.lists(st.sampled_from(range(len(digests))), max_size=40))
        assert read(store, [digests[i] for i in wanted])[:, 0].tolist() == wanted
        strange = data.draw(st.binary(min_size=32, max_size=32)).hex()
        assert has(store, [strange]) == [strange in digests]
