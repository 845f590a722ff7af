"""Memory that a step frees serves the next one, and goes back to the system in the end."""

import platform
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lexnet.train.allocator import MIB, freed_memory_kept

on_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")


def step() -> None:
    """Takes 256 MiB and frees them."""
    blocks = [torch.zeros(MIB, 16, dtype=torch.uint8) for _ in range(16)]
    del blocks


def held() -> float:
    """MiB that the process has from the system."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / MIB


def growth() -> list[float]:
    """MiB held more than before: behind a step inside, behind twenty more, and outside."""
    before, seen = held(), []
    with freed_memory_kept():
        step()
        seen.append(held() - before)
        for _ in range(20):
            step()
        seen.append(held() - before)
    return [*seen, held() - before]


@on_glibc
def test_what_is_freed_is_kept_inside_and_goes_back_behind() -> None:
    ran = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=True)
    once, often, behind = map(float, ran.stdout.split())
    assert once > 200
    assert often < 600
    assert behind < 50


@on_glibc
def test_it_goes_back_behind_an_error_too() -> None:
    before = held()
    with pytest.raises(ZeroDivisionError), freed_memory_kept():
        step()
        raise ZeroDivisionError
    assert held() < before + 50


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr("lexnet.train.allocator.ctypes", None)  # whatever asks it for anything fails
    with freed_memory_kept():
        step()


if __name__ == "__main__":  # a new process, whose heap has no room yet
    print(*growth())
