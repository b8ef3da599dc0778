"""The chunk indexes of many h5ad files, cached for the next time the same list is opened.

They are cached as numbers and JSON, never as pickled objects, so that nothing in the cache is executed: rows and chunks
are checked against the files as they are when they come from the files. A list is known by its paths and its read
specification, and is valid only while device, inode, size and time of change of every file are the same.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from scdataset._tables import counted
from scdataset._types import Array
from scdataset._version import __version__
from scdataset.cells.collection import Opened
from scdataset.cells.columns import Column
from scdataset.cells.formats.h5ad import H5adFile
from scdataset.engine import cache
from scdataset.engine.bytes.object_store import is_url
from scdataset.engine.containers.cached_matrices import CachedArrays, packed_matrix, unpacked_matrix
from scdataset.engine.containers.hdf5 import H5File
from scdataset.errors import ArgumentValueError

__all__ = ["load", "place_of", "store"]

_FORMAT = 5
"""Version of the cached values, raised whenever they change, or opening reads others."""

_OF_NAMES = ("object", "str")
"""Types of an index of strings; the second is that of pandas 3."""

_MAX_BYTES = 1 << 28
"""Of one list: the cache is for others too."""


def place_of(paths: Sequence[str], spec: list[object] | None) -> str | None:
    """Return the name under which a list is cached; None for a single file, and for specifications with functions."""
    if spec is None or len(paths) < 2:
        return None
    places = [path if is_url(path) else os.path.abspath(path) for path in paths]  # noqa: PTH100 paths with links stay
    return _digest([places, spec])


def load(place: str | None, paths: Sequence[str]) -> list[Opened] | None:
    """Return files as they were opened at an earlier time; None if there is none such, or a file has changed."""
    if place is None:
        return None
    try:
        files = [H5File(path) for path in paths]
        arrays = cache.load_under(place, _key(files))
        if arrays is None:
            return None
        text, numbers, values = arrays
        return _unpacked(files, json.loads(text.tobytes()), CachedArrays(numbers), CachedArrays(values))
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError):
        return None  # it is made again, and reports the fault of a file then


def store(place: str | None, opened: Sequence[Opened]) -> None:
    """Cache the chunk indexes of files, if all are h5ad files that the engine reads, and have not changed just now."""
    files = [one.file.parts[0] for one in opened if isinstance(one.file, H5adFile)]
    if place is None or len(files) < len(opened) or not all(file.bytes.is_settled for file in files):
        return
    if any(file.others for file in files):  # whose changes would not show
        return
    # Columns apart: they are joined to one, and their memory is freed while that of the matrices stays.
    arrays, values = CachedArrays(), CachedArrays()
    header = _packed(opened, arrays, values)
    if header is None or arrays.n_bytes + values.n_bytes > _MAX_BYTES:
        return
    text = np.frombuffer(json.dumps(header).encode(), np.uint8)
    if text.size <= _MAX_BYTES:
        cache.store_under(place, _key(files), [text, arrays.joined(), values.joined()])


def _key(files: Sequence[H5File]) -> list[object]:
    return [_FORMAT, __version__, _digest([file.bytes.identity for file in files])]


def _digest(value: object) -> str:
    return hashlib.blake2b(json.dumps(value).encode(), digest_size=16).hexdigest()


def _packed(opened: Sequence[Opened], arrays: CachedArrays, values: CachedArrays) -> dict[str, object] | None:
    """Return the files as JSON that refers to arrays; None if one holds something that JSON cannot say."""
    lists = _Lists()
    packed = []
    for one in opened:
        _, group, var_name, n_obs, matrix = one.file.parts  # type: ignore[attr-defined]  # all are h5ad
        matrices = {name: packed_matrix(m, arrays) for name, m in {"X": matrix, **one.arrays}.items()}
        if any(one is None for one in matrices.values()):
            return None
        columns = {name: _packed_column(column, values, lists) for name, column in one.columns.items()}
        packed.append(
            [group, var_name, n_obs, matrices, columns, lists.add(one.genes), lists.add(one.cells), one.gene_ids]
        )
    return {"files": packed, "lists": lists.all} if lists.plain else None


def _unpacked(files: Sequence[H5File], header: Any, arrays: CachedArrays, values: CachedArrays) -> list[Opened]:
    lists = [_index(*one) for one in header["lists"]]
    opened = []
    for file, (group, var_name, n_obs, matrices, columns, genes, cells, ids) in zip(
        files, header["files"], strict=True
    ):
        read = {name: unpacked_matrix(file.bytes, packed, arrays) for name, packed in matrices.items()}
        if any(matrix.shape[0] != n_obs for matrix in read.values()):
            message = f"{file.path} has {counted(n_obs, 'row')} of obs, and others in its arrays."
            raise ValueError(message)
        h5ad = H5adFile.from_parts(file, group, var_name, n_obs, read.pop("X"))
        named = {name: _column(file.path, name, packed, n_obs, values, lists) for name, packed in columns.items()}
        opened.append(Opened(h5ad, _listed(genes, lists), named, read, _listed(cells, lists), dict(ids)))
    return opened


class _Lists:
    """Lists of names, of genes, cells and categories; each once, however many files share it."""

    def __init__(self) -> None:
        self.all: list[list[object]] = []
        self.plain = True
        self._numbers: dict[int, tuple[int, object]] = {}

    def add(self, names: pd.Index | Array | None) -> int | None:
        """Return the number of a list; `plain` turns False if it cannot be said in JSON."""
        if names is None:
            return None
        if id(names) not in self._numbers:
            index = pd.Index(names)
            values = index.tolist()
            self.plain &= str(index.dtype) in _OF_NAMES and all(isinstance(value, str) for value in values)
            self.plain &= isinstance(index.name, str | None)
            self._numbers[id(names)] = (len(self.all), names)  # held, so that no other gets its id
            self.all.append([values, index.name, str(index.dtype)])
        return self._numbers[id(names)][0]


def _index(values: list[str], name: str | None, dtype: str) -> pd.Index:
    if dtype not in _OF_NAMES or not all(isinstance(value, str) for value in values):
        message = f"names {values[:3]} of type {dtype} are no strings."
        raise TypeError(message)
    index: pd.Index = pd.Index(np.array([*values, None], object)[:-1], dtype=dtype, name=name)
    return index


def _listed(number: int | None, lists: Sequence[pd.Index]) -> pd.Index | None:
    return None if number is None else lists[number]


def _packed_column(column: Column | ArgumentValueError, arrays: CachedArrays, lists: _Lists) -> object:
    if isinstance(column, ArgumentValueError):
        return str(column)
    labels = column.categories
    if labels is not None and labels.dtype != object:
        return [arrays.add(column.codes), None, arrays.add(labels), column.ordered]
    return [arrays.add(column.codes), lists.add(labels), None, column.ordered]


def _column(
    path: str, name: str, packed: Any, n_obs: int, arrays: CachedArrays, lists: Sequence[pd.Index]
) -> Column | ArgumentValueError:
    if isinstance(packed, str):
        return ArgumentValueError(packed)
    codes, number, labels, ordered = packed
    values = arrays[codes]
    if values.shape != (n_obs,):
        message = f"{path}: obs[{name!r}] was cached with {values.size:,} of {counted(n_obs, 'value')}."
        raise ValueError(message)
    named = None if number is None else lists[number].to_numpy()
    return Column(values, named if labels is None else arrays[labels], bool(ordered))
