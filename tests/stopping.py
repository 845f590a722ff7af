"""A training that is stopped behind an epoch, once its checkpoint is there: as a killed process leaves it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lexnet.train import loop


@contextmanager
def stopped_behind(epochs: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever trains inside the block ends with `KeyboardInterrupt` when so many epochs are done."""
    write = loop.write_checkpoint

    def stop(path: Path, tensors: Any, facts: dict[str, Any]) -> None:
        write(path, tensors, facts)
        if len(facts["history"]) == epochs:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop, "write_checkpoint", stop)
        yield
