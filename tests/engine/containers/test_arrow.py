"""Arrow files whose buffers contradict each other: an error that names the column, and no crash of the process."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from scdataset import DamagedFileError, open_collection
from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.containers.arrow import arrow_batches

HARMS = [(-5, 0), (2**30, 0), (-5, 5), (2**30, 5), (1, 5)]
"""Values of an offset, and which of the column's it is: negative, beyond all values, or less than the one before."""


def written(path):
    drug = pa.array([f"drug {row % 7}" for row in range(60)])
    rows = {
        "genes": pa.array([[row % 9, 9] for row in range(60)]),
        "expressions": pa.array([[1.0, 2.0]] * 60),
        "drug": drug,
        "plate": drug.dictionary_encode(),
    }
    table = pa.table(rows)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return str(path)


def offsets_of(path, name):
    """Return where the offsets of a column, or of its dictionary, are in the file."""
    with arrow_batches(LocalFile(path)) as ([batch], mapped):
        column = batch.column(name)
        values = column.dictionary if name == "plate" else column
        return values.buffers()[1].address - mapped.address


def opened(path):
    return open_collection(path, gene_table=10, obs=["drug", "plate"])


@pytest.mark.parametrize(("value", "place"), HARMS)
@pytest.mark.parametrize("name", ["genes", "expressions", "drug", "plate"])
def test_offsets_that_lead_elsewhere_are_refused(tmp_path, name, value, place):
    path = written(tmp_path / "a.arrow")
    assert len(opened(path)) == 60
    with Path(path).open("r+b") as file:
        file.seek(offsets_of(path, name) + 4 * place)
        file.write(np.int32(value).tobytes())
    with pytest.raises(DamagedFileError, match=rf"a\.arrow: the column {name} is damaged|do not lie within the file"):
        opened(path)


@pytest.mark.parametrize("name", ["genes", "drug"])
def test_buffers_that_are_too_small_are_refused(tmp_path, name):
    path = written(tmp_path / "a.arrow")
    content = (tmp_path / "a.arrow").read_bytes()
    with arrow_batches(LocalFile(path)) as ([batch], mapped):
        buffer = batch.column(name).buffers()[1]
        entry = np.array([buffer.address - mapped.address, buffer.size])
    body = next(at for at in range(0, 4096, 8) if content.find(np.array([at, entry[1]]).tobytes()) > 0)
    where = content.find(np.array([body, entry[1]]).tobytes())  # offset in the body and length, as the metadata has it
    with Path(path).open("r+b") as file:
        file.seek(where + 8)
        file.write(np.int64(0).tobytes())
    with pytest.raises(DamagedFileError, match=r"a\.arrow"):
        opened(path)


@pytest.mark.parametrize(
    ("new", "options", "said"),
    [
        (pa.ipc.new_file, {"compression": "zstd"}, "its footer has 3 record batches, and its stream 1"),
        (pa.ipc.new_file, {}, "its footer has 3 record batches, and its stream 1"),
        (pa.ipc.new_stream, {}, r"bytes follow the end of its stream"),
    ],
)
def test_a_stream_that_ends_before_its_last_batch_is_refused(tmp_path, new, options, said):
    path, table = tmp_path / "a.arrow", pa.table({"depth": np.arange(30.0)})
    with pa.OSFile(str(path), "wb") as sink, new(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as file:
        file.write_table(table, max_chunksize=10)
    content = path.read_bytes()
    begins = [at for at in range(0, len(content), 8) if content[at : at + 4] == b"\xff" * 4]
    path.write_bytes(content[: begins[2] + 4] + bytes(4) + content[begins[2] + 8 :])  # the second batch, as an end
    with pytest.raises(DamagedFileError, match=said), arrow_batches(LocalFile(str(path))):
        pass
    path.write_bytes(content + bytes(8) * (new is pa.ipc.new_stream))
    with arrow_batches(LocalFile(str(path))) as (batches, _):
        assert [batch.num_rows for batch in batches] == [10, 10, 10]
