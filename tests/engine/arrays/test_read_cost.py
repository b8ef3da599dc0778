"""The cost of a read is known before it is made: chunks and bytes are those that the read then touches."""

import h5py
import numpy as np
import pytest
import scipy.sparse

from scdataset import open_collection
from scdataset.engine.arrays import stored_arrays
from scdataset.engine.arrays.read_cost import ReadCost

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


@pytest.fixture
def pieces(monkeypatch):
    """The chunks that were decoded, by array and number."""
    seen = []
    decode = stored_arrays.piece_of
    monkeypatch.setattr(
        stored_arrays, "piece_of", lambda chunks, number: seen.append((chunks.name, number)) or decode(chunks, number)
    )
    return seen


@pytest.mark.parametrize("chunk", [7, 64, 1000, 3600])
@pytest.mark.parametrize(
    "rows", [np.arange(300), np.array([5, 290, 6, 7, 5]), np.arange(0, 300, 17), np.array([], int)]
)
def test_the_chunks_of_a_read_are_those_that_are_decoded(tmp_path, pieces, chunk, rows):
    cells = write(tmp_path / "a.h5ad", chunk, "gzip")
    cost = cells.read_cost(rows)
    assert not pieces
    cells.read(rows)
    assert cost.n_chunks == len(pieces) == len(set(pieces))
    assert cost.bytes_decoded == len(pieces) * chunk * 4
    assert cost.bytes_used == int(np.diff(matrix().indptr)[rows].sum()) * 8
    with h5py.File(tmp_path / "a.h5ad") as file:
        sizes = sum(file[name].id.get_chunk_info(number).size for name, number in pieces)
    assert cost.bytes_read == sizes


def test_plain_bytes_have_no_chunks_and_gaps_are_read_along(tmp_path):
    cells = write(tmp_path / "a.h5ad", None, None)
    lengths = np.diff(matrix().indptr)
    cost = cells.read_cost(np.arange(0, 300, 2))
    assert (cost.n_chunks, cost.largest_chunk) == (0, 0)
    assert cost.bytes_used == lengths[::2].sum() * 8
    assert cost.bytes_read == lengths[:299].sum() * 8  # rows are short: one run
    assert cost.amplification == pytest.approx(cost.bytes_read / cost.bytes_used)
    far = cells.read_cost(np.array([0, 299]))
    assert far.bytes_read == far.bytes_used == (lengths[0] + lengths[299]) * 8


def test_the_memory_of_a_result_is_that_of_its_arrays(tmp_path):
    cells = write(tmp_path / "a.h5ad", None, None)
    rows = np.array([3, 200, 7, 3])
    read = cells.read(rows)["X"]
    assert cells.read_cost(rows).bytes_made == read.data.nbytes + read.indices.nbytes + read.indptr.nbytes


def test_costs_add_up_and_one_that_is_unknown_makes_the_sum_unknown():
    one, other = ReadCost(1, 10, 20, 5, 8, 4), ReadCost(2, 1, 1, 1, 1, 9)
    assert one + other == ReadCost(3, 11, 21, 6, 9, 9)
    assert one + ReadCost.unknown(3) == ReadCost(None, None, None, None, 11, None)
    assert ReadCost.unknown().amplification is None
    assert ReadCost().amplification is None
