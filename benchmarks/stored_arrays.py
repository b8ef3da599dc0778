"""Where the chunks of X are in a store, found without the package that is measured: by h5py, or in zarr's files."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import zarr
from isal import isal_zlib
from numcodecs.blosc import Blosc
from numcodecs.zstd import Zstd
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class StoredArray:
    """The values or the column numbers of a CSR matrix.

    Attributes
    ----------
    files
        The files that hold chunks.
    places
        For each chunk the number of its file, its first byte and its stored bytes, shape ``(n_chunks, 3)``, int64.
    chunk, item
        Elements in a chunk, and bytes in an element.
    decode
        Turns the stored bytes of a chunk into plain ones; None where they are plain.
    """

    files: tuple[Path, ...]
    places: NDArray[np.int64]
    chunk: int
    item: int
    decode: Callable[[bytes], Any] | None


def stored_arrays(path: Path) -> tuple[NDArray[np.int64], list[StoredArray]]:
    """Return the row pointers of X, shape ``(n_rows + 1,)``, and its values and column numbers."""
    if path.is_file():
        with h5py.File(path) as file:
            return file["X/indptr"][:].astype(np.int64), [_of_hdf5(path, file[f"X/{n}"]) for n in ("data", "indices")]
    datasets = [entry for entry in path.iterdir() if entry.name.startswith("dataset_")]
    if datasets:
        [path] = datasets  # one for an atlas of less than 20 GB
    pointers = zarr.open_array(path / "X" / "indptr", mode="r")[:]
    return np.asarray(pointers, np.int64), [_of_zarr(path / "X" / name) for name in ("data", "indices")]


def is_encoded(path: Path) -> bool:
    """Tell whether chunks have to be decoded."""
    return any(array.decode is not None for array in stored_arrays(path)[1])


def files_of(path: Path) -> list[Path]:
    """Return the files of a store."""
    return [path] if path.is_file() else [file for file in sorted(path.rglob("*")) if file.is_file()]


def _of_hdf5(path: Path, dataset: Any) -> StoredArray:
    chunk = dataset.chunks[0]
    places = np.zeros((-(-dataset.shape[0] // chunk), 3), np.int64)

    def note(stored: Any) -> None:
        places[stored.chunk_offset[0] // chunk] = 0, stored.byte_offset, stored.size

    dataset.id.chunk_iter(note)
    n_bytes = chunk * dataset.dtype.itemsize
    inflate = {None: None, "gzip": lambda stored: isal_zlib.decompress(stored, 15, n_bytes)}[dataset.compression]
    return StoredArray((path,), places, chunk, dataset.dtype.itemsize, inflate)


def _of_zarr(folder: Path) -> StoredArray:
    """Read the index at the end of each shard: offset and size of each chunk, and a checksum."""
    metadata = json.loads((folder / "zarr.json").read_text())
    [sharding] = [codec["configuration"] for codec in metadata["codecs"]]
    chunk = sharding["chunk_shape"][0]
    per_shard = metadata["chunk_grid"]["configuration"]["chunk_shape"][0] // chunk
    n_chunks = -(-metadata["shape"][0] // chunk)
    files = tuple(folder / "c" / str(shard) for shard in range(-(-n_chunks // per_shard)))
    places = [(number, *place) for number, file in enumerate(files) for place in _shard_index(file, per_shard)]
    decoders = {"bytes": None, "zstd": Zstd().decode, "blosc": Blosc().decode}
    decode = decoders[sharding["codecs"][-1]["name"]]
    item = np.dtype(metadata["data_type"]).itemsize
    return StoredArray(files, np.array(places[:n_chunks], np.int64), chunk, item, decode)


def _shard_index(file: Path, n_chunks: int) -> list[list[int]]:
    with file.open("rb") as opened:
        opened.seek(-16 * n_chunks - 4, os.SEEK_END)
        index = np.frombuffer(opened.read(16 * n_chunks), "<u8").reshape(n_chunks, 2)
    return [list(map(int, place)) for place in index]
