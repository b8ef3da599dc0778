"""The public names, so that a change to them is on purpose."""

import subprocess
import sys
from pathlib import Path

import scdataset


def test_public_names():
    assert scdataset.__all__ == [
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
        "watch",
    ]
    assert all(hasattr(scdataset, name) for name in scdataset.__all__)


def test_the_version_is_the_package_version():
    from importlib.metadata import version

    assert scdataset.__version__ == version("scdataset")


PROGRAM = """
import sys, scdataset
optional = ('anndata', 'datasets', 'h5py', 'pandas', 'polars', 'pyarrow', 'zarr', 'rich', 'sklearn')
print([name for name in optional if name in sys.modules])
sys.modules['anndata'] = None  # as if it were not installed
try:
    scdataset.open_collection
except scdataset.MissingDependencyError as error:
    print(error)
"""


def test_the_package_imports_no_optional_package_and_says_what_to_install_where_one_is_missing():
    answer = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
    assert answer.startswith("[]\n")
    assert "pip install anndata h5py isal" in answer


def test_messages_name_packages_and_no_extra_of_a_name_that_the_index_has_for_another_project():
    sources = [path.read_text() for path in Path(scdataset.__file__).parent.rglob("*.py")]
    assert not [source for source in sources if "pip install" in source and "scdataset[" in source]


def test_the_paths_that_scripts_import_from():
    from scdataset import experimental, multiindexable, strategy, transforms
    from scdataset.experimental import auto_config
    from scdataset.scdataset import scDataset

    assert scDataset is scdataset.scDataset
    assert auto_config.suggest_parameters is experimental.suggest_parameters is scdataset.suggest_parameters
    assert auto_config.estimate_sample_size is experimental.estimate_sample_size is scdataset.estimate_sample_size
    assert multiindexable.MultiIndexable is scdataset.MultiIndexable
    assert strategy.Streaming is scdataset.Streaming
    assert transforms.adata_to_mindex is scdataset.adata_to_mindex
