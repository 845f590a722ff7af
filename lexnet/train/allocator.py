"""What a step frees the next step needs again: it is kept meanwhile, not handed back to the system.

step: allocate ─ free ─ step: allocate ─ free ...      the same sizes every time

glibc hands it back, and the system clears every page of it anew.
See mallopt(3) of the Linux manual.
"""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # from malloc.h
MIB = 2**20
LARGE = 32 * MIB
"""From here on a block still goes back at once: kept, such blocks could leave holes as large as they are."""


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Inside, this process keeps what it frees; afterwards that goes back. Nothing happens without glibc.

    glibc's own adjustment of its two thresholds ends with the first use, at where it would come to.
    Nested or in two threads, the first to end ends it for all: then it is slower, no more.
    """
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(MMAP_THRESHOLD, LARGE)
    libc.mallopt(TRIM_THRESHOLD, -1)  # never
    try:
        yield
    finally:
        libc.mallopt(TRIM_THRESHOLD, 2 * LARGE)
        libc.malloc_trim(0)
