"""Many pictures through one engine: each thread loads a picture and runs it, results come in order.

No core waits for another: there is no loader to starve the net and no net to hold up the loader.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from lexnet.errors import PictureError
from lexnet.preprocess import Pixels
from lexnet.runtime.engines import Engine, Outputs

T = TypeVar("T")

AHEAD = 4  # tasks in flight per thread: enough to keep all busy, few enough to hold little memory


def stream(
    items: Iterable[T], load: Callable[[T], Pixels], engine: Engine
) -> Iterator[tuple[T, Outputs | PictureError]]:
    """(item, outputs of its one picture, or why it could not be used), in the order of the items.

    Any error but a `PictureError` ends it and is raised; its threads end with it.
    """

    def work(item: T) -> Outputs | PictureError:
        try:
            return engine.run(load(item)[None])
        except PictureError as error:
            return error

    pool = ThreadPoolExecutor(engine.callers)
    try:
        pending: deque[tuple[T, Future[Outputs | PictureError]]] = deque()
        for item in items:
            pending.append((item, pool.submit(work, item)))
            if len(pending) > AHEAD * engine.callers:
                done, future = pending.popleft()
                yield done, future.result()
        for done, future in pending:
            yield done, future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
