"""Memory and buffers as small as the tests' files, so that these meet every branch that big ones do."""

import pytest

from scdataset.engine import buffers as output_buffers
from scdataset.engine.arrays import many_files, stored_arrays
from scdataset.engine.matrices import select, select_many


@pytest.fixture
def recycled(monkeypatch):
    """Hand out recycled memory for the smallest arrays."""
    monkeypatch.setattr(output_buffers, "_GRAIN", 64)


@pytest.fixture(params=["as shipped", "tiny"])
def buffers(request, monkeypatch):
    """Read with buffers and gaps as shipped, and with ones smaller than a row."""
    if request.param == "tiny":
        for module in (stored_arrays, many_files, select, select_many):
            monkeypatch.setattr(module, "BUFFER_BYTES", 64)
            monkeypatch.setattr(module, "GAP_BYTES", 16)
