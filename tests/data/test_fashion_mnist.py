"""Fashion-MNIST, from Debian's package or from a server; only what was published is taken."""

import gzip
import hashlib
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from lexnet.data import fashion_mnist as module
from lexnet.data.fashion_mnist import CLASSES, FILES, fashion_mnist, fetch, is_here
from lexnet.data.source import read_data
from lexnet.errors import DataError, DownloadError

NAMES = list(FILES)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of this test's own, and no package of Debian's."""
    monkeypatch.setenv("LEXNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "DEBIAN", tmp_path / "nowhere")
    return tmp_path / "cache"


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twenty and ten made-up pictures in the files' form, which then count as what was published."""
    draw = np.random.default_rng(0)
    folder, published = tmp_path / "site", {}
    folder.mkdir()
    for name in NAMES:
        count = 20 if name.startswith("train") else 10
        pictures = "images" in name
        header = (b"\0\0\x08\x03" + bytes(12)) if pictures else (b"\0\0\x08\x01" + bytes(4))
        body = draw.integers(0, 256, (count, 784)) if pictures else np.arange(count) % 10
        content = header + body.astype(np.uint8).tobytes()
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        published[name] = (len(content), hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(module, "FILES", published)
    return folder


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *line: object) -> None:
        """Says nothing."""


@pytest.fixture
def site(small: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(small))) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def silent(done: int, total: int) -> None:
    pass


def test_what_is_fetched_becomes_a_table(site: str, small: Path, cache: Path) -> None:
    assert not is_here()
    table = pq.read_table(fetch(silent, site)).to_pylist()
    assert is_here() and not list(cache.rglob("*.part"))
    assert [row["split"] for row in table] == ["train"] * 20 + ["test"] * 10
    assert [row["label"] for row in table] == [*CLASSES, *CLASSES, *CLASSES]
    raw = gzip.decompress((small / f"{NAMES[0]}.gz").read_bytes())[16:]
    first = np.asarray(Image.open(BytesIO(table[3]["image"])))
    assert first.tobytes() == raw[3 * 784 : 4 * 784] and first.shape == (28, 28)


def test_what_is_here_is_not_fetched_again(site: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = fetch(silent, site)
    monkeypatch.setattr(module, "download", lambda *a: pytest.fail("downloaded again"))
    assert fetch(silent, site) == table
    table.unlink()
    assert fetch(silent, site) == table


def test_a_damaged_table_is_made_anew(site: str) -> None:
    table = fetch(silent, site)
    whole = table.read_bytes()
    at = whole.index(b"sneaker")  # another label would read as well
    table.write_bytes(whole[:at] + b"sneakes" + whole[at + 7 :])
    assert fashion_mnist() == table and table.read_bytes() == whole


@pytest.mark.parametrize("how", ["another", "not packed", "cut", "too much"])
def test_other_content_is_refused_and_does_not_stay(how: str, site: str, small: Path, cache: Path) -> None:
    file = small / f"{NAMES[2]}.gz"
    content = gzip.decompress(file.read_bytes())
    wrong = {
        "another": gzip.compress(content[:-1] + bytes([content[-1] ^ 1])),
        "not packed": content,
        "cut": file.read_bytes()[:-20],
        "too much": gzip.compress(content + bytes(10_000_000)),
    }
    file.write_bytes(wrong[how])
    with pytest.raises(DataError, match=r"t10k-images.* (is not the published|cannot be read)"):
        fetch(silent, site)
    assert not list(cache.rglob("*.part")) and not list(cache.rglob("*.parquet"))
    file.write_bytes(gzip.compress(content))
    assert fetch(silent, site).is_file()


def test_where_nothing_can_be_had_the_address_is_named(site: str, small: Path) -> None:
    (small / f"{NAMES[1]}.gz").unlink()
    with pytest.raises(DownloadError, match=rf"cannot fetch {site}/{NAMES[1]}.gz \(File not found\)"):
        fetch(silent, site)


def test_without_it_the_ways_to_get_it_are_named() -> None:
    ways = r"`lexnet samples fetch fashion-mnist` .*31 MB, MIT, .* or `apt install dataset-fashion-mnist`"
    with pytest.raises(DataError, match=ways):
        read_data("fashion-mnist")


def test_debians_files_do_as_well(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DEBIAN", small)
    assert is_here() and len(read_data("fashion-mnist")) == 30


@pytest.mark.fashion
def test_the_real_set(fashion_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DEBIAN", fashion_folder)
    manifest = read_data("fashion-mnist")
    assert sorted(manifest.classes) == sorted(CLASSES)
    assert (
        manifest.counts("train").tolist() == [6000] * 10 and manifest.counts("test").tolist() == [1000] * 10
    )
    first = np.asarray(Image.open(BytesIO(manifest.read(0))))
    assert manifest.classes[manifest.labels[0]] == "ankle boot" and first.shape == (28, 28)
    assert fashion_mnist() == fashion_mnist()
