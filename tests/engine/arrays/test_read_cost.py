"""The cost of a read is known before it is made: chunks and bytes are those that the read then touches."""

import h5py
import numpy as np
import pytest
import scipy.sparse

from scdataset import open_collection
from scdataset.engine.arrays.read_cost import ReadCost
from scdataset.engine.observer import Observer, observing

N_ROWS, N_GENES = 300, 40


def matrix():
    return scipy.sparse.random(N_ROWS, N_GENES, 0.3, format="csr", dtype=np.float32, random_state=0)


def write(path, chunk, compression):
    """Write an h5ad file of which X has chunks of so many elements."""
    stored = matrix()
    with h5py.File(path, "w") as file:
        group = file.create_group("X")
        group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": stored.shape})
        options = {} if chunk is None else {"chunks": (chunk,), "compression": compression}
        for name in ("data", "indices"):
            group.create_dataset(name, data=getattr(stored, name), **options)
        group["indptr"] = stored.indptr
        for name, length in (("obs", N_ROWS), ("var", N_GENES)):
            frame = file.create_group(name)
            names = np.array([f"{name}{k}" for k in range(length)], h5py.string_dtype())
            frame.create_dataset("_index", data=names).attrs.update(
                {"encoding-type": "string-array", "encoding-version": "0.2.0"}
            )
            frame.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "_index"})
            frame.attrs["column-order"] = np.array([], h5py.string_dtype())
    return open_collection(path, num_threads=1)


def reads(cells, rows):
    """Return the counts of a read."""
    with observing(Observer()) as observer:
        cells.read(rows)
    return observer.reads()


@pytest.mark.parametrize("chunk", [7, 64, 1000, 3600])
@pytest.mark.parametrize("rows", [np.arange(300), np.array([5, 290, 6, 7, 5]), np.arange(0, 300, 17)])
def test_the_chunks_and_bytes_of_a_read_are_those_that_are_read(tmp_path, chunk, rows):
    cells = write(tmp_path / "a.h5ad", chunk, "gzip")
    cost, made = cells.read_cost(rows), reads(cells, rows)
    assert (cost.chunks, cost.requests, cost.bytes) == (made.chunks, made.requests, made.bytes)
    assert cost.decoded_bytes == made.chunks * chunk * 4
    assert cost.used_bytes == int(np.diff(matrix().indptr)[rows].sum()) * 8
    assert cost.result_bytes == made.result_bytes


def test_plain_bytes_have_no_chunks_and_gaps_are_read_along(tmp_path):
    cells = write(tmp_path / "a.h5ad", None, None)
    lengths = np.diff(matrix().indptr)
    cost = cells.read_cost(np.arange(0, 300, 2))
    assert (cost.chunks, cost.largest_chunk) == (0, 0)
    assert cost.used_bytes == lengths[::2].sum() * 8
    assert cost.bytes == lengths[:299].sum() * 8  # rows are short: one run
    assert cost.amplification == pytest.approx(cost.bytes / cost.used_bytes)
    far = cells.read_cost(np.array([0, 299]))
    assert far.bytes == far.used_bytes == (lengths[0] + lengths[299]) * 8


@pytest.mark.parametrize("step", [1, 2, 50])
def test_the_bytes_of_a_plain_read_are_those_that_are_read(tmp_path, step):
    cells = write(tmp_path / "a.h5ad", None, None)
    rows = np.arange(0, 300, step)[::-1]
    cost, made = cells.read_cost(rows), reads(cells, rows)
    assert (cost.requests, cost.bytes, cost.result_bytes) == (made.requests, made.bytes, made.result_bytes)


def test_no_rows_cost_nothing(tmp_path):
    assert write(tmp_path / "a.h5ad", 64, "gzip").read_cost(np.array([], int)) == ReadCost()


def test_costs_add_up_and_one_that_is_unknown_makes_the_sum_unknown():
    one, other = ReadCost(1, 2, 10, 20, 5, 8, 4), ReadCost(2, 3, 1, 1, 1, 1, 9)
    assert one + other == ReadCost(3, 5, 11, 21, 6, 9, 9)
    assert one + ReadCost.unknown(3) == ReadCost(None, None, None, None, None, 11, None)
    assert ReadCost.unknown().amplification is None
    assert ReadCost().amplification is None
