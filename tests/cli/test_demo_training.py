"""What the demo trains on: expression, and windows of it."""

import pickle
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from scdataset.cli._demo_training import Window, normalised, to_tensors
from scdataset.errors import CollectionError


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix, sp.csc_matrix])
def test_expression_is_the_logarithm_of_ten_thousand_counts_a_cell(container: Any) -> None:
    counts = np.array([[1, 3], [0, 0], [0, 8]])
    expected = np.log1p([[2500, 7500], [0, 0], [0, 10000]])
    np.testing.assert_allclose(normalised(container(counts)).toarray(), expected, rtol=1e-6)


def test_negative_counts_are_refused() -> None:
    with pytest.raises(CollectionError, match="negative"):
        normalised(np.array([[1.0, -1.0]]))


def test_transforms_reach_spawned_workers() -> None:
    window = Window("kind", ("a", "b"))
    assert pickle.loads(pickle.dumps(window)) == window
    assert pickle.loads(pickle.dumps(to_tensors)) is to_tensors
