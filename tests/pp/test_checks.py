"""Values that a statistic does not take."""

import numpy as np
import pytest
import scipy.sparse as sp

from scdataset import ArgumentValueError
from scdataset.pp.checks import check_counts, check_fractional, check_not_negative

COUNTS = sp.csr_matrix(np.array([[0, 3.0], [1, 0]]))


@pytest.mark.parametrize(
    ("wrong", "said"), [(-1.0, "values from -1.0"), (np.nan, "1 that are"), (np.inf, "1 that are")]
)
def test_negative_missing_and_infinite_values_are_refused(wrong, said):
    damaged = COUNTS.copy()
    damaged.data[1] = wrong
    for check in (check_not_negative, check_counts):
        check(COUNTS, "qc")
        with pytest.raises(ArgumentValueError, match=f"qc takes .*{said}"):
            check(damaged, "qc")


def test_counts_and_logarithms_are_told_apart():
    check_fractional(COUNTS.log1p(), "seurat")
    check_fractional(COUNTS[:0], "seurat")
    with pytest.raises(ArgumentValueError, match="seurat takes logarithms"):
        check_fractional(COUNTS, "seurat")
    with pytest.raises(ArgumentValueError, match="qc takes counts, and 1 of 2 values is not whole"):
        check_counts(COUNTS.log1p().multiply(1 / np.log(4)).tocsr(), "qc")
