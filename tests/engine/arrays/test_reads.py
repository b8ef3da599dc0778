"""Reads of several arrays at once."""

import numpy as np
import pytest
from tests.engine.arrays.plain_files import plain_array

from scdataset.engine.arrays.many_files import MANY
from scdataset.engine.arrays.reads import Read, run_reads
from scdataset.engine.arrays.spans import Columns, Spans
from scdataset.engine.context import ReadContext
from scdataset.engine.threads import Threads
from scdataset.errors import DamagedFileError

SPANS = Spans(np.array([1, 6, 7]), np.array([3, 0, 2]), np.array([2, 0, 0]))


def context():
    return ReadContext(Threads(2))


def test_elements_come_to_their_places_and_become_the_type_of_the_output(tmp_path):
    stored, out = np.arange(10, dtype="i2"), np.full(5, -1.0)
    run_reads([Read(plain_array(tmp_path / "a", stored, 4), SPANS, out)], context())
    assert out.tolist() == [7, 8, 1, 2, 3]


@pytest.mark.parametrize("n_files", [MANY - 1, MANY + 1])
def test_few_and_many_files_give_the_same(tmp_path, n_files):
    arrays = [np.arange(10, dtype="f4") + 100 * number for number in range(n_files)]
    outs = np.zeros(5 * n_files, "f4"), np.zeros(5 * n_files, "f8")
    for out in outs:
        reads = [
            Read(plain_array(tmp_path / f"{k}", one, 4), Spans(SPANS.starts, SPANS.lengths, SPANS.places + 5 * k), out)
            for k, one in enumerate(arrays)
        ]
        run_reads(reads, context())
        assert out.reshape(-1, 5).tolist() == [one[[7, 8, 1, 2, 3]].tolist() for one in arrays]


def test_a_column_number_out_of_range_is_told_with_the_file_and_the_array(tmp_path):
    array = plain_array(tmp_path / "indices", np.array([0, 1, 5, 2, 0, 0, 0, 0, 1], "i4"), 9)
    columns = Columns(5, np.empty(0, np.int32))
    with pytest.raises(DamagedFileError, match=r"indices: chunk 0 of indices has column numbers outside \[0, 5\)"):
        run_reads([Read(array, SPANS, np.zeros(5, "i4"), columns)], context())
