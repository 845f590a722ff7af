"""Many pictures at once: in order, few in memory, and no thread left behind."""

import threading
import weakref
from collections.abc import Iterator

import numpy as np
import pytest

from lexnet.errors import PictureError
from lexnet.preprocess import Pixels
from lexnet.runtime.engines import Outputs
from lexnet.runtime.stream import AHEAD, in_order, stream

WORKERS = 2


class Echo:
    """An engine that gives back the first pixel."""

    name = "echo 1"
    callers = WORKERS

    def run(self, pixels: Pixels) -> Outputs:
        return {"features": pixels[:, 0, 0, :1].astype(np.float32)}


def load(item: int) -> Pixels:
    return np.full((2, 2, 3), item, np.uint8)


def loads_late(item: int) -> Pixels:
    """Every third item waits for the item after it to be loaded first."""
    if item % 3 == 0:
        assert later[item + 1].wait(20), "items are loaded one after another"
    later[item].set()
    return load(item)


later = [threading.Event() for _ in range(61)]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def test_results_keep_the_order_of_the_items() -> None:
    results = list(stream(range(60), loads_late, Echo()))
    assert [item for item, _ in results] == list(range(60))
    assert [int(outputs["features"][0, 0]) for _, outputs in results] == list(range(60))


def test_a_bad_picture_becomes_a_reason_in_its_place() -> None:
    def careful(item: int) -> Pixels:
        if item in (0, 7, 19):
            raise PictureError(f"{item}.jpg", "is damaged")
        return load(item)

    results = list(stream(range(20), careful, Echo()))
    bad = {item: result.reason for item, result in results if isinstance(result, PictureError)}
    assert bad == dict.fromkeys((0, 7, 19), "is damaged")
    assert [item for item, _ in results] == list(range(20))


def test_only_a_few_items_are_taken_ahead() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for item in range(200):
            taken += 1
            yield item

    for done, _ in enumerate(stream(items(), load, Echo())):
        assert taken - done <= AHEAD * WORKERS + 1
    assert taken == 200


def test_no_more_threads_than_said() -> None:
    lock, seen, running, most = threading.Lock(), set(), 0, 0
    together = threading.Barrier(WORKERS)

    def counted(item: int) -> Pixels:
        nonlocal running, most
        with lock:
            running, most = running + 1, max(most, running + 1)
            seen.add(threading.get_ident())
        if item < together.parties:
            together.wait(20)
        with lock:
            running -= 1
        return load(item)

    assert len(list(stream(range(50), counted, Echo()))) == 50
    assert most == len(seen) == WORKERS
    assert threading.get_ident() not in seen


def test_nothing_in_nothing_out() -> None:
    assert list(stream([], load, Echo())) == []


@pytest.mark.parametrize("where", ["load", "run", "items"])
def test_any_other_error_stops_the_stream(where: str) -> None:
    class Boom(Exception):
        pass

    def broken_load(item: int) -> Pixels:
        if item == 5 and where == "load":
            raise Boom
        return load(item)

    class Broken(Echo):
        def run(self, pixels: Pixels) -> Outputs:
            if pixels[0, 0, 0, 0] == 5 and where == "run":
                raise Boom
            return super().run(pixels)

    def items() -> Iterator[int]:
        yield from range(5)
        if where == "items":
            raise Boom
        yield from range(5, 100)

    seen = []
    with pytest.raises(Boom):
        for item, _ in stream(items(), broken_load, Broken()):
            seen.append(item)
    assert seen == ([] if where == "items" else list(range(5)))  # five items are fewer than it takes ahead


def test_what_has_not_begun_is_dropped_when_the_reader_leaves() -> None:
    loaded = []

    def counted(item: int) -> Pixels:
        loaded.append(item)
        return load(item)

    results = stream(range(10_000), counted, Echo())
    assert next(results)[0] == 0
    results.close()  # type: ignore[attr-defined]
    assert len(loaded) <= AHEAD * WORKERS + 1


def test_a_reason_keeps_nothing_of_its_picture() -> None:
    class Content:
        """Bytes that one can see go."""

    kept: list[weakref.ref[Content]] = []

    def work(item: int) -> None:
        content = Content()
        kept.append(weakref.ref(content))
        try:
            raise OSError(content)
        except OSError as error:
            raise PictureError(f"{item}.jpg", "is damaged") from error

    results = list(in_order(range(20), work, WORKERS))
    assert [str(result) for _, result in results] == [f"{i}.jpg: is damaged" for i in range(20)]
    assert not any(content() for content in kept)
