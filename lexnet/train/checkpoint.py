"""All that training needs to go on where it was: tensors in one safetensors file, no pickle."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from lexnet.errors import OutputError
from lexnet.files import write_atomic

Tensors = dict[str, torch.Tensor]
FACTS = "facts"


def write_checkpoint(path: Path, tensors: Tensors, facts: dict[str, Any]) -> None:
    """Puts both at `path`, whole or not at all."""
    kept = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    write_atomic(path, save(kept, {FACTS: json.dumps(facts)}))


def read_checkpoint(path: Path) -> tuple[Tensors, dict[str, Any]] | None:
    """What was written there; None where there is nothing. Raises `OutputError` for a damaged file."""
    if not path.exists():
        return None
    content = path.read_bytes()
    try:
        tensors = load(content)
        size = int.from_bytes(content[:8], "little")
        facts = json.loads(json.loads(content[8 : 8 + size])["__metadata__"][FACTS])
    except (SafetensorError, ValueError, KeyError) as error:
        raise OutputError(
            f"{path} is damaged ({error}); remove it, and training starts from its beginning"
        ) from error
    return tensors, facts
