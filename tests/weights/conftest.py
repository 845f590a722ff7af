"""What the tests of weights share."""

from pathlib import Path

import pytest


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the test's own; what is on 127.0.0.1 is not asked for through a proxy."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("LEXNET_CACHE", str(folder))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return folder
