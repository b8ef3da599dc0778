"""User blocks: bytes before an HDF5 file, such as the first 512 of every h5mu file."""

import os
import tempfile
from functools import cache
from pathlib import Path

import h5py
import numpy as np

__all__ = ["counts_user_block"]


@cache
def counts_user_block() -> bool:
    """Tell whether the HDF5 library counts the user block in where it says that data lie; its versions differ.

    A file of known bytes is written and looked at: with one array in one piece, and one in chunks.
    """
    values = np.arange(7, 71, dtype=np.int64)
    number, path = tempfile.mkstemp(suffix=".h5")
    os.close(number)
    try:
        with h5py.File(path, "w", userblock_size=512) as file:
            file["whole"] = values
            file.create_dataset("chunks", data=values + 1000, chunks=(32,))
        stored = Path(path).read_bytes()
        with h5py.File(path, "r") as file:
            offsets = [file["whole"].id.get_offset()]
            file["chunks"].id.chunk_iter(lambda chunk: offsets.append(chunk.byte_offset))
    finally:
        Path(path).unlink()
    wanted = [values, values[:32] + 1000, values[32:] + 1000]
    return all(stored[at : at + part.nbytes] == part.tobytes() for at, part in zip(offsets, wanted, strict=True))
