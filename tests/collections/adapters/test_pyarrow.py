"""pyarrow tables and arrays keep their type."""

import numpy as np
import pytest

from scdataset.collections import as_collection

pa = pytest.importorskip("pyarrow")


def test_rows_are_taken_in_order():
    table = pa.table({"a": [1, 2, 3]})
    assert as_collection(table).read(np.array([2, 0])).to_pydict() == {"a": [3, 1]}
    assert as_collection(table["a"]).read(np.array([2, 2])).to_pylist() == [3, 3]


def test_a_slice_shares_memory():
    from scdataset.collections.adapters.pyarrow import take

    array = pa.array(np.arange(5))
    assert take(array, slice(1, 4)).buffers()[1].address == array.buffers()[1].address
