"""`lexnet cache`"""

import hashlib
import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lexnet.data.cache import KINDS
from lexnet.data.store import Store
from lexnet.files import seal, write_atomic

WEIGHTS = Path("weights", f"{9:064x}")
Call = Callable[..., Any]  # the fixture of conftest.py


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own with two rows of features, and weights that somebody fetched."""
    monkeypatch.setenv("LEXNET_CACHE", str(tmp_path / "cache"))
    for number in range(2):
        store = Store("features", {"recipe": number}, pytest.fail)
        store.add([f"{number:064x}"], np.full((1, 4), number, np.float32))
    (tmp_path / "cache" / WEIGHTS).mkdir(parents=True)
    (tmp_path / "cache" / WEIGHTS / "model.safetensors").write_bytes(b"1234567")
    return tmp_path / "cache"


def test_it_says_what_is_there(call: Call, cache: Path) -> None:
    rows = {row["kind"]: row for row in json.loads(call("cache", "ls", "--json").out)}
    assert list(rows) == list(KINDS)
    assert rows["features"]["files"] == 2 and rows["weights"]["bytes"] == 7
    assert rows["activations"] == {"kind": "activations", "files": 0, "bytes": 0, "newest": None}
    lines = call("cache", "ls").out.splitlines()
    assert lines[-1] == f"in {cache}" and lines[-2].split()[:2] == ["all", "3"] and "today" in lines[3]


def test_an_empty_cache_is_no_error(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEXNET_CACHE", str(tmp_path / "nothing"))
    assert call("cache", "ls").code == call("cache", "verify").code == call("cache", "prune").code == 0
    assert not (tmp_path / "nothing").exists()


def test_a_flipped_byte_is_found_and_prune_takes_the_file_away(call: Call, cache: Path) -> None:
    """However new it is, and one that was fetched too."""
    kept = b"a published net"
    weights = cache / WEIGHTS / f"{hashlib.sha256(kept).hexdigest()}.safetensors"
    weights.write_bytes(kept)
    table = cache / "samples" / "fashion-mnist.parquet"
    write_atomic(table, b"labels and pictures")
    seal(table)
    assert re.fullmatch(r"\d+ files checked, 0 damaged\n", call("cache", "verify").out)
    file = sorted(cache.glob("features/*/*.npy"))[0]
    for one in (file, table, weights):
        content = bytearray(one.read_bytes())
        content[-1] ^= 1
        one.write_bytes(content)
    said = call("cache", "verify", "--json")
    aside = [str(one.with_suffix(".damaged")) for one in (file, table, weights)]
    assert said.code == 1 and json.loads(said.out) == {"damaged": aside}
    assert call("cache", "verify").out.startswith(f"damaged: {aside[0]}\n") and not file.exists()
    assert json.loads(call("cache", "prune", "--json").out)["removed"] == 3
    assert call("cache", "verify").code == 0 and (cache / WEIGHTS / "model.safetensors").exists()


def test_what_lexnet_did_not_put_there_stays(call: Call, cache: Path, tmp_path: Path) -> None:
    """LEXNET_CACHE may be the user's home or project, and a kind a link to somewhere else."""
    for name in ("pictures/cat/1.jpg", "features/readme.md", "archives/2024.tar"):
        (cache / name).parent.mkdir(parents=True, exist_ok=True)
        (cache / name).write_bytes(b"the user's")
    (cache / "activations").symlink_to(tmp_path / "elsewhere")
    theirs = tmp_path / "elsewhere" / f"{5:032x}" / f"{6:064x}.npy"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"in another place")
    inside = cache / "pictures" / f"{7:032x}"
    inside.mkdir()
    (inside / "link").symlink_to(tmp_path / "elsewhere")
    assert json.loads(call("cache", "prune", "--older", "0", "--json").out)["removed"] == 2
    assert theirs.exists() and (inside / "link").is_symlink()
    left = sorted(str(file.relative_to(cache)) for file in cache.rglob("*") if file.is_file())
    assert left[:3] == ["archives/2024.tar", "features/readme.md", "pictures/cat/1.jpg"]


def test_what_is_being_written_is_left_alone(call: Call, cache: Path) -> None:
    fresh = cache / "features" / f"{0:032x}" / f".{'0' * 64}.npy.abc.part"
    fresh.parent.mkdir()
    fresh.write_bytes(b"half")
    assert json.loads(call("cache", "prune", "--older", "0", "--json").out)["removed"] == 2
    assert fresh.exists()


def test_what_a_kill_left_half_written_goes_after_a_day(call: Call, cache: Path) -> None:
    left = [cache / WEIGHTS / name for name in (".abc.safetensors.1f.part", "download.part")]
    for file in left:
        file.write_bytes(b"half")
    day_and_more = time.time() - 1.1 * 86_400
    os.utime(left[0], (day_and_more, day_and_more))
    assert json.loads(call("cache", "prune", "--json").out)["removed"] == 1
    assert not left[0].exists() and left[1].exists(), "a download may be going on"


def test_what_a_wrong_clock_dated_in_the_future_goes_too(call: Call, cache: Path) -> None:
    for file in cache.glob("features/*/*.npy"):
        os.utime(file, (4e9, 4e9))
    assert json.loads(call("cache", "prune", "--older", "0", "--json").out)["removed"] >= 2
    assert not list(cache.glob("features/*/*.npy"))


def test_no_number_of_days_is_refused(call: Call, cache: Path) -> None:
    said = call("cache", "prune", "--older", "nan")
    assert said.code == 2 and "give a number of days" in said.err
    assert len(list(cache.glob("features/*/*.npy"))) == 2


def test_only_what_is_old_goes_and_what_was_fetched_stays(call: Call, cache: Path) -> None:
    old, new = sorted(cache.glob("features/*/*.npy"))
    long_ago = time.time() - 40 * 86_400
    size = old.stat().st_size
    os.utime(old, (long_ago, long_ago))
    os.utime(cache / WEIGHTS / "model.safetensors", (long_ago, long_ago))
    assert json.loads(call("cache", "prune", "--older", 50, "--json").out) == {"removed": 0, "bytes": 0}
    assert json.loads(call("cache", "prune", "--json").out) == {"removed": 1, "bytes": size}
    assert not old.parent.exists() and new.exists() and (cache / WEIGHTS / "model.safetensors").exists()
    assert call("cache", "prune", "--kind", "weights").out == "removed 1 files, 0.0 MB\n"
    assert call("cache", "prune", "--older", 0).out.startswith("removed 1 files") and not new.exists()


def test_an_unknown_kind_is_refused(call: Call) -> None:
    said = call("cache", "prune", "--kind", "feature")
    assert said.code == 2 and "features" in said.err
