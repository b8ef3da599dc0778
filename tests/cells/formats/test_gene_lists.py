"""Rows that are lists of genes and values: equal to what pyarrow and Hugging Face datasets return."""

import pickle
import warnings

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import scipy.sparse
from tests.examples import rare

from scdataset import BlockShuffling, hf_tahoe_to_tensor, open_collection, scDataset
from scdataset.errors import ArgumentTypeError, ArgumentValueError, CollectionError, DamagedFileError
from scdataset.testing.object_server import ObjectServer

IDS = np.random.default_rng(9).permutation(np.arange(3, 60))  # as in a vocabulary, where special tokens come first
NAMES = {int(number): f"gene{number}" for number in IDS}


def table(n_rows=70, seed=0, *, kind="int64", values="float32", special=False, large=False):
    """Make rows as Tahoe-100M has them; ``special`` puts a token that is no gene at the start of each."""
    rng = np.random.default_rng(seed)
    genes = [rng.choice(IDS, rng.integers(0, 20), replace=False) for _ in range(n_rows)]
    counts = [rng.integers(1, 99, row.size).astype("f4") for row in genes]
    if special:
        genes, counts = [np.append(1, row) for row in genes], [np.append(np.float32(-2), row) for row in counts]
    listed = pa.large_list if large else pa.list_
    return pa.table(
        {
            "genes": pa.array([row.tolist() for row in genes], listed(getattr(pa, kind)())),
            "drug": rng.choice(["DMSO", "A", "B"], n_rows),
            "expressions": pa.array([row.tolist() for row in counts], listed(getattr(pa, values)())),
            "plate": rng.integers(0, 14, n_rows),
        }
    )


def dense(rows):
    """Return what the table holds, by way of Python lists."""
    out = np.zeros((rows.num_rows, IDS.size))
    place = {int(number): i for i, number in enumerate(IDS)}
    for i, (genes, values) in enumerate(zip(rows["genes"].to_pylist(), rows["expressions"].to_pylist(), strict=True)):
        for gene, value in zip(genes, values, strict=True):
            if gene in place:
                out[i, place[gene]] += value
    return out


def write(path, rows, *, file=False, compression=None, chunk=16):
    options = pa.ipc.IpcWriteOptions(compression=compression)
    new = pa.ipc.new_file if file else pa.ipc.new_stream
    with new(str(path), rows.schema, options=options) as writer:
        writer.write_table(rows, max_chunksize=chunk)
    return str(path)


def write_any(path, rows, how):
    if how == "parquet":
        pa.parquet.write_table(rows, path, row_group_size=20)
        return str(path)
    return write(path, rows, file="file" in how, compression="zstd" if "zstd" in how else None)


def assert_rows(collection, rows, seed=1):
    wanted = np.random.default_rng(seed).integers(0, rows.num_rows, 150)
    batch = collection.read(wanted)
    assert scipy.sparse.issparse(batch["X"])
    np.testing.assert_array_equal(batch["X"].toarray(), dense(rows)[wanted])
    return wanted, batch


@pytest.mark.parametrize("how", ["stream", "file", "stream zstd", "file zstd", "parquet"])
def test_rows_of_every_kind_of_file(tmp_path, how):
    rows = table()
    collection = open_collection(write_any(tmp_path / "a", rows, how), gene_table=NAMES, obs=["drug", "plate"])
    assert collection.shape == (70, IDS.size)
    wanted, batch = assert_rows(collection, rows)
    assert np.array_equal(batch["plate"], rows["plate"].to_numpy()[wanted])
    assert collection.categories["drug"][batch["drug"]].tolist() == rows["drug"].take(wanted).to_pylist()
    assert collection.var_names.tolist() == list(NAMES.values())
    assert collection.files == [str(tmp_path / "a")]
    assert_rows(pickle.loads(pickle.dumps(collection)), rows)


@pytest.mark.parametrize("kind", ["int32", "uint64", *rare("uint16", "int8")])
@pytest.mark.parametrize("values", ["int32", "float64", "uint8"])
@pytest.mark.parametrize("large", [False, True])
def test_rows_of_every_type(tmp_path, kind, values, large):
    rows = table(kind=kind, values=values, large=large)
    collection = open_collection(write(tmp_path / "a.arrow", rows), gene_table=NAMES, num_threads=2)
    _, batch = assert_rows(collection, rows)
    assert batch["X"].dtype == values


def test_slices_and_batches_without_values(tmp_path):
    parts = [table(9).slice(3, 4), table(5).slice(0, 0), table(30, seed=2).slice(11)]
    rows = pa.concat_tables(parts)
    collection = open_collection(write(tmp_path / "a.arrow", rows), gene_table=NAMES)
    assert_rows(collection, rows)
    empty = pa.table(
        {"genes": pa.array([[], []], pa.list_(pa.int64())), "expressions": pa.array([[], []], pa.list_(pa.float32()))}
    )
    assert open_collection(write(tmp_path / "b.arrow", empty), gene_table=NAMES).read(np.array([1, 0]))["X"].nnz == 0


def test_a_data_set_that_hugging_face_saved(tmp_path):
    rows = table(200)
    saved = datasets.Dataset(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        saved.save_to_disk(tmp_path / "saved", num_shards=3)
    (tmp_path / "saved" / "cache-1234.arrow").write_bytes(b"left by a map")
    collection = open_collection(tmp_path / "saved", gene_table=NAMES, obs=["drug"])
    assert len(collection.files) == 3
    wanted, batch = assert_rows(collection, rows)
    loaded = datasets.load_from_disk(str(tmp_path / "saved"))[wanted.tolist()]
    same = hf_tahoe_to_tensor(loaded, num_genes=60).numpy()
    assert np.array_equal(batch["X"].toarray(), same[:, IDS])
    assert collection.categories["drug"][batch["drug"]].tolist() == list(loaded["drug"])


def test_splits_and_selections_of_hugging_face_are_refused(tmp_path):
    saved = datasets.Dataset(table(20))
    datasets.DatasetDict({"train": saved, "test": saved}).save_to_disk(str(tmp_path / "both"))
    with pytest.raises(ArgumentValueError, match=r"holds the splits \['test', 'train'\]"):
        open_collection(tmp_path / "both", gene_table=NAMES)
    assert len(open_collection(tmp_path / "both" / "train", gene_table=NAMES)) == 20


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.symlink_to(path)])
def test_a_file_of_hugging_face_that_is_gone_or_a_loop_is_told_by_name(tmp_path, make):
    datasets.Dataset(table(20)).save_to_disk(str(tmp_path / "saved"), num_shards=2)
    lost = tmp_path / "saved" / "data-00001-of-00002.arrow"
    lost.unlink()
    make(lost)
    with pytest.raises(DamagedFileError, match=f"{lost} cannot be read"):
        open_collection(tmp_path / "saved", gene_table=NAMES)


def test_a_list_of_files_without_an_end_is_not_read_into_memory(tmp_path):
    with (tmp_path / "state.json").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(DamagedFileError, match=r"state\.json: the list of files cannot be read"):
        open_collection(tmp_path, gene_table=NAMES)


def test_a_folder_of_parquet_is_copied_once(tmp_path, monkeypatch):
    parts = [table(30, seed) for seed in range(3)]
    for i, part in enumerate(parts):
        pa.parquet.write_table(part, tmp_path / f"part-{i}.parquet")
    assert_rows(open_collection(tmp_path, gene_table=NAMES), pa.concat_tables(parts))
    monkeypatch.setattr("scdataset.engine.containers.arrow._write_plain", None)
    assert_rows(open_collection(tmp_path, gene_table=NAMES), pa.concat_tables(parts))


def test_a_copy_with_a_flipped_bit_is_made_again_or_told_by_the_name_of_the_users_file(tmp_path, monkeypatch):
    monkeypatch.setenv("SCDATASET_CACHE_DIR", str(tmp_path / "cache"))
    rows, path = table(6000), tmp_path / "a.parquet"
    pa.parquet.write_table(rows, path)
    open_collection(path, gene_table=NAMES)
    [made] = (tmp_path / "cache").iterdir()
    rng, told = np.random.default_rng(0), 0
    for _ in range(12):
        stored = bytearray((made / "rows.arrow").read_bytes())
        stored[rng.integers(len(stored))] ^= 1 << rng.integers(8)
        (made / "rows.arrow").write_bytes(stored)
        try:
            assert_rows(open_collection(path, gene_table=NAMES, obs=["drug"]), rows)
        except DamagedFileError as error:
            assert f"The copy of {path} in the cache" in str(error)  # noqa: PT017 it may be made again, too
            told += 1
            assert_rows(open_collection(path, gene_table=NAMES, obs=["drug"]), rows)
    assert 0 < told < 12


def test_ids_that_no_gene_has_are_refused_or_dropped(tmp_path):
    rows = table(special=True)
    path = write(tmp_path / "a.arrow", rows)
    with pytest.raises(CollectionError, match=r"a\.arrow: 70 values of 70 cells are of 1 genes .* such as \[1\]"):
        open_collection(path, gene_table=NAMES).read(np.arange(70))
    collection = open_collection(path, gene_table=NAMES, unknown_genes="drop")
    _, batch = assert_rows(collection, rows)
    assert batch["X"].data.min() > 0
    with pytest.raises(ArgumentValueError, match="unknown_genes='skip'"):
        open_collection(path, gene_table=NAMES, unknown_genes="skip")


def test_every_form_of_the_table_of_genes(tmp_path):
    path = write(tmp_path / "a.arrow", table())
    frame = pd.DataFrame({"gene_symbol": list(NAMES.values()), "ensembl_id": [f"E{i}" for i in IDS], "token_id": IDS})
    frame.to_parquet(tmp_path / "genes.parquet")
    frame.to_csv(tmp_path / "genes.csv", index=False)
    for form in (
        frame.set_index("token_id"),
        tmp_path / "genes.parquet",
        str(tmp_path / "genes.csv"),
        pd.Series(NAMES),
    ):
        collection = open_collection(path, gene_table=form)
        assert_rows(collection, table())
        assert collection.var_names.tolist() == list(NAMES.values())
        assert list(collection.var.columns) == ([] if isinstance(form, pd.Series) else ["ensembl_id"])
    found = open_collection(path, gene_table=60)[:]["X"].toarray()
    assert np.array_equal(found[:, IDS], dense(table()))


@pytest.mark.parametrize(
    ("form", "error", "said"),
    [
        (None, ArgumentValueError, "give gene_table"),
        ([1, 2], ArgumentTypeError, "of type list"),
        ({"a": 3}, ArgumentTypeError, "have to be integers"),
        (True, ArgumentTypeError, "of type bool"),
        (pd.DataFrame({"a": ["x", "y"]}, index=[3, 3]), ArgumentValueError, r"more than once: \[3\]"),
    ],
)
def test_tables_of_genes_that_are_none(tmp_path, form, error, said):
    with pytest.raises(error, match=said):
        open_collection(write(tmp_path / "a.arrow", table()), gene_table=form)


def test_columns_that_are_no_lists_of_numbers(tmp_path):
    rows = table(8)
    path = write(tmp_path / "a.arrow", rows)
    for lists, error in (
        (("genes", "x"), ArgumentValueError),
        (("genes",), ArgumentValueError),
        (("genes", "plate"), CollectionError),
    ):
        with pytest.raises(error, match=r"a\.arrow"):
            open_collection(path, gene_table=NAMES, gene_lists=lists)
    renamed = write(tmp_path / "b.arrow", rows.rename_columns(["ids", "drug", "counts", "plate"]))
    assert_rows(open_collection(renamed, gene_table=NAMES, gene_lists=("ids", "counts")), rows)
    with pytest.raises(ArgumentValueError, match=r"no column 'x'; it has \['drug', 'plate'\]"):
        open_collection(path, gene_table=NAMES, obs=["x"])
    lacking = pa.table({"genes": [[3], None], "expressions": [[1.0], [2.0]]})
    with pytest.raises(CollectionError, match="lacks 1 list and 0 values"):
        open_collection(write(tmp_path / "c.arrow", lacking), gene_table=NAMES)
    uneven = pa.table({"genes": [[3], [3, 4]], "expressions": [[1.0], [2.0]]})
    with pytest.raises(DamagedFileError, match="row 1 has 2 genes and 1 expressions"):
        open_collection(write(tmp_path / "d.arrow", uneven), gene_table=NAMES)
    negative = write(tmp_path / "e.arrow", pa.table({"genes": [[-3]], "expressions": [[1.0]]}))
    with pytest.raises(DamagedFileError, match=r"e\.arrow: .* of genes has column numbers outside"):
        open_collection(negative, gene_table=NAMES).read(np.array([0]))


@pytest.mark.parametrize("how", ["stream", "file", "stream zstd", "parquet"])
def test_files_that_are_cut_are_refused(tmp_path, how):
    path = write_any(tmp_path / "a", table(500), how)
    whole = (tmp_path / "a").read_bytes()
    for kept in (len(whole) // 2, 20):
        (tmp_path / "a").write_bytes(whole[:kept])
        with pytest.raises((DamagedFileError, CollectionError), match=f"{path}"):
            open_collection(path, gene_table=NAMES)[:]


def test_a_file_that_is_cut_while_it_is_read(tmp_path):
    path = write(tmp_path / "a.arrow", table(500))
    collection = open_collection(path, gene_table=NAMES)
    with (tmp_path / "a.arrow").open("r+b") as file:
        file.truncate(3000)
    with pytest.raises(DamagedFileError, match=r"a\.arrow was replaced or changed"):
        collection.read(np.arange(500))


def test_it_is_read_in_batches(tmp_path):
    rows = table(90)
    collection = open_collection(write(tmp_path / "a.arrow", rows), gene_table=NAMES)
    order = np.concatenate(list(scDataset(range(90), BlockShuffling(4), 16, 2, seed=0)))
    batches = list(scDataset(collection, BlockShuffling(4), 16, 2, seed=0))
    assert np.array_equal(scipy.sparse.vstack([batch["X"] for batch in batches]).toarray(), dense(rows)[order])


@pytest.mark.parametrize("name", ["genes.csv", "genes.parquet"])
def test_the_table_of_genes_may_be_in_a_bucket(tmp_path, name):
    pytest.importorskip("obstore")
    frame = pd.DataFrame({"id": [0, 1, 2], "gene": ["a", "b", "c"]})
    frame.to_csv(tmp_path / "genes.csv", index=False)
    frame.to_parquet(tmp_path / "genes.parquet")
    pa.parquet.write_table(pa.table({"genes": [[0, 2]], "expressions": [[1.0, 2.0]]}), tmp_path / "cells.parquet")
    with ObjectServer({name: (tmp_path / name).read_bytes()}) as server:
        table_of_genes = {"gene_table": server.s3(name), "storage_options": server.options}
        with open_collection(tmp_path / "cells.parquet", **table_of_genes) as cells:
            assert cells.var_names.tolist() == ["a", "b", "c"]
