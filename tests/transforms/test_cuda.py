"""Values that are looked at, and memory that is locked, before they are sent to a device."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from scdataset import ArgumentValueError
from scdataset.engine.buffers import BufferPool
from scdataset.transforms import Compose, Log1p, NormalizeTotal, to_device
from scdataset.transforms.cuda import _check, _in_memory

COUNTS = sp.random(300, 700, 0.1, "csr", dtype=np.float32, random_state=0)
STEPS = Compose(NormalizeTotal(1e4), Log1p())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_memory_that_a_device_still_reads_is_not_written_to():
    list(to_device([COUNTS], "cuda"))  # pages are locked from here on
    buffers = BufferPool(is_of_windows=True)
    window = buffers.empty(1 << 22, np.float32)
    window[:] = 1
    assert torch.from_numpy(window).is_pinned()
    torch.cuda._sleep(1_000_000_000)
    copied = torch.from_numpy(window).to("cuda", non_blocking=True)
    del window
    buffers.empty(1 << 22, np.float32)[:] = 0
    assert copied.min().item() == 1


def test_tensors_that_are_on_a_device_already_are_refused():
    assert list(_in_memory([torch.zeros(1)])) == [torch.zeros(1)]
    with pytest.raises(ArgumentValueError, match="tensors on meta"):
        list(_in_memory([torch.zeros(1), torch.zeros(1, device="meta")]))


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "u2"])
@pytest.mark.parametrize("form", [sp.csr_matrix, np.asarray])
def test_values_are_looked_at_before_they_are_sent(dtype, form):
    counts = np.arange(1, 101).reshape(50, 2).astype(dtype)
    counts[3, 0] = 0
    _check(STEPS.transforms, form(counts), tells_kind=False)
    for wrong in (-1, np.nan, np.inf):
        damaged = counts.copy()
        if counts.dtype.kind == "f" or (wrong == -1 and dtype == "i4"):
            damaged[40, 1] = wrong
            with pytest.raises(ArgumentValueError):
                _check(STEPS.transforms, form(damaged), tells_kind=False)


def test_logarithms_and_damaged_totals_are_refused_before_they_are_sent():
    logged = STEPS(COUNTS)
    with pytest.raises(ArgumentValueError, match="logarithms"):
        _check(STEPS.transforms, logged, tells_kind=True)
    _check(STEPS.transforms, logged, tells_kind=False)
    totals = np.ones(300)
    totals[200] = np.nan
    with pytest.raises(ArgumentValueError, match="row 200"):
        _check([NormalizeTotal()], {"X": COUNTS, "total_counts": totals}, tells_kind=False)
