"""The public names, so that a change to them is on purpose."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import scipy.sparse
from anndata import AnnData

import scdataset

PUBLIC = """
BlockShuffling BlockWeightedSampling CellCollection ClassBalancedSampling Collection EpochOrder GroupedSampling
ModalityCollection MultiIndexable SamplingStrategy Streaming
adata_to_mindex as_collection bionemo_to_tensor check convert describe estimate_sample_size hf_tahoe_to_tensor
open_collection pp scDataset suggest_parameters tune watch
ArgumentIndexError ArgumentTypeError ArgumentValueError CacheError CollectionChangedError CollectionError
DamagedFileError ExistingFileError HookError LoaderError MissingDependencyError MissingFileError OutputError
ReadOnlyError RemovedApiError ScDatasetError StateError UnimplementedError UnreachableStoreError
UnreadableFileError WorldError
"""


def test_public_names_are_these():
    assert scdataset.__all__ == sorted(PUBLIC.split())
    assert all(hasattr(scdataset, name) for name in scdataset.__all__)


def test_the_version_is_the_package_version():
    from importlib.metadata import version

    assert scdataset.__version__ == version("scdataset")


PROGRAM = """
import sys, scdataset
optional = ('anndata', 'datasets', 'h5py', 'pandas', 'polars', 'pyarrow', 'zarr', 'rich', 'sklearn')
print([name for name in optional if name in sys.modules])
sys.modules['h5py'] = None  # as if it were not installed
try:
    scdataset.open_collection
except scdataset.MissingDependencyError as error:
    print(error)
del sys.modules['h5py']
sys.modules['anndata'] = None  # which takes a second to import
with scdataset.open_collection(sys.argv[1], obs=['label']) as cells:
    batch = cells[:]
    print(batch['X'].toarray().tolist(), batch['label'].tolist())
    try:
        cells.to_adata([0])
    except scdataset.MissingDependencyError as error:
        print(error)
"""


def test_optional_packages_are_imported_when_they_are_needed_and_named_where_they_are_missing(tmp_path):
    obs = pd.DataFrame({"label": pd.Categorical(["b", "a"])}, index=["x", "y"])
    AnnData(scipy.sparse.csr_matrix([[1.0, 0], [0, 2]]), obs=obs).write_h5ad(tmp_path / "a.h5ad")
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "a.h5ad")]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert answer[0] == "[]"
    assert answer[1].endswith("run: pip install anndata h5py isal")
    assert answer[2] == "[[1.0, 0.0], [0.0, 2.0]] [1, 0]"
    assert answer[3] == "CellCollection.to_adata needs anndata; run: pip install anndata"


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
