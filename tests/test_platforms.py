"""Systems that lack some of Linux, and functions that are not compiled: the fallback path gives the same cells."""

import subprocess
import sys
import warnings

import anndata
import numpy as np
import pytest
import scipy.sparse
from tests.children import output_of

LESS = """
import importlib.abc, os, sys
import torch  # which asks for the system by name
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in ("fcntl", "resource"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
for name in ("fcntl", "resource"):
    sys.modules.pop(name, None)
for name in ("pread", "preadv", "posix_fadvise", "posix_fallocate", "sched_getaffinity", "fork", "register_at_fork",
             "O_CLOEXEC", "O_NOFOLLOW"):
    delattr(os, name)
"""

UNINSTALLED = """
import importlib.metadata
known = importlib.metadata.version
def version(name):
    if name == "scdataset":
        raise importlib.metadata.PackageNotFoundError(name)
    return known(name)
importlib.metadata.version = version
"""

ANEW = """
import sys, numba
numba.config.reload_config()
for name in [name for name in sys.modules if name.partition(".")[0] == "scdataset"]:
    del sys.modules[name]
from scdataset._compiled import COMPILES
assert not COMPILES
"""

LOOP = """
import sys, warnings
import numpy as np
warnings.simplefilter("error", RuntimeWarning)
import scdataset
from scdataset import BlockShuffling, BlockWeightedSampling, Streaming, open_collection, scDataset
numbers = np.arange(60.0).reshape(-1, 1)
weighted = BlockWeightedSampling(block_size=4, total_size=60, weights=np.arange(60.0))
print(np.concatenate(list(scDataset(numbers, weighted, 16, seed=3))).ravel().tolist())
print(np.concatenate(list(scDataset(numbers, BlockShuffling(4), 16, seed=3))).ravel().tolist())
with open_collection(sys.argv[1:3]) as cells:
    print(len(cells))
for path in sys.argv[1:]:
    for genes in (None, ["4", "1"]):
        with open_collection(path, genes=genes) as cells:
            batches = list(scDataset(cells, BlockShuffling(4), 16, fetch_factor=2, seed=3))
        print([np.asarray(batch["X"].todense()).tolist() for batch in batches])
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells")
    values = np.random.default_rng(0).poisson(0.7, (60, 5)).astype(np.float32)
    cells = anndata.AnnData(scipy.sparse.csr_matrix(values))
    cells.write_h5ad(folder / "plain.h5ad")
    cells.write_h5ad(folder / "packed.h5ad", compression="gzip")
    with anndata.settings.override(zarr_write_format=3), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cells.write_zarr(folder / "packed.zarr")
    return [str(folder / name) for name in ("plain.h5ad", "packed.h5ad", "packed.zarr")]


@pytest.fixture(scope="module")
def usual(files):
    """Return the cells in the order of the usual path."""
    return output_of(LOOP, *files)


@pytest.mark.slow
def test_a_system_without_locks_positioned_reads_advice_and_forks_and_a_source_tree_without_metadata(files, usual):
    program = LESS + UNINSTALLED + LOOP
    child = subprocess.run([sys.executable, "-c", program, *files], capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr
    assert child.stdout == usual


def test_functions_that_are_not_compiled(files, usual):
    assert output_of(ANEW + LOOP, *files, environment={"NUMBA_DISABLE_JIT": "1"}) == usual
