"""ToTorch: batches as tensors that models and losses take."""

import pickle

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from torch.utils.data import DataLoader

from scdataset import ArgumentTypeError, ArgumentValueError, BlockShuffling, MultiIndexable, scDataset
from scdataset.transforms import Compose, Log1p, NormalizeTotal, ToTorch

X = sp.random(300, 700, 0.1, "csr", dtype=np.float32, random_state=0)
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("stored", ["f4", "f8", "i4", "u2", "i8"])
def test_a_sparse_matrix_becomes_dense_in_any_type(dtype, stored):
    matrix = sp.csr_matrix((X.data * 100).astype(stored).reshape(1, -1))
    tensor = ToTorch(dtype=dtype)(matrix)
    assert tensor.dtype == dtype
    assert torch.equal(tensor, torch.from_numpy(matrix.toarray().astype(np.float64)).to(dtype))


@pytest.mark.parametrize("is_strided", [True, False])
def test_values_may_be_read_only_or_apart_in_memory(is_strided):
    matrix = X.copy()
    matrix.data = np.repeat(X.data, 2)[::2] if is_strided else X.data.copy()
    matrix.data.flags.writeable = is_strided
    assert np.array_equal(ToTorch()(matrix).numpy(), X.toarray())


@pytest.mark.parametrize("form", [sp.csr_array, sp.csc_matrix, sp.coo_matrix])
def test_sparse_matrices_of_any_format_are_taken(form):
    assert np.array_equal(ToTorch()(form(X)).numpy(), X.toarray())


def test_columns_in_any_order_and_twice_are_added_up():
    matrix = sp.csr_matrix((np.arange(1.0, 6.0), [4, 1, 1, 0, 0], [0, 3, 5]), (2, 6))
    expected = [[0, 5, 0, 0, 1, 0], [9, 0, 0, 0, 0, 0]]
    assert ToTorch()(matrix).tolist() == expected
    assert ToTorch(layout="csr")(matrix).to_dense().tolist() == expected
    assert matrix.indices.tolist() == [4, 1, 1, 0, 0]


def test_columns_beyond_the_matrix_are_an_error():
    matrix = sp.csr_matrix(np.eye(3, dtype=np.float32))
    matrix.indices[1] = 7
    with pytest.raises(ValueError, match="indices"):
        ToTorch()(matrix)


@pytest.mark.parametrize("pointers", [[0, 9, 1, 3], [0, 1, 2, 9], [-1, 1, 2, 3]])
def test_row_pointers_that_lead_elsewhere_are_an_error(pointers):
    matrix = sp.csr_matrix(np.eye(3, dtype=np.float32))
    matrix.indptr[:] = pointers
    with pytest.raises(ArgumentValueError, match="row pointers do not ascend"):
        ToTorch()(matrix)


def test_csr_tensors_share_the_memory_of_the_matrix():
    tensor = ToTorch(layout="csr")(X)
    assert tensor.layout is torch.sparse_csr
    assert tensor.values().data_ptr() == X.data.ctypes.data
    assert np.array_equal(tensor.to_dense().numpy(), X.toarray())


def test_every_modality_gets_the_type_that_a_model_takes():
    batch = MultiIndexable(
        X=X[:3],
        label=np.array([1, 0, 1], np.int8),
        age=np.array([1.5, 2, 3]),
        is_control=np.array([True, False, True]),
        embedding=np.ones((3, 2)),
        cell_type=pd.Categorical(["b", "a", "b"]),
        nested=MultiIndexable(X=X[:3]),
    )
    tensors = ToTorch()(batch)
    assert list(tensors) == batch.names
    kinds = {name: tensor.dtype for name, tensor in tensors.items() if name != "nested"}
    assert kinds == {
        "X": torch.float32,
        "label": torch.int64,
        "age": torch.float32,
        "is_control": torch.bool,
        "embedding": torch.float32,
        "cell_type": torch.int64,
    }
    assert tensors["cell_type"].tolist() == [1, 0, 1]
    assert torch.equal(tensors["nested"]["X"], tensors["X"])
    halves = ToTorch(dtype=torch.bfloat16)(batch)
    assert (halves["X"].dtype, halves["age"].dtype) == (torch.bfloat16, torch.float32)


def test_anndata_gives_its_x():
    assert np.array_equal(ToTorch()(anndata.AnnData(X))["X"].numpy(), X.toarray())


def test_missing_labels_are_refused_or_become_what_is_asked_for():
    batch = {"X": X[:3], "cell_type": np.array([0, -1, -1], np.int8)}
    with pytest.raises(ArgumentValueError, match=r"'cell_type' has 2 missing labels \(-1\) among 3 cells"):
        ToTorch()(batch)
    assert ToTorch(missing_label=-100)(batch)["cell_type"].tolist() == [0, -100, -100]


def test_kept_tensors_keep_their_values():
    to_torch, wide = ToTorch(), sp.random(64, 9000, 0.01, "csr", dtype=np.float32, random_state=0)
    kept = [to_torch(wide * (k + 1)) for k in range(6)]
    for k, tensor in enumerate(kept):
        assert np.array_equal(tensor.numpy(), (wide * (k + 1)).toarray())


def test_memory_is_used_again_once_a_tensor_has_died():
    to_torch, wide = ToTorch(), sp.random(64, 9000, 0.01, "csr", dtype=np.float32, random_state=0)
    places = {to_torch(wide).data_ptr() for _ in range(8)}
    assert len(places) == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_loops_give_tensors_that_a_module_and_a_loss_take(workers):
    cells = MultiIndexable(X=X, label=np.arange(300).astype(np.int8) % 5)
    transform = Compose(NormalizeTotal(), Log1p(), ToTorch())
    dataset = scDataset(cells, BlockShuffling(4), 32, batch_transform=transform, seed=0)
    model = torch.nn.Linear(700, 5)
    for batch in DataLoader(dataset, batch_size=None, num_workers=workers):
        torch.nn.functional.cross_entropy(model(batch["X"]), batch["label"]).backward()
    assert model.weight.grad.isfinite().all()


def test_it_is_its_options():
    transform = ToTorch("csr", torch.float64, missing_label=-100)
    assert pickle.loads(pickle.dumps(transform)) == transform
    assert ToTorch() == ToTorch(layout="dense")
    assert repr(ToTorch()).startswith("ToTorch(layout='dense', dtype=torch.float32, device=None, missing_label=None")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ToTorch("wide"), ArgumentValueError, "layout='wide'"),
        (lambda: ToTorch(dtype=torch.int8), ArgumentValueError, "dtype=torch.int8; give one of torch.float32"),
        (lambda: ToTorch(dtype="float32"), ArgumentTypeError, "dtype='float32'"),
        (lambda: ToTorch("csr", torch.float16), ArgumentValueError, "few operations take"),
        (lambda: ToTorch(device="gpu0"), ArgumentValueError, "device='gpu0' is no device; give 'cpu', 'cuda'"),
        (lambda: ToTorch(device=99)(np.eye(2)), ArgumentValueError, "device=99 is not on this machine"),
        (lambda: ToTorch(device=-3), ArgumentValueError, "device=-3 is out of bounds"),
        (lambda: ToTorch(device=1.5), ArgumentTypeError, "device=1.5 is no device"),
        (lambda: ToTorch(device="cuda:99")(np.eye(2)), ArgumentValueError, "device='cuda:99' is not on this machine"),
        (lambda: ToTorch(missing_label=0.5), ArgumentTypeError, "missing_label=0.5 is of type float"),
        (lambda: ToTorch(tokens=3), ArgumentTypeError, "tokens is of type int; give a list of names"),
        (lambda: ToTorch(tokens=[3]), ArgumentTypeError, "tokens has 3 of type int"),
        (lambda: ToTorch()({"donor": np.array(["a"])}), ArgumentTypeError, "'donor'"),
        (lambda: ToTorch()({"obs": pd.DataFrame({"a": [1]})}), ArgumentTypeError, "'obs'"),
    ],
)
def test_what_cannot_be_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("tokens", ["input_ids", ["input_ids"]])
def test_names_of_tokens_may_be_a_list_or_one_name(tokens):
    transform = ToTorch(tokens=tokens)
    assert hash(transform) == hash(ToTorch(tokens=("input_ids",)))
    batch = transform({"input_ids": np.eye(2), "ids": np.eye(2)})
    assert (batch["input_ids"].dtype, batch["ids"].dtype) == (torch.int64, torch.float32)


def test_tokens_become_int64_and_masks_stay_booleans():
    ids, mask = np.array([[3, 0]], np.int32), np.array([[True, False]])
    batch = ToTorch(tokens=("input_ids", "mine"))(
        {"input_ids": ids, "mine": ids, "counts": ids, "attention_mask": mask}
    )
    kinds = [tensor.dtype for tensor in batch.values()]
    assert kinds == [torch.int64, torch.int64, torch.float32, torch.bool]
    assert batch["input_ids"].tolist() == [[3, 0]]


@pytest.mark.parametrize("layout", ["dense", "csr"])
def test_tensors_stay_with_their_values_whatever_the_default_device_is(layout):
    with torch.device("meta"):
        tensor = ToTorch(layout=layout)(sp.csr_matrix(np.eye(4, 3, dtype="f4")))
    assert tensor.device == torch.device("cpu")
