"""Reading one step ahead of the work."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["read_ahead"]

T = TypeVar("T")
U = TypeVar("U")


def read_ahead(read: Callable[[T], U], items: Iterable[T]) -> Iterator[tuple[T, U]]:
    """Yield each item with the result of ``read``, which reads the next one in a thread meanwhile."""
    waiting: deque[tuple[T, Future[U]]] = deque()
    with ThreadPoolExecutor(1) as thread:
        for item in items:
            waiting.append((item, thread.submit(read, item)))
            if len(waiting) > 1:
                first, result = waiting.popleft()
                yield first, result.result()
                del result  # it holds a shard
        while waiting:
            first, result = waiting.popleft()
            yield first, result.result()
