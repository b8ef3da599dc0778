"""Advice on files: reasons for slow reading and options that are needed, each with its remedy."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scdataset._tables import bytes_text, counted

if TYPE_CHECKING:
    from scdataset.insight.description import CellsDescription, FileDescription
    from scdataset.insight.storage import StoredMatrix

__all__ = ["Advice", "advice_on", "network_of"]

_MANY_ROWS = 512
"""Cells in an encoded chunk from which on random blocks decode much more than they use."""

_GOOD_ROWS = 64
"""Cells in a chunk that decodes fast as a whole."""

_SPARSE = 0.25
"""Share of values that are not zero, below which a sparse matrix has fewer bytes."""

_LARGE = 1_000_000
"""Bytes of a matrix, or of a chunk, below which nothing about it is slow."""

_MANY_FILES = 100_000

_DECODED = {
    *("gzip", "shuffle", "fletcher32", "lzf", "blosc", "lz4", "bitshuffle", "zstd", "zlib", "crc32c", "bytes"),
    *("HDF5 lz4 filter", "transpose"),
}
"""First words of the names of filters that are decoded here, and not by the library."""

_NETWORKS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "ceph", "9p", "glusterfs", "afs"}


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to know before reading a file.

    Attributes
    ----------
    about
        The matrix or file it is about.
    problem
        The reason, and its effect.
    remedy
        The way to mend it.
    """

    about: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.about}: {self.problem} {self.remedy}"


def advice_on(file: "FileDescription") -> Iterator[Advice]:
    """Yield the advice on a file."""
    network = network_of(file.path)
    if network is not None:
        problem = f"The file lies on a network file system ({network}), where each small read waits for an answer."
        yield Advice("disk", problem, "Copy it to a local disk for training, or take a larger block_size.")
    for cells in file.cells:
        yield from _on_cells(cells)


def _on_cells(cells: "CellsDescription") -> Iterator[Advice]:
    named = {one.name: one for one in cells.matrices}
    for one in cells.matrices:
        yield from _on_matrix(one, cells.density.get(one.name))
    if cells.problem is not None and not any(one.storage == "CSC" for one in cells.matrices):
        yield Advice("file", cells.problem, "")
    yield from _on_layers(cells, named)


def _on_layers(cells: "CellsDescription", named: "dict[str, StoredMatrix]") -> Iterator[Advice]:
    """Point to counts elsewhere, where X has none."""
    if "X" not in named and cells.matrices:
        others = [_option(name) for name in named]
        yield Advice("X", "The file has no X.", f"Open another matrix: {' or '.join(others)}.")
    counts = [name for name in named if name != "X" and cells.kind_of(name) == "counts"]
    kind = cells.kind_of("X")
    if counts and kind not in (None, "counts"):
        yield Advice("X", f"Its values are {kind}; counts are in {counts[0]}.", f"For counts: {_option(counts[0])}.")


def _option(name: str) -> str:
    layer = "'raw'" if name == "raw.X" else name.removeprefix("layers[").removesuffix("]")
    return f"open_collection(path, layer={layer})"


def _on_matrix(one: "StoredMatrix", density: float | None) -> Iterator[Advice]:
    if one.storage == "CSC":
        convert = f"a.{one.name} = a.{one.name}.tocsr()"
        yield Advice(
            one.name,
            "It is sparse by columns (CSC), of which no row can be read without all columns.",
            f"Convert it once: a = anndata.read_h5ad(path); {convert}; a.write_h5ad(new_path).",
        )
        return
    yield from _on_codecs(one)
    yield from _on_dense(one, density)
    yield from _on_types(one)
    if one.n_chunks > _MANY_FILES and one.place and not one.codecs and one.chunk:
        yield Advice(one.name, f"It has {counted(one.n_chunks, 'chunk')}.", "Write larger chunks, or shards in zarr.")


def _on_codecs(one: "StoredMatrix") -> Iterator[Advice]:
    unknown = [name for name in one.codecs if name.split(" ")[0].split(";")[0] not in _DECODED and name not in _DECODED]
    if unknown:
        yield Advice(
            one.name,
            f"Its codec {unknown[0]!r} is read through the library alone, one chunk at a time.",
            "Write it again with zstd, lz4 or gzip.",
        )
    if one.codecs and one.rows_a_chunk > _MANY_ROWS and one.decoded_bytes >= _LARGE:
        rows = round(one.rows_a_chunk)
        yield Advice(
            one.name,
            f"A {one.codecs[-1]} chunk holds about {counted(rows, 'cell')}, and one cell of it costs decoding all "
            f"{bytes_text(one.decoded_bytes)}.",
            "Take a large fetch_factor so that a chunk serves many cells of a window, or write it again with "
            f"{_smaller(one)}.",
        )


def _smaller(one: "StoredMatrix") -> str:
    if one.is_sparse:
        return f"chunks of about {counted(max(round(_GOOD_ROWS * one.stored_a_row), 1), 'element')}"
    return f"chunks of about {counted(_GOOD_ROWS, 'row')}"


def _on_dense(one: "StoredMatrix", density: float | None) -> Iterator[Advice]:
    if one.storage == "dense, transposed":
        yield Advice(
            one.name,
            "It is stored as genes x cells: a cell is in every row of tiles.",
            "Take blocks as wide as a tile, or write the cells as h5ad with a CSR matrix once.",
        )
    elif one.storage == "dense" and one.chunk is not None and len(one.chunk) > 1 and one.chunk[1] < one.shape[1]:
        n_tiles = -(-one.shape[1] // one.chunk[1])
        yield Advice(
            one.name,
            f"A row lies in {n_tiles} tiles of {one.chunk[0]:,} x {one.chunk[1]:,}, and all of them are read for it.",
            f"Write it again with chunks of whole rows: chunks=({_GOOD_ROWS}, {one.shape[1]}).",
        )
    if not one.is_sparse and one.memory_bytes >= _LARGE and density is not None and density < _SPARSE:
        yield Advice(
            one.name,
            f"It is dense, and {100 * (1 - density):.0f}% of its values are zero.",
            "Write it as a sparse matrix, which has fewer bytes to read: a.X = scipy.sparse.csr_matrix(a.X).",
        )


def _on_types(one: "StoredMatrix") -> Iterator[Advice]:
    if np.dtype(one.dtype).itemsize > 4 and one.memory_bytes >= _LARGE:
        yield Advice(
            one.name,
            f"Its values are {one.dtype}, of which models use float32 at most.",
            "Write it as float32 to read half the bytes of values.",
        )


def network_of(path: str, mounts: str = "/proc/mounts") -> str | None:
    """Return the type of the network file system that a path lies on; None if it lies on a disk, or none can tell.

    ``mounts`` is the table of the system.
    """
    try:
        lines = Path(mounts).read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    real, best, found = os.path.realpath(path), "", None
    for line in lines:
        fields = line.split(" ")
        point, kind = fields[1].replace("\\040", " "), fields[2]
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, found = point, kind
    is_network = found is not None and (found in _NETWORKS or found.startswith("fuse."))
    return found if is_network else None
