"""Check files in HDF5 and zarr: every array and frame of an AnnData, and its lengths against those of obs and var."""

from collections.abc import Callable, Iterator

import numpy as np

from scdataset._tables import counted
from scdataset._types import Array
from scdataset.cells.formats.frames import column_names, n_rows
from scdataset.cells.formats.nodes import Node, as_text
from scdataset.cells.formats.probe import Probe
from scdataset.engine.context import ReadContext
from scdataset.errors import ScDatasetError
from scdataset.insight.checked_matrices import check_columns, check_matrix, check_pointers, check_values
from scdataset.insight.checked_names import ENCODINGS, note_repeated
from scdataset.insight.containers import container_of
from scdataset.insight.findings import Findings
from scdataset.insight.storage import is_sparse, stored_matrix

__all__ = ["CellsCheck", "nodes_in"]

_PIECE_BYTES = 1 << 23
"""Bytes of an array that are read together where it is only read."""

_NUMBERS = "iufb"

_SPARSE = ("csr_matrix", "csc_matrix")

_BY_OBS = ("obsm", "obsp")
_BY_VAR = ("varm", "varp")
_PAIRS = ("obsp", "varp")
"""Groups of matrices whose rows are cells, or genes, and those whose columns are the same again."""


class CellsCheck:
    """Checks one file or store.

    Parameters
    ----------
    probe
        The open file.
    found
        Where faults are noted.
    context
        Threads and memory for reading.
    """

    def __init__(self, probe: Probe, found: Findings, context: ReadContext) -> None:
        self._stored = container_of(probe)
        self._found = found
        self._context = context
        self._seen: set[str] = set()

    def anndata(self, at: Node) -> None:
        """Check an AnnData: its frames, its matrices, and their shapes."""
        n_obs, n_vars = self._frame_of(at, "obs"), self._frame_of(at, "var")
        self._matrix_of(at, "X", (n_obs, n_vars))
        raw = at.find("raw") if self._tried(at, lambda: at.find("raw")) else None
        n_raw = self._frame_of(raw, "var") if raw is not None and not raw.is_array else self._frame_of(at, "raw.var")
        for name in ("raw/X", "raw.X"):
            self._matrix_of(at, name, (n_obs, n_raw))
        for key in self._members(at, "layers"):
            self._matrix_of(at, f"layers/{key}", (n_obs, n_vars))
        for group, n in [(name, n_obs) for name in _BY_OBS] + [(name, n_vars) for name in _BY_VAR]:
            for key in self._members(at, group):
                self._matrix_of(at, f"{group}/{key}", (n, n if group in _PAIRS else None))

    def sparse(self, node: Node) -> None:
        """Check the matrix of a 10x group, whose rows are cells."""
        self._tried(node, lambda: self._sparse(node))

    def the_rest(self, node: Node) -> None:
        """Read every array that was not checked yet, and look at the encodings of all."""
        self._encodings(node)
        for one in nodes_in(node, self._found):
            if one.name not in self._seen:
                self._tried(one, lambda one=one: self._read(one))

    def _encodings(self, node: Node) -> None:
        """Note encodings that AnnData does not define, and so cannot read."""

        def look() -> None:
            if node.kind is not None and node.kind not in ENCODINGS:
                message = f"has the encoding {node.kind!r}, which AnnData does not define; anndata cannot read it."
                is_extra = "uns" in node.name.split("/")
                (self._found.note if is_extra else self._found.add)(node.name or "file", message)
            for name in () if node.is_array else node.names():
                self._tried(node, lambda name=name: self._encodings(node.child(name)))

        self._tried(node, look)

    def _tried(self, node: Node, work: Callable[..., object]) -> bool:
        """Do some work, and note the error that it ends in; return whether it ended in none."""
        try:
            work()
        except ScDatasetError as error:
            self._found.add(node.name or "file", error)
            return False
        return True

    def _members(self, at: Node, name: str) -> list[str]:
        names: list[str] = []

        def look() -> None:
            group = at.find(name)
            if group is not None and not group.is_array:
                names.extend(group.names())

        self._tried(at, look)
        return names

    def _frame_of(self, at: Node, name: str) -> int | None:
        """Check a frame; return its number of rows, None if there is none or it cannot be told."""
        rows: list[int] = []

        def look() -> None:
            frame = at.find(name)
            if frame is not None:
                rows.append(n_rows(frame))
                self._frame(frame, rows[0])

        self._tried(at, look)
        if not rows and name in ("obs", "var") and at.name == "" and at.find(name) is None:
            self._found.add(name, "is not there; an AnnData has it.")
        return rows[0] if rows else None

    def _frame(self, frame: Node, rows: int) -> None:
        """Check that all columns have as many rows, and codes of labels are those of categories."""
        if frame.is_array:
            return
        there = set(frame.names())
        said = frame.attribute("_index")
        index = "index" if said is None else as_text(said)
        for name in dict.fromkeys([*column_names(frame), index]):
            if name not in there:
                self._found.add(frame.name, f"has no column {name!r}, which it lists.")
                continue
            column = frame.child(name)
            self._tried(column, lambda column=column: self._column(column, rows))
        if index in there:
            names = frame.child(index)
            self._tried(names, lambda: self._names(names))

    def _column(self, column: Node, rows: int) -> None:
        parts = (
            [column] if column.is_array else [one for key in ("codes", "values", "mask") if (one := column.find(key))]
        )
        for part in parts:
            length = (part.shape or (0,))[0]
            if length != rows:
                self._found.add(part.name, f"has {counted(length, 'value')} for {counted(rows, 'row')}.")
        codes, categories = (None, None) if column.is_array else (column.find("codes"), column.find("categories"))
        if codes is not None and categories is not None:
            self._codes(codes, categories)

    def _names(self, names: Node) -> None:
        """Note repeated names of rows."""
        if names.is_array and names.is_strings:
            self._seen.add(names.name)
            pieces = (piece for (piece,) in names.pieces())
            note_repeated((self._counted(piece) for piece in pieces), names.name, self._found)
        else:
            note_repeated([np.asarray(names.element())], names.name, self._found)

    def _counted(self, values: Array) -> Array:
        self._found.checked(values.nbytes)
        return values

    def _codes(self, codes: Node, categories: Node) -> None:
        labels = categories if categories.is_array else categories.child("values")
        n = (labels.shape or (0,))[0]
        values = codes.values()
        self._seen.add(codes.name)
        self._found.checked(values.nbytes)
        wrong = (values < -1) | (values >= n) if values.dtype.kind == "i" else values >= n
        if wrong.any():
            row = int(np.argmax(wrong))
            count = int(np.count_nonzero(wrong))
            self._found.add(
                codes.name, f"has {counted(count, 'code')} outside of {counted(n, 'category')}, the first in row {row}."
            )

    def _matrix_of(self, at: Node, name: str, wanted: tuple[int | None, int | None]) -> None:
        def look() -> None:
            node = at.find(name)
            if node is not None:
                self._tried(node, lambda: self._matrix(node, wanted))

        self._tried(at, look)

    def _matrix(self, node: Node, wanted: tuple[int | None, int | None]) -> None:
        """Check a matrix and its shape; other nodes are read with the rest."""
        if not node.is_array and node.kind == "dataframe":
            rows = n_rows(node)
            self._check_shape(node, (rows,), wanted[:1])
            self._frame(node, rows)
        elif not node.is_array and node.kind in _SPARSE and not is_sparse(node):
            missing = sorted({"data", "indices", "indptr"}.difference(node.names()))
            self._found.add(node.name, f"has no {' and no '.join(missing)}; a {node.kind} has them.")
        elif not node.is_array and is_sparse(node):
            self._check_shape(node, stored_matrix(node, node.name).shape, wanted)
            self._sparse(node)
        elif node.is_array and node.kind != "null":
            shape = node.shape or ()
            self._check_shape(node, shape, wanted)
            if len(shape) != len(wanted) and None not in wanted:
                self._found.add(node.name, f"has shape {shape}; a matrix has two axes.")
            if len(shape) == 2 and node.dtype.kind in _NUMBERS and node.dtype.itemsize <= 8:
                self._seen.add(node.name)
                check_matrix(self._stored.dense(node.name), node.name, self._found, self._context)

    def _check_shape(self, node: Node, shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> None:
        for size, need, which in zip(shape, wanted, ("row", "column"), strict=False):
            if need is not None and size != need:
                frame = "var" if node.name.partition("/")[0] in _BY_VAR else "obs"
                of = frame if which == "row" or node.name.partition("/")[0] in _PAIRS else "var"
                self._found.add(node.name, f"has {counted(size, which)}, and {of} has {counted(need, 'row')}.")

    def _sparse(self, node: Node) -> None:
        """Check a sparse matrix; where it cannot be opened, each of its arrays by itself."""
        about = stored_matrix(node, node.name)
        shape = about.shape[::-1] if about.storage == "CSC" else about.shape
        self._seen.update(f"{node.name}/{part}" for part in ("data", "indices", "indptr"))
        before = len(self._found.faults)
        try:
            matrix = self._stored.csr(node.name, (shape[0], shape[1]))
        except ScDatasetError as error:
            self._arrays_of(node, (shape[0], shape[1]))
            if len(self._found.faults) == before:
                self._found.add(node.name, error)
        else:
            self._absent_in(node.child("data"))
            check_matrix(matrix, node.name, self._found, self._context)

    def _arrays_of(self, node: Node, shape: tuple[int, int]) -> None:
        """Check the arrays of a sparse matrix whose row pointers, lengths or chunks are wrong."""
        data, indices, indptr = (node.child(part) for part in ("data", "indices", "indptr"))
        n, n_rows_stored = (data.shape or (0,))[0], (indptr.shape or (0,))[0] - 1
        if (indices.shape or (0,))[0] != n:
            n_columns = counted((indices.shape or (0,))[0], "element")
            self._found.add(indices.name, f"has {n_columns}, and data has {n:,}.")
        if n_rows_stored != shape[0]:
            self._found.add(indptr.name, f"is of {counted(n_rows_stored, 'row')}, and the matrix has {shape[0]:,}.")
        self._tried(
            indptr, lambda: check_pointers((piece for (piece,) in indptr.pieces()), n, indptr.name, self._found)
        )
        for one, check in ((indices, self._columns), (data, self._values)):
            self._tried(one, lambda one=one: self._absent_in(one))
            self._tried(one, lambda one=one, check=check: check(one, shape[1]))

    def _columns(self, node: Node, n_columns: int) -> None:
        [array] = self._stored.arrays(node.name)
        check_columns(array, (node.shape or (0,))[0], n_columns, node.name, self._found, self._context)

    def _values(self, node: Node, _: int) -> None:
        [array] = self._stored.arrays(node.name)
        check_values(array, (node.shape or (0,))[0], node.name, self._found, self._context)

    def _absent_in(self, node: Node) -> None:
        """Note chunks that are not stored, for which the library puts zeros."""
        for number in self._stored.absent(node.name):
            self._found.add(node.name, f"chunk {number} is not there; its elements would be zeros.")

    def _read(self, node: Node) -> None:
        """Read an array of any kind, piece by piece."""
        shape = node.shape
        if shape is None or node.kind == "null" or 0 in shape:
            return
        if not shape:
            node.values()
            return
        row_bytes = int(np.prod(shape[1:], dtype=np.int64)) * max(node.dtype.itemsize, 1)
        step = max(_PIECE_BYTES // max(row_bytes, 1), 1)
        for start in range(0, shape[0], step):
            rows = slice(start, min(start + step, shape[0]))
            if self._tried(node, lambda rows=rows: node.part(rows)):
                self._found.checked((rows.stop - rows.start) * row_bytes)


def nodes_in(node: Node, found: Findings) -> Iterator[Node]:
    """Yield every array below a group; members that cannot be opened are noted."""
    try:
        if node.is_array:
            yield node
            return
        names = node.names()
    except ScDatasetError as error:
        found.add(node.name or "file", error)
        return
    for name in names:
        try:
            child = node.child(name)
        except ScDatasetError as error:
            found.add(f"{node.name}/{name}".lstrip("/"), error)
        else:
            yield from nodes_in(child, found)
