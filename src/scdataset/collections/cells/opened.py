"""Opening many files: each once, what is wanted of it read at once, and all that cannot be opened told together."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from scdataset._progress import late_bar
from scdataset.collections.cells import listing
from scdataset.collections.cells.collection import MANY, CellFile, Opened
from scdataset.collections.cells.columns import Column
from scdataset.collections.cells.genes import GeneKey, gene_names
from scdataset.collections.cells.h5ad import H5adFile
from scdataset.collections.cells.kinds import Options, open_source
from scdataset.errors import ArgumentValueError, CollectionError, ScDatasetError

__all__ = ["Wanted", "gathered", "open_all"]

T = TypeVar("T")

_LISTED = 5
"""Files that a message names."""

_SLOW = 1.0
"""Seconds from which on what was learned by opening is kept."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is read of every file when it is opened.

    Attributes
    ----------
    options
        What it is opened with.
    obs, obsm
        Columns of obs, and arrays of obsm.
    genes
        Whether names of genes are read.
    gene_key
        The column of var that they are, or what makes them of var; None for the index of var.
    cells
        Whether names of cells are read.
    """

    options: Options
    obs: tuple[str, ...] = ()
    obsm: tuple[str, ...] = ()
    genes: bool = True
    gene_key: GeneKey | None = None
    cells: bool = False

    @property
    def listed(self) -> list[Any] | None:
        """All of it as JSON; None where it holds objects and functions."""
        given = [*self.options.given().items()]
        plain = all(isinstance(value, str) for _, value in given) and not callable(self.gene_key)
        return [given, self.obs, self.obsm, self.genes, self.gene_key, self.cells] if plain else None


def open_all(paths: Sequence[str], wanted: Wanted) -> list[Opened]:
    """Open files, by what was kept of an earlier time if none has changed since; see `gathered` for what is raised."""
    place = listing.place_of(paths, wanted.listed)
    kept = listing.load(place, paths)
    if kept is not None:
        return kept
    started = perf_counter()
    shared = _Shared()
    opened = gathered(paths, lambda path: shared.of(_open(path, wanted, close=len(paths) > MANY)))
    if perf_counter() - started > _SLOW:
        listing.store(place, opened)
    return opened


def gathered(paths: Sequence[str], opening: Callable[[str], T]) -> list[T]:
    """Return what is opened of each path; a bar shows how far it is if that takes more than a second.

    Raises
    ------
    ScDatasetError, OSError
        What one file raises, if it is the only one. Of several the first ones are named, with their number, in an error
        of the type that they share, or a CollectionError.
    """
    opened: list[T] = []
    failed: list[tuple[str, Exception]] = []
    with late_bar(f"Opening {len(paths)} files", len(paths)) as advance:
        for path in paths:
            try:
                opened.append(opening(path))
            except (ScDatasetError, OSError) as error:
                # Tracebacks of thousands of files would hold on to all that they had open.
                failed.append((path, error if not failed else _bare(error)))
            advance(1)
    if failed:
        raise _together(failed, len(paths))
    return opened


def _bare(error: Exception) -> Exception:
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _together(failed: Sequence[tuple[str, Exception]], n_files: int) -> Exception:
    """Return one error for all files that cannot be opened."""
    if len(failed) == 1:
        return failed[0][1]
    first = "".join(f"\n- {error if path in str(error) else f'{path}: {error}'}" for path, error in failed[:_LISTED])
    more = f"\n- and {len(failed) - _LISTED} more" if len(failed) > _LISTED else ""
    kinds = {type(error) for _, error in failed}
    kind = kinds.pop() if len(kinds) == 1 else CollectionError
    return kind(f"{len(failed)} of {n_files} files cannot be opened:{first}{more}")


def _open(path: str, wanted: Wanted, *, close: bool) -> Opened:
    file = open_source(path, wanted.options)
    try:
        return Opened(
            file,
            _genes(file, wanted.gene_key) if wanted.genes else None,
            {name: _column(file, name) for name in wanted.obs},
            {name: file.array(name) for name in wanted.obsm},
            file.obs_names if wanted.cells else None,
        )
    except BaseException:
        file.close()
        raise
    finally:
        if close:
            file.close()


def _column(file: CellFile, name: str) -> Column | ArgumentValueError:
    """Return a column, or the error that names those there are: other files may have it."""
    try:
        return file.column(name)
    except ArgumentValueError as error:
        return error.with_traceback(None)


def _genes(file: CellFile, key: GeneKey | None) -> pd.Index:
    """Return what genes are matched by, without reading all of var if that can be."""
    if isinstance(file, H5adFile) and not callable(key):
        names = file.var_names(key)
        if names is not None:
            return names
    return gene_names(file.path, file.var, key)


class _Shared:
    """Lists of genes and of categories that were seen, so that files with equal ones share them."""

    def __init__(self) -> None:
        self._genes: dict[Hashable, list[pd.Index]] = {}
        self._categories: dict[Hashable, list[Any]] = {}

    def of(self, opened: Opened) -> Opened:
        """Return the same with shared lists."""
        columns = {name: self._column(column) for name, column in opened.columns.items()}
        if opened.genes is None:
            return replace(opened, columns=columns)
        return replace(opened, columns=columns, genes=self._index(opened.genes))

    def _index(self, names: pd.Index) -> pd.Index:
        seen = self._genes.setdefault((names.dtype, names.name, names.size, *names[:1], *names[-1:]), [])
        return _first(seen, names, names.equals)

    def _column(self, column: Column | ArgumentValueError) -> Column | ArgumentValueError:
        if isinstance(column, ArgumentValueError) or column.categories is None:
            return column
        labels = column.categories
        seen = self._categories.setdefault((labels.dtype, labels.size), [])
        return replace(column, categories=_first(seen, labels, lambda other: np.array_equal(labels, other)))


def _first(seen: list[T], one: T, equals: Callable[[T], bool]) -> T:
    """Return the first that is equal, which may be the one given."""
    for other in seen:
        if equals(other):
            return other
    seen.append(one)
    return one
