"""Files of origin: a key for each file, which labels its cells and makes their names unique."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd

from scdataset._tables import counted
from scdataset.cells.columns import Column
from scdataset.errors import ArgumentTypeError, ArgumentValueError

__all__ = ["Origin", "default_keys"]

_ENDINGS = {
    *(".h5ad", ".zarr", ".zip", ".h5", ".h5mu", ".loom", ".mtx", ".gz", ".shad", ".csad", ".arrow", ".parquet", ".pq"),
}


@dataclass(frozen=True, slots=True)
class Origin:
    """How the cells of a collection are told apart by their file, as `anndata.concat` does.

    Attributes
    ----------
    keys
        The key of each file, shape ``(n_files,)``; the files of a folder or pattern that has one key share it.
    label
        The column of obs that has the key of each cell; None for none.
    index_unique
        Between the name of a cell and the key of its file; None leaves names as they are.
    """

    keys: tuple[str, ...]
    label: str | None = None
    index_unique: str | None = None

    def column(self, sizes: Sequence[int]) -> Column:
        """Return the keys as a column, given the number of cells of each file."""
        categories = list(dict.fromkeys(self.keys))
        place = {key: code for code, key in enumerate(categories)}
        codes = np.array([place[key] for key in self.keys], np.min_scalar_type(-len(categories)))
        return Column(np.repeat(codes, sizes), np.array([*categories, None], object)[:-1])

    def names(self, names: Sequence[pd.Index]) -> list[pd.Index]:
        """Return names of cells, of each file, with its key."""
        return [self.names_of(number, index) for number, index in enumerate(names)]

    def names_of(self, number: int, names: pd.Index) -> pd.Index:
        """Return names of the cells of one file, with its key."""
        if self.index_unique is None:
            return names
        ending = f"{self.index_unique}{self.keys[number]}"
        return pd.Index([f"{name}{ending}" for name in names], dtype=object)

    @classmethod
    def from_source(
        cls,
        source: object,
        paths_of: Callable[[Any], list[str]],
        keys: Sequence[str] | None,
        label: str | None,
        index_unique: str | None,
    ) -> "tuple[list[str], Origin | None]":
        """Return the paths of a source, and how their cells are told apart if that was asked for.

        Raises
        ------
        ArgumentTypeError, ArgumentValueError
            If keys are no different strings, one a file, or are given in two ways or for nothing.
        """
        for name, value in {"label": label, "index_unique": index_unique}.items():
            if not isinstance(value, str | None):
                message = f"{name}={value!r} is of type {type(value).__name__}; give a string."
                raise ArgumentTypeError(message)
        if keys is not None and (isinstance(source, Mapping) or label is index_unique is None):
            reason = "the keys of the mapping are used" if isinstance(source, Mapping) else "nothing uses them"
            message = f"keys={keys!r}: {reason}; give keys with label or index_unique, and a list of files."
            raise ArgumentValueError(message)
        wanted = label is not None or index_unique is not None
        if isinstance(source, Mapping):
            by_key = {key: paths_of(source[key]) for key in _checked(source, len(source))}
            paths = list(chain.from_iterable(by_key.values()))
            named = [key for key, found in by_key.items() for _ in found]
        else:
            paths = paths_of(source)
            given = None if keys is None else _checked(keys, len(paths))
            named = given or (default_keys(paths) if wanted else [])
        return paths, cls(tuple(named), label, index_unique) if wanted else None


def default_keys(paths: Sequence[str]) -> list[str]:
    """Return the names of files without their endings; where names repeat, the parts of the paths that differ.

    Raises
    ------
    ArgumentValueError
        If a path is there twice.

    Examples
    --------
    >>> default_keys(["data/a.h5ad", "data/b.h5ad"])
    ['a', 'b']
    >>> default_keys(["data/a/outs/filtered.h5", "data/b/outs/filtered.h5"])
    ['a', 'b']
    """
    parts = [_without_ending(path.rstrip("/")).split("/") for path in paths]
    for found in ([one[-1] for one in parts], _differing(parts), ["/".join(one) for one in parts], list(paths)):
        if len(set(found)) == len(found) and "" not in found:
            return found
    repeated = next(path for path in paths if paths.count(path) > 1)
    message = f"{repeated!r} is there more than once; give keys, a different string for each file."
    raise ArgumentValueError(message)


def _differing(parts: Sequence[Sequence[str]]) -> list[str]:
    """Return the parts of paths between those that all begin with and those that all end with."""
    shortest = min(map(len, parts))
    first = next((n for n in range(shortest) if len({one[n] for one in parts}) > 1), shortest)
    left = shortest - first
    last = next((n for n in range(left) if len({one[-1 - n] for one in parts}) > 1), left)
    return ["/".join(one[first : len(one) - last]) for one in parts]


def _without_ending(path: str) -> str:
    """Return a path, or a URL, without the endings of its format."""
    while PurePath(path).suffix in _ENDINGS:
        path = path.removesuffix(PurePath(path).suffix)
    return path


def _checked(keys: Iterable[str], n_files: int) -> list[str]:
    listed = list(keys)
    strings = not isinstance(keys, str) and all(isinstance(key, str) for key in listed)
    if not strings or len(listed) != n_files or len(set(listed)) < n_files:
        message = f"keys={listed} for {counted(n_files, 'file')}; give a list of different strings, one a file."
        raise ArgumentValueError(message)
    return listed
