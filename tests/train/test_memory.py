"""Memory that a step frees serves the next one, and goes back to the system in the end."""

import platform
import resource
from pathlib import Path

import pytest
import torch

from lexnet.train.memory import MIB, freed_memory_kept

on_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")


def step() -> None:
    """Takes 256 MiB and frees them."""
    blocks = [torch.zeros(MIB, 16, dtype=torch.uint8) for _ in range(16)]
    del blocks


def held() -> float:
    """MiB that the process has from the system."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / MIB


@on_glibc
def test_what_is_freed_is_kept_inside_and_goes_back_behind() -> None:
    before = held()
    with freed_memory_kept():
        step()
        assert held() > before + 200
        for _ in range(20):
            step()
        assert held() < before + 600
    assert held() < before + 50


@on_glibc
def test_it_goes_back_behind_an_error_too() -> None:
    before = held()
    with pytest.raises(ZeroDivisionError), freed_memory_kept():
        step()
        raise ZeroDivisionError
    assert held() < before + 50


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr("lexnet.train.memory.ctypes", None)
    with freed_memory_kept():
        step()
