"""Highly variable genes by the variance of standardised counts: Seurat v3, as in scanpy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdataset._arguments import warn
from scdataset._packages import needing
from scdataset._tables import counted, verb
from scdataset._types import Array
from scdataset.errors import ArgumentValueError
from scdataset.pp.kernels import add_clipped
from scdataset.pp.moments import Moments, Sums, SumsPass
from scdataset.pp.streaming import Cells
from scdataset.transforms.matrices import Csr

if TYPE_CHECKING:
    from skmisc.loess import loess

__all__ = ["by_standardised_variance", "loess_class"]

_FEWEST = 4
"""Points below which loess reads beyond its memory, and the process dies."""

_JITTER = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
"""Widths of the noise that is tried on log10 of the means, where loess finds them too much alike."""


def loess_class() -> "type[loess]":
    """Return loess of scikit-misc, which is imported where it is used."""
    with needing("highly_variable_genes with the flavor seurat_v3", "scikit-misc"):
        from skmisc.loess import loess  # noqa: PLC0415 as said above
    return cast("type[loess]", loess)


def by_standardised_variance(
    cells: Cells,
    groups: NDArray[np.int64],
    labels: Sequence[object],
    moments: Moments,
    n_top_genes: int,
    *,
    paper: bool,
    span: float,
    seed: int,
    progress: bool,
    engine: object,
) -> pd.DataFrame:
    """Return one row a gene, with the columns of scanpy; a second pass adds up the clipped counts.

    Parameters
    ----------
    paper
        Whether the number of batches goes before the median rank.
    span
        Part of the genes that loess looks at around each.
    seed
        Of the noise.
    progress, engine
        As in `Cells.over`.
    """
    means, variances = moments.of_all()
    spreads, fitted = _spreads(moments, labels, span, seed)
    by_group = _normalised(cells, groups, moments, spreads, progress=progress, engine=engine)
    if fitted.size < by_group.shape[0]:
        by_group = by_group[fitted]
    ranks = np.empty(by_group.shape, np.float32)
    for group, variances_norm in enumerate(by_group):
        ranks[group] = np.argsort(np.argsort(-variances_norm))
    n_batches = np.sum(ranks < n_top_genes, axis=0)
    ranks[ranks >= n_top_genes] = np.nan
    frame = pd.DataFrame(
        {
            "means": means,
            "variances": variances,
            "highly_variable_nbatches": n_batches,
            "highly_variable_rank": _median_ranks(ranks),
            "variances_norm": np.mean(by_group, axis=0),
        }
    )
    columns = ["highly_variable_rank", "highly_variable_nbatches"][:: -1 if paper else 1]
    order = frame.sort_values(columns, ascending=[name.endswith("rank") for name in columns]).index
    return frame.assign(highly_variable=np.isin(np.arange(len(frame)), order[:n_top_genes]))


def _median_ranks(ranks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the median rank of each gene over the batches in which it has one; NaN where it has none."""
    median = cast("Callable[..., np.ma.MaskedArray[tuple[int, ...], np.dtype[np.float32]]]", np.ma.median)
    medians: NDArray[np.float32] = median(np.ma.masked_invalid(ranks), axis=0).filled(np.nan)
    return medians


@dataclass(frozen=True, slots=True, kw_only=True)
class _ClippedPass(SumsPass):
    """The sums of counts of at most ``limits``, shape ``(n_groups, n_vars)``."""

    limits: NDArray[np.float64]

    def add_rows(self, totals: Sums, matrix: Csr, groups: Array, order: NDArray[np.int64]) -> None:
        """Add the rows of a window."""
        add_clipped(matrix.indptr, matrix.indices, matrix.data, groups, order, self.limits, *totals)


def _normalised(
    cells: Cells,
    groups: NDArray[np.int64],
    moments: Moments,
    spreads: NDArray[np.float64],
    *,
    progress: bool,
    engine: object,
) -> NDArray[np.float64]:
    """Return the variance of standardised and clipped counts, shape ``(n_groups, n_vars)``; takes ``moments`` apart."""
    sizes = moments.sizes[:, None]
    means = np.divide(moments.sums, sizes, out=moments.sums)
    limits = spreads * np.sqrt(sizes)
    limits += means
    work = _ClippedPass(shape=(limits.shape[0], limits.shape[1]), limits=limits, given=groups)
    sums, squares = cells.over("Standardised variances of genes", work, progress=progress, engine=engine)
    for group, n in enumerate(moments.sizes.tolist()):
        scale = 1 / ((max(n, 2) - 1) * np.square(spreads[group]))
        squares[group] = scale * ((n * np.square(means[group])) + squares[group] - 2 * sums[group] * means[group])
    return squares


def _spreads(
    moments: Moments, labels: Sequence[object], span: float, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the standard deviation that each gene's mean lets expect, in place of the squares, and the fitted groups.

    Groups that cannot be fitted are left out, with a warning.
    """
    noisy, unfitted = {}, []
    for group in range(moments.sizes.size):
        mean, variance = moments.mean_and_variance(group)
        varies = variance > 0
        expected = np.zeros(mean.size)
        fit, noise = _fit(np.log10(mean[varies]), np.log10(variance[varies]), span, seed)
        if fit is None:
            unfitted.append(group)
        else:
            expected[varies] = fit
        if noise:
            noisy[labels[group]] = noise
        moments.squares[group] = np.sqrt(10**expected)
    _report(moments, labels, noisy, unfitted)
    return moments.squares, np.setdiff1d(np.arange(moments.sizes.size), unfitted)


def _fit(
    x: NDArray[np.float64], y: NDArray[np.float64], span: float, seed: int
) -> tuple[NDArray[np.float64] | None, float]:
    """Return the fitted values and the width of the noise that it took; None if no width is enough."""
    if x.size < _FEWEST:
        return None, 0
    loess = loess_class()
    for noise in (0, *_JITTER):
        moved = x + np.random.default_rng(seed).uniform(-noise, noise, x.size) if noise else x
        model = loess(moved, y, span=span, degree=2)
        try:
            model.fit()
        except ValueError:
            continue
        return model.outputs.fitted_values, noise
    return None, 0


def _report(moments: Moments, labels: Sequence[object], noisy: dict[object, float], unfitted: Sequence[int]) -> None:
    """Warn of groups with noise and without a fit; raise if none has one."""
    sizes = {labels[group]: int(moments.sizes[group]) for group in unfitted}
    if len(unfitted) == len(labels):
        batches = "" if len(labels) == 1 else f" in any of {counted(len(labels), 'batch')}"
        message = (
            f"Too few genes vary among {counted(moments.sizes.sum(), 'cell')}{batches} to fit their variances to "
            "their means; loess takes about 20. Give more cells, or larger batches."
        )
        raise ArgumentValueError(message)
    if unfitted:
        warn(
            f"{len(unfitted):,} of {counted(len(labels), 'batch')} {verb(len(unfitted), 'have')} too few cells to say "
            f"which genes vary, and are left out of ranks: {sizes} (cells in each)."
        )
    if noisy:
        warn(
            f"Genes of {len(noisy):,} of {counted(len(labels), 'batch')} have means too much "
            f"alike for loess, so noise of this width was added to log10 of their means: {noisy}."
        )
