"""Reading one step ahead of the work."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from scdataset.engine.bytes.connections import giving_up
from scdataset.engine.threads import background_thread

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["read_ahead"]

T = TypeVar("T")
U = TypeVar("U")


def read_ahead(
    read: Callable[[T], U], items: Iterable[T], announce: Callable[[T], object] | None = None
) -> Iterator[tuple[T, U]]:
    """Yield each item with the result of ``read``, which reads the next one in a thread meanwhile.

    Parameters
    ----------
    read
        Reads an item.
    items
        One after the other.
    announce
        Called with each item before the one in front of it is read, so that a store sends its bytes meanwhile.
    """
    waiting: deque[tuple[T, Future[U]]] = deque()
    left = iter(items)

    def announced(item: T, later: list[T]) -> U:
        if announce is not None:
            with suppress(Exception):  # reading raises the same, in its turn
                for one in later:
                    announce(one)
        return read(item)

    with background_thread("convert") as thread, giving_up() as wanted:
        later = list(islice(left, 2))
        known = deque(later)
        while known:
            item = known.popleft()
            waiting.append((item, thread.submit(wanted(announced), item, later)))
            later = list(islice(left, 1))
            known.extend(later)
            if len(waiting) > 1:
                first, result = waiting.popleft()
                yield first, result.result()
                del result  # it holds a shard
        while waiting:
            first, result = waiting.popleft()
            yield first, result.result()
