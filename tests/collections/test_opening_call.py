"""A path given as a collection is answered with the call that opens it."""

from scdataset.collections.opening_call import opening_call


def test_the_call_can_be_copied():
    assert opening_call("cells.h5ad").startswith("open_collection('cells.h5ad') or anndata.read_h5ad('cells.h5ad')")
