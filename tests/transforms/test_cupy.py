"""Options of ToCupy; its arrays take a GPU."""

import sys

import numpy as np
import pytest
import torch

from scdataset import ArgumentValueError, MissingDependencyError
from scdataset.transforms import ToCupy, ToTorch


def test_a_type_that_cupy_lacks_is_refused_when_it_is_made():
    with pytest.raises(ArgumentValueError, match=r"torch\.bfloat16, which CuPy has not"):
        ToCupy(ToTorch(dtype=torch.bfloat16))


def test_a_missing_package_is_named_when_it_is_called(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(MissingDependencyError, match="pip install"):
        ToCupy()(np.eye(3))


def test_windows_are_left_to_batches():
    transform = ToCupy()
    assert transform.divided() == (None, transform)
    assert not transform.runs_ahead
