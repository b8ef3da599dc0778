"""How matrices are stored."""

import anndata
import numpy as np
import pytest
import scipy.sparse

from scdataset.cells.formats.probe import probing
from scdataset.insight.storage import arrays_of_cells, matrices_in

pytestmark = pytest.mark.filterwarnings("ignore:Writing zarr v2")

COUNTS = scipy.sparse.random(60, 40, 0.25, "csr", dtype="f4", rng=np.random.default_rng(0))


@pytest.fixture(params=["h5ad", "zarr"])
def matrices(request, tmp_path):
    cells = anndata.AnnData(COUNTS, layers={"all": COUNTS.toarray(), "by gene": COUNTS.tocsc()})
    cells.obsm["X_pca"] = np.ones((60, 5))
    path = tmp_path / f"a.{request.param}"
    if request.param == "h5ad":
        cells.write_h5ad(path, compression="gzip")
    else:
        cells.write_zarr(path)
    with probing(str(path)) as probe:
        yield {one.name: one for one in [*matrices_in(probe.root), *arrays_of_cells(probe.root)]}


def test_matrices_are_described_by_name(matrices):
    assert {name: one.storage for name, one in matrices.items()} == {
        "X": "CSR",
        "layers['all']": "dense",
        "layers['by gene']": "CSC",
        "obsm['X_pca']": "dense",
    }
    assert {one.shape for one in matrices.values()} == {(60, 40), (60, 5)}


def test_sizes_are_those_of_the_values(matrices):
    x, every = matrices["X"], matrices["layers['all']"]
    assert (x.n_stored, x.dtype, x.index_dtype, x.is_sparse) == (600, "float32", "int32", True)
    assert (every.n_stored, every.index_dtype, every.memory_bytes) == (2400, None, 9600)
    assert x.stored_a_row == 10
    assert x.n_bytes > 0
    assert x.place == "X"
    assert x.decoded_bytes >= 4 * x.chunk[0]


def test_a_file_has_no_matrices_where_it_has_no_such_group(tmp_path):
    anndata.AnnData(COUNTS).write_h5ad(tmp_path / "a.h5ad")
    with probing(str(tmp_path / "a.h5ad")) as probe:
        assert matrices_in(probe.root, "mod/rna/") == arrays_of_cells(probe.root, "mod/rna/") == []
