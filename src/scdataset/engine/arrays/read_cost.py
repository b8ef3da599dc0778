"""The cost of a read before it is made: bytes and chunks, from the row pointers and the chunk index alone."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from scdataset.engine.bytes.source import ByteSource

__all__ = ["Asked", "ReadCost", "joined"]

_NO_RANGE = np.empty(0, np.int64)


class Asked(NamedTuple):
    """Ranges of bytes that a source is asked for together: offsets and sizes, shape ``(n,)``."""

    source: ByteSource
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]


def joined(asked: Sequence[Asked]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the offsets and the sizes of all ranges."""
    offsets, sizes = [one.offsets for one in asked], [one.sizes for one in asked]
    return np.concatenate([_NO_RANGE, *offsets]), np.concatenate([_NO_RANGE, *sizes])


@dataclass(frozen=True, slots=True)
class ReadCost:
    """The bytes and chunks that a read touches. None where only the library that reads can tell.

    Attributes
    ----------
    chunks
        Encoded chunks that are read and decoded, each once a read; plain bytes have none.
    requests
        Calls to the system, or ranges asked of a store.
    bytes
        Stored bytes that are read, with the gaps between rows that are read along.
    decoded_bytes
        The same once they are decoded.
    used_bytes
        Those among them that belong to the rows.
    result_bytes
        Memory of the result.
    largest_chunk
        Bytes of the largest encoded chunk once it is decoded.
    asked
        The bytes that remote sources are asked for, in this order.
    """

    chunks: int | None = 0
    requests: int | None = 0
    bytes: int | None = 0
    decoded_bytes: int | None = 0
    used_bytes: int | None = 0
    result_bytes: int | None = 0
    largest_chunk: int | None = 0
    asked: tuple[Asked, ...] = ()

    @classmethod
    def unknown(cls, result_bytes: int | None = None) -> Self:
        """Return the cost of a read of which at most the result's size is known."""
        return cls(None, None, None, None, None, result_bytes, None)

    def __add__(self, other: "ReadCost") -> "ReadCost":
        numbers = {one.name: _joined(self, other, one.name) for one in fields(self) if one.name != "asked"}
        return ReadCost(**numbers, asked=(*self.asked, *other.asked))

    @property
    def amplification(self) -> float | None:
        """Bytes decoded, or read if they are plain, for each byte that belongs to a row; at least 1."""
        if self.decoded_bytes is None or not self.used_bytes:
            return None
        return self.decoded_bytes / self.used_bytes


def _joined(one: ReadCost, other: ReadCost, name: str) -> int | None:
    values: tuple[int | None, int | None] = getattr(one, name), getattr(other, name)
    if values[0] is None or values[1] is None:
        return None
    return max(values[0], values[1]) if name == "largest_chunk" else values[0] + values[1]
