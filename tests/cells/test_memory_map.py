"""Rows copied from a memory map of their file: those that are read without one, and the same errors."""

import multiprocessing
import os
import pickle
import sys
import threading
from contextlib import suppress
from pathlib import Path

import anndata
import h5py
import numpy as np
import pytest
import scipy.sparse as sp
from torch.utils.data import DataLoader

from scdataset import Streaming, open_collection, scDataset
from scdataset.engine.bytes import memory_map
from scdataset.engine.bytes.memory_map import MemoryMap
from scdataset.errors import ArgumentTypeError, CollectionError, DamagedFileError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems cannot be asked for pages")

N_ROWS = 300


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("cells") / "cells.h5ad"
    matrix = sp.random(N_ROWS, 700, 0.2, "csr", np.float32, np.random.default_rng(0))
    anndata.AnnData(matrix, obsm={"dense": matrix[:, :9].toarray()}).write_h5ad(path)
    return path


@pytest.fixture
def path(written, tmp_path):
    copy = tmp_path / "cells.h5ad"
    copy.write_bytes(written.read_bytes())
    return copy


@pytest.fixture
def in_small_chunks(path):
    with h5py.File(path, "r+") as file:
        for name in ("data", "indices"):
            values = file["X"][name][:]
            del file["X"][name]
            file["X"].create_dataset(name, data=values, chunks=(1000,))
    return path


def is_mapped(path):
    return str(path) in Path("/proc/self/maps").read_text()


def orders():
    rng = np.random.default_rng(1)
    yield from (np.arange(N_ROWS), rng.permutation(N_ROWS), rng.integers(0, N_ROWS, 500), np.array([7]), np.arange(0))


@pytest.mark.parametrize("kind", ["path", "in_small_chunks"])
def test_rows_are_those_that_are_read(request, kind):
    path = request.getfixturevalue(kind)
    read = open_collection(path, obsm=["dense"])
    with open_collection(path, obsm=["dense"], memory_map=True) as mapped:
        for rows in orders():
            one, other = read[rows], mapped[rows]
            assert (one["X"] != other["X"]).nnz == 0
            assert np.array_equal(one["X"].indptr, other["X"].indptr)
            assert np.array_equal(one["dense"], other["dense"])
        assert is_mapped(path)


def test_it_is_unmapped_when_the_collection_is_closed(path):
    with open_collection(path, memory_map=True) as cells:
        cells[np.arange(9)]
        assert is_mapped(path)
    assert not is_mapped(path)


def test_files_are_read_unless_a_map_is_asked_for(path):
    with open_collection(path) as cells:
        cells[np.arange(9)]
        assert not is_mapped(path)
    with pytest.raises(ArgumentTypeError, match="memory_map"):
        open_collection(path, memory_map="yes")


def test_worker_processes_map_the_file_themselves(path):
    cells = open_collection(path, memory_map=True)
    cells[np.arange(9)]
    dataset = scDataset(cells, Streaming(), 50)
    here = [batch["X"].toarray() for batch in dataset]
    there = [batch["X"].toarray() for batch in DataLoader(dataset, None, num_workers=1)]
    again = [batch["X"].toarray() for batch in pickle.loads(pickle.dumps(dataset))]
    for batches in (there, again):
        assert all(np.array_equal(one, other) for one, other in zip(here, batches, strict=True))


def cut(path):
    os.truncate(path, 9000)


def replace(path):
    other = path.with_suffix(".new")
    other.write_bytes(path.read_bytes())
    other.replace(path)


@pytest.mark.parametrize("change", [cut, replace, Path.unlink])
@pytest.mark.parametrize("begun", [False, True], ids=["before it is mapped", "once it is mapped"])
def test_changed_files_are_errors(path, change, begun):
    """In another process, since a map that is wrong ends it."""

    def read(connection):
        cells = open_collection(path, memory_map=True)
        if begun:
            cells[np.arange(N_ROWS)]
        change(path)
        try:
            cells[np.arange(N_ROWS)]
        except DamagedFileError as error:
            connection.send(str(error))

    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=read, args=(there,))
    process.start()
    there.close()
    assert path.name in here.recv()
    process.join()
    assert process.exitcode == 0


def test_column_numbers_outside_the_matrix_are_refused(path):
    with h5py.File(path, "r+") as file:
        file["X/indices"][5000] = 700
    with (
        open_collection(path, memory_map=True) as cells,
        pytest.raises(DamagedFileError, match=r"X/indices has column numbers outside \[0, 700\)"),
    ):
        cells[np.arange(N_ROWS)]


@pytest.mark.parametrize("refuses", [OSError, ValueError])
def test_files_that_the_system_does_not_map_are_read(path, monkeypatch, refuses):
    def refuse(*_):
        raise refuses

    monkeypatch.setattr(MemoryMap, "__init__", refuse)
    with open_collection(path, memory_map=True) as cells:
        assert cells[np.arange(N_ROWS)]["X"].shape == (N_ROWS, 700)
        assert not is_mapped(path)


def test_a_map_is_made_anew_once_much_of_it_was_read(path, monkeypatch):
    monkeypatch.setattr(memory_map, "_MOST_BYTES", 1)
    with open_collection(path) as read, open_collection(path, memory_map=True) as mapped:
        for rows in orders():
            assert (read[rows]["X"] != mapped[rows]["X"]).nnz == 0


def test_no_more_files_are_mapped_than_a_process_may(path, monkeypatch):
    monkeypatch.setattr(memory_map, "_MOST_MAPS", 0)
    with open_collection(path, memory_map=True) as cells:
        cells[np.arange(9)]
        assert not is_mapped(path)


@pytest.mark.slow
def test_a_file_that_is_cut_again_and_again_never_ends_the_process_that_reads_it(path):
    """Without a map: rows are right, or there is an error, 1,000 times."""
    stored = path.read_bytes()
    expected = open_collection(path)[np.arange(N_ROWS)]["X"].toarray()
    done = threading.Event()

    def cut_and_mend():
        for size in np.random.default_rng(2).integers(9000, len(stored), 1000):
            os.truncate(path, int(size))
            path.write_bytes(stored)
        done.set()

    thread = threading.Thread(target=cut_and_mend)
    thread.start()
    while not done.is_set():
        with suppress(DamagedFileError, CollectionError):
            assert np.array_equal(open_collection(path)[np.arange(N_ROWS)]["X"].toarray(), expected)
    thread.join()
