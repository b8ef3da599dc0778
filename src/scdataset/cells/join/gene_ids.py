"""Columns of var that identify genes, for files whose genes are named by plain numbers, and for hints in errors."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import pandas as pd

from scdataset.errors import CollectionError

__all__ = ["are_numbers", "check_numbers", "digests", "found_elsewhere", "id_columns"]

_NUMBER = re.compile(r"\d+(\.0)?")
_EXAMPLES = 5


def are_numbers(names: pd.Index) -> bool:
    """Return whether all names are plain numbers: rows of a table, rather than genes."""
    return bool(len(names)) and all(_NUMBER.fullmatch(str(name)) is not None for name in names)


def id_columns(var: pd.DataFrame) -> list[str]:
    """Return the columns that could identify genes: unique strings, not all of them numbers."""
    return [str(name) for name in var.columns if _identifies(var[name])]


def digests(var: pd.DataFrame) -> dict[str, str]:
    """Return a digest of each column that could identify genes: files of the same genes in the same order agree."""
    return {name: _digest(var[name]) for name in id_columns(var)}


def check_numbers(
    names: Sequence[pd.Index],
    paths: Sequence[str],
    ids: Sequence[Mapping[str, str]],
    var_of: Callable[[int], pd.DataFrame],
) -> None:
    """Raise if genes would be matched by numbers, between files that have different ones.

    Parameters
    ----------
    names, paths
        The genes of each file, and its path.
    ids
        Of each file, `digests` of its var if its genes are numbers.
    var_of
        Returns var of a file by its number.

    Raises
    ------
    CollectionError
        If the genes of a file are numbers and another file has other names, or other genes of the same numbers.
    """
    other = next((n for n, index in enumerate(names) if _differ(index, names[0], ids[n], ids[0])), None)
    if other is None:
        return
    distinct = {id(index): n for n, index in reversed(list(enumerate(names)))}
    numbered = next((n for n in sorted(distinct.values()) if are_numbers(names[n])), None)
    if numbered is None:
        return
    another = 0 if numbered == other else other
    columns = {n: id_columns(var_of(n)) for n in (numbered, another)}
    shared = [name for name in columns[numbered] if name in columns[another]]
    message = (
        f"The genes of {paths[numbered]} are plain numbers, {[str(name) for name in names[numbered][:3]]}, ..., and "
        f"{paths[another]} has other genes: equal numbers need not be the same gene. "
        f"{_advice(shared, {paths[n]: found for n, found in columns.items()})} If the numbers are ids that hold for "
        "all files, give gene_key=lambda var: var.index."
    )
    raise CollectionError(message)


def found_elsewhere(genes: Iterable[str], frames: Iterable[tuple[str, pd.DataFrame]]) -> str:
    """Return a hint if genes that are not found where they are looked for are in another column of var."""
    wanted = list(genes)
    for path, var in frames:
        if var.index.isin(wanted).any():
            return f" {path} has them in the index of var: leave gene_key out."
        for name in var.columns:
            n_found = int(pd.Index(wanted).isin(pd.Index(var[name].astype(object))).sum())
            if n_found:
                return f" {path} has {n_found} of them in the column {name!r} of var: give gene_key={str(name)!r}."
    return ""


def _differ(index: pd.Index, first: pd.Index, ids: Mapping[str, str], first_ids: Mapping[str, str]) -> bool:
    """Return whether names differ, or are equal numbers and no column shows that they are the same genes."""
    shared = [name for name in ids if name in first_ids]
    named_alike = index is first or index.equals(first)
    return not named_alike or (bool(shared) and all(ids[name] != first_ids[name] for name in shared))


def _advice(shared: Sequence[str], columns: Mapping[str, Sequence[str]]) -> str:
    if shared:
        return f"Match them by a column of var that both have: gene_key has to be one of {list(shared)[:_EXAMPLES]}."
    listed = "; ".join(f"{path} has {list(found)[:_EXAMPLES]}" for path, found in columns.items())
    return f"No column of var identifies genes in both ({listed}); give a function of var as gene_key."


def _identifies(column: "pd.Series") -> bool:
    values = column.astype(object)
    strings = all(isinstance(value, str) for value in values)
    return strings and values.is_unique and not are_numbers(pd.Index(values))


def _digest(column: "pd.Series") -> str:
    return hashlib.blake2b("\0".join(column.astype(object)).encode(), digest_size=16).hexdigest()
