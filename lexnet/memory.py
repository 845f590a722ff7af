"""How much memory there still is, and a refusal before a day's work ends in the system's kill."""

from contextlib import suppress
from pathlib import Path

from lexnet.errors import DataError

PROC, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")
FILES = {
    "": ("memory.max", "memory.current", "inactive_file"),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
"""Of control groups, by controller: what their processes may take, what they do take, what of that is only
cached files; "" is version 2, which has one controller."""


def free_memory() -> int | None:
    """Bytes that can still be had, as Linux and its containers tell; None where nobody does."""
    free = []
    with suppress(OSError, ValueError, KeyError):
        free.append(1024 * _numbers(PROC / "meminfo")["MemAvailable:"])
    with suppress(OSError, ValueError):
        for line in (PROC / "self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            for controller in FILES.keys() & controllers.split(","):
                top = CGROUPS / controller
                own = top / path.strip("/")
                free += [
                    left for group in (own, *own.parents) if (left := _left(group, controller)) is not None
                ]
    return min(free, default=None)


def _left(group: Path, controller: str) -> int | None:
    """What a group of processes may still take, if there is a limit."""
    most, used, cached = FILES[controller]
    with suppress(OSError, ValueError, KeyError):
        stat = _numbers(group / "memory.stat")
        return int((group / most).read_text()) - int((group / used).read_text()) + stat[cached]
    return None


def _numbers(file: Path) -> dict[str, int]:
    """NAME NUMBER, line by line."""
    words = [line.split() for line in file.read_text().splitlines()]
    return {word[0]: int(word[1]) for word in words if len(word) > 1}


def refuse_too_many(pictures: int, each: int) -> None:
    """Raises `DataError` where so many pictures, of so many bytes each, would not fit into memory."""
    needed, free = pictures * each, free_memory()
    if free is not None and needed > free:
        raise DataError(
            f"{pictures:,} pictures need some {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are "
            "free; give --limit, or close other programs"
        )
