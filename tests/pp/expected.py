"""Results of highly variable genes, compared with those of scanpy."""

import numpy as np


def assert_as_scanpy(found, expected, *, exact):
    """Compare columns, bit by bit or to twelve digits."""
    assert not set(expected.columns) - set(found.columns) - {"gene_name", "mean_bin"}
    assert found.index.equals(expected.index)
    for name in found.columns:
        ours, theirs = found[name].to_numpy(), expected[name].to_numpy()
        assert ours.dtype == theirs.dtype, name
        if exact or ours.dtype.kind != "f":
            assert np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f"), name
        else:
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12, err_msg=name)
