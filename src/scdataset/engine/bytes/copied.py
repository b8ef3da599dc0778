"""Files of the cache that were made of a user's file, with a checksum of every block.

opening       sizes, and the blocks that reading depends on: headers, row pointers, labels
first read    each block of values before it is used; from then on it is as fast as any other file
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scdataset._tables import counted
from scdataset.engine.bytes.blocks import blocks_of
from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.cache_copies import mark_used
from scdataset.engine.cache_table import checksum
from scdataset.engine.observer import READ, observed
from scdataset.errors import DamagedFileError

__all__ = ["CopiedFile", "block_checksums"]

_BLOCK = 1 << 15
"""Bytes that have a checksum: a row reads few bytes along, and checksums take a ten-thousandth of the file."""

_RUN = 1 << 5
"""Blocks that are read together at most."""


class CopiedFile(LocalFile):
    """A file of the cache, compared with its checksums as it is read.

    Parameters
    ----------
    path, source
        The file, and the user's file that it was made of.
    size, checksums
        Bytes and `block_checksums` of the file when it was made.
    manifest
        The file of the checksums: removed once damage is found, so that the copy is made again when it is needed.

    Raises
    ------
    DamagedFileError
        If it has another size.
    """

    def __init__(self, path: str, source: str, size: int, checksums: NDArray[np.uint32], manifest: Path) -> None:
        super().__init__(path, source)
        self._checksums = checksums
        self._is_sound = np.zeros(checksums.size, bool)
        self.checks = True
        self._manifest = manifest
        if self.size != size or checksums.size != -(-size // _BLOCK):
            self._refuse(f"has {counted(self.size, 'byte')} where {size:,} were written")

    def open_now(self) -> int:
        """Open the file, and note that this process does, so that no other removes it for the sake of new copies."""
        mark_used(self._manifest.parent)
        return super().open_now()

    @contextmanager
    def ready(self, offsets: NDArray[np.int64], sizes: NDArray[np.int64]) -> Iterator[int]:
        """Provide the descriptor, after verifying the checksums of the blocks that hold these bytes."""
        self.check_bytes(offsets, sizes)
        with self.opened() as descriptor:
            yield descriptor

    def check_bytes(self, offsets: NDArray[np.int64], sizes: NDArray[np.int64]) -> None:
        """Compare the blocks that hold stretches of bytes with their checksums, each once in a process.

        Raises
        ------
        DamagedFileError
            If one has another checksum.
        """
        blocks = blocks_of(offsets, sizes, _BLOCK)
        self._check_blocks(blocks[~self._is_sound[blocks]])
        self.checks = not self._is_sound.all()

    def check_outside(self, later: NDArray[np.int64]) -> None:
        """Compare all blocks but those that lie within one of some stretches, which are compared when they are read.

        Parameters
        ----------
        later
            First byte and end of each stretch, shape ``(n, 2)``.
        """
        now = np.ones(self._is_sound.size, bool)
        for start, stop in later.tolist():
            end = now.size if stop == self.size else stop // _BLOCK
            now[-(-start // _BLOCK) : end] = False
        self._check_blocks(np.flatnonzero(now))
        self.checks = not self._is_sound.all()

    def _check_blocks(self, blocks: NDArray[np.int64]) -> None:
        """Compare some blocks, ascending."""
        runs = np.split(blocks, np.flatnonzero(np.diff(blocks) != 1) + 1) if blocks.size else []
        parts = [run[i : i + _RUN] for run in runs for i in range(0, run.size, _RUN)]
        if len(parts) > 1:
            firsts, sizes = np.array([(part[0], part.size) for part in parts], np.int64).T * _BLOCK
            self.announce(firsts, sizes)
        for part in parts:
            self._check_part(int(part[0]), part.size)

    def _check_part(self, first: int, count: int) -> None:
        start = first * _BLOCK
        size = min(count * _BLOCK, self.size - start)
        with observed(READ, requests=1, bytes=size):
            stored = memoryview(self.read_unchecked(start, size))
        found = [checksum(stored[at : at + _BLOCK]) for at in range(0, count * _BLOCK, _BLOCK)]
        differs = np.array(found, np.uint32) != self._checksums[first : first + count]
        if differs.any():
            self.check()
            block = first + int(np.argmax(differs))
            self._refuse(f"is damaged between byte {block * _BLOCK} and {(block + 1) * _BLOCK}")
        self._is_sound[first : first + count] = True

    def _refuse(self, what: str) -> None:
        with suppress(OSError):
            self._manifest.unlink()
        message = (
            f"The copy of {self.path} in the cache, {self.place}, {what}; open {self.path} again: it is made anew."
        )
        raise DamagedFileError(message)


def block_checksums(path: str) -> NDArray[np.uint32]:
    """Return the checksums of a file's blocks."""
    sums = []
    with open(path, "rb") as file:  # noqa: PTH123 a path that is text
        while run := file.read(_BLOCK * _RUN):
            sums += [checksum(memoryview(run)[at : at + _BLOCK]) for at in range(0, len(run), _BLOCK)]
    return np.array(sums, np.uint32)
