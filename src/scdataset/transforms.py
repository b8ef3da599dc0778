"""Transforms, under the name that users' scripts import them from."""

from scdataset.batch import adata_to_mindex, bionemo_to_tensor, hf_tahoe_to_tensor

__all__ = ["adata_to_mindex", "bionemo_to_tensor", "hf_tahoe_to_tensor"]
