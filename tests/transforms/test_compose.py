"""Compose: what it takes and what it refuses."""

import pytest

from scdataset import ArgumentTypeError
from scdataset.transforms import Compose, Log1p, NormalizeTotal, ToTorch


@pytest.mark.parametrize(
    ("transforms", "message"),
    [
        ([[NormalizeTotal(), Log1p()]], r"Transform 0 is of type list, which cannot be called; give Compose\(a, b\)"),
        ([NormalizeTotal(), Log1p], r"Transform 1 is the class Log1p; give an object of it, such as Log1p\("),
    ],
)
def test_what_cannot_be_called_on_cells_is_refused(transforms, message):
    with pytest.raises(ArgumentTypeError, match=message):
        Compose(*transforms)


def test_what_makes_rows_larger_is_divided_from_what_is_done_with_windows():
    first, dense = Log1p(), ToTorch()
    assert Compose(first, dense, first).divided() == (Compose(first), Compose(dense, first))
    assert Compose(Compose(dense)).divided() == (None, Compose(Compose(dense)))
    for whole in (Compose(first), Compose(dense, lambda window: window), Compose()):
        assert whole.divided() == (whole, None)
