"""Reads of a window: the bytes of its rows and no others, or the chunks that hold them."""

import anndata
import h5py
import numpy as np
import pytest
import scipy.sparse as sp

from scdataset.cells.formats.probe import probing
from scdataset.cells.formats.registry import Options, open_file
from scdataset.engine.threads import Threads
from scdataset.insight.limits import WindowReads

N_OBS, N_VARS = 300, 2000


@pytest.fixture
def opened(tmp_path):
    """Return a function that writes a matrix with some chunks, and opens it."""
    files = []

    def opened(matrix, **options):
        path = tmp_path / f"{len(files)}.h5ad"
        anndata.AnnData(matrix).write_h5ad(path)
        if options:
            with h5py.File(path, "a") as file:
                for name in ("X/data", "X/indices"):
                    values = file[name][:]
                    del file[name]
                    file.create_dataset(name, data=values, **options)
        with probing(str(path)) as probe:
            files.append(open_file(probe, Options()))
        return files[-1].matrix

    yield opened
    for file in files:
        file.close()


def sparse():
    return sp.random(N_OBS, N_VARS, 0.6, "csr", "f4", random_state=0)


def test_plain_rows_are_their_bytes_and_neighbours_are_one_range(opened):
    matrix = sparse()
    rows = np.array([0, 1, 2, 200])
    stored = opened(matrix, chunks=None)
    reads = WindowReads.from_rows([stored], [0, N_OBS], rows)
    n = np.diff(matrix.indptr)[rows].sum()
    assert reads.n_bytes == n * 8
    assert [begins.size for _, begins, _ in reads.plain] == [2, 2]


def test_encoded_rows_are_the_chunks_that_hold_them(opened):
    matrix = sparse()
    stored = opened(matrix, chunks=(5000,), compression="gzip")
    reads = WindowReads.from_rows([stored], [0, N_OBS], np.array([0, 299]))
    last = (matrix.nnz - 1) // 5000
    assert [numbers.tolist()[0] for _, numbers in reads.encoded] == [0, 0]
    assert [numbers.tolist()[-1] for _, numbers in reads.encoded] == [last, last]
    assert reads.n_bytes == 0


def test_rows_of_several_files_are_read_of_each(opened):
    one, other = opened(sparse(), chunks=None), opened(sparse(), chunks=None)
    reads = WindowReads.from_rows([one, other], [0, N_OBS, 2 * N_OBS], np.array([5, N_OBS + 5]))
    assert len(reads.plain) == 4
    assert len({ends[-1] - begins[0] for _, begins, ends in reads.plain}) == 1


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_read_is_done_once_by_some_thread(opened, count):
    threads = Threads(count)
    for stored in (opened(sparse(), chunks=None), opened(sparse(), chunks=(500,), compression="gzip")):
        reads = WindowReads.from_rows([stored], [0, N_OBS], np.arange(0, N_OBS, 7))
        reads.run(threads, reads.buffers(threads))
    threads.close()


def test_storage_of_another_kind_has_no_limit():
    assert WindowReads.from_rows([object()], [0, 3], np.arange(3)) is None
