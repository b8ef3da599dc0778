"""Kinds of files, told by what is in them."""

import shutil

import numpy as np
import pytest

from scdataset import open_collection
from scdataset.collections.cells.kinds import kind_of
from scdataset.errors import ArgumentTypeError, ArgumentValueError, CollectionError

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
    assert kind_of(str(real_data(name))).name == REAL[name]


@pytest.mark.parametrize("name", [name for name, kind in REAL.items() if "zarr" not in name])
def test_files_are_recognised_under_any_name(real_data, tmp_path, name):
    shutil.copy(real_data(name), tmp_path / "file")
    assert kind_of(str(tmp_path / "file")).name == REAL[name]


def test_what_is_none_of_them_is_refused_with_the_kinds_there_are(tmp_path):
    (tmp_path / "a.txt").write_text("cells")
    (tmp_path / "b.h5ad").write_bytes(b"")
    for path in ("a.txt", "b.h5ad"):
        with pytest.raises(CollectionError, match=rf"{path} is of no known kind; give one of \['cellstream', 'MuData'"):
            open_collection(tmp_path / path)


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
