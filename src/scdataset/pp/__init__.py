"""Statistics of genes and cells over a whole collection, out of core: one pass over the files, or a few."""

from scdataset.pp.counts import looks_like_counts
from scdataset.pp.highly_variable import highly_variable_genes
from scdataset.pp.medians import nonzero_medians
from scdataset.pp.qc import qc_metrics
from scdataset.pp.sizes import library_sizes

__all__ = ["highly_variable_genes", "library_sizes", "looks_like_counts", "nonzero_medians", "qc_metrics"]
