"""Handles on files go elsewhere as paths, and belong to the process that opened them."""

import io
import multiprocessing
import pickle

import h5py
import numpy as np
import pytest
from tests.collections.files import Own, h5py_dataset, memmap
from tests.collections.reference import CUBE, N_ROWS, X

from scdataset import CollectionError, MultiIndexable, Streaming, as_collection, scDataset
from scdataset.collections.handles import OwnedHandle, dumps, loads

LARGE = np.arange(200_000, dtype=np.float32).reshape(-1, 5)
HANDLES = ["h5py 1-D", "memmap", "memmap part", "AnnData dense backed", "AnnCollection CSR backed", "zarr zip"]


def rows_of(container, dataset):
    return [row for batch in dataset for row in container.rows(batch)]


def test_a_dataset_that_was_pickled_reads_the_same(container):
    dataset = container.dataset()
    list(dataset)
    again = pickle.loads(pickle.dumps(dataset))
    assert rows_of(container, again) == list(range(N_ROWS))
    assert again._collection.fingerprint() == dataset._collection.fingerprint()


@pytest.mark.parametrize("name", HANDLES)
def test_a_handle_in_a_collection_of_the_users_own_is_pickled(built, name):
    container = built(name)
    again = pickle.loads(pickle.dumps(scDataset(Own(container.data), Streaming(), 5)))
    assert rows_of(container, again) == list(range(N_ROWS))


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: MultiIndexable(x=x), Own], ids=["bare", "modality", "own"])
@pytest.mark.parametrize(
    "make", [lambda folder: memmap(folder / "x", LARGE), lambda folder: h5py_dataset(folder, LARGE, {})]
)
def test_values_are_not_pickled(tmp_path, make, wrap):
    dataset = scDataset(wrap(make(tmp_path)), Streaming(), 5)
    assert len(pickle.dumps(dataset)) < LARGE.nbytes / 50


VIEWS = {
    "rows": lambda x: x[3:9],
    "a single row": lambda x: x[4],
    "every other row, backwards": lambda x: x[20:2:-2],
    "columns": lambda x: x[:, 1:3],
    "transposed": lambda x: x.T,
    "reshaped": lambda x: x.reshape(-1),
    "as bytes": lambda x: x.view(np.uint8),
    "a part of a part": lambda x: x[5:][2:][:, ::2],
    "no rows": lambda x: x[9:9],
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_any_view_of_a_memmap_stays_a_memmap_of_the_same_bytes(tmp_path, view):
    part = view(memmap(tmp_path / "x", X, offset=20))
    again = loads(dumps(part))
    assert type(again) is type(part)
    assert again.dtype == part.dtype
    assert np.array_equal(again, part)
    assert part.size == 0 or (again.filename == tmp_path / "x" and not again.flags.writeable)
    assert np.array_equal(loads(dumps(again)), part)


def test_a_memmap_in_fortran_order_and_a_field_of_one_keep_their_values(tmp_path):
    fortran = np.memmap(tmp_path / "f", np.uint16, "w+", shape=CUBE.shape, order="F")
    fortran[:] = CUBE
    records = np.memmap(tmp_path / "r", [("a", "u1"), ("b", "<i4")], "w+", shape=(9,))
    records["b"] = np.arange(9)
    assert np.array_equal(loads(dumps(fortran)), CUBE)
    assert np.array_equal(loads(dumps(records["b"])), np.arange(9))


def test_what_was_written_to_a_copy_on_write_memmap_goes_along(tmp_path):
    memmap(tmp_path / "x", X)
    changed = np.memmap(tmp_path / "x", X.dtype, "c", shape=X.shape)
    changed[3] = 7
    assert np.array_equal(loads(dumps(changed)), changed)


def test_a_file_that_is_closed_stays_closed_and_anndata_opens_it_again(built):
    container = built("AnnData dense backed")
    container.data.file.close()
    assert not loads(dumps(container.data)).file.is_open
    assert rows_of(container, pickle.loads(pickle.dumps(container.dataset()))) == list(range(N_ROWS))
    assert rows_of(container, container.dataset()) == list(range(N_ROWS))


def test_a_dataset_of_a_closed_file_is_not_pickled(tmp_path):
    dataset = h5py_dataset(tmp_path, X, {})
    dataset.file.close()
    with pytest.raises(CollectionError, match="open the file again"):
        dumps(dataset)


def test_a_file_that_has_no_path_is_not_pickled():
    file = h5py.File(io.BytesIO(), "w")
    with pytest.raises(CollectionError, match="driver 'fileobj'"):
        dumps(file.create_dataset("x", data=X))


def test_a_relative_path_holds_in_another_folder(tmp_path, monkeypatch):
    h5py_dataset(tmp_path, X, {}).file.close()
    monkeypatch.chdir(tmp_path)
    with h5py.File("data.h5", "r") as file:
        pickled = dumps(file["group"])
    monkeypatch.chdir("/")
    assert np.array_equal(loads(pickled)["x"], X)


def test_a_file_open_for_writing_is_refused_before_a_worker_is_spawned(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        dataset = scDataset(file.create_dataset("x", data=X), Streaming(), 5)
        assert pickle.dumps(dataset)
        process = multiprocessing.get_context("spawn").Process(target=len, args=(dataset,))
        with pytest.raises(CollectionError, match='open it with mode "r"'):
            process.start()


def report(collections, connection):
    """Send, for each collection, whether its handle is another one than before the fork."""
    before = [id(vars(collection)["_source"]) for collection in collections]
    connection.send([id(collection.source) != old for collection, old in zip(collections, before, strict=True)])


def test_a_handle_is_opened_again_after_a_fork_and_the_old_one_is_left_alone(built):
    containers = [built(name) for name in ("h5py 1-D", "zarr zip")]
    collections = [container.collection() for container in containers]
    assert all(isinstance(collection, OwnedHandle) for collection in collections)
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=report, args=(collections, there))
    process.start()
    assert here.recv() == [True, True]
    process.join()
    assert [collection.source for collection in collections] == [container.data for container in containers]


@pytest.mark.parametrize("read", [slice(0, 3), slice(N_ROWS - 1, None, -5)])
def test_reading_leaves_the_file_of_an_anndata_open(built, read):
    adata = built("AnnData CSR backed").data
    stored = adata.X
    as_collection(adata).read(np.arange(N_ROWS)[read])
    assert np.array_equal(stored[:3].toarray(), X[:3])
