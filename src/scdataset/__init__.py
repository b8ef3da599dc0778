"""Shuffled minibatches for deep learning from single-cell data that does not fit in memory."""

from importlib import import_module
from typing import TYPE_CHECKING

from scdataset._command import interrupted_quietly
from scdataset._imports import without_collections
from scdataset._packages import missing
from scdataset._version import __version__ as __version__

with interrupted_quietly(), without_collections():
    from scdataset.collections import Collection, MultiIndexable, as_collection
    from scdataset.dataset import scDataset
    from scdataset.errors import (
        ArgumentIndexError,
        ArgumentTypeError,
        ArgumentValueError,
        CacheError,
        CollectionChangedError,
        CollectionError,
        DamagedFileError,
        ExistingFileError,
        HookError,
        LoaderError,
        MissingDependencyError,
        MissingFileError,
        OutputError,
        ReadOnlyError,
        RemovedApiError,
        ScDatasetError,
        StateError,
        UnimplementedError,
        UnreachableStoreError,
        UnreadableFileError,
        WorldError,
    )
    from scdataset.experimental import estimate_sample_size, suggest_parameters
    from scdataset.strategy import (
        BlockShuffling,
        BlockWeightedSampling,
        ClassBalancedSampling,
        EpochOrder,
        GroupedSampling,
        SamplingStrategy,
        Streaming,
    )
    from scdataset.transforms import adata_to_mindex, bionemo_to_tensor, hf_tahoe_to_tensor

__all__ = [
    "ArgumentIndexError",
    "ArgumentTypeError",
    "ArgumentValueError",
    "BlockShuffling",
    "BlockWeightedSampling",
    "CacheError",
    "CellCollection",
    "ClassBalancedSampling",
    "Collection",
    "CollectionChangedError",
    "CollectionError",
    "DamagedFileError",
    "EpochOrder",
    "ExistingFileError",
    "GroupedSampling",
    "HookError",
    "LoaderError",
    "MissingDependencyError",
    "MissingFileError",
    "ModalityCollection",
    "MultiIndexable",
    "OutputError",
    "ReadOnlyError",
    "RemovedApiError",
    "SamplingStrategy",
    "ScDatasetError",
    "StateError",
    "Streaming",
    "UnimplementedError",
    "UnreachableStoreError",
    "UnreadableFileError",
    "WorldError",
    "adata_to_mindex",
    "as_collection",
    "bionemo_to_tensor",
    "check",
    "convert",
    "describe",
    "estimate_sample_size",
    "hf_tahoe_to_tensor",
    "open_collection",
    "pp",
    "scDataset",
    "suggest_parameters",
    "tune",
    "watch",
]

if TYPE_CHECKING:
    from scdataset import pp
    from scdataset.cells import CellCollection, ModalityCollection, open_collection
    from scdataset.conversion import convert
    from scdataset.insight.checking import check
    from scdataset.insight.description import describe
    from scdataset.insight.tune import tune
    from scdataset.insight.watch import watch

_LAZY = {
    "CellCollection": "scdataset.cells",
    "ModalityCollection": "scdataset.cells",
    "check": "scdataset.insight.checking",
    "convert": "scdataset.conversion",
    "describe": "scdataset.insight.description",
    "open_collection": "scdataset.cells",
    "pp": "scdataset.pp",
    "tune": "scdataset.insight.tune",
    "watch": "scdataset.insight.watch",
}
"""Names that need anndata and h5py, and the module that each is in, or is."""


def __getattr__(name: str) -> object:
    """Import a public name on first use, since reading cells needs anndata and h5py."""
    if name not in _LAZY:
        message = f"module 'scdataset' has no attribute {name!r}"
        raise AttributeError(message)
    try:
        module = import_module(_LAZY[name])
    except ImportError as error:
        needed_for = f"scdataset.{name}"
        raise missing(needed_for, "anndata", "h5py", "isal", because=error) from error
    return module if _LAZY[name] == f"scdataset.{name}" else getattr(module, name)
