"""How matrices are stored: their chunks, codecs and bytes, as h5py and zarr tell them without reading any values."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from scdataset.cells.formats.nodes import Node, as_text

if TYPE_CHECKING:
    import zarr

__all__ = ["StoredMatrix", "arrays_of_cells", "is_sparse", "matrices_in", "other_matrices", "stored_matrix"]

_BY_COLUMN = ("csc_matrix", "csc")
"""Encodings of sparse matrices by columns, of anndata and of h5sparse before."""

_FILTERS = {"deflate": "gzip"}
"""Names of filters that the field calls by another than HDF5 does."""


@dataclass(frozen=True, slots=True)
class StoredMatrix:
    """One matrix of a file, as it is stored.

    Attributes
    ----------
    name
        Its name as an attribute of AnnData, such as ``"X"`` or ``"layers['counts']"``.
    storage
        ``"CSR"`` or ``"CSC"``: sparse by rows or by columns. ``"dense"``; ``"dense, transposed"``: genes x cells.
    shape
        Cells and genes.
    dtype, index_dtype
        Type of the values, and of the column numbers of a sparse matrix, None for a dense one.
    n_stored
        Values that are stored: the non-zeros of a sparse matrix.
    n_bytes
        Bytes on disk, all arrays together; None where they are not told.
    chunk
        Shape of a chunk of the values, in elements; None for one piece.
    n_chunks
        Number of chunks of the values.
    codecs
        Names of the filters of the values, first applied first; empty for plain bytes.
    place
        Where it is in the file.
    """

    name: str
    storage: str
    shape: tuple[int, ...]
    dtype: str
    index_dtype: str | None
    n_stored: int
    n_bytes: int | None
    chunk: tuple[int, ...] | None
    n_chunks: int
    codecs: tuple[str, ...]
    place: str

    @property
    def is_sparse(self) -> bool:
        """Whether zeros are left out."""
        return self.storage in ("CSR", "CSC")

    @property
    def stored_a_row(self) -> float:
        """Values stored for a cell, on average."""
        return self.n_stored / max(self.shape[0], 1)

    @property
    def rows_a_chunk(self) -> float:
        """Cells that have values in a chunk, on average."""
        if self.chunk is None:
            return float(self.shape[0])
        if self.storage == "CSR":
            return min(self.chunk[0] / max(self.stored_a_row, 1.0), float(self.shape[0]))
        return float(self.chunk[-1] if self.storage == "dense, transposed" else self.chunk[0])

    @property
    def memory_bytes(self) -> int:
        """Bytes of all values in memory."""
        return self.n_stored * np.dtype(self.dtype).itemsize

    @property
    def decoded_bytes(self) -> int:
        """Bytes of a decoded chunk of the values; 0 if there are none."""
        return 0 if self.chunk is None else int(np.prod(self.chunk)) * np.dtype(self.dtype).itemsize


def is_sparse(node: Node) -> bool:
    """Return whether a group is a sparse matrix."""
    return not node.is_array and {"data", "indices", "indptr"} <= set(node.names())


def stored_matrix(node: Node, name: str, *, by_column: bool | None = None) -> StoredMatrix:
    """Describe a matrix: a sparse group or an array.

    ``by_column`` says that a sparse one, or the cells of a dense one, are stored by columns; None to see for a sparse
    one.
    """
    if node.is_array:
        shape = tuple(int(size) for size in node.shape or ())
        storage, shape = ("dense, transposed", shape[::-1]) if by_column else ("dense", shape)
        n_stored = int(np.prod(shape))
        return _described(name, storage, shape, node, None, n_stored, [node])
    data, indices, indptr = parts = [node.child(part) for part in ("data", "indices", "indptr")]
    (n_stored,) = data.shape or (0,)
    storage = "CSC" if (_is_by_column(node) if by_column is None else by_column) else "CSR"
    return _described(name, storage, _sparse_shape(node, indptr), data, str(indices.dtype), n_stored, parts)


def matrices_in(root: Node, group: str = "") -> list[StoredMatrix]:
    """Describe X, raw and layers of an AnnData at a group of a file, with a slash at its end."""
    at = root.find(group.rstrip("/")) if group else root
    if at is None:
        return []
    found = [("X", at.find("X")), ("raw.X", at.find("raw/X") or at.find("raw.X"))]
    found += [(f"layers[{name!r}]", node) for name, node in _members(at, "layers")]
    return [stored_matrix(node, name) for name, node in found if node is not None and _is_matrix(node)]


def arrays_of_cells(root: Node, group: str = "") -> list[StoredMatrix]:
    """Describe the arrays of obsm of an AnnData."""
    at = root.find(group.rstrip("/")) if group else root
    members = [] if at is None else list(_members(at, "obsm"))
    return [stored_matrix(node, f"obsm[{name!r}]") for name, node in members if _is_matrix(node)]


def other_matrices(root: Node, kind: str) -> list[StoredMatrix]:
    """Describe the matrices of a 10x or a loom file."""
    if kind == "loom":
        found = [("X", root.child("matrix")), *((f"layers[{n!r}]", node) for n, node in _members(root, "layers"))]
        return [stored_matrix(node, name, by_column=True) for name, node in found]
    groups = [root.child(name) for name in root.names()]
    sparse = [group for group in groups if is_sparse(group)]
    return [stored_matrix(one, "X" if len(sparse) == 1 else f"genome {one.name!r}") for one in sparse]


def _members(at: Node, name: str) -> Iterator[tuple[str, Node]]:
    group = at.find(name)
    if group is not None and not group.is_array:
        yield from ((key, group.child(key)) for key in group.names())


def _is_matrix(node: Node) -> bool:
    """Return whether it has values, and is no data frame."""
    if node.is_array:
        return node.kind != "null" and len(node.shape or ()) >= 1 and node.dtype.kind in "iufb"
    return is_sparse(node)


def _is_by_column(node: Node) -> bool:
    said = node.attribute("h5sparse_format")
    return (node.kind if said is None else as_text(said)) in _BY_COLUMN


def _sparse_shape(node: Node, indptr: Node) -> tuple[int, ...]:
    """Return cells and genes; 10x has the shape the other way round, as an array."""
    for key in ("shape", "h5sparse_shape"):
        said = node.attribute(key)
        if said is not None:
            return tuple(int(size) for size in np.asarray(said).ravel())
    stored = node.find("shape")
    genes = 0 if stored is None else int(stored.values()[0])
    return (indptr.shape or (1,))[0] - 1, genes


def _described(
    name: str,
    storage: str,
    shape: tuple[int, ...],
    values: Node,
    index_dtype: str | None,
    n_stored: int,
    parts: list[Node],
) -> StoredMatrix:
    chunk = _chunk(values.stored)
    grid = [] if chunk is None else [-(-n // max(c, 1)) for n, c in zip(values.shape or (), chunk, strict=True)]
    sizes = [_bytes(part.stored) for part in parts]
    return StoredMatrix(
        name,
        storage,
        shape,
        str(values.dtype),
        index_dtype,
        n_stored,
        None if None in sizes else sum(size or 0 for size in sizes),
        chunk,
        int(np.prod(grid)) if grid else 1,
        _codecs(values.stored),
        parts[0].name if len(parts) == 1 else parts[0].name.rpartition("/")[0],
    )


def _chunk(stored: "h5py.Dataset | zarr.Array") -> tuple[int, ...] | None:
    """Return the shape of a chunk: of zarr, inside of a shard."""
    return None if stored.chunks is None else tuple(int(size) for size in stored.chunks)


def _codecs(stored: "h5py.Dataset | zarr.Array") -> tuple[str, ...]:
    if isinstance(stored, h5py.Dataset):
        properties = stored.id.get_create_plist()
        names = [properties.get_filter(number)[3].decode() for number in range(properties.get_nfilters())]
        return tuple(_FILTERS.get(name, name) for name in names)
    filters = [*(stored.filters or ()), *(stored.compressors or ())]
    return tuple(_codec_name(codec) for codec in filters)


def _codec_name(codec: Any) -> str:
    """Return the name of a codec of zarr, and inside of Blosc the one that it uses."""
    settings = dict(codec.get_config() if hasattr(codec, "get_config") else codec.to_dict())
    name, options = str(settings.get("name", settings.get("id"))), dict(settings.get("configuration", settings))
    return f"{name} ({options['cname']})" if "cname" in options else name


def _bytes(stored: "h5py.Dataset | zarr.Array") -> int | None:
    """Return the bytes of an array on disk; None where the library cannot tell."""
    if isinstance(stored, h5py.Dataset):
        return int(stored.id.get_storage_size())
    with suppress(Exception):  # stores of zarr need not tell sizes
        return int(stored.nbytes_stored())
    return None
