"""Options of open_collection that do not go together."""

import anndata
import numpy as np
import pytest

from scdataset import ArgumentTypeError, ArgumentValueError, open_collection


@pytest.fixture
def path(tmp_path):
    anndata.AnnData(np.eye(4, 3, dtype="f4")).write_h5ad(tmp_path / "a.h5ad")
    return tmp_path / "a.h5ad"


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"layer": {"rna": "counts"}}, ArgumentTypeError, "is a dict, which is for several modalities"),
        ({"missing_modality": "mask"}, ArgumentValueError, "missing_modality='mask'; give None"),
        ({"join": "left"}, ArgumentValueError, "join='left'"),
    ],
)
def test_what_the_file_has_no_use_for_is_refused(path, options, error, said):
    with pytest.raises(error, match=said):
        open_collection(path, **options)


def test_genes_come_in_the_order_asked_for(path):
    with open_collection(path, genes=["2", "0"], dtype="f8") as cells:
        found = cells.read(np.array([2, 0]))["X"]
    assert found.dtype == np.float64
    assert np.asarray(found.toarray() if hasattr(found, "toarray") else found).tolist() == [[1, 0], [0, 1]]
