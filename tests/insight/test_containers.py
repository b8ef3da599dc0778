"""Arrays and matrices by name, in HDF5 and in zarr."""

import anndata
import numpy as np
import pytest
import scipy.sparse

from scdataset.cells.formats.probe import probing
from scdataset.engine.context import ReadContext
from scdataset.insight.containers import container_of

pytestmark = pytest.mark.filterwarnings("ignore:Writing zarr v2")

COUNTS = scipy.sparse.random(30, 20, 0.25, "csr", dtype="f4", rng=np.random.default_rng(0))


@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
def test_matrices_and_arrays_are_read_by_name(tmp_path, suffix):
    cells, path = anndata.AnnData(COUNTS, layers={"all": COUNTS.toarray()}), tmp_path / f"a.{suffix}"
    cells.write_h5ad(path) if suffix == "h5ad" else cells.write_zarr(path)
    rows = np.array([7, 0])
    with probing(str(path)) as probe:
        stored = container_of(probe)
        assert (stored.csr("X", (30, 20)).read(rows, ReadContext()) != COUNTS[rows]).nnz == 0
        assert stored.dense("layers/all").read(rows, ReadContext()).tolist() == COUNTS[rows].toarray().tolist()
        assert [array.dtype for array in stored.arrays("X/data")] == [np.float32]
        assert stored.absent("X/data") == []
