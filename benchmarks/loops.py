"""Loops over batches."""

from collections.abc import Iterator
from itertools import islice

__all__ = ["skip"]


def skip(batches: Iterator[object], count: int) -> None:
    """Pass batches by as a loop of training does, which holds each until it has the next, and keep none of them.

    A batch that is kept keeps the memory of its window from being used again.
    """
    for _ in islice(batches, count):
        pass
