"""All that training needs to go on where it was: a safetensors file, no pickle, and its sha256 after it."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from lexnet.errors import OutputError
from lexnet.files import write_atomic

Tensors = dict[str, torch.Tensor]
FACTS, DIGEST_BYTES = "facts", 32


def write_checkpoint(path: Path, tensors: Tensors, facts: dict[str, Any]) -> None:
    """Puts both at `path`, whole or not at all."""
    kept = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    content = save(kept, {FACTS: json.dumps(facts)})
    write_atomic(path, content + hashlib.sha256(content).digest())


def begun(path: Path) -> str | None:
    """Of which training, `of` in its facts, the checkpoint there is; None where there is none."""
    found = read_checkpoint(path)
    return None if found is None else str(found[1]["of"])


def read_checkpoint(path: Path) -> tuple[Tensors, dict[str, Any]] | None:
    """What was written there; None where there is nothing. Raises `OutputError` for a damaged file."""
    if not path.exists():
        return None
    whole = path.read_bytes()
    content, digest = whole[:-DIGEST_BYTES], whole[-DIGEST_BYTES:]
    try:
        if hashlib.sha256(content).digest() != digest:
            raise ValueError("its bytes do not match its sha256")
        tensors = load(content)
        size = int.from_bytes(content[:8], "little")
        facts = json.loads(json.loads(content[8 : 8 + size])["__metadata__"][FACTS])
        _check(facts)
    except (SafetensorError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise OutputError(
            f"{path} is damaged ({error}); remove it, and training starts from its beginning"
        ) from error
    return tensors, facts


def _check(facts: dict[str, Any]) -> None:
    """Raises if no training can have said so; which error depends on what is odd."""
    history, whole = facts["history"], [facts["steps"], facts["waited"], *facts["ends"]]
    numbers = [number for record in history for number in record.values()]
    if (
        not isinstance(facts["of"], str)
        or not all(type(number) is int and 0 <= number < 2**63 for number in whole)
        or not all(type(number) in (int, float) for number in numbers)
        or len(facts["ends"]) != history[-1]["epoch"]
    ):
        raise ValueError("it says what no training does")
