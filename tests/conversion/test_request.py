"""Arguments of a conversion."""

import pickle
import shutil

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from tests.conversion.stores import SMALL, content, same_matrix

from scdataset import (
    ArgumentTypeError,
    ArgumentValueError,
    CollectionChangedError,
    CollectionError,
    DamagedFileError,
    MissingFileError,
    convert,
    open_collection,
)


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
        ({"dtype": pd.Series(["a"], dtype="category")}, ArgumentTypeError, "uint16"),
        ({"indices": [1, 1]}, ArgumentValueError, "1 of them repeated"),
        ({"joint": "inner"}, ArgumentTypeError, "'join'"),
        ({"seed": -1}, ArgumentValueError, "at least 0"),
        ({"shufle": True}, ArgumentTypeError, "'shuffle'"),
        ({"raw": True}, ArgumentValueError, r"raw=True, and no file of .*cells\.h5ad.* has raw"),
    ],
)
def test_wrong_arguments_are_refused_and_leave_nothing(path, tmp_path, wrong, error, told):
    source = path.with_name(wrong.pop("source", path.name))
    out = tmp_path / wrong.pop("out", "a.zarr")
    with pytest.raises(error, match=told):
        convert(source, out, **wrong)
    assert not list(tmp_path.iterdir())


def test_a_collection_is_converted_as_it_was_opened(path, adata, expected, tmp_path):
    out = tmp_path / "a.zarr"
    convert(open_collection(path, obs=["flag"], dtype="float64"), out, **SMALL)
    assert content(out) == expected
    cells = open_collection({"one": path}, layer="logged", genes=["gene3", "gene1"], label="file")
    convert(cells, tmp_path / "b.zarr", progress=False)
    found = anndata.read_zarr(tmp_path / "b.zarr")
    same_matrix(found.X, adata[:, ["gene3", "gene1"]].layers["logged"])
    assert set(found.obs["file"]) == {"one"}


def test_a_collection_that_cannot_be_opened_again_as_it_was_is_refused(path, adata, tmp_path):
    copy, out = tmp_path / "a.h5ad", tmp_path / "a.zarr"
    shutil.copy(path, copy)
    cells = open_collection(copy)
    with pytest.raises(ArgumentTypeError, match=r"\['genes', 'gene_key'\]|\['gene_key', 'genes'\]"):
        convert(cells, out, genes=["gene3"], gene_key="kind")
    with pytest.raises(ArgumentTypeError, match="give paths"):
        convert(pickle.loads(pickle.dumps(cells)), out)
    with pytest.raises(ArgumentTypeError, match="AnnData; give a path"):
        convert(adata, out)
    with pytest.raises(ArgumentTypeError, match="its attribute files"):
        open_collection(cells)
    adata[::-1].copy().write_h5ad(tmp_path / "b.h5ad")
    (tmp_path / "b.h5ad").replace(copy)
    with pytest.raises((CollectionChangedError, DamagedFileError), match=r"a\.h5ad"):
        convert(cells, out)
    assert not out.exists()


def test_layers_have_the_genes_of_x(adata, tmp_path):
    other = adata[:, :7].copy()
    other.raw = adata
    other.write_h5ad(tmp_path / "a.h5ad")
    with pytest.raises(CollectionError, match="layer='raw'"):
        convert(tmp_path / "a.h5ad", tmp_path / "a.zarr", layers=["raw"])
    convert(tmp_path / "a.h5ad", tmp_path / "b.zarr", layer="raw")
    same_matrix(anndata.read_zarr(tmp_path / "b.zarr").X, adata.X)


def test_arrays_of_old_files_that_are_fields_of_a_table_come_along(tmp_path):
    path, values = tmp_path / "a.h5ad", np.arange(8, dtype="f4").reshape(4, 2)
    anndata.AnnData(np.eye(4, dtype="f4")).write_h5ad(path)
    with h5py.File(path, "a") as h5:
        del h5["obsm"]
        table = h5.create_dataset("obsm", 4, np.dtype([("X_pca", "f4", (2,))]))
        table[...] = np.array([(row,) for row in values], table.dtype)
    with pytest.raises(CollectionError, match="a field of a table, as anndata wrote before"):
        open_collection(path, obsm=["X_pca"])
    convert(path, tmp_path / "a.zarr", indices=[2, 0], progress=False)
    same_matrix(anndata.read_zarr(tmp_path / "a.zarr").obsm["X_pca"], values[[2, 0]])
