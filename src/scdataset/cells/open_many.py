"""Open many files: each once, with the parts that are read at once, and one error for all that cannot be opened."""

import multiprocessing
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from scdataset._cores import usable_cores
from scdataset._progress import late_bar
from scdataset._tables import counted
from scdataset._types import Array
from scdataset.cells import open_cache
from scdataset.cells.collection import Opened
from scdataset.cells.columns import Column
from scdataset.cells.formats.anndata_schema import AnnDataFile
from scdataset.cells.formats.cell_file import CellFile
from scdataset.cells.formats.probe import Probe
from scdataset.cells.formats.registry import Options, open_file
from scdataset.cells.join.gene_ids import are_numbers, digests
from scdataset.cells.join.genes import GeneKey, gene_names
from scdataset.cells.join.obs import MANY, check_label, tried_column
from scdataset.engine.bytes.object_store import is_url
from scdataset.engine.bytes.opening import fetched_ahead
from scdataset.engine.containers.handles import handles_open
from scdataset.errors import ArgumentValueError, CollectionError, ScDatasetError

__all__ = ["OpenSpec", "open_each", "open_many"]

T = TypeVar("T")

_LISTED = 5
"""Files that a message names."""

_SHARED_OUT = 256
"""Files from which on it pays to open them in several processes."""

_PART = 32
"""Files that a process opens at a time."""

_SLOW = 1.0
"""Seconds from which on the result of opening is cached."""


@dataclass(frozen=True, slots=True)
class OpenSpec:
    """The parts of every file that are read when it is opened.

    Attributes
    ----------
    options
        The options for opening it.
    obs, obsm
        Columns of obs, and arrays of obsm.
    genes
        Whether names of genes are read.
    gene_key
        The column of var with those names, or a function of var; None for the index of var.
    cells
        Whether names of cells are read.
    label
        The column that the collection adds, which no file may have; None for none.
    """

    options: Options
    obs: tuple[str, ...] = ()
    obsm: tuple[str, ...] = ()
    genes: bool = True
    gene_key: GeneKey | None = None
    cells: bool = False
    label: str | None = None

    @property
    def as_json(self) -> list[object] | None:
        """All of it as JSON; None where it holds objects and functions."""
        given = [*self.options.given().items()]
        plain = all(isinstance(value, str) for _, value in given) and not callable(self.gene_key)
        return [given, self.obs, self.obsm, self.genes, self.gene_key, self.cells, self.label] if plain else None


def open_many(paths: Sequence[str], spec: OpenSpec, first: Probe | None = None) -> list[Opened]:
    """Open files, from the cache of an earlier opening if none has changed since; see `open_each` for errors.

    ``first`` is the probe of the first of them, if there is one already.
    """
    place = open_cache.place_of(paths, spec.as_json)
    cached = open_cache.load(place, paths)
    if cached is not None:
        return cached
    started = perf_counter()
    together = len(paths) >= _SHARED_OUT and not any(map(is_url, paths)) and not callable(spec.gene_key)
    if together and first is not None:
        first.close()  # nothing that is open goes to another process
    known = {} if first is None else {first.path: first}
    opening = partial(_open, spec=spec, close=len(paths) > MANY, known=known)
    opened = open_each(paths, opening, usable_cores() if together else 1, _Shared)
    if perf_counter() - started > _SLOW:
        open_cache.store(place, opened)
    return opened


def _unshared() -> Callable[[T], T]:
    return lambda one: one


def open_each(
    paths: Sequence[str],
    opening: Callable[[str], T],
    n_processes: int = 1,
    sharing: Callable[[], Callable[[Any], Any]] = _unshared,
) -> list[T]:
    """Open each path; a bar shows how far it is if that takes more than a second.

    HDF5 serves one thread at a time, so files are opened side by side in forked processes. There and here each result
    goes through a function that ``sharing`` makes, so that equal lists are sent once a part and held once.

    Raises
    ------
    ScDatasetError, OSError
        The error of one file, if it is the only one. Of several the first ones are named, with their number, in an
        error of the type that they share, or a CollectionError.
    """
    opened: list[T] = []
    failed: list[tuple[str, Exception]] = []
    with late_bar(f"Opening {counted(len(paths), 'file')}", len(paths)) as advance:
        share = sharing()
        for path, one in zip(paths, _each(paths, opening, n_processes, sharing), strict=True):
            if isinstance(one, Exception):
                # Tracebacks of thousands of files would hold on to all that they had open.
                failed.append((path, one if not failed else _bare(one)))
            else:
                opened.append(share(one))
            advance(1)
    if failed:
        raise _joint_error(failed, len(paths))
    return opened


def _each(
    paths: Sequence[str], opening: Callable[[str], T], n_processes: int, sharing: Callable[[], Callable[[Any], Any]]
) -> Iterator[T | Exception]:
    """Yield the result of each path, or the error that it raises, in the order of the paths."""
    if n_processes == 1 or "fork" not in multiprocessing.get_all_start_methods():
        yield from (_tried(opening, path) for path in fetched_ahead(paths))
        return
    parts = [paths[first : first + _PART] for first in range(0, len(paths), _PART)]
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(min(n_processes, len(parts)), mp_context=context) as pool:
        try:
            for part in pool.map(partial(_tried_all, opening, sharing), parts):
                yield from part
        except BaseException:  # the parts that have not begun are cancelled
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _tried_all(
    opening: Callable[[str], T], sharing: Callable[[], Callable[[Any], Any]], paths: Sequence[str]
) -> list[T | Exception]:
    share = sharing()
    tried = (_tried(opening, path) for path in paths)
    return [one if isinstance(one, Exception) else share(one) for one in tried]


def _tried(opening: Callable[[str], T], path: str) -> T | Exception:
    try:
        return opening(path)
    except (ScDatasetError, OSError) as error:
        return error


def _bare(error: Exception) -> Exception:
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _joint_error(failed: Sequence[tuple[str, Exception]], n_files: int) -> Exception:
    """Return one error for all files that cannot be opened."""
    if len(failed) == 1:
        return failed[0][1]
    first = "".join(f"\n- {error if path in str(error) else f'{path}: {error}'}" for path, error in failed[:_LISTED])
    more = f"\n- and {len(failed) - _LISTED} more" if len(failed) > _LISTED else ""
    types = {type(error) for _, error in failed}
    error_type = types.pop() if len(types) == 1 else CollectionError
    return error_type(f"{len(failed):,} of {counted(n_files, 'file')} cannot be opened:{first}{more}")


def _open(path: str, spec: OpenSpec, *, close: bool, known: Mapping[str, Probe]) -> Opened:
    with handles_open():
        return _read(known.get(path) or Probe(path), spec, close=close)


def _read(probe: Probe, spec: OpenSpec, *, close: bool) -> Opened:
    file = open_file(probe, spec.options)
    try:
        check_label(file, spec.label)
        genes = _genes(file, spec.gene_key) if spec.genes else None
        numbered = genes is not None and spec.gene_key is None and are_numbers(genes)
        return Opened(
            file,
            genes,
            {name: tried_column(file, name) for name in spec.obs if name != spec.label},
            {name: file.array(name) for name in spec.obsm},
            file.obs_names if spec.cells else None,
            digests(file.var) if numbered else {},
        )
    except BaseException:
        file.close()
        raise
    finally:
        if close:
            file.close()


def _genes(file: CellFile, key: GeneKey | None) -> pd.Index:
    """Return the keys that match genes, without reading all of var if possible."""
    if isinstance(file, AnnDataFile) and not callable(key):
        names = file.var_names(key)
        if names is not None:
            return names
    return gene_names(file.path, file.var, key)


class _Shared:
    """Lists of genes and of categories that were seen, so that files with equal ones share them."""

    def __init__(self) -> None:
        self._genes: dict[Hashable, list[pd.Index]] = {}
        self._categories: dict[Hashable, list[Array]] = {}

    def __call__(self, opened: Opened) -> Opened:
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
