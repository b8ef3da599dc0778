"""Transforms of rows between the file and the model, for the hooks or to call on a batch."""

from scdataset.strategy.row_keys import RowKeys, keyed
from scdataset.transforms.anndata import adata_to_mindex
from scdataset.transforms.bins import BinValues
from scdataset.transforms.bionemo import bionemo_to_tensor
from scdataset.transforms.compose import Compose
from scdataset.transforms.counts import Clip, Log1p, NormalizeTotal, Scale
from scdataset.transforms.downsampling import DownsampleCounts
from scdataset.transforms.genes import SelectGenes
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
    "ToTorch",
    "adata_to_mindex",
    "bionemo_to_tensor",
    "hf_tahoe_to_tensor",
    "keyed",
]
