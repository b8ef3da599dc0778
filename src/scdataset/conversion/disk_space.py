"""Whether the disk has room for a store, by the size of a sample of it."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np

from scdataset._tables import bytes_text
from scdataset.conversion.matrices import Shard, ShardWriter, compressor_of
from scdataset.conversion.plan import MatrixPlan
from scdataset.errors import OutputError

__all__ = ["check_space"]

_SPARE = 1.05
"""How much more than the estimate has to be free."""


def check_space(out: Path, left: Sequence[tuple[MatrixPlan, int]], writers: Mapping[str, ShardWriter]) -> None:
    """Raise unless the disk has room for the remaining shards, estimated from a part of the first of each matrix.

    Raises
    ------
    OutputError
        If it has not.
    """
    needed = 0.0
    for name, writer in writers.items():
        numbers = [number for matrix, number in left if matrix.name == name]
        if numbers:
            start, stop = writer.matrix.bounds(numbers[0])
            part = writer.sample(start, min(start + 8 * writer.matrix.chunk, stop))
            per_element = _encoded_size(part, writer.matrix.chunk) / len(part[-1])
            needed += per_element * writer.matrix.shard * len(numbers)
    free = shutil.disk_usage(out.parent).free
    if needed * _SPARE > free:
        message = (
            f"{out} takes about {bytes_text(needed * _SPARE)} more, and its disk has {bytes_text(free)} free. Make "
            "space, or give a path on another disk; what was written before is kept."
        )
        raise OutputError(message)


def _encoded_size(part: Shard, chunk: int) -> int:
    """Return how many bytes a part of a shard takes."""
    total = 0
    for place, values in enumerate(part):
        codec = compressor_of(values.dtype, numbers=place == 1)
        options: Any = codec.to_dict()["configuration"]
        blosc = numcodecs.Blosc(options["cname"], options["clevel"], numcodecs.Blosc.SHUFFLE)
        pieces = (values[start : start + chunk] for start in range(0, len(values), chunk))
        total += sum(len(blosc.encode(np.ascontiguousarray(piece))) for piece in pieces)
    return total
