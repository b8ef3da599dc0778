"""Quality metrics of cells and genes, out of core."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from scdataset._arguments import array
from scdataset._arguments import names as as_names
from scdataset._tables import counted, verb
from scdataset._types import Array
from scdataset.errors import ArgumentValueError
from scdataset.pp.checks import check_not_negative
from scdataset.pp.kernels import sum_of_largest
from scdataset.pp.streaming import Cells, Pass, Window
from scdataset.transforms.kernels import sum_rows

__all__ = ["qc_metrics"]

_TOP = (50, 100, 200, 500)
"""Numbers of genes that scanpy takes by default."""


def qc_metrics(
    cells: object,
    mitochondrial: str | Sequence[str] | NDArray[np.bool_] | None = None,
    *,
    percent_top: Sequence[int] | None = None,
    indices: ArrayLike | None = None,
    progress: bool = True,
    engine: object = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return metrics of cells and of genes, as ``scanpy.pp.calculate_qc_metrics`` does, in one pass.

    Parameters
    ----------
    cells
        A collection, as `open_collection` returns it, or AnnData.
    mitochondrial
        Mitochondrial genes: how their names begin, such as ``"MT-"`` or ``"mt-"``; or their names; or a boolean a gene.
        None leaves their columns out.
    percent_top
        Numbers of genes: the share of the counts of a cell in that many of its largest. None for those of 50, 100, 200
        and 500 that there are genes for.
    indices
        Rows, each once; None for all.
    progress
        Whether to show a bar if it takes more than a second.
    engine
        Who makes the pass: None for this process, ``"ray"`` for all CPUs of a Ray cluster, or
        `scdataset.integrations.ray.Actors`. Metrics of cells are the same, and so are sums of whole numbers over genes;
        those of others differ by rounding.

    Returns
    -------
    obs
        One row a cell, in the order of ``indices``, its index that of ``cells.obs``: ``n_genes_by_counts``,
        ``total_counts``, ``pct_counts_in_top_50_genes``, ..., and with mitochondrial genes ``total_counts_mt`` and
        ``pct_counts_mt``; log1p of numbers and totals as ``log1p_...``. Sums are float64, where scanpy's have the type
        of X. Percentages of cells without counts are NaN.
    var
        One row a gene: ``n_cells_by_counts``, ``mean_counts``, ``pct_dropout_by_counts``, ``total_counts`` and log1p of
        mean and total.

    Raises
    ------
    ArgumentValueError
        If a value is negative or missing, no gene is mitochondrial, or there are fewer genes than in ``percent_top``.

    Examples
    --------
    >>> obs, var = qc_metrics(cells, mitochondrial="MT-")  # doctest: +SKIP
    >>> good = obs.index[(obs["n_genes_by_counts"] > 200) & (obs["pct_counts_mt"] < 20)]  # doctest: +SKIP
    >>> strategy = BlockShuffling(16, indices=good.to_numpy())  # doctest: +SKIP
    """
    chosen = Cells(cells, indices)
    numbers = _numbers(percent_top, chosen.n_vars)
    is_mitochondrial = None if mitochondrial is None else _genes(mitochondrial, chosen.var_names)
    work = _MetricsPass(chosen.n_vars, numbers, is_mitochondrial)
    found = chosen.over("Quality metrics", work, progress=progress, engine=engine)
    totals, largest, n_cells, sums = found.totals, found.largest, found.n_cells, found.sums
    with np.errstate(invalid="ignore"):
        obs = _with_log1p("n_genes_by_counts", found.n_genes) | _with_log1p("total_counts", totals)
        obs |= {f"pct_counts_in_top_{n}_genes": largest[:, j] / totals * 100 for j, n in enumerate(numbers)}
        if is_mitochondrial is not None:
            obs |= _with_log1p("total_counts_mt", found.mitochondrial)
            obs["pct_counts_mt"] = found.mitochondrial / totals * 100
    n_rows = chosen.rows.size
    var = {"n_cells_by_counts": n_cells, **_with_log1p("mean_counts", sums / n_rows)}
    var |= {"pct_dropout_by_counts": (1 - n_cells / n_rows) * 100, **_with_log1p("total_counts", sums)}
    ordered = {name: chosen.as_given(values) for name, values in obs.items()}
    return pd.DataFrame(ordered, index=chosen.index), pd.DataFrame(var, index=chosen.var_names)


@dataclass(frozen=True, slots=True)
class _Metrics:
    """Sums over cells and over genes.

    Attributes
    ----------
    n_genes, totals, mitochondrial
        Of each cell its number of genes, its counts, and those of mitochondrial genes, shape ``(n_rows,)``.
    largest
        The sums of its largest counts, shape ``(n_rows, n_numbers)``.
    n_cells, sums
        Of each gene its number of cells, and its counts, shape ``(n_vars,)``.
    """

    n_genes: NDArray[np.int64]
    totals: NDArray[np.float64]
    mitochondrial: NDArray[np.float64]
    largest: NDArray[np.float64]
    n_cells: NDArray[np.int64]
    sums: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _MetricsPass(Pass[_Metrics]):
    """A pass over cells that makes the sums.

    Attributes
    ----------
    n_vars
        Number of genes.
    numbers
        Numbers of genes whose largest counts are added up.
    is_mitochondrial
        Which genes are, shape ``(n_vars,)``; None if that is not wanted.
    """

    n_vars: int
    numbers: NDArray[np.int64]
    is_mitochondrial: NDArray[np.bool_] | None

    def begin(self, n_rows: int) -> _Metrics:
        """Return zeros."""
        return _Metrics(
            np.zeros(n_rows, np.int64),
            np.zeros(n_rows),
            np.zeros(n_rows),
            np.zeros((n_rows, self.numbers.size)),
            np.zeros(self.n_vars, np.int64),
            np.zeros(self.n_vars),
        )

    def add(self, totals: _Metrics, window: Window) -> None:
        """Add a window."""
        matrix, rows = window.matrix, window.places
        check_not_negative(matrix, "qc_metrics")
        there = (matrix.data != 0).astype(np.float64)
        totals.n_genes[rows] = sum_rows(there, matrix.indptr)
        totals.n_cells[:] += np.bincount(matrix.indices, there, minlength=self.n_vars).astype(np.int64)
        totals.sums[:] += np.bincount(matrix.indices, matrix.data, minlength=self.n_vars)
        totals.totals[rows] = sum_rows(matrix.data, matrix.indptr)
        sum_of_largest(matrix.indptr, matrix.data, self.numbers, totals.largest[rows])
        if self.is_mitochondrial is not None:
            values = matrix.data * self.is_mitochondrial[matrix.indices]
            totals.mitochondrial[rows] = sum_rows(values, matrix.indptr)

    def join(self, totals: _Metrics, part: _Metrics, places: slice) -> None:
        """Add the sums of genes, and set those of cells."""
        for name in ("n_genes", "totals", "mitochondrial", "largest"):
            getattr(totals, name)[places] = getattr(part, name)
        totals.n_cells[:] += part.n_cells
        totals.sums[:] += part.sums


def _with_log1p(name: str, values: Array) -> dict[str, Array]:
    return {name: values, f"log1p_{name}": np.log1p(values)}


def _numbers(percent_top: Sequence[int] | None, n_vars: int) -> NDArray[np.int64]:
    if percent_top is None:
        return np.array([n for n in _TOP if n <= n_vars], np.int64)
    numbers = np.unique(array("percent_top", percent_top, f"numbers of genes, from 1 to {n_vars}", "iu"))
    if numbers.size and not (numbers[0] >= 1 and numbers[-1] <= n_vars):
        message = (
            f"percent_top={tuple(numbers.tolist())} of {counted(n_vars, 'gene')}; give numbers from 1 to {n_vars}, or "
            "percent_top=() for none."
        )
        raise ArgumentValueError(message)
    return numbers.astype(np.int64)


def _genes(wanted: str | Sequence[str] | NDArray[np.bool_], names: pd.Index) -> NDArray[np.bool_]:
    """Tell which genes are wanted; raise if none is, or names are unknown."""
    if isinstance(wanted, str):
        chosen: NDArray[np.bool_] = np.asarray(names.astype(str).str.startswith(wanted))
        lacking = f"the name of no gene begins with {wanted!r}; names are such as {list(names[:5])}"
        if not chosen.any() and names.astype(str).str.lower().str.startswith(wanted.lower()).any():
            lacking += f"; some begin so in other capitals, {wanted.upper()!r} or {wanted.lower()!r}"
        return _found(chosen, lacking)
    given = array("mitochondrial", wanted, "names of genes, or a boolean a gene", None)
    if given.dtype == np.bool_:
        chosen, lacking = given, f"booleans have shape {np.shape(wanted)} and {np.sum(wanted)} are true"
        if chosen.shape != (len(names),):
            chosen = np.zeros(0, bool)
    else:
        listed = as_names("mitochondrial", wanted)
        chosen = np.asarray(names.isin(listed))
        unknown = pd.Index(listed).difference(names)
        lacking = (
            f"{len(unknown):,} of {counted(len(listed), 'name')} {verb(len(unknown), 'are')} of no gene, such as "
            f"{list(unknown[:5])}"
        )
        chosen = chosen & (not len(unknown))
    return _found(chosen, lacking)


def _found(chosen: NDArray[np.bool_], lacking: str) -> NDArray[np.bool_]:
    if not chosen.any():
        message = f"mitochondrial: {lacking}. Give how their names begin, their names, or a boolean a gene."
        raise ArgumentValueError(message)
    return chosen
