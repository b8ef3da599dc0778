"""Opening a collection again, in a process that was sent the call that opened it first."""

import platform
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from scdataset._tables import counted
from scdataset.cells.open import open_collection
from scdataset.cells.opening import Opening
from scdataset.errors import CollectionError

if TYPE_CHECKING:
    from scdataset.cells.collection import CellCollection

__all__ = ["open_again"]

_KEPT = 2
"""Collections that a process keeps open for the next part of its work."""


@lru_cache(_KEPT)
def open_again(opening: Opening) -> "CellCollection":
    """Open a collection as another process opened it, or return it if it was opened here before.

    Parameters
    ----------
    opening
        The call that the other process made.

    Raises
    ------
    MissingFileError, UnreadableFileError, UnreachableStoreError
        If a file cannot be reached from this machine.
    CollectionError
        If the files here hold other numbers of cells.
    """
    cells = cast("CellCollection", open_collection(**opening.arguments))
    _check_sizes(cells.sizes, opening)
    return cells


def _check_sizes(sizes: Sequence[int], opening: Opening) -> None:
    found = zip(opening.paths, opening.sizes, sizes, strict=True)
    unlike = [(path, expected, size) for path, expected, size in found if size != expected]
    if unlike:
        path, expected, size = unlike[0]
        message = (
            f"On the machine {platform.node()!r}: {path} has {counted(size, 'cell')}, and {expected} where it was "
            "opened first. Give every machine that reads the same files."
        )
        raise CollectionError(message)
