"""Descriptions of files: content, storage, and advice."""

import json

import anndata
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp

import scdataset
from scdataset import describe
from scdataset.cli._output import show_json


def counts(n_obs=40, n_vars=10):
    return sp.csr_matrix(np.random.default_rng(0).poisson(0.5, (n_obs, n_vars)).astype("f4"))


def cells(matrix):
    obs = pd.DataFrame(
        {
            "kind": pd.Categorical((["B", "T", "T", None] * 10)[: matrix.shape[0]], ["B", "T", "NK"]),
            "age": np.where(np.arange(matrix.shape[0]) % 2, np.nan, 7.5),
            "good": np.arange(matrix.shape[0]) > 3,
        },
        index=[f"cell{i}" for i in range(matrix.shape[0])],
    )
    return anndata.AnnData(matrix, obs)


def test_cells_genes_storage_and_obs_of_an_h5ad_file(tmp_path):
    made = cells(counts())
    made.layers["logs"] = made.X.copy()
    made.layers["logs"].data = np.log1p(made.X.data * 1.7)
    made.obsm["X_pca"] = np.zeros((40, 3), "f4")
    made.write_h5ad(tmp_path / "a.h5ad", compression="gzip")
    [file] = describe(tmp_path / "a.h5ad")
    [found] = file.cells
    assert (file.format, file.n_bytes, file.advice) == ("h5ad", (tmp_path / "a.h5ad").stat().st_size, ())
    assert (found.n_obs, found.n_vars, found.modality, found.problem) == (40, 10, None, None)
    x, logs = found.matrices
    assert (x.name, x.storage, x.dtype, x.index_dtype, x.codecs) == ("X", "CSR", "float32", "int32", ("gzip",))
    assert (x.n_stored, x.stored_a_row) == (made.X.nnz, made.X.nnz / 40)
    assert found.density["X"] == pytest.approx(made.X.nnz / 400)
    assert logs.name == "layers['logs']"
    assert found.kind_of("X") == "counts"
    assert found.kind_of("layers['logs']") != "counts"
    assert [one.name for one in found.obsm] == ["obsm['X_pca']"]


def test_columns_have_kinds_examples_and_numbers_of_missing_values(tmp_path):
    cells(counts()).write_h5ad(tmp_path / "a.h5ad")
    kind, age, good = describe(tmp_path / "a.h5ad")[0].cells[0].columns
    assert (kind.kind, kind.n_categories, kind.n_missing, kind.examples) == ("labels", 3, 10, ("T", "B"))
    assert (age.kind, age.n_categories, age.n_missing, age.examples) == ("numbers", None, 20, ("7.5",))
    assert (good.kind, good.n_missing, good.examples) == ("booleans", 0, ("False", "True"))


FORMATS = {
    "cells/heart_human.h5ad": "h5ad",
    "tenx/scanpy_v3_GRCh38chr21.h5": "10x .h5",
    "mtx/scanpy_v3_GRCh38_chr21/matrix.mtx.gz": "matrix.mtx",
    "zarr/scanpy_10x-10k-subset.zarr": "AnnData in zarr",
    "h5mu/mudata_v0.2.4_mdata_axis0.h5mu": "MuData",
    "old_schema/anndata_archive_v0.5.0.h5ad": "h5ad",
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_described_and_goes_into_json(written, name, capsys):
    [file] = describe(written(name))
    assert file.format == FORMATS[name]
    assert file.cells[0].matrices[0].name == "X"
    assert file.cells[0].n_obs > 0
    show_json(file.as_dict())
    assert json.loads(capsys.readouterr().out)["format"] == file.format


def test_modalities_are_described_apart(written):
    [file] = describe(written("h5mu/mudata_v0.2.4_mdata_axis0.h5mu"))
    assert [cells.modality for cells in file.cells] == ["mod2", "mod1"]


def test_genomes_of_old_10x_files_are_described_apart(written):
    [file] = describe(written("tenx/scanpy_v2_multiple_genomes.h5"))
    assert len({cells.modality for cells in file.cells}) == 2


def test_a_matrix_by_columns_is_described_with_the_remedy(tmp_path):
    cells(counts().tocsc()).write_h5ad(tmp_path / "a.h5ad")
    [file] = describe(tmp_path / "a.h5ad")
    [found] = file.cells
    assert (found.n_obs, found.n_vars, found.matrices[0].storage) == (40, 10, "CSC")
    assert [column.name for column in found.columns] == ["kind", "age", "good"]
    assert "a.X = a.X.tocsr()" in str(file.advice[0])


def test_cells_without_a_matrix_have_their_obs_described(tmp_path):
    anndata.AnnData(obs=cells(counts()).obs).write_h5ad(tmp_path / "a.h5ad")
    [file] = describe(tmp_path / "a.h5ad")
    assert file.cells[0].n_obs == 40
    assert len(file.cells[0].columns) == 3
    assert "has no X" in str(file.advice[0])


def test_a_column_that_cannot_be_read_does_not_hide_the_others(tmp_path):
    import h5py

    cells(counts()).write_h5ad(tmp_path / "a.h5ad")
    with h5py.File(tmp_path / "a.h5ad", "a") as file:
        del file["obs/age"]
        file["obs/age"] = np.zeros((40, 2))
    kind, age, _ = describe(tmp_path / "a.h5ad")[0].cells[0].columns
    assert kind.kind == "labels"
    assert age.kind == "unreadable"


def test_a_folder_is_described_file_by_file(tmp_path):
    for name in "ab":
        cells(counts()).write_h5ad(tmp_path / f"{name}.h5ad")
    assert [file.path for file in describe(tmp_path)] == [str(tmp_path / f"{name}.h5ad") for name in "ab"]


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(scdataset.MissingFileError, match="does not exist"):
        describe(tmp_path / "none.h5ad")


def test_lists_of_genes_are_described_without_a_table_of_genes(tmp_path):
    lists = pa.array([[3, 9_000_000_000], [], [5]])
    values = pa.array([[1.0, 2.0], [], [4.0]], pa.list_(pa.float32()))
    pq.write_table(pa.table([lists, values, ["a", "b", "a"]], ["genes", "expressions", "drug"]), tmp_path / "a.parquet")
    [cells] = describe(tmp_path / "a.parquet")[0].cells
    assert (cells.n_obs, cells.n_vars, cells.problem) == (3, 0, None)
    assert cells.matrices[0].stored_a_row == 1
    assert cells.kind_of("X") == "counts"
    assert [(column.name, column.examples) for column in cells.columns] == [("drug", ("a", "b"))]
