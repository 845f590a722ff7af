"""Many pictures at once, results in the order of the pictures, few of them in memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from lexnet.errors import PictureError
from lexnet.preprocess import Pixels
from lexnet.runtime.engines import Engine, Outputs

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 4  # tasks in flight per thread: enough to keep all busy, few enough to hold little memory


def stream(
    items: Iterable[T], load: Callable[[T], Pixels], engine: Engine
) -> Iterator[tuple[T, Outputs | PictureError]]:
    """(item, outputs of its one picture, or why it could not be used), in the order of the items.

    Where `load` gives several views of a picture, (V, H, W, C), its outputs are the means over them.
    Each thread loads a picture and runs it, so no core waits for another: there is no loader to starve
    the net and no net to hold up the loader.
    """

    def run(item: T) -> Outputs:
        pixels = load(item)
        outputs = engine.run(pixels if pixels.ndim == 4 else pixels[None])
        return {name: values.mean(axis=0, keepdims=True) for name, values in outputs.items()}

    return in_order(items, run, engine.callers)


def sound(results: Iterable[tuple[T, R | PictureError]]) -> Iterator[R]:
    """The results alone; raises the first picture's error."""
    for _, result in results:
        if isinstance(result, PictureError):
            raise result
        yield result


def in_order(
    items: Iterable[T], work: Callable[[T], R], threads: int
) -> Iterator[tuple[T, R | PictureError]]:
    """(item, what came of it, or why its picture could not be used), in the order of the items.

    Any error but a `PictureError` ends it and is raised.
    """

    def attempt(item: T) -> R | PictureError:
        try:
            return work(item)
        except PictureError as error:  # whose frames would keep the picture's bytes
            return PictureError(error.path, error.reason)

    return ahead(items, attempt, threads, AHEAD * threads)


def ahead(
    items: Iterable[T], work: Callable[[T], R], threads: int = 1, count: int = 1
) -> Iterator[tuple[T, R]]:
    """(item, what came of it) in order; the next `count` are at work while the caller has one.

    Any error ends it and is raised; its threads end with it.
    """
    pool = ThreadPoolExecutor(threads)
    try:
        pending: deque[tuple[T, Future[R]]] = deque()
        for item in items:
            pending.append((item, pool.submit(work, item)))
            if len(pending) > count:
                done, future = pending.popleft()
                yield done, future.result()
        for done, future in pending:
            yield done, future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
