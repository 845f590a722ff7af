"""`lexnet samples`"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lexnet.data import fashion_mnist
from lexnet.data.fashion_mnist import FILES, SITE
from lexnet.data.samples import SAMPLES

Call = Callable[..., Any]  # the fixture of conftest.py


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of this test's own, and no package of Debian's."""
    monkeypatch.setenv("LEXNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "nowhere")
    return tmp_path / "cache"


def test_all_sets_are_listed_with_what_is_here(call: Call) -> None:
    said = call("samples", "ls", "--json")
    assert [(row["name"], row["here"]) for row in json.loads(said.out)] == [
        (name, name != "fashion-mnist") for name in SAMPLES
    ]
    lines = call("samples", "ls").out.splitlines()
    assert len(lines) == 2 + len(SAMPLES) and lines[-1].startswith("fashion-mnist  -     70,000")


def test_fetching_names_size_licence_and_source_first(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(url: str, part: Path, progress: object) -> None:
        asked.append(url)
        raise fashion_mnist.DataError("no network here")

    monkeypatch.setattr(fashion_mnist, "download", refuse)
    said = call("samples", "fetch", "fashion-mnist")
    assert said.code == 2 and said.out == f"fashion-mnist: 30.9 MB, MIT, from {SITE}\n"
    assert said.err == "lexnet: no network here\n"
    assert asked == [f"{SITE}/{next(iter(FILES))}.gz"]


def test_only_what_has_to_be_fetched_can_be(call: Call) -> None:
    assert call("samples", "fetch", "digits").code == 2


@pytest.mark.fashion
def test_what_is_here_is_not_fetched(
    call: Call, fashion_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fashion_mnist, "DEBIAN", fashion_folder)
    monkeypatch.setattr(fashion_mnist, "download", lambda *a: pytest.fail("downloaded"))
    said = call("samples", "fetch", "fashion-mnist")
    assert (
        said.code == 0 and said.out.startswith("fashion-mnist: in ") and "fashion-mnist.parquet" in said.out
    )
