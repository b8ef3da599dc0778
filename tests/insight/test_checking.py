"""Checks of files: every fault that is planted is found with its place, and none in a file that is whole."""

import shutil
import warnings
import zipfile

import anndata
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp
import zarr
from pyarrow import feather
from tests.conftest import REAL_DATA
from tests.engine.zarr_files import index_of

import scdataset
from scdataset import check

N_OBS, N_VARS = 200, 40


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a folder with the same cells as plain, gzip and checked h5ad, and as zarr."""
    folder = tmp_path_factory.mktemp("whole")
    counts = sp.csr_matrix(np.random.default_rng(0).poisson(0.7, (N_OBS, N_VARS)).astype("f4"))
    obs = pd.DataFrame(
        {"type": pd.Categorical(["B", "T"] * 100), "depth": np.arange(N_OBS) / 2}, index=[f"c{i}" for i in range(N_OBS)]
    )
    cells = anndata.AnnData(counts, obs, layers={"dense": counts.toarray()}, obsm={"X_pca": np.ones((N_OBS, 3), "f4")})
    for name, options in {
        "plain": {},
        "gzip": {"compression": "gzip", "chunks": (500,)},
        "checked": {"fletcher32": True, "chunks": (500,)},
    }.items():
        cells.write_h5ad(folder / f"{name}.h5ad")
        with h5py.File(folder / f"{name}.h5ad", "a") as file:
            for part in ("data", "indices") if options else ():
                values = file["X"][part][:]
                del file["X"][part]
                file["X"].create_dataset(part, data=values, **options)
            for key, chunks in {"layers/dense": (50, 10)}.items():
                values, attributes = file[key][:], dict(file[key].attrs)
                del file[key]
                file.create_dataset(
                    key, data=values, chunks=chunks, **{k: v for k, v in options.items() if k != "chunks"}
                )
                file[key].attrs.update(attributes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cells.write_zarr(folder / "store.zarr", chunks=(50, N_VARS))
    return folder


@pytest.fixture
def copy(made, tmp_path):
    """Return a function that copies a file, which may be damaged."""

    def copied(name):
        source = made / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
        return tmp_path / name

    return copied


@pytest.mark.parametrize("name", ["plain.h5ad", "gzip.h5ad", "checked.h5ad", "store.zarr"])
def test_whole_files_have_no_fault(made, name):
    report = check(made / name)
    assert (report.faults, report.ok, report.files) == ((), True, (str(made / name),))
    assert report.n_bytes > N_OBS * N_VARS * 4


def put(name, where, value):
    """Return a function that puts a value in an array of an h5ad file."""

    def plant(file):
        file[name][where] = value

    return plant


def arrays_of(file, name):
    """Return the names of the arrays of a column: anndata from 0.13 on writes strings beside a mask."""
    return [name] if isinstance(file[name], h5py.Dataset) else [f"{name}/values", f"{name}/mask"]


def cut(name, size):
    """Return a function that leaves the first elements of an array alone."""

    def plant(file):
        for array in arrays_of(file, name):
            values, attributes = file[array][:size], dict(file[array].attrs)
            del file[array]
            file.create_dataset(array, data=values)
            file[array].attrs.update(attributes)

    return plant


def remove(name):
    def plant(file):
        del file[name]

    return plant


def grow(name):
    """Return a function that adds chunks that are never written."""

    def plant(file):
        for part in ("data", "indices"):
            old = file["X"][part]
            values, dtype = old[:], old.dtype
            del file["X"][part]
            new = file["X"].create_dataset(part, shape=values.shape, dtype=dtype, chunks=(500,), compression="gzip")
            for start in range(0, values.size, 500):
                if part != name or start != 1000:
                    new[start : start + 500] = values[start : start + 500]

    return plant


def swap(file):
    indices = file["X/indices"]
    row = file["X/indptr"][7]
    indices[row : row + 2] = indices[row : row + 2][::-1]


def repeat(file):
    row = file["X/indptr"][7]
    file["X/indices"][row + 1] = file["X/indices"][row]


PLANTED = {
    "column number too large": (put("X/indices", 333, N_VARS), "X/indices", "1 column number outside the matrix"),
    "column number negative": (put("X/indices", 333, -3), "X/indices", "column number outside the matrix"),
    "column twice": (repeat, "X/indices", "1 row with a column more than once, the first in row 7"),
    "columns out of order": (swap, "X/indices", "1 row whose columns do not ascend"),
    "NaN": (put("X/data", 5, np.nan), "X/data", "1 NaN value, the first in row 0"),
    "infinite": (put("X/data", 5, -np.inf), "X/data", "1 infinite value,"),
    "NaN in a layer": (put("layers/dense", (7, 3), np.nan), "layers/dense", "1 NaN value, the first in row 7, col"),
    "NaN in obsm": (put("obsm/X_pca", (7, 2), np.nan), "obsm/X_pca", "in row 7, column 2"),
    "pointer that falls": (put("X/indptr", 50, 3), "X/indptr", "falls after row 49"),
    "first pointer": (put("X/indptr", 0, 1), "X/indptr", "begins with 1"),
    "last pointer": (put("X/indptr", N_OBS, 9), "X/indptr", "ends with 9"),
    "pointers too few": (cut("X/indptr", N_OBS - 1), "X/indptr", "is of 198 rows, and the matrix has 200"),
    "data too short": (cut("X/data", 99), "X/indices", "elements, and data has 99"),
    "obs column too short": (cut("obs/depth", 150), "obs/depth", "has 150 values for 200 rows"),
    "obs column missing": (remove("obs/depth"), "obs", "has no column 'depth'"),
    "codes outside": (
        put("obs/type/codes", 9, 5),
        "obs/type/codes",
        "1 code outside of 2 categories, the first in row 9",
    ),
    "layer too short": (cut("layers/dense", 150), "layers/dense", "has 150 rows, and obs has 200 rows"),
    "obsm too short": (cut("obsm/X_pca", 150), "obsm/X_pca", "has 150 rows"),
    "var too short": (cut("var/_index", 30), "X", "has 40 columns, and var has 30 rows"),
    "missing chunk of data": (grow("data"), "X/data", "chunk 2 is not there"),
    "missing chunk of indices": (grow("indices"), "X/indices", "chunk 2 is not there"),
    "no indices": (remove("X/indices"), "X", "has no indices"),
    "no obs": (remove("obs"), "obs", "is not there"),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found_with_its_place(copy, fault):
    plant, place, said = PLANTED[fault]
    path = copy("plain.h5ad")
    with h5py.File(path, "a") as file:
        plant(file)
    found = [one for one in check(path).faults if one.place == place and said in one.message]
    assert found
    assert found[0].file == str(path)


def offset_of(path, name, chunk):
    with h5py.File(path) as file:
        stored = file[name].id.get_chunk_info(chunk)
        return stored.byte_offset + stored.size // 2


@pytest.mark.parametrize("name", ["gzip.h5ad", "checked.h5ad"])
@pytest.mark.parametrize("array", ["X/data", "X/indices", "layers/dense"])
def test_flipped_bytes_in_two_chunks_are_two_faults(copy, name, array):
    path = copy(name)
    for chunk in (1, 3):
        with path.open("r+b") as file:
            file.seek(offset_of(path, array, chunk))
            old = file.read(4)
            file.seek(-4, 1)
            file.write(bytes(byte ^ 90 for byte in old))
    faults = check(path).faults
    assert {fault.place for fault in faults} == {array}
    assert len(faults) == 2


def test_a_truncated_file_is_one_whose_chunks_or_structure_are_missing(copy):
    path = copy("gzip.h5ad")
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    assert not check(path).ok


def test_an_empty_file_with_the_name_of_one_is_a_fault(tmp_path):
    (tmp_path / "a.h5ad").write_bytes(b"")
    [fault] = check(tmp_path / "a.h5ad").faults
    assert (fault.place, "empty file" in fault.message) == ("file", True)


@pytest.mark.parametrize("part", ["X/data", "X/indices"])
def test_a_chunk_that_is_not_in_a_store(copy, part):
    path = copy("store.zarr")
    chunks = [one for one in (path / part).rglob("*") if one.is_file() and one.name.isdigit()]
    chunks[0].unlink()
    assert part in {fault.place for fault in check(path).faults}


def test_flipped_bytes_in_a_store(copy):
    path = copy("store.zarr")
    chunk = max(
        (one for one in (path / "layers/dense").rglob("*") if one.is_file()), key=lambda one: one.stat().st_size
    )
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    chunk.write_bytes(content)
    assert "layers/dense" in {fault.place for fault in check(path).faults}


def test_a_matrix_by_columns_is_checked_too(copy, tmp_path):
    cells = anndata.read_h5ad(copy("plain.h5ad"))
    cells.X = cells.X.tocsc()
    cells.write_h5ad(tmp_path / "csc.h5ad")
    assert check(tmp_path / "csc.h5ad").ok
    with h5py.File(tmp_path / "csc.h5ad", "a") as file:
        file["X/indices"][3] = N_OBS
    assert [fault.place for fault in check(tmp_path / "csc.h5ad").faults] == ["X/indices"]


def test_faults_of_several_files_are_all_reported(copy):
    paths = [copy("plain.h5ad"), copy("gzip.h5ad"), copy("checked.h5ad")]
    for path in (paths[0], paths[2]):
        with h5py.File(path, "a") as file:
            file["X/indptr"][-1] = 5
            file["obs/type/codes"][0] = 7
    report = check(paths)
    found = {(fault.file, fault.place) for fault in report.faults}
    assert found == {(str(path), place) for path in (paths[0], paths[2]) for place in ("X/indptr", "obs/type/codes")}


TREES = ["tenx/scanpy_v3_GRCh38chr21.h5", "h5mu/mudata_v0.2.4_mdata_axis0.h5mu"]


@pytest.mark.parametrize("name", TREES)
def test_column_numbers_of_other_formats(written, tmp_path, name):
    path = shutil.copy(written(name), tmp_path)
    assert check(path).ok
    with h5py.File(path, "a") as file:
        if "matrix" in file:
            file["matrix/indices"][2] = 1 << 20
        else:
            modality = next(iter(file["mod"]))
            del file[f"mod/{modality}/X"]
            file[f"mod/{modality}/X"] = np.full((3, 2), np.nan, "f4")
    assert check(path).faults


def gene_lists(path, ids, values):
    offsets = pa.array([0, 2, 2, len(ids)], pa.int32())
    columns = [pa.ListArray.from_arrays(offsets, pa.array(ids)), pa.ListArray.from_arrays(offsets, pa.array(values))]
    table = pa.table([*columns, pa.array(["a", "b", "a"])], ["genes", "expressions", "drug"])
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        feather.write_feather(table, str(path), compression="uncompressed")
    return path


@pytest.mark.parametrize("name", ["a.arrow", "a.parquet"])
def test_lists_of_genes_are_checked_without_a_table_of_genes(tmp_path, name):
    assert check(gene_lists(tmp_path / f"good_{name}", [3, 2_000_000_000_000, 5], np.ones(3, "f4"))).ok
    report = check(gene_lists(tmp_path / name, [3, -1, 5], np.array([1, np.nan, 1], "f4")))
    assert [fault.place for fault in report.faults] == ["X/indices", "X/data"]


def test_a_matrix_of_one_axis_is_a_fault(copy):
    path = copy("plain.h5ad")
    with h5py.File(path, "a") as file:
        del file["X"]
        file["X"] = np.zeros(N_OBS)
    assert [(fault.place, fault.message) for fault in check(path).faults] == [
        ("X", f"has shape ({N_OBS},); a matrix has two axes.")
    ]


def test_tiles_of_loom(tmp_path):
    with h5py.File(tmp_path / "a.loom", "w") as file:
        file.create_dataset("matrix", data=np.ones((30, 50), "f4"), chunks=(8, 16), compression="gzip")
        for group in ("row_attrs", "col_attrs", "layers"):
            file.create_group(group)
        file["row_attrs/Gene"] = np.array([f"g{i}" for i in range(30)], h5py.string_dtype())
        file["col_attrs/CellID"] = np.array([f"c{i}" for i in range(50)], h5py.string_dtype())
    assert check(tmp_path / "a.loom").ok
    with h5py.File(tmp_path / "a.loom", "a") as file:
        file["matrix"][29, 49] = np.inf
    [fault] = check(tmp_path / "a.loom").faults
    assert "row 49, column 29" in fault.message


def test_text_that_ends_early(written, tmp_path):
    path = shutil.copy(written("mtx/scanpy_v3_GRCh38_chr21/matrix.mtx.gz"), tmp_path)
    for name in ("features.tsv.gz", "barcodes.tsv.gz"):
        shutil.copy(written("mtx/scanpy_v3_GRCh38_chr21/" + "matrix.mtx.gz").parent / name, tmp_path)
    assert check(tmp_path).ok
    (tmp_path / "matrix.mtx.gz").write_bytes((tmp_path / "matrix.mtx.gz").read_bytes()[:-200])
    assert path
    assert not check(tmp_path).ok


def test_a_zip_file_with_a_changed_member(copy, tmp_path):
    path = copy("store.zarr")
    with zipfile.ZipFile(tmp_path / "a.zarr.zip", "w") as zipped:
        for one in sorted(path.rglob("*")):
            if one.is_file():
                zipped.write(one, one.relative_to(path))
    assert check(tmp_path / "a.zarr.zip").ok
    with zipfile.ZipFile(tmp_path / "a.zarr.zip") as zipped:
        chunks = ("layers/dense/c/", "layers/dense/0")
        member = next(one for one in zipped.infolist() if one.filename.startswith(chunks))
    with (tmp_path / "a.zarr.zip").open("r+b") as file:
        file.seek(member.header_offset + 30 + len(member.filename) + member.file_size // 2)
        file.write(b"\xff" * 8)
    assert not check(tmp_path / "a.zarr.zip").ok


@pytest.mark.parametrize("name", ["none.h5ad", "*.h5ad"])
def test_no_file_is_bad_input(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(scdataset.ArgumentValueError):
        check(name)


def test_another_kind_of_file_is_bad_input(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n")
    with pytest.raises(scdataset.CollectionError, match="table of text"):
        check(tmp_path / "a.csv")


def real_files():
    """Return all real files, or one that is not there."""
    folders = ("cells", "h5mu", "mtx", "odd", "old_schema", "tenx", "zarr")
    return [path for folder in folders for path in sorted((REAL_DATA / folder).glob("*"))] or [REAL_DATA / "cells"]


@pytest.mark.slow
def test_no_real_file_has_a_fault():
    if not REAL_DATA.exists():
        pytest.skip(f"the real files in {REAL_DATA} are not here")
    report = check(real_files())
    assert report.faults == ()
    assert len(report.files) > 30


def test_a_report_says_its_faults_as_text_and_as_a_dict(copy):
    path = copy("plain.h5ad")
    with h5py.File(path, "a") as file:
        file["X/data"][0] = np.nan
    report = check(path)
    assert str(report).startswith("1 fault in 1 file\n")
    assert report.as_dict()["faults"][0]["place"] == "X/data"
    assert report.as_dict()["ok"] is False


def repeat_names(name):
    def change(file):
        array = file[arrays_of(file, name)[0]]
        names = array[:]
        names[7] = names[3]
        array[:] = names

    return change


@pytest.mark.parametrize("name", ["obs/_index", "var/_index"])
def test_names_that_are_there_twice_are_remarks_with_their_rows(copy, name):
    path = copy("plain.h5ad")
    with h5py.File(path, "a") as file:
        repeat_names(name)(file)
    report = check(path)
    assert report.ok
    assert [(note.place, note.message) for note in report.notes] == [
        (name, "has 1 name more than once, the first of them in rows 3 and 7.")
    ]


def test_names_in_a_store_that_are_there_twice_are_remarks(copy):
    path = copy("store.zarr")
    names = zarr.open_array(path / index_of(path))
    names[1] = names[0]
    assert [note.place for note in check(path).notes] == ["var/_index"]


def test_names_of_other_formats_that_are_there_twice_are_remarks(tmp_path):
    with h5py.File(tmp_path / "a.loom", "w") as file:
        file.create_dataset("matrix", data=np.ones((3, 2), "f4"))
        for group in ("row_attrs", "col_attrs", "layers"):
            file.create_group(group)
        file["row_attrs/Gene"] = np.array(["a", "b", "a"], h5py.string_dtype())
        file["col_attrs/CellID"] = np.array(["c", "c"], h5py.string_dtype())
    report = check(tmp_path / "a.loom")
    assert report.ok
    assert {note.place for note in report.notes} == {"obs", "var"}


@pytest.mark.parametrize(("place", "is_fault"), [("obs/depth", True), ("layers/dense", True), ("uns/more", False)])
def test_an_unknown_encoding_is_a_fault_where_it_is_read_and_else_a_remark(copy, place, is_fault):
    path = copy("plain.h5ad")
    with h5py.File(path, "a") as file:
        file.require_group("uns").require_group("more")
        file[place].attrs["encoding-type"] = "csr_matrx"
    report = check(path)
    found = report.faults if is_fault else report.notes
    assert any(one.place == place and "'csr_matrx'" in one.message for one in found)
    assert report.ok is not is_fault


def test_options_of_opening_go_to_the_files_whose_format_takes_them(copy, tmp_path):
    path = gene_lists(tmp_path / "a.parquet", [3, 1, 5], np.ones(3, "f4"))
    renamed = pq.read_table(path).rename_columns(["ids", "counts", "drug"])
    pq.write_table(renamed, path)
    lists = ["ids", "counts"]
    assert not check(path).ok or check(path).notes
    assert check([path, copy("plain.h5ad")], gene_lists=lists).ok
    assert check(path, gene_lists=lists, gene_table=6).ok
    assert not check(path, gene_lists=lists, gene_table=4).ok
