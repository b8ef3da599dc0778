"""Types that values are converted to."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from scdataset.engine.matrices.value_types import converted, delivered_type
from scdataset.errors import ArgumentTypeError, ArgumentValueError


def test_types_are_those_that_numpy_understands():
    assert delivered_type("CSR", "float32") == np.float32
    assert delivered_type("dense", np.float16) == np.float16


@pytest.mark.parametrize(
    ("kind", "wanted", "error", "said"),
    [
        ("CSR", "flaot32", ArgumentTypeError, "not a type of numbers"),
        ("CSR", pd.Series(["a"], dtype="category"), ArgumentTypeError, "not a type of numbers"),
        ("dense", "complex64", ArgumentValueError, "real numbers"),
        ("dense", ">f4", ArgumentValueError, "byte order"),
        ("CSR", "f2", ArgumentValueError, "no sparse matrices of float16"),
    ],
)
def test_other_types_are_refused(kind, wanted, error, said):
    with pytest.raises(error, match=said):
        delivered_type(kind, wanted)


@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_matrix])
def test_integers_take_the_values_that_they_hold_and_no_others(form):
    counts = np.array([[1.0, 300.0]])
    assert converted(form(counts), np.dtype("u2")).dtype == np.uint16
    for wrong in (counts, counts + 0.5, np.array([[np.nan, 1]])):
        with pytest.raises(ArgumentValueError, match=r"dtype='uint8' would change"):
            converted(form(wrong), np.dtype("u1"))
