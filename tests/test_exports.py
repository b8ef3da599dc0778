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
        "GroupedSampling",
        "HookError",
        "LoaderError",
        "MissingDependencyError",
        "MissingFileError",
        "ModalityCollection",
        "MultiIndexable",
        "ReadOnlyError",
        "RemovedApiError",
        "SamplingStrategy",
        "ScDatasetError",
        "StateError",
        "Streaming",
        "UnimplementedError",
        "UnreadableFileError",
        "WorldError",
        "adata_to_mindex",
        "as_collection",
        "bionemo_to_tensor",
        "estimate_sample_size",
        "hf_tahoe_to_tensor",
        "open_collection",
        "pp",
        "scDataset",
        "suggest_parameters",
    ]
    assert all(hasattr(scdataset, name) for name in scdataset.__all__)


def test_the_version_is_the_package_version():
    from importlib.metadata import version

    assert scdataset.__version__ == version("scdataset")


def test_a_missing_optional_package_says_what_to_install():
    program = (
        "import sys; sys.modules['anndata'] = None\n"  # as if it were not installed
        "import scdataset\n"
        "try:\n    scdataset.open_collection\n"
        "except scdataset.MissingDependencyError as error:\n    print(error)"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "pip install anndata h5py isal" in answer


def test_messages_name_packages_and_no_extra_of_a_name_that_the_index_has_for_another_project():
    sources = [path.read_text() for path in Path(scdataset.__file__).parent.rglob("*.py")]
    assert not [source for source in sources if "pip install" in source and "scdataset[" in source]


def test_importing_the_package_imports_no_optional_package():
    program = (
        "import sys, scdataset\n"
        "optional = ('anndata', 'datasets', 'h5py', 'pandas', 'polars', 'pyarrow', 'zarr', 'rich', 'sklearn')\n"
        "print([name for name in optional if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


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
