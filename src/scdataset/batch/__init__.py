"""What a batch looks like: transforms to give to the four hooks."""

from scdataset.batch.anndata import adata_to_mindex
from scdataset.batch.bionemo import bionemo_to_tensor
from scdataset.batch.tahoe import hf_tahoe_to_tensor

__all__ = ["adata_to_mindex", "bionemo_to_tensor", "hf_tahoe_to_tensor"]
