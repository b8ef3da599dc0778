"""Ranges of bytes as blocks of equal size, and blocks as requests."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["blocks_of", "requests_for"]


def blocks_of(offsets: NDArray[np.int64], sizes: NDArray[np.int64], block: int) -> NDArray[np.int64]:
    """Return the numbers of the blocks of ``block`` bytes that hold some ranges, ascending, each once.

    Parameters
    ----------
    offsets, sizes
        First byte of each range and its bytes, shape ``(n,)``.
    """
    if offsets.size == 1:  # a chunk, of which there are many
        offset, size = int(offsets[0]), int(sizes[0])
        return np.arange(offset // block, (offset + size - 1) // block + 1 if size > 0 else 0, dtype=np.int64)
    firsts = offsets // block
    counts = np.where(sizes > 0, (offsets + sizes - 1) // block - firsts + 1, 0)
    ends = np.cumsum(counts)
    return np.unique(np.repeat(firsts - ends + counts, counts) + np.arange(ends[-1] if ends.size else 0))


def requests_for(blocks: NDArray[np.int64], max_gap: int, most: int) -> list[tuple[int, int]]:
    """Return the first block and the number of blocks of each request that fetches some blocks.

    Blocks that lie close to each other come in one request, with those between them: a request costs as much time as
    a few blocks. A long one is divided, since connections share the work.

    Parameters
    ----------
    blocks
        Their numbers, ascending, each once.
    max_gap
        Blocks between two that are fetched along with them at most.
    most
        Blocks of a request at most.
    """
    if blocks.size == 0:
        return []
    cuts = np.flatnonzero(np.diff(blocks) > max_gap + 1)
    firsts = blocks[np.concatenate(([0], cuts + 1))].tolist()
    stops = (blocks[np.concatenate((cuts, [blocks.size - 1]))] + 1).tolist()
    return [
        (start, min(most, stop - start))
        for first, stop in zip(firsts, stops, strict=True)
        for start in range(first, stop, most)
    ]
