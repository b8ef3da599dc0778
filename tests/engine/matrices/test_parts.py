"""Parts of a read, and matrices stacked one below the other."""

import numpy as np

from scdataset.engine.matrices.parts import Part


def test_rows_in_any_order_are_one_part_in_ascending_order():
    [part] = Part.whole("matrix", np.array([5, 1, 5]))
    assert part.rows.tolist() == [1, 5, 5]
    out = np.empty(3, np.int64)
    out[part.places] = part.rows
    assert out.tolist() == [5, 1, 5]
