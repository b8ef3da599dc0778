"""Highly variable genes, out of core."""

from functools import partial
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from scdataset._arguments import flag, nearest, number, positive, warn, whole
from scdataset._tables import counted, verb
from scdataset._types import Array
from scdataset.errors import ArgumentValueError
from scdataset.pp.checks import check_counts, check_fractional, check_not_negative
from scdataset.pp.dispersions import by_dispersion, by_dispersion_in_batches
from scdataset.pp.moments import Moments, moments_of
from scdataset.pp.standardised import by_standardised_variance, loess_class
from scdataset.pp.streaming import Cells
from scdataset.transforms.matrices import Csr

__all__ = ["highly_variable_genes"]

Flavor = Literal["seurat_v3", "seurat_v3_paper", "seurat", "cell_ranger"]


def highly_variable_genes(
    cells: object,
    n_top_genes: int,
    flavor: Flavor = "seurat_v3",
    batch_key: str | None = None,
    *,
    indices: ArrayLike | None = None,
    span: float = 0.3,
    n_bins: int = 20,
    log_base: float | None = None,
    check_values: bool = True,
    seed: int = 0,
    progress: bool = True,
    engine: object = None,
) -> pd.DataFrame:
    """Find the genes that vary most, as ``scanpy.pp.highly_variable_genes`` does, without the cells in memory.

    Two passes over the files for Seurat v3, one for the other flavors. Memory holds two windows of cells, of about
    64 MB each, and arrays of batches x genes of 8 bytes: five for Seurat v3, six at the end; two for the others.

    Parameters
    ----------
    cells
        A collection, as `open_collection` returns it, or AnnData.
    n_top_genes
        How many genes to find.
    flavor
        ``"seurat_v3"`` and ``"seurat_v3_paper"`` take counts, and differ in how they merge batches; they need
        scikit-misc. ``"seurat"`` and ``"cell_ranger"`` take values that were normalised and logged.
    batch_key
        Column of obs; genes are ranked in each batch by itself and then merged. Batches with too few cells to say which
        genes vary are left out with a warning. scanpy from 1.12 on adds up the counts of batches in another order, and
        loess turns last digits into larger ones: some of its ranks differ.
    indices
        Rows, each once, such as those of training; None for all.
    span
        Of Seurat v3: part of the genes, above 0 and at most 1, that loess looks at around each.
    n_bins
        Of ``"seurat"``: number of bins of mean expression.
    log_base
        Of ``"seurat"``: base of the logarithm that was taken; None for e.
    check_values
        Whether to refuse fractional values for Seurat v3, and counts, which were not logged, for the others.
    seed
        Of the noise that is added to the means of batches in which loess finds them too much alike; a warning says so.
    progress
        Whether to show a bar if a pass takes more than a second.
    engine
        Who makes the passes: None for this process, ``"ray"`` for all CPUs of a Ray cluster, or
        `scdataset.integrations.ray.Actors`. Sums of whole numbers, such as counts, are the same to the bit; those of
        others differ by rounding, about 1e-15 of their size.

    Returns
    -------
    pandas.DataFrame
        One row a gene, its index ``cells.var_names``, with scanpy's columns: ``highly_variable``, ``means``,
        ``variances``, ``variances_norm`` and ``highly_variable_rank``, or ``dispersions`` and ``dispersions_norm``;
        with ``batch_key`` also ``highly_variable_nbatches``, and ``highly_variable_intersection`` of the last two
        flavors.

    Raises
    ------
    ArgumentValueError
        If values are negative or missing, fractional where counts are needed or counts where logarithms are, there are
        fewer genes, or no such column.
    MissingDependencyError
        If scikit-misc is needed and not installed.

    Examples
    --------
    >>> hvg = highly_variable_genes(cells, 2000, batch_key="donor")  # doctest: +SKIP
    >>> hvg.to_parquet("hvg.parquet")  # doctest: +SKIP
    >>> open_collection(path, genes=hvg.index[hvg["highly_variable"]])  # doctest: +SKIP
    """
    _check_flavor(flavor)
    _check_numbers(span, n_bins, log_base)
    check_values, seed = flag("check_values", check_values), whole("seed", seed, minimum=0)
    chosen = Cells(cells, indices)
    n_top_genes = whole("n_top_genes", n_top_genes, minimum=1, maximum=chosen.n_vars)
    groups, labels = chosen.groups(batch_key)
    v3 = flavor.startswith("seurat_v3")
    if v3:
        loess_class()

    prepare = partial(_prepared, flavor=flavor, log_base=log_base, check_values=check_values)
    moments = moments_of(chosen, groups, len(labels), prepare, progress=progress, engine=engine)
    if v3:
        paper = flavor == "seurat_v3_paper"
        frame = by_standardised_variance(
            chosen,
            groups,
            labels,
            moments,
            n_top_genes,
            paper=paper,
            span=span,
            seed=seed,
            progress=progress,
            engine=engine,
        )
        frame = frame.drop(columns=[] if batch_key else "highly_variable_nbatches")
    elif batch_key is None:
        frame = by_dispersion(moments, n_top_genes, flavor, n_bins)
    else:
        large = _large(moments, labels)
        frame = by_dispersion_in_batches(moments, large, chosen.var_names, n_top_genes, flavor, n_bins)
    return frame.set_axis(chosen.var_names, axis=0)


def _prepared(matrix: Csr, *, flavor: str, log_base: float | None, check_values: bool) -> Array:
    """Check the values of a window, and return them as the flavor adds them up."""
    if flavor.startswith("seurat_v3"):
        (check_counts if check_values else check_not_negative)(matrix, f"flavor={flavor!r}")
        return matrix.data
    check_not_negative(matrix, f"flavor={flavor!r}")
    if check_values:
        check_fractional(matrix, f"flavor={flavor!r}")
    return matrix.data if flavor == "cell_ranger" else _unlogged(matrix.data, log_base)


def _check_flavor(flavor: object) -> None:
    if not isinstance(flavor, str) or flavor not in get_args(Flavor):
        message = f"flavor={flavor!r} has to be one of {list(get_args(Flavor))}{nearest(flavor, get_args(Flavor))}"
        raise ArgumentValueError(message)


def _check_numbers(span: float, n_bins: int, log_base: float | None) -> None:
    if not 0 < number("span", span) <= 1:
        message = f"span={span}; give the part of the genes, above 0 and at most 1."
        raise ArgumentValueError(message)
    whole("n_bins", n_bins, minimum=1)
    if log_base is not None:
        positive("log_base", log_base)


def _unlogged(data: Array, log_base: float | None) -> Array:
    """Return exp(x) - 1, in the type of the values, as scanpy does."""
    with np.errstate(over="ignore"):
        values = np.expm1(data if log_base is None else (data * np.log(log_base)).astype(data.dtype))
    if values.size and values.max() == np.inf:
        message = (
            f"flavor='seurat' takes logarithms, and there are values up to {data.max()}, which are none; normalise and "
            'log the counts, or give flavor="seurat_v3", which takes counts.'
        )
        raise ArgumentValueError(message)
    return values


def _large(moments: Moments, labels: list[object]) -> list[int]:
    """Return the batches of at least two cells; warn of the others."""
    large = np.flatnonzero(moments.sizes > 1).tolist()
    small = [labels[group] for group in np.flatnonzero(moments.sizes < 2)]
    if not large:
        message = f"None of the {counted(len(labels), 'batch')} has two cells, which it takes to say which genes vary."
        raise ArgumentValueError(message)
    if small:
        warn(
            f"{len(small):,} of {counted(len(labels), 'batch')} {verb(len(small), 'have')} one cell, which says not "
            f"which genes vary: {small}."
        )
    return large
