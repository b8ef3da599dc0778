"""Keys of rows, as transforms of this package take and use them."""

import numpy as np
from numpy.typing import NDArray

from scdataset._tables import counted
from scdataset.errors import ArgumentTypeError, ArgumentValueError
from scdataset.strategy.row_keys import RowKeys

__all__ = ["checked_keys", "drawn"]


def checked_keys(transform: object, keys: RowKeys | None, n_rows: int) -> RowKeys:
    """Return ``keys`` if they are those of ``n_rows`` rows."""
    name = type(transform).__name__
    if not isinstance(keys, RowKeys):
        message = (
            f"{name} needs the keys of the rows, and got {keys!r}. A dataset gives them to its fetch_transform and "
            "batch_transform; on your own call it as transform(batch, RowKeys(rows, seed=0, epoch=0)) with the number "
            "of each row in the collection."
        )
        raise ArgumentTypeError(message)
    if len(keys) != n_rows:
        message = (
            f"{name} got the keys of {counted(len(keys), 'row')} for a batch of {n_rows:,}; give one row number for "
            "each."
        )
        raise ArgumentValueError(message)
    return keys


def drawn(keys: RowKeys, purpose: str, stream: int) -> NDArray[np.uint64]:
    """Return a key a row, for one of the streams of a purpose."""
    return keys.uint64(f"{purpose} {stream}")
