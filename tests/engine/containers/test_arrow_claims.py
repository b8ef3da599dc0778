"""Bytes that record batches of Arrow say they take."""

import io

import pyarrow as pa
import pytest

from scdataset.engine.containers.arrow_claims import claimed_size

TABLE = pa.table({"x": pa.array(range(50_000), pa.int64()), "d": pa.array(["a", "b"] * 25_000).dictionary_encode()})


def stream(compression, table=TABLE):
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=10_000)
    return pa.py_buffer(sink.getvalue())


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_compressed_batches_take_what_they_hold(compression):
    n_batches, n_bytes = claimed_size(stream(compression))
    assert n_batches == 5
    assert TABLE.nbytes <= n_bytes <= 1.1 * TABLE.nbytes


def test_batches_that_are_not_compressed_take_no_more_than_the_file():
    assert claimed_size(stream(None)) == (5, 0)


def test_bytes_that_end_early_end_the_count():
    whole = stream("zstd").to_pybytes()
    assert claimed_size(pa.py_buffer(whole[: len(whole) // 2]))[0] < 5


def test_a_batch_that_claims_more_than_it_holds_is_told():
    table = pa.table({"x": pa.array(range(50_000), pa.int64())})
    content = bytearray(stream("zstd", table).to_pybytes())
    at = content.index((80_000).to_bytes(8, "little"))
    content[at : at + 8] = (1 << 40).to_bytes(8, "little")
    assert claimed_size(pa.py_buffer(bytes(content)))[1] == 4 * 80_000 + (1 << 40)
