"""Cell Ranger's folders of text: read once, and equal to scipy's reading of them and to the same counts in .h5."""

import gzip
import logging
import os
import shutil

import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse

from scdataset import open_collection
from scdataset.cells.formats import mtx
from scdataset.errors import ArgumentValueError, CollectionError, DamagedFileError

COUNTS = np.random.default_rng(0).poisson(0.4, (40, 12))
KINDS = ["Gene Expression"] * 9 + ["Antibody Capture"] * 3


def write(folder, counts=COUNTS, *, prefix="", old=False, packed=True, transposed=False):
    """Write cells x genes as Cell Ranger 3 does, or 2."""
    folder.mkdir(exist_ok=True)
    genes = [(f"id{i}", f"gene{i // 2}", KINDS[i]) for i in range(counts.shape[1])]
    names = {
        "genes.tsv" if old else "features.tsv": ["\t".join(gene[: 2 if old else 3]) for gene in genes],
        "barcodes.tsv": [f"cell{i}" for i in range(len(counts))],
    }
    for name, lines in names.items():
        (folder / f"{prefix}{name}").write_text("".join(f"{line}\n" for line in lines))
    matrix = scipy.sparse.coo_matrix(counts if transposed else counts.T)
    scipy.io.mmwrite(folder / f"{prefix}matrix.mtx", matrix, symmetry="general")
    if packed:
        for path in list(folder.glob(f"{prefix}*.[mt][ts][xv]")):
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
    return folder


def test_a_real_folder_is_what_scipy_and_the_h5_file_say(real_data):
    folder = real_data("mtx/scanpy_v3_GRCh38_chr21")
    collection = open_collection(folder, obs=["barcode"])
    with gzip.open(folder / "matrix.mtx.gz") as text:
        expected = scipy.sparse.csr_matrix(scipy.io.mmread(text).T)
    rows = np.random.default_rng(0).integers(0, expected.shape[0], 300)
    batch = collection.read(rows)
    assert collection.shape == expected.shape
    assert (batch["X"] != expected[rows]).nnz == 0
    features = pd.read_csv(folder / "features.tsv.gz", sep="\t", header=None)
    assert collection.var_names.tolist() == features[1].tolist()
    assert collection.var["gene_ids"].tolist() == features[0].tolist()
    assert collection.var["feature_types"].tolist() == features[2].tolist()
    barcodes = pd.read_csv(folder / "barcodes.tsv.gz", header=None)[0].to_numpy()
    assert np.array_equal(collection.categories["barcode"][batch["barcode"]], barcodes[rows])
    same = open_collection(real_data("tenx/scanpy_v3_GRCh38chr21.h5"), obs=["barcode"])
    other = same.read(rows)
    for part in ("data", "indices", "indptr"):
        assert np.array_equal(getattr(batch["X"], part), getattr(other["X"], part))
    assert same.var[["gene_ids", "feature_types"]].equals(collection.var)


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_folders_of_both_versions_gzipped_or_not(tmp_path, old, packed):
    collection = open_collection(write(tmp_path / "a", old=old, packed=packed))
    assert np.array_equal(collection.read(np.arange(40)[::-1])["X"].toarray(), COUNTS[::-1])
    assert list(collection.var.columns) == (["gene_ids"] if old else ["gene_ids", "feature_types"])


def test_features_are_chosen_by_type(tmp_path):
    write(tmp_path / "a")
    collection = open_collection(tmp_path / "a", feature_types=["Antibody Capture"])
    assert np.array_equal(collection.read(np.arange(40))["X"].toarray(), COUNTS[:, 9:])
    assert collection.var["gene_ids"].tolist() == ["id9", "id10", "id11"]
    with pytest.raises(ArgumentValueError, match="genome"):
        open_collection(tmp_path / "a", genome="GRCh38")


def test_samples_of_one_folder_by_their_prefixes(tmp_path):
    for sample in ("GSM1_", "GSM2_"):
        write(tmp_path / "a", COUNTS[: 10 if sample == "GSM1_" else 40], prefix=sample)
    collection = open_collection(tmp_path / "a")
    assert [path.rpartition("/")[2] for path in collection.files] == ["GSM1_matrix.mtx.gz", "GSM2_matrix.mtx.gz"]
    assert np.array_equal(collection.read(np.arange(50))["X"].toarray(), np.concatenate([COUNTS[:10], COUNTS]))


def test_a_folder_of_folders_is_its_samples_in_the_order_of_their_names(tmp_path):
    write(tmp_path / "b", COUNTS[:7])
    write(tmp_path / "a", COUNTS[7:])
    collection = open_collection(tmp_path)
    assert np.array_equal(collection.read(np.arange(40))["X"].toarray(), np.concatenate([COUNTS[7:], COUNTS[:7]]))


def test_a_folder_with_another_kind_beside_is_refused_with_counts(tmp_path):
    write(tmp_path / "a")
    (tmp_path / "a" / "b.h5ad").write_bytes(b"")
    with pytest.raises(ArgumentValueError, match=r"files of several kinds \(1 \.h5ad, 1 matrix\.mtx\)"):
        open_collection(tmp_path / "a")


def test_the_text_is_read_once_for_a_file_as_it_is(tmp_path, monkeypatch, caplog):
    with caplog.at_level(logging.INFO, "scdataset"):
        open_collection(write(tmp_path / "a"))
    assert f"Reading {tmp_path}/a/matrix.mtx.gz" in caplog.text
    with monkeypatch.context() as patch:
        patch.setattr(mtx.by_cell, "write_rows", None)
        assert len(open_collection(tmp_path / "a")) == 40
    write(tmp_path / "a", COUNTS[:5])
    assert np.array_equal(open_collection(tmp_path / "a").read(np.arange(5))["X"].toarray(), COUNTS[:5])


MANY = np.random.default_rng(1).poisson(2, (9000, 12))


@pytest.mark.parametrize("feature_types", [None, ["Antibody Capture"]])
def test_a_copy_with_a_flipped_bit_is_made_again_or_told_by_the_name_of_the_users_file(
    tmp_path, monkeypatch, feature_types
):
    monkeypatch.setenv("SCDATASET_CACHE_DIR", str(tmp_path / "cache"))
    expected = MANY if feature_types is None else MANY[:, 9:]
    path = write(tmp_path / "a", MANY, packed=False)
    open_collection(path)
    [made] = (tmp_path / "cache").iterdir()
    rng, told = np.random.default_rng(0), 0
    for name in ("data", "indices", "indptr", "data", "indices"):
        stored = bytearray((made / f"{name}.npy").read_bytes())
        stored[rng.integers(len(stored))] ^= 1 << rng.integers(8)
        (made / f"{name}.npy").write_bytes(stored)
        try:
            found = open_collection(path, feature_types=feature_types).read(np.arange(9000))["X"].toarray()
        except DamagedFileError as error:
            assert f"The copy of {path}/matrix.mtx in the cache" in str(error)  # noqa: PT017 it may be made again, too
            told += 1
            found = open_collection(path, feature_types=feature_types).read(np.arange(9000))["X"].toarray()
        assert np.array_equal(found, expected)
    assert told


def test_rows_of_a_damaged_copy_that_lie_elsewhere_are_read(tmp_path, monkeypatch):
    monkeypatch.setenv("SCDATASET_CACHE_DIR", str(tmp_path / "cache"))
    open_collection(write(tmp_path / "a", MANY, packed=False))
    [made] = (tmp_path / "cache").iterdir()
    with (made / "data.npy").open("r+b") as file:
        file.seek(200_000)
        file.write(b"\xff")
    collection = open_collection(tmp_path / "a")
    assert np.array_equal(collection.read(np.arange(1000))["X"].toarray(), MANY[:1000])
    with pytest.raises(DamagedFileError, match=r"data\.npy, is damaged between byte 196608 and 229376"):
        collection.read(np.arange(9000))


def test_files_that_contradict_each_other_are_refused(tmp_path):
    with pytest.raises(DamagedFileError, match=r"matrix of \(40, 12\), beside 12 features"):
        open_collection(write(tmp_path / "a", transposed=True))
    write(tmp_path / "b")
    (tmp_path / "b" / "barcodes.tsv.gz").unlink()
    with pytest.raises(CollectionError, match=r"beside none of \['barcodes.tsv.gz', 'barcodes.tsv'\]"):
        open_collection(tmp_path / "b")
    write(tmp_path / "c")
    (tmp_path / "c" / "features.tsv.gz").write_bytes(b"\x1f\x8bnot gzip")
    with pytest.raises(DamagedFileError, match=r"features\.tsv\.gz"):
        open_collection(tmp_path / "c")


@pytest.mark.parametrize("name", ["matrix.mtx.gz", "features.tsv.gz", "barcodes.tsv.gz"])
def test_gzip_that_is_damaged_anywhere_is_told_with_the_file_or_read_as_it_was(tmp_path, name):
    path = write(tmp_path / "a") / name
    stored = path.read_bytes()
    rng, refused = np.random.default_rng(0), 0
    for number in range(40):
        changed = bytearray(stored)
        if number < 30:
            changed[rng.integers(2, len(stored))] ^= 1 << rng.integers(8)
        else:
            del changed[rng.integers(2, len(stored)) :]
        path.write_bytes(changed)
        try:
            collection = open_collection(tmp_path / "a", obs=["barcode"])
            found = collection.read(np.arange(40))["X"].toarray()
        except DamagedFileError as error:
            assert str(path) in str(error)  # noqa: PT017 it may be sound: gzip has bytes of no meaning
            refused += 1
        else:
            assert np.array_equal(found, COUNTS)
            assert collection.var_names.tolist() == [f"gene{i // 2}" for i in range(12)]
    assert refused > 30


@pytest.mark.parametrize("name", ["features.tsv.gz", "barcodes.tsv.gz"])
@pytest.mark.parametrize("text", ["x\n", "x"])
def test_gzip_that_holds_far_more_rows_than_the_matrix_is_not_unpacked(tmp_path, name, text):
    (write(tmp_path / "a") / name).write_bytes(gzip.compress(text.encode() * (8 << 20), 1))
    with pytest.raises(DamagedFileError, match=rf"{name} holds more than [\d,]+ bytes of text, where the matrix has"):
        open_collection(tmp_path / "a")


def test_one_matrix_twice_is_refused(tmp_path):
    write(tmp_path / "a", packed=False)
    shutil.copy(tmp_path / "a" / "matrix.mtx", tmp_path / "a" / "matrix.mtx.gz")
    with pytest.raises(ArgumentValueError, match=r"matrix\.mtx' both"):
        open_collection(tmp_path / "a")


def test_layers_obsm_and_other_columns_are_refused(tmp_path):
    write(tmp_path / "a")
    for options, said in (
        ({"layer": "raw"}, "layer='raw'"),
        ({"obsm": ["X_pca"]}, "obsm"),
        ({"obs": ["x"]}, "barcode"),
    ):
        with pytest.raises(ArgumentValueError, match=said):
            open_collection(tmp_path / "a", **options)


def test_a_matrix_written_anew_with_the_same_size_and_time_is_read_anew(tmp_path):
    for values in (COUNTS, COUNTS + (COUNTS == 1)):
        path = write(tmp_path / "a", values, packed=False) / "matrix.mtx"
        os.utime(path, ns=(1, 1))
        collection = open_collection(path)
        assert np.array_equal(collection.read(np.arange(40))["X"].toarray(), values)


def test_a_copy_that_vanishes_is_told_by_the_name_of_the_users_file(tmp_path, monkeypatch):
    monkeypatch.setenv("SCDATASET_CACHE_DIR", str(tmp_path / "cache"))
    path = write(tmp_path / "a") / "matrix.mtx.gz"
    collection = open_collection(path)
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(DamagedFileError, match=f"The copy of {path} in the cache has vanished"):
        collection.read(np.arange(40))
