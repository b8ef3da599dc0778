"""Transforms of rows between the file and the model, for the hooks or to call on a batch.

They take a window or a batch: a `MultiIndexable` or a dict with ``"X"``, AnnData, also a view, or a
matrix, CSR or dense. The result is of the same kind, with one exception: AnnData stays AnnData where X alone changes,
and becomes a `MultiIndexable` where there are new members (`MaskValues`, `RankTokens`, `GeneSentence`) and a dict of
tensors in `ToTorch`. Columns of obs come along if `adata_to_mindex` is called first.
"""

from scdataset.strategy.row_keys import RowKeys, keyed
from scdataset.transforms.anndata import adata_to_mindex
from scdataset.transforms.bins import BinValues
from scdataset.transforms.bionemo import bionemo_to_tensor
from scdataset.transforms.compose import Compose
from scdataset.transforms.counts import Clip, Log1p, NormalizeTotal, Scale
from scdataset.transforms.cupy import ToCupy
from scdataset.transforms.device import to_device
from scdataset.transforms.downsampling import DownsampleCounts
from scdataset.transforms.genes import SelectGenes
from scdataset.transforms.jax import ToJax
from scdataset.transforms.masks import MaskValues
from scdataset.transforms.ranks import RankTokens
from scdataset.transforms.sentences import GeneSentence
from scdataset.transforms.tahoe import hf_tahoe_to_tensor
from scdataset.transforms.torch import ToTorch

__all__ = [
    "BinValues",
    "Clip",
    "Compose",
    "DownsampleCounts",
    "GeneSentence",
    "Log1p",
    "MaskValues",
    "NormalizeTotal",
    "RankTokens",
    "RowKeys",
    "Scale",
    "SelectGenes",
    "ToCupy",
    "ToJax",
    "ToTorch",
    "adata_to_mindex",
    "bionemo_to_tensor",
    "hf_tahoe_to_tensor",
    "keyed",
    "to_device",
]
