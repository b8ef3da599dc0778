"""The public names, so that a change to them is on purpose."""

import scdataset


def test_public_names():
    assert scdataset.__all__ == [
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
    assert all(hasattr(scdataset, name) for name in scdataset.__all__)


def test_the_version_is_the_package_version():
    from importlib.metadata import version

    assert scdataset.__version__ == version("scdataset")
