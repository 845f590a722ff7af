"""How much memory there is, as Linux and its containers tell it."""

from pathlib import Path

import pytest

from lexnet import memory
from lexnet.errors import DataError

GB = 10**9


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system with 8 GB available and no limit."""
    monkeypatch.setattr(memory, "PROC", tmp_path / "proc")
    monkeypatch.setattr(memory, "CGROUPS", tmp_path / "cgroup")
    write(
        tmp_path / "proc/meminfo", f"MemTotal: 99 kB\nMemAvailable: {8 * GB // 1024} kB\nHugePages_Total: 0\n"
    )
    write(tmp_path / "proc/self/cgroup", "4:cpu,memory:/a/b\n1:name=systemd:/\n0::/a/b\n")
    return tmp_path / "cgroup"


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def limited(group: Path, names: tuple[str, str, str], most: str, used: int, cached: int) -> None:
    write(group / names[0], f"{most}\n")
    write(group / names[1], f"{used}\n")
    write(group / "memory.stat", f"anon 5\n{names[2]} {cached}\n")


def test_without_a_limit_it_is_what_the_system_has(told: Path) -> None:
    assert memory.free_memory() == pytest.approx(8 * GB, abs=1024)
    limited(told / "a/b", memory.FILES[""], "max", 5 * GB, GB)
    limited(told / "memory", memory.FILES["memory"], "9223372036854771712", 5 * GB, GB)
    assert memory.free_memory() == pytest.approx(8 * GB, abs=1024)


@pytest.mark.parametrize("controller", ["", "memory"])
@pytest.mark.parametrize("group", ["a/b", "a", ""])
def test_a_containers_limit_counts_wherever_it_is_set(controller: str, group: str, told: Path) -> None:
    limited(told / controller / group, memory.FILES[controller], f"{4 * GB}", 3 * GB, GB)
    assert memory.free_memory() == 2 * GB


def test_what_does_not_fit_is_refused_with_what_would_help(told: Path) -> None:
    memory.refuse_too_many(1_000_000, 7_900)
    with pytest.raises(
        DataError, match=r"1,000,000 pictures need some 8.1 GB of memory, and 8.0 GB are free; give"
    ):
        memory.refuse_too_many(1_000_000, 8_100)


def test_where_nobody_tells_nothing_is_refused(told: Path) -> None:
    (told.parent / "proc/meminfo").unlink()
    (told.parent / "proc/self/cgroup").write_text("nonsense\n")
    assert memory.free_memory() is None
    memory.refuse_too_many(10**9, 10**9)
