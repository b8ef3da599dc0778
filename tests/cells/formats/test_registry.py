"""Formats of files, recognised by their content."""

import os
import shutil
import warnings
import zipfile

import anndata
import numpy as np
import pandas as pd
import pytest

from scdataset import open_collection
from scdataset.cells.formats.probe import Probe
from scdataset.cells.formats.registry import format_of
from scdataset.errors import ArgumentTypeError, ArgumentValueError, CollectionError, DamagedFileError

REAL = {
    "cells/merfish_mouse.h5ad": "h5ad",
    "old_schema/anndata_archive_v0.5.0.h5ad": "h5ad",
    "tenx/scanpy_v2_hg19chr21.h5": "10x .h5",
    "tenx/scanpy_v3_GRCh38chr21.h5": "10x .h5",
    "mtx/scanpy_v3_GRCh38_chr21/matrix.mtx.gz": "matrix.mtx",
    "h5mu/mudata_v0.1.2_mdata_axis0.h5mu": "MuData",
    "zarr/mudata_v0.3.10_mdata_axis0.zarr.zip": "MuData",
    "zarr/anndata_archive_v0.7.8.zarr.zip": "AnnData in zarr",
    "zarr/scanpy_10x-10k-subset.zarr": "AnnData in zarr",
}


@pytest.mark.parametrize("name", REAL)
def test_real_files_are_recognised(real_data, name):
    assert format_of(Probe(str(real_data(name)))).name == REAL[name]


@pytest.mark.parametrize("name", [name for name, kind in REAL.items() if "zarr" not in name])
def test_files_are_recognised_under_any_name(real_data, tmp_path, name):
    shutil.copy(real_data(name), tmp_path / "file")
    assert format_of(Probe(str(tmp_path / "file"))).name == REAL[name]


def test_what_is_none_of_them_is_refused_with_the_kinds_there_are(tmp_path):
    (tmp_path / "a.txt").write_text("cells")
    (tmp_path / "b.h5ad").write_bytes(b"")
    for path in ("a.txt", "b.h5ad"):
        with pytest.raises(CollectionError, match=rf"{path} is of no known format: .*one of \['cellstream', 'MuData'"):
            open_collection(tmp_path / path)


@pytest.mark.parametrize("name", ["a.h5ad", "a.zarr.zip", "matrix.mtx", "a.parquet"])
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/null")])
def test_a_pipe_or_device_is_refused_and_not_waited_for(tmp_path, name, make):
    make(tmp_path / name)
    with pytest.raises(DamagedFileError, match=f"{name} is no regular file"):
        open_collection(tmp_path / name)


def test_a_zip_file_whose_directory_is_damaged_is_told_so(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", "cells")
    stored = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(stored.replace(b"PK\x01\x02", b"PK\x01\x03"))
    with pytest.raises(DamagedFileError, match=r"a\.zip cannot be"):
        open_collection(tmp_path / "a.zip")


def test_a_folder_of_nothing_known_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("cells")
    with pytest.raises(ArgumentValueError, match=r"is a folder with none of \['.h5ad', "):
        open_collection(tmp_path)


def test_options_that_a_file_has_no_use_for_are_refused(real_data):
    path = real_data("cells/merfish_mouse.h5ad")
    for options in ({"feature_types": ["x"]}, {"modality": "x"}, {"gene_table": 7}, {"unknown_genes": "drop"}):
        with pytest.raises(ArgumentValueError, match=r"is h5ad, for which .* has to be left out"):
            open_collection(path, **options)
    with pytest.raises(ArgumentTypeError, match="is a dict"):
        open_collection(path, layer={"rna": "counts"})


def test_files_of_several_kinds_with_the_same_genes_act_as_one(real_data):
    text, h5 = real_data("mtx/scanpy_v3_GRCh38_chr21/matrix.mtx.gz"), real_data("tenx/scanpy_v3_GRCh38chr21.h5")
    collection = open_collection([text, h5])
    n = len(collection) // 2
    found = collection.read(np.arange(2 * n))["X"]
    assert (found[:n] != found[n:]).nnz == 0


@pytest.mark.parametrize("zarr_format", [None, 3])
def test_a_file_without_any_matrix_says_so(tmp_path, zarr_format):
    cells = anndata.AnnData(obs=pd.DataFrame({"ct": list("aab")}, index=list("xyz")))
    path = tmp_path / ("a.h5ad" if zarr_format is None else "a.zarr")
    if zarr_format is None:
        cells.write_h5ad(path)
    else:
        with anndata.settings.override(zarr_write_format=zarr_format), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cells.write_zarr(path)
    with pytest.raises(ArgumentValueError, match="no other matrix: neither X, nor raw, nor layers"):
        open_collection(path)


def test_names_that_are_not_there_are_answered_with_the_nearest(tmp_path):
    cells = anndata.AnnData(np.eye(4, 3, dtype="f4"), obs={"cell_type": list("abab")}, obsm={"X_pca": np.eye(4)})
    cells.layers["counts"] = cells.X
    cells.write_h5ad(tmp_path / "a.h5ad")
    for wrong, right in (
        ({"obs": ["celltype"]}, "cell_type"),
        ({"obsm": ["x_pca"]}, "X_pca"),
        ({"layer": "count"}, "counts"),
    ):
        with pytest.raises(ArgumentValueError, match=rf"Did you mean '{right}'\?"):
            open_collection(tmp_path / "a.h5ad", **wrong)
