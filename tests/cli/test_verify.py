"""`lexnet verify`: what is wrong with a bundle, if anything."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tiny import forged, tiny_bundle

Call = Callable[..., Any]


def written(folder: Path, content: bytes) -> Path:
    path = folder / "model.lexnet"
    path.write_bytes(content)
    return path


def test_a_sound_bundle(call: Call, bundle: str) -> None:
    said = call("verify", bundle)
    assert (said.code, said.err) == (0, "")
    assert said.out == f"{bundle}: digests and graph are sound, 8 golden pictures come out as recorded\n"
    said = call("verify", bundle, "--json")
    assert said.code == 0
    assert json.loads(said.out) == {"digests": True, "golden": True, "graph": True, "problems": []}


def test_a_flipped_byte_fails_and_names_the_member(call: Call, bundle: str, tmp_path: Path) -> None:
    content = bytearray(Path(bundle).read_bytes())
    content[5_000_000] ^= 1
    path = written(tmp_path, bytes(content))
    said = call("verify", path)
    assert (said.code, said.out) == (1, "")
    assert str(path) in said.err and "damaged" in said.err and "model.onnx" in said.err
    document = json.loads(call("verify", path, "--json").out)
    assert list(document) == ["digests", "golden", "graph", "problems"]
    assert (document["digests"], document["golden"], document["graph"]) == (False, False, False)
    assert len(document["problems"]) == 1


def test_a_golden_picture_that_comes_out_otherwise_fails(call: Call, tmp_path: Path) -> None:
    def change(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
        for entry in manifest["golden"]:
            entry["probabilities"].reverse()

    path = written(tmp_path, forged(tiny_bundle(), change))
    said = call("verify", path, "--json")
    document = json.loads(said.out)
    assert (said.code, document["digests"], document["graph"], document["golden"]) == (1, True, True, False)
    assert len(document["problems"]) == 2
    said = call("verify", path)
    assert said.code == 1 and "golden picture 1: a probability is off by" in said.err


def test_a_golden_picture_that_cannot_be_decoded_fails(call: Call, tmp_path: Path) -> None:
    def change(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
        members["golden/1.png"] = members["golden/1.png"][:70]

    said = call("verify", written(tmp_path, forged(tiny_bundle(), change)), "--json")
    document = json.loads(said.out)
    assert (said.code, document["digests"], document["golden"]) == (1, True, False)
    assert "not a sound PNG" in document["problems"][0]


def test_other_files_fail_too(call: Call, tmp_path: Path) -> None:
    for content in (b"", b"PK", b"x" * 1000):
        said = call("verify", written(tmp_path, content))
        assert (said.code, said.out) == (1, "") and "not a LexNet bundle" in said.err


def test_no_file_is_bad_usage(call: Call, tmp_path: Path) -> None:
    assert call("verify", tmp_path / "gone.lexnet").code == 2
    assert call("verify", tmp_path).code == 2
    assert call("verify").code == 2


def test_a_bundle_whose_name_is_not_utf_8(call: Call, tmp_path: Path) -> None:
    odd = os.fsdecode(os.path.join(os.fsencode(tmp_path), b"caf\xe9.lexnet"))
    Path(odd).write_bytes(tiny_bundle())
    said = call("verify", odd)
    assert said.code == 0 and "caf\\xe9.lexnet: digests" in said.out
    Path(odd).write_bytes(b"nothing")
    said = call("verify", odd, "--json")
    assert said.code == 1 and "caf\\xe9.lexnet" in json.loads(said.out)["problems"][0]


def test_a_copied_bundle_is_as_sound(call: Call, bundle: str, tmp_path: Path) -> None:
    shutil.copy(bundle, tmp_path / "under another name.zip")
    assert call("verify", tmp_path / "under another name.zip").code == 0


def test_a_refused_graph_is_told_apart_from_a_broken_digest(call: Call, tmp_path: Path) -> None:
    def shape(manifest: dict[str, Any], _: dict[str, bytes]) -> None:
        manifest["preprocess"]["size"] = manifest["preprocess"]["short_side"] = 32
        manifest["golden"] = []

    said = call("verify", written(tmp_path, forged(tiny_bundle(), shape)), "--json")
    document = json.loads(said.out)
    assert said.code == 1
    assert (document["digests"], document["golden"], document["graph"]) == (True, False, False)


def test_without_golden_pictures_none_is_said_to_be_right(call: Call, tmp_path: Path) -> None:
    def none(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
        manifest["golden"] = []
        for name in [name for name in members if name.startswith("golden/")]:
            del members[name]

    path = written(tmp_path, forged(tiny_bundle(), none))
    said = call("verify", path, "--json")
    assert said.code == 0 and json.loads(said.out)["golden"] is False
    assert "it has no golden pictures" in call("verify", path).out
