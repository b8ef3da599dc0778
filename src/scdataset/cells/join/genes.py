"""Genes of several files: which genes a collection has, and which of them each stored column is."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import reduce
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdataset._arguments import nearest, warn
from scdataset._tables import counted, verb
from scdataset._types import Array
from scdataset.cells.join.gene_ids import found_elsewhere
from scdataset.errors import ArgumentValueError, CollectionError

__all__ = ["GeneKey", "Genes", "Join", "gene_names", "join_genes", "joined_var"]

Join = Literal["exact", "inner", "outer"]
GeneKey = str | Callable[[pd.DataFrame], Array | pd.Series | pd.Index | Sequence[str]]

_EXAMPLES = 5
_VERSION = r"\.\d+$"


@dataclass(frozen=True, slots=True)
class Genes:
    """The genes of a collection, and how those of its files become them.

    Attributes
    ----------
    names
        The genes, shape ``(n_vars,)``.
    tables
        For each file, the gene that each stored column becomes, shape ``(n_stored,)``, int32, -1 for those left out;
        None if its columns are the genes.
    """

    names: pd.Index
    tables: list[NDArray[np.int32] | None]

    @property
    def alike(self) -> bool:
        """Whether all files have just these genes, in this order."""
        return all(table is None for table in self.tables)

    def presence(self) -> NDArray[np.bool_]:
        """Return which gene is in which file, shape ``(n_vars, n_files)``."""
        there = np.ones((len(self.names), len(self.tables)), bool)
        for number, table in enumerate(self.tables):
            if table is not None:
                there[:, number] = False
                there[table[table >= 0], number] = True
        return there


def gene_names(path: str, var: pd.DataFrame, key: GeneKey | None) -> pd.Index:
    """Return the keys that match the genes of a file: their names, a column of var, or the result of a function of var.

    Raises
    ------
    ArgumentValueError
        If var has no such column, or names are missing or of another number.
    """
    if key is None:
        return var.index
    if isinstance(key, str) and key not in var.columns:
        message = (
            f"{path}: var has no column {key!r}; gene_key has to be one of {list(var.columns)}, or a function of var"
            f"{nearest(key, var.columns)}"
        )
        raise ArgumentValueError(message)
    names = pd.Index(var[key] if isinstance(key, str) else key(var))
    if len(names) != len(var) or names.hasnans:
        found = f"{counted(len(names), 'name')}, {np.count_nonzero(names.isna()):,} of them missing,"
        message = f"{path}: gene_key={key!r} gives {found} for {counted(len(var), 'gene')}; each gene needs a name."
        raise ArgumentValueError(message)
    named: pd.Index = names.astype(str).rename(key if isinstance(key, str) else None)
    return named


def join_genes(
    names: Sequence[pd.Index],
    paths: Sequence[str],
    join: Join = "exact",
    genes: Sequence[str] | None = None,
    var_of: Callable[[int], pd.DataFrame] | None = None,
) -> Genes:
    """Return the genes of a collection of several files.

    Parameters
    ----------
    names, paths
        The genes of each file, and its path.
    join
        ``"exact"`` takes files with the same genes in the same order, ``"inner"`` the genes that all files have,
        ``"outer"`` those that any has; both as `anndata.concat` orders them.
    genes
        Take these of them, in this order.
    var_of
        Returns var of a file by its number, to tell where else in it unknown ``genes`` are.

    Raises
    ------
    ArgumentValueError
        If ``genes`` are unknown or repeated, naming the nearest known ones; or ``join`` is.
    CollectionError
        If files differ in their genes, have none in common, or have one twice where that leaves open which is which.
    """
    if join not in get_args(Join):
        message = f"join={join!r} has to be one of {list(get_args(Join))}."
        raise ArgumentValueError(message)
    alike = all(other is names[0] or other.equals(names[0]) for other in names[1:])
    if alike and genes is None:
        return Genes(names[0], [None] * len(names))
    _check_unique(names, paths, genes)
    distinct = _distinct(names)
    if genes is not None:
        wanted = _wanted(genes, names, paths, join, var_of)
    elif join == "exact":
        raise CollectionError(_difference(names, paths))
    else:
        wanted = reduce(pd.Index.intersection if join == "inner" else pd.Index.union, distinct)
        _warn_of_spellings(distinct, len(wanted), join)
        if not len(wanted):
            raise CollectionError(_nothing_in_common(names, paths))
    tables = {id(index): _table(wanted, index) for index in distinct}
    return Genes(wanted, [tables[id(_same(index, distinct))] for index in names])


def joined_var(genes: Genes, frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return the genes of a collection as a frame: each row from the first file that has the gene.

    ``n_files`` is how many files have a gene, if they differ; ``var_names`` are the names of genes that were matched by
    something else.
    """
    if genes.alike:
        return _named(next(iter(frames)), genes.names)
    n_files = np.zeros(len(genes.names), np.int64)
    parts = []
    for table, frame in zip(genes.tables, frames, strict=True):
        become = np.arange(len(frame)) if table is None else table
        new = np.flatnonzero((become >= 0) & (n_files[become] == 0))
        n_files[become[become >= 0]] += 1
        if new.size:
            parts.append(_named(frame.iloc[new], genes.names[become[new]]).set_axis(become[new], axis=0))
    whole = pd.concat(parts).sort_index().set_axis(genes.names, axis=0)
    return whole.assign(n_files=n_files) if len(genes.tables) > 1 else whole


def _named(var: pd.DataFrame, names: pd.Index) -> pd.DataFrame:
    return var if var.index.equals(names) else var.assign(var_names=var.index).set_axis(names, axis=0)


def _table(wanted: pd.Index, stored: pd.Index) -> NDArray[np.int32] | None:
    if wanted.equals(stored):
        return None
    return wanted.get_indexer(stored).astype(np.int32)


def _distinct(names: Sequence[pd.Index]) -> list[pd.Index]:
    """Return every list of genes once, in the order in which they come: thousands of files share a few."""
    distinct: list[pd.Index] = []
    for index in names:
        if _same(index, distinct) is None:
            distinct.append(index)
    return distinct


def _same(index: pd.Index, distinct: Sequence[pd.Index]) -> pd.Index | None:
    return next((other for other in distinct if other is index or other.equals(index)), None)


def _check_unique(names: Sequence[pd.Index], paths: Sequence[str], genes: Sequence[str] | None) -> None:
    """Raise if a name that is matched stands for two genes of a file."""
    first = {id(index): number for number, index in reversed(list(enumerate(names)))}
    for number in sorted(first.values()):
        index, path = names[number], paths[number]
        repeated = index[index.duplicated()].unique()
        if genes is not None:
            repeated = repeated.intersection(pd.Index(genes))
        if len(repeated):
            n_files = sum(not other.is_unique for other in names)
            message = (
                f"{path} has {counted(len(repeated), 'gene name')} more than once, such as {_some(repeated)}, as "
                f"{n_files:,} of {counted(len(names), 'file')} {verb(n_files, 'do')}, so it is not known which gene is "
                'which. Match by a column of var that is unique, such as gene_key="gene_ids", or make the names unique '
                "(var_names_make_unique) and write the file again."
            )
            raise CollectionError(message)


def _wanted(
    genes: Sequence[str],
    names: Sequence[pd.Index],
    paths: Sequence[str],
    join: Join,
    var_of: Callable[[int], pd.DataFrame] | None,
) -> pd.Index:
    """Return the chosen genes; each has to be in every file, or in any file if the join is outer."""
    wanted = _different(genes)
    found = {key: wanted.isin(index) for key, index in {id(index): index for index in names}.items()}
    there = np.array([found[id(index)] for index in names])
    unknown = wanted[np.flatnonzero(~there.any(axis=0))]
    if len(unknown):
        known = list(reduce(pd.Index.union, _distinct(names)).astype(str))
        nearest = {gene: _nearest(gene, known) for gene in unknown[:_EXAMPLES]}
        hint = "" if var_of is None else found_elsewhere(unknown, ((p, var_of(n)) for n, p in enumerate(paths[:3])))
        which = f"{len(unknown):,} of {counted(len(wanted), 'gene')} {verb(len(unknown), 'are')}"
        message = f"{which} in no file; the first and the nearest names: {nearest}.{hint}"
        raise ArgumentValueError(message)
    lacking = wanted[np.flatnonzero(~there.all(axis=0))]
    if len(lacking) and join != "outer":
        file = paths[int(np.argmin(there.all(axis=1)))]
        message = (
            f"{len(lacking):,} of {counted(len(wanted), 'gene')} {verb(len(lacking), 'are')} not in all files, such as "
            f'{_some(lacking)}; the first file that lacks some is {file}. Give join="outer" to have zeros there.'
        )
        raise CollectionError(message)
    return wanted


def _different(genes: Sequence[str]) -> pd.Index:
    """Return the names of genes; raise if there are none, or one is there twice."""
    wanted = pd.Index(list(genes), dtype=object)
    if not len(wanted):
        message = "genes is empty; give the names of the genes of a batch, or None for all."
        raise ArgumentValueError(message)
    if not wanted.is_unique or not all(isinstance(gene, str) for gene in wanted):
        repeated = _some(wanted[wanted.duplicated()].unique())
        message = f"genes are {counted(len(wanted), 'name')}, {repeated} more than once; give different names."
        raise ArgumentValueError(message)
    return wanted


def _nearest(gene: str, known: Sequence[str]) -> list[str]:
    """Return the gene in capitals and small letters as it is known, or else names like it."""
    same = [name for name in known if name.lower() == gene.lower()]
    return same or get_close_matches(gene, known, 3)


def _warn_of_spellings(distinct: Sequence[pd.Index], n_joined: int, join: Join) -> None:
    """Warn of genes that files spell differently: in capitals and small letters, or with versions of Ensembl ids."""
    first = _plain_spelling(distinct[0])
    for other in distinct[1:]:
        plain = _plain_spelling(other)
        n_more = len(plain.intersection(first)) - len(other.intersection(distinct[0]))
        if n_more > 0:
            pairs = dict(zip(first, distinct[0], strict=True))
            examples = [(pairs[p], o) for p, o in zip(plain, other, strict=True) if p in pairs and pairs[p] != o]
            warn(
                f"{counted(n_more, 'gene')} {verb(n_more, 'differ')} between files only in capitals or in a version "
                f"at their end, such as {examples[:3]}. They count as different genes: join={join!r} gives "
                f"{n_joined:,}. To match them, give a function of var as gene_key, such as lambda var: "
                "var.index.str.upper().str.split('.').str[0]."
            )
            return


def _plain_spelling(names: pd.Index) -> pd.Index:
    return names.astype(str).str.upper().str.replace(_VERSION, "", regex=True)


def _difference(names: Sequence[pd.Index], paths: Sequence[str]) -> str:
    different = [number for number, index in enumerate(names) if not index.equals(names[0])]
    other = names[different[0]]
    n_both = len(names[0].intersection(other))
    return (
        f"{len(different):,} of {counted(len(names), 'file')} {verb(len(different), 'have')} other genes than "
        f"{paths[0]}: the first is {paths[different[0]]}, with {counted(len(other), 'gene')} against "
        f"{len(names[0]):,}, {n_both:,} in both. "
        'Give join="inner" for the genes that all have, or join="outer" for those that any has.'
    )


def _nothing_in_common(names: Sequence[pd.Index], paths: Sequence[str]) -> str:
    lists = "; ".join(
        f"{path} has {len(index):,}, such as {_some(index)}" for path, index in list(zip(paths, names, strict=True))[:3]
    )
    return (
        f"No gene is in all {counted(len(names), 'file')}: {lists}. Give a column of var that is alike in all as "
        "gene_key."
    )


def _some(names: pd.Index) -> list[str]:
    return [str(name) for name in names[:_EXAMPLES]]
