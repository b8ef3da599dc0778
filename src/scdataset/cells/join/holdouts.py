"""Rows that are held out of training: those of whole files, or of some values in columns of obs."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pandas.api.types import is_scalar

from scdataset._arguments import nearest
from scdataset._paths import same_place
from scdataset._tables import counted, verb
from scdataset._types import Array
from scdataset.cells.columns import Column
from scdataset.errors import ArgumentTypeError, ArgumentValueError

__all__ = ["Holdout", "of_files", "of_values", "parted"]

_LISTED = 5
"""Values that a message names."""


class Holdout(NamedTuple):
    """Two parts of a collection, for the ``indices`` of two strategies.

    Attributes
    ----------
    rest
        Rows to train on, ascending, int64.
    held_out
        All other rows, ascending, int64.
    """

    rest: NDArray[np.int64]
    held_out: NDArray[np.int64]


def of_files(wanted: object, paths: Sequence[str], sizes: Sequence[int]) -> NDArray[np.bool_]:
    """Tell which rows are in the wanted files, which go by their paths or names.

    Raises
    ------
    ArgumentValueError
        If there is no such file, or several of that name.
    """
    places = [same_place(path) for path in paths]
    names = [Path(path).name for path in paths]
    chosen = np.zeros(len(paths), bool)
    for file in _listed("files", wanted, (str, os.PathLike)):
        if not isinstance(file, (str, os.PathLike)):
            message = f"files has {file!r} of type {type(file).__name__}; give paths or names of files."
            raise ArgumentTypeError(message)
        name = os.fspath(file)
        found = [number for number, place in enumerate(places) if place == same_place(name)]
        found = found or [number for number, other in enumerate(names) if other == name]
        if not found or len({places[number] for number in found}) > 1:
            several = f"is the name of {len(found)}; give the path of one" if found else "is not one"
            known = [*names, *paths]
            message = (
                f"files: {name!r} {several} of the {counted(len(paths), 'file')} of the "
                f"collection{nearest(name, known)}"
            )
            raise ArgumentValueError(message)
        chosen[found] = True
    return np.repeat(chosen, sizes)


def of_values(name: str, column: Column, wanted: Any) -> NDArray[np.bool_]:
    """Tell which rows of a column of obs have one of the wanted values; rows without a value do not.

    Raises
    ------
    ArgumentTypeError
        If that is a mask.
    ArgumentValueError
        If no row has a value.
    """
    if getattr(wanted, "dtype", None) == np.bool_ and np.shape(wanted) == column.codes.shape:
        message = f"{name} is a boolean for each cell; give a value or a list, or take cells.where(condition)."
        raise ArgumentTypeError(message)
    values = _listed(name, wanted, (str, bytes))
    wrong = [value for value in values if not is_scalar(value)]
    if wrong:
        message = f"{name} has {wrong[0]!r} of type {type(wrong[0]).__name__}; give a value or a list of values."
        raise ArgumentTypeError(message)
    known = np.unique(column.codes) if column.categories is None else column.categories
    unknown = [value for value in values if not _is_in(value, known)]
    if unknown:
        near = nearest(unknown[0], known) if column.categories is not None else "."
        message = (
            f"{name}: {len(unknown):,} of {counted(len(values), 'value')} {verb(len(unknown), 'are')} not in that "
            f"column of obs, such as {unknown[0]!r}; it has {_some(known)}{near}"
        )
        raise ArgumentValueError(message)
    if column.categories is None:
        return np.isin(column.codes, np.asarray(values))
    codes = np.flatnonzero([label in values for label in column.categories.tolist()])
    return np.isin(column.codes, codes)


def parted(held_out: NDArray[np.bool_], given: str) -> Holdout:
    """Return the rows of both parts.

    Raises
    ------
    ArgumentValueError
        If one of them is empty.
    """
    n_held_out = int(held_out.sum())
    if n_held_out in (0, held_out.size):
        lacking = "no cell" if n_held_out == 0 else f"all {counted(n_held_out, 'cell')}"
        message = f"holdout({given}) holds out {lacking}; both parts need some."
        raise ArgumentValueError(message)
    return Holdout(np.flatnonzero(~held_out), np.flatnonzero(held_out))


def _listed(name: str, wanted: object, single: tuple[type, ...]) -> list[object]:
    """Return the wanted values as a list: a value by itself is one."""
    if isinstance(wanted, single) or not isinstance(wanted, Iterable) or getattr(wanted, "shape", None) == ():
        return [wanted]
    if isinstance(wanted, dict):
        message = f"{name}={wanted!r} is a dict; give a value or a list of values."
        raise ArgumentTypeError(message)
    return list(wanted)


def _is_in(value: object, known: Array) -> bool:
    try:
        return bool(value in known)
    except OverflowError:  # an integer beyond those of numpy
        return False


def _some(known: Array) -> str:
    listed = ", ".join(map(repr, known[:_LISTED].tolist()))
    return listed if len(known) <= _LISTED else f"{listed} and {len(known) - _LISTED} more"
