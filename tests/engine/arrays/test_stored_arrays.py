"""Spans of plain bytes, and parts of about equal size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.arrays.plain_files import SPANS, plain_array, read_spans

from scdataset.engine.arrays.spans import Spans
from scdataset.engine.arrays.stored_arrays import PlainArray, equal_tasks
from scdataset.engine.bytes.local import LocalFile
from scdataset.errors import DamagedFileError


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 8))
def test_parts_follow_each_other_and_none_is_far_larger_than_others(sizes, n_parts):
    tasks = equal_tasks(range, np.array(sizes, np.int64), n_parts)
    parts = [(first, last) for _, first, last in tasks]
    assert all(work is range for work, *_ in tasks)
    assert [place for part in parts for place in range(*part)] == list(range(len(sizes)))
    assert len(parts) <= n_parts
    assert all(sum(sizes[slice(*part)]) <= sum(sizes) / n_parts + max(sizes) for part in parts)


@pytest.mark.parametrize("chunk", [2, 5, 20])
def test_spans_go_across_chunks_wherever_these_lie(tmp_path, chunk):
    array = plain_array(tmp_path / "a", np.arange(20, dtype="f4"), chunk)
    assert read_spans(array) == [*range(3, 10), *range(1, 6)]
    (tmp_path / "a").write_bytes(b"short")
    with pytest.raises(DamagedFileError):
        read_spans(array)


@pytest.mark.parametrize("is_there", [True, False])
def test_all_spans_are_announced_unless_they_are_in_memory(tmp_path, monkeypatch, is_there):
    array = plain_array(tmp_path / "a", np.arange(20, dtype="f4"), 5)
    monkeypatch.setattr(LocalFile, "is_in_memory", lambda _, offsets: is_there)
    told = []
    monkeypatch.setattr(LocalFile, "announce", lambda _, *ranges: told.append(np.transpose(ranges).tolist()) or True)
    assert bool(array.announce(SPANS)) is not is_there
    assert told == ([] if is_there else [[[64, 16], [40, 4], [72, 8], [40, 20]]])
    nothing = PlainArray(array.file, "b", array.dtype, 5, np.empty(0, np.int64))
    assert not nothing.announce(Spans(*np.zeros((3, 2), np.int64)))
