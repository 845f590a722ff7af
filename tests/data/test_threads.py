"""How many threads is found by trying; what comes out is the same with any number."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator

import pytest

from lexnet.data import threads as module
from lexnet.data.threads import TRIAL, measured
from lexnet.errors import PictureError


class Work:
    """Takes as long with n threads as it is told to, and notes which numbers were tried."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: dict[int, float]) -> None:
        self.seconds, self.clock = seconds, 0.0
        self.used: list[int] = []
        monkeypatch.setattr(module, "available_cores", lambda: 4)
        monkeypatch.setattr(module, "in_order", self.in_order)
        monkeypatch.setattr(time, "perf_counter", lambda: self.clock)

    def in_order(
        self, items: Iterable[int], work: Callable[[int], int], threads: int
    ) -> Iterator[tuple[int, int]]:
        self.used.append(threads)
        for item in items:
            self.clock += self.seconds[threads]
            yield item, work(item)


@pytest.mark.parametrize(
    ("seconds", "tried"),
    [
        ({1: 8.0, 2: 4.0, 4: 2.0, 8: 1.0}, [1, 2, 4, 8, 8]),  # a slow disk: more threads than cores
        ({1: 4.0, 2: 2.0, 4: 2.0}, [1, 2, 4, 2]),  # four cores seen, a quota of two
        ({1: 1.0, 2: 0.99}, [1, 2, 1]),  # one lock around everything
        ({1: 4.0, 2: 2.0, 4: 1.0, 8: 1.1}, [1, 2, 4, 8, 4]),
    ],
)
def test_the_number_that_gets_most_done_is_taken(
    seconds: dict[int, float], tried: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work(monkeypatch, seconds)
    assert [r for _, r in measured(range(1000), lambda i: 2 * i)] == [2 * i for i in range(1000)]
    assert work.used == tried


@pytest.mark.parametrize("count", [0, 1, TRIAL - 1, TRIAL, TRIAL + 1, 4 * TRIAL])
def test_every_item_comes_out_once_and_in_order(count: int) -> None:
    def work(item: int) -> int:
        if item == 3:
            raise PictureError("3.jpg", "is damaged")
        return -item

    before = set(threading.enumerate())
    results = list(measured(iter(range(count)), work))
    assert [item for item, _ in results] == list(range(count))
    assert all(r == -item for item, r in results if item != 3)
    assert [r.reason for _, r in results if isinstance(r, PictureError)] == ["is damaged"] * (count > 3)
    assert set(threading.enumerate()) <= before
