"""A checkpoint is whole, or refused."""

import hashlib
from pathlib import Path

import pytest
import torch

from lexnet.errors import OutputError
from lexnet.train.checkpoint import read_checkpoint, write_checkpoint

TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "step": torch.tensor(7.0)}
HISTORY = [{"epoch": 1, "loss": 0.2}, {"epoch": 3, "loss": 0.1}]
FACTS = {"of": "cats", "ends": [3, 3, 3], "steps": 12, "history": HISTORY, "waited": 0}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path / "c") is None
    write_checkpoint(tmp_path / "c", TENSORS, FACTS)
    found = read_checkpoint(tmp_path / "c")
    assert found is not None and found[1] == FACTS and found[0].keys() == TENSORS.keys()
    assert all(torch.equal(found[0][name], value) for name, value in TENSORS.items())


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "pickle", "no facts"])
def test_a_damaged_one_is_named(tmp_path: Path, damage: str) -> None:
    write_checkpoint(tmp_path / "c", TENSORS, FACTS)
    content = (tmp_path / "c").read_bytes()
    if damage == "pickle":
        torch.save(TENSORS, tmp_path / "c")
    elif damage == "no facts":
        from safetensors.torch import save

        bare = save(TENSORS)
        (tmp_path / "c").write_bytes(bare + hashlib.sha256(bare).digest())
    elif damage == "flipped":
        (tmp_path / "c").write_bytes(content[:-40] + bytes([content[-40] ^ 1]) + content[-39:])
    else:
        (tmp_path / "c").write_bytes(content[:-5] if damage == "cut" else b"")
    with pytest.raises(OutputError, match=r"c is damaged .*; remove it, and training starts from its begin"):
        read_checkpoint(tmp_path / "c")


@pytest.mark.parametrize("fact", FACTS)
@pytest.mark.parametrize("value", [None, "x", -9, 1.5, [], [1], [[]], {}, {"a": 1}, [{"epoch": "x"}], [{}]])
def test_facts_of_no_training_are_named_whatever_their_digest(
    tmp_path: Path, fact: str, value: object
) -> None:
    for facts in (FACTS | {fact: value}, {name: FACTS[name] for name in FACTS if name != fact}):
        if fact == "of" and value == "x":
            continue
        write_checkpoint(tmp_path / "c", TENSORS, facts)
        with pytest.raises(
            OutputError, match=r"c is damaged .*; remove it, and training starts from its begin"
        ):
            read_checkpoint(tmp_path / "c")


def test_facts_without_an_end_are_named(tmp_path: Path) -> None:
    from safetensors.torch import save

    for facts in ("[" * 200_000, "[1]", "1", "null"):
        content = save(TENSORS, {"facts": facts})
        (tmp_path / "c").write_bytes(content + hashlib.sha256(content).digest())
        with pytest.raises(OutputError, match="c is damaged"):
            read_checkpoint(tmp_path / "c")
