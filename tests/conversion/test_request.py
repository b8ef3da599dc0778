"""Arguments of a conversion."""

import anndata
import pytest
from tests.conversion.stores import same_matrix

from scdataset import ArgumentTypeError, ArgumentValueError, CollectionError, MissingFileError, convert


@pytest.mark.parametrize(
    ("wrong", "error", "told"),
    [
        ({"source": "cels.h5ad"}, MissingFileError, "cells.h5ad"),
        ({"out": "a.h5ad"}, ArgumentValueError, "has to end in .zarr"),
        ({"out": "nowhere/a.zarr"}, MissingFileError, "nowhere"),
        ({"obs": ["txt"]}, ArgumentValueError, "text"),
        ({"obs": "text"}, ArgumentTypeError, r"\['text'\]"),
        ({"obsm": ["X_pc"]}, ArgumentValueError, "X_pca"),
        ({"layers": ["loged"]}, ArgumentValueError, "logged"),
        ({"layers": ["logged", "logged"]}, ArgumentValueError, "more than once"),
        ({"genes": ["gene99"]}, ArgumentValueError, "gene9"),
        ({"chunk_size": 10}, ArgumentValueError, "1024"),
        ({"chunk_size": 1024, "shard_size": 1500}, ArgumentValueError, "no multiple"),
        ({"dtype": "complex64"}, ArgumentTypeError, "uint16"),
        ({"indices": [1, 1]}, ArgumentValueError, "1 of them repeated"),
        ({"joint": "inner"}, ArgumentTypeError, "'join'"),
        ({"seed": -1}, ArgumentValueError, "at least 0"),
    ],
)
def test_wrong_arguments_are_refused_and_leave_nothing(path, tmp_path, wrong, error, told):
    source = path.with_name(wrong.pop("source", path.name))
    out = tmp_path / wrong.pop("out", "a.zarr")
    with pytest.raises(error, match=told):
        convert(source, out, **wrong)
    assert not list(tmp_path.iterdir())


def test_layers_have_the_genes_of_x(adata, tmp_path):
    other = adata[:, :7].copy()
    other.raw = adata
    other.write_h5ad(tmp_path / "a.h5ad")
    with pytest.raises(CollectionError, match="layer='raw'"):
        convert(tmp_path / "a.h5ad", tmp_path / "a.zarr", layers=["raw"])
    convert(tmp_path / "a.h5ad", tmp_path / "b.zarr", layer="raw")
    same_matrix(anndata.read_zarr(tmp_path / "b.zarr").X, adata.X)
