"""The datasets of groups of HDF5."""

from collections.abc import Iterator

import h5py

__all__ = ["datasets_within"]


def datasets_within(stored: h5py.HLObject, depth: int) -> Iterator[h5py.Dataset]:
    """Yield a dataset itself, or those of a group down to some depth."""
    if isinstance(stored, h5py.Dataset):
        yield stored
    elif isinstance(stored, h5py.Group) and depth > 0:
        for name in stored:
            yield from datasets_within(stored[name], depth - 1)
