"""polars frames are taken column by column."""

import numpy as np
import pytest

from scdataset.collections import as_collection
from scdataset.errors import CollectionError

pl = pytest.importorskip("polars")


def test_frames_and_series_keep_their_type():
    frame = pl.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]})
    assert as_collection(frame).read(np.array([2, 0])).rows() == [(3, "z"), (1, "x")]
    assert as_collection(frame["b"]).read(np.array([2, 0])).to_list() == ["z", "x"]


def test_a_lazy_frame_is_refused():
    with pytest.raises(CollectionError, match=r"give data.collect\(\)"):
        as_collection(pl.LazyFrame({"a": [1]}))
