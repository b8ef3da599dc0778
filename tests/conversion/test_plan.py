"""Plans of conversions, and the shards in them."""

import numpy as np
import pytest

from scdataset.conversion.plan import MatrixPlan, Plan
from scdataset.errors import DamagedFileError

X = MatrixPlan("X", "CSR", 100, 40, "uint8", 1_050, 64, 256)
PCA = MatrixPlan("obsm/X_pca", "dense", 100, 5, "float64", 100, 20, 40)
POINTERS = np.linspace(0, 1_050, 101).astype(np.int64)


def test_shards_cover_all_elements_and_all_cells():
    for matrix in (X, PCA):
        bounds = [matrix.bounds(number) for number in range(matrix.n_shards)]
        assert [place for start, stop in bounds for place in range(start, stop)] == list(range(matrix.size))
        assert sum(matrix.n_cells(number) for number in range(matrix.n_shards)) == 100
    assert [(matrix.name, number) for matrix, number in Plan((X, PCA), {}).shards()] == [
        *(("X", number) for number in range(5)),
        *(("obsm/X_pca", number) for number in range(3)),
    ]


def test_keys_are_those_of_zarr():
    assert [X.key(array, 2) for array in X.arrays] == ["X/data/c/2", "X/indices/c/2"]
    assert [PCA.key(array, 2) for array in PCA.arrays] == ["obsm/X_pca/c/2/0"]


def test_a_saved_plan_is_loaded_as_it_was(tmp_path):
    assert Plan.load(tmp_path) is None
    Plan((PCA, X), {"X": POINTERS}).save(tmp_path)
    loaded = Plan.load(tmp_path)
    assert loaded.matrices == (PCA, X)
    assert loaded.pointers["X"].tolist() == POINTERS.tolist()
    assert not list(tmp_path.glob("*.partial"))


def test_a_damaged_plan_is_told_with_what_to_do(tmp_path):
    Plan((X,), {"X": POINTERS}).save(tmp_path)
    (tmp_path / "plan.json").write_text('{"matrices": [{"name": "X"}]}')
    with pytest.raises(DamagedFileError, match="remove the folder to begin again"):
        Plan.load(tmp_path)
