"""ToJax and ToCupy: the arrays of ToTorch in other frameworks."""

from importlib.util import find_spec

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from scdataset import (
    ArgumentTypeError,
    ArgumentValueError,
    BlockShuffling,
    MissingDependencyError,
    MultiIndexable,
    scDataset,
)
from scdataset.transforms import Compose, Log1p, NormalizeTotal, ToCupy, ToJax, ToTorch, to_device

COUNTS = sp.random(60, 90, 0.2, "csr", dtype=np.float32, random_state=0)
BATCH = MultiIndexable(X=COUNTS, label=np.arange(60, dtype=np.int8), keep=np.arange(60) % 2 == 0)
needs_jax = pytest.mark.skipif(find_spec("jax") is None, reason="jax is not installed")
needs_gpu = pytest.mark.skipif(
    find_spec("cupy") is None or not torch.cuda.is_available(), reason="CuPy is not installed, or there is no GPU"
)


@needs_jax
def test_jax_arrays_have_the_values_and_types_of_the_batch():
    made = ToJax()(BATCH)
    assert str(made["X"].dtype) == "float32"
    assert np.array_equal(np.asarray(made["X"]), COUNTS.toarray())
    assert np.array_equal(np.asarray(made["label"]), np.arange(60))
    assert made["keep"].dtype == bool
    half = ToJax(ToTorch(dtype=torch.bfloat16))(COUNTS)
    assert str(half.dtype) == "bfloat16"


@needs_jax
def test_jax_csr_and_a_chosen_device():
    import jax

    (device,) = jax.devices("cpu")[:1]
    made = ToJax(ToTorch(layout="csr"), device)(BATCH)
    assert np.array_equal(np.asarray(made["X"].todense()), COUNTS.toarray())
    assert made["label"].devices() == {device}


@needs_jax
def test_jax_arrays_that_are_kept_stay_as_they_were():
    ahead = Compose(NormalizeTotal(1e4), Log1p(), ToJax())
    large = sp.random(600, 3000, 0.1, "csr", dtype=np.float32, random_state=0)
    kept = list(scDataset(large, BlockShuffling(1), 300, 1, seed=0, batch_transform=ahead))
    known = scDataset(large, BlockShuffling(1), 300, 1, seed=0, batch_transform=Compose(*ahead.transforms[:2]))
    assert all(np.array_equal(np.asarray(a), b.toarray()) for a, b in zip(kept, known, strict=True))


@needs_gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64], ids=str)
def test_cupy_arrays_have_the_values_of_the_batch(dtype):
    made = ToCupy(ToTorch(dtype=dtype))(BATCH)
    assert str(made["X"].dtype) == str(dtype).removeprefix("torch.")
    assert np.array_equal(made["X"].get(), COUNTS.toarray().astype(made["X"].dtype))
    assert np.array_equal(made["label"].get(), np.arange(60))


@needs_gpu
def test_cupy_csr_and_tensors_that_are_on_the_device():
    assert np.array_equal(ToCupy(ToTorch(layout="csr"))(BATCH)["X"].toarray().get(), COUNTS.toarray())
    (batch,) = to_device([BATCH], "cuda")
    made = ToCupy()(batch)
    assert made["X"].data.ptr == batch["X"].data_ptr()


@pytest.mark.parametrize("transform", [ToJax, ToCupy])
def test_arguments_are_checked_and_a_missing_package_is_named(transform, monkeypatch):
    with pytest.raises(ArgumentTypeError, match="to_torch"):
        transform("dense")
    name = {ToJax: "jax", ToCupy: "cupy"}[transform]
    monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(MissingDependencyError, match=f"pip install {name}"):
        transform()(BATCH)


def test_cupy_has_no_bfloat16():
    with pytest.raises(ArgumentValueError, match="bfloat16"):
        ToCupy(ToTorch(dtype=torch.bfloat16))
