"""Shuffled minibatches for deep learning from single-cell data that does not fit in memory."""

from scdataset.batch import adata_to_mindex, bionemo_to_tensor, hf_tahoe_to_tensor
from scdataset.collections import Collection, MultiIndexable, as_collection
from scdataset.dataset import scDataset
from scdataset.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    CollectionChangedError,
    CollectionError,
    HookError,
    LoaderError,
    MissingDependencyError,
    RemovedApiError,
    ScDatasetError,
)
from scdataset.strategy import (
    BlockShuffling,
    BlockWeightedSampling,
    ClassBalancedSampling,
    EpochOrder,
    SamplingStrategy,
    Streaming,
)

__version__ = "0.4.0"

__all__ = [
    "ArgumentTypeError",
    "ArgumentValueError",
    "BlockShuffling",
    "BlockWeightedSampling",
    "ClassBalancedSampling",
    "Collection",
    "CollectionChangedError",
    "CollectionError",
    "EpochOrder",
    "HookError",
    "LoaderError",
    "MissingDependencyError",
    "MultiIndexable",
    "RemovedApiError",
    "SamplingStrategy",
    "ScDatasetError",
    "Streaming",
    "adata_to_mindex",
    "as_collection",
    "bionemo_to_tensor",
    "hf_tahoe_to_tensor",
    "scDataset",
]
