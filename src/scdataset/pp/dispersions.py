"""Highly variable genes by normalised dispersion: Seurat's and Cell Ranger's, as in scanpy."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from scdataset._arguments import warn
from scdataset._tables import counted, verb
from scdataset.pp.moments import Moments

__all__ = ["by_dispersion", "by_dispersion_in_batches"]

_UNEXPRESSED = 1e-12
"""Mean of a gene that no cell expresses, so that it can be divided by."""


def by_dispersion(moments: Moments, n_top_genes: int, flavor: str, n_bins: int) -> pd.DataFrame:
    """Return one row a gene with ``means``, ``dispersions``, ``dispersions_norm`` and ``highly_variable``."""
    frame = _dispersions(*moments.of_all(), flavor, n_bins)
    n_known = int(frame["dispersions_norm"].notna().sum())
    if n_known < n_top_genes:
        warn(
            f"n_top_genes={n_top_genes}, and {counted(n_known, 'gene')} {verb(n_known, 'vary')} enough to have a "
            "normalised dispersion: all those."
        )
    return frame.assign(highly_variable=_top(frame["dispersions_norm"].to_numpy(), n_top_genes))


def by_dispersion_in_batches(
    moments: Moments, groups: Sequence[int], names: pd.Index, n_top_genes: int, flavor: str, n_bins: int
) -> pd.DataFrame:
    """Return the same of several batches: genes by the number of batches in which they are among the first.

    Ties go by the mean of the normalised dispersions, and then by name, as in scanpy.
    """
    batches = [_of_batch(*moments.mean_and_variance(group), n_top_genes, flavor, n_bins) for group in groups]
    whole = pd.concat(batches)
    kinds = dict.fromkeys(("means", "dispersions", "dispersions_norm"), "mean") | {"highly_variable": "sum"}
    frame = whole.astype({"highly_variable": int}).groupby(level=0).agg(kinds)
    frame["highly_variable_nbatches"] = frame["highly_variable"]
    frame["highly_variable_intersection"] = frame["highly_variable_nbatches"] == len(groups)
    by_name = frame.iloc[np.argsort(names.to_numpy(), kind="stable")]
    order = by_name.sort_values(["highly_variable_nbatches", "dispersions_norm"], ascending=False).index
    frame["highly_variable"] = np.isin(np.arange(len(frame)), order[:n_top_genes])
    return frame


def _of_batch(
    mean: NDArray[np.float64], variance: NDArray[np.float64], n_top_genes: int, flavor: str, n_bins: int
) -> pd.DataFrame:
    """Return the dispersions of the genes that a batch expresses, and zeros for the others."""
    expressed = np.flatnonzero(mean > 0)
    own = _dispersions(mean[expressed], variance[expressed], flavor, n_bins).set_axis(expressed, axis=0)
    own["highly_variable"] = _top(own["dispersions_norm"].to_numpy(), n_top_genes)
    zeros = dict.fromkeys(("means", "dispersions", "dispersions_norm"), 0.0) | {"highly_variable": False}
    others = pd.DataFrame(zeros, index=np.flatnonzero(~(mean > 0)))
    return pd.concat([own, others]) if len(others) else own


def _dispersions(mean: NDArray[np.float64], variance: NDArray[np.float64], flavor: str, n_bins: int) -> pd.DataFrame:
    """Return dispersions, and how far they are from those of genes of about the same mean."""
    mean = np.where(mean == 0, _UNEXPRESSED, mean)
    dispersion = variance / mean
    if flavor == "seurat":
        with np.errstate(invalid="ignore"):
            dispersion = np.log(np.where(dispersion == 0, np.nan, dispersion))
        mean = np.log1p(mean)
    frame = pd.DataFrame({"means": mean, "dispersions": dispersion})
    centre, width = (_seurat_bins if flavor == "seurat" else _cell_ranger_bins)(frame, n_bins)
    return frame.assign(dispersions_norm=(frame["dispersions"] - centre) / width)


def _seurat_bins(frame: pd.DataFrame, n_bins: int) -> tuple[pd.Series, pd.Series]:
    """Return mean and standard deviation of the dispersions in the bin of each gene."""
    bins = frame.groupby(pd.cut(frame["means"], n_bins), observed=True)["dispersions"]
    centre, width = bins.transform("mean"), bins.transform("std")
    alone = width.isna()  # the only one in its bin, which gets 1
    return centre.mask(alone, 0), width.where(~alone, centre)


def _cell_ranger_bins(frame: pd.DataFrame, n_bins: int) -> tuple[pd.Series, pd.Series]:  # noqa: ARG001 it has its own
    """Return median and median absolute deviation of the dispersions in the bin of each gene.

    Bins without width, where genes have the same mean, as those do that no cell expresses, are one; scanpy fails there.
    """
    edges = np.r_[-np.inf, np.percentile(frame["means"], np.arange(10, 105, 5)), np.inf]
    bins = frame.groupby(pd.cut(frame["means"], edges, duplicates="drop"), observed=True)["dispersions"]
    return bins.transform("median"), bins.transform(_absolute_deviation)


def _absolute_deviation(values: "pd.Series[float]") -> float:
    """Return the median distance from the median, scaled to the standard deviation of a normal distribution."""
    return float(np.median(np.abs(values - np.median(values)) / ndtri(0.75)))


def _top(dispersions: NDArray[np.float64], n_top_genes: int) -> NDArray[np.bool_]:
    """Tell which genes are among the first, ties included."""
    known = np.sort(dispersions[~np.isnan(dispersions)])[::-1]
    if not known.size:
        return np.zeros(dispersions.size, bool)
    last = known[min(n_top_genes, known.size) - 1]
    chosen: NDArray[np.bool_] = np.nan_to_num(dispersions, nan=-np.inf) >= last
    return chosen
