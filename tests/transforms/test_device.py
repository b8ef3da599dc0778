"""to_device: the same tensors as ToTorch makes, on a device, and the state of what was given."""

import itertools
from itertools import islice

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from tests.examples import often
from torch.utils.data import DataLoader

from scdataset import (
    ArgumentTypeError,
    ArgumentValueError,
    BlockShuffling,
    MultiIndexable,
    Streaming,
    open_collection,
    scDataset,
)
from scdataset.simulation import simulate_atlas
from scdataset.transforms import Clip, Compose, Log1p, NormalizeTotal, ToTorch, to_device

COUNTS = sp.random(300, 700, 0.1, "csr", dtype=np.float32, random_state=0)
LABELS = np.arange(300, dtype=np.int8) % 5
STEPS = Compose(NormalizeTotal(1e4), Log1p())
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]


def cells(matrix=COUNTS):
    return MultiIndexable(X=matrix, label=LABELS[: matrix.shape[0]])


def dataset(matrix=COUNTS, **options):
    return scDataset(cells(matrix), BlockShuffling(4), 32, 4, seed=0, **options)


def expected(matrix=COUNTS, transform=None, to_torch=None):
    steps = [step for step in (transform, to_torch or ToTorch()) if step is not None]
    return list(dataset(matrix, batch_transform=Compose(*steps)))


def dense(tensor):
    return (tensor if tensor.layout is torch.strided else tensor.to_dense()).cpu().double().numpy()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("depth", [1, 3, 50])
@pytest.mark.parametrize("layout", ["dense", "csr"])
def test_batches_are_those_of_to_torch(device, depth, layout):
    to_torch = ToTorch(layout=layout)
    given = list(to_device(dataset(), device, depth, to_torch=to_torch))
    for batch, known in zip(given, expected(to_torch=to_torch), strict=True):
        assert batch["X"].device.type == batch["label"].device.type == device
        assert batch["X"].layout is known["X"].layout
        assert np.array_equal(dense(batch["X"]), dense(known["X"]))
        assert torch.equal(batch["label"].cpu(), known["label"])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("stored", ["i4", "u2", "f8"])
def test_any_stored_type_becomes_the_wanted_one(device, dtype, stored):
    matrix, to_torch = COUNTS.astype(stored), ToTorch(dtype=dtype)
    for batch, known in zip(
        to_device(dataset(matrix), device, to_torch=to_torch), expected(matrix, None, to_torch), strict=True
    ):
        assert batch["X"].dtype == dtype
        assert torch.equal(batch["X"].cpu(), known["X"])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("matrix", [COUNTS, COUNTS.toarray(), COUNTS.astype("i8")], ids=["csr", "dense", "whole"])
def test_a_transform_gives_what_it_gives_in_memory(device, matrix):
    for batch, known in zip(to_device(dataset(matrix), device, transform=STEPS), expected(matrix, STEPS), strict=True):
        np.testing.assert_allclose(dense(batch["X"]), dense(known["X"]), rtol=3e-7)
        assert torch.equal(batch["label"].cpu(), known["label"])


@pytest.mark.parametrize("device", DEVICES)
def test_total_counts_beside_x_are_used(device):
    totals = np.linspace(1e3, 2e4, 300)
    beside = MultiIndexable(X=COUNTS, total_counts=totals)
    steps = NormalizeTotal(1e4)
    given = to_device(scDataset(beside, Streaming(), 32), device, transform=steps)
    for batch, known in zip(given, scDataset(beside, Streaming(), 32, batch_transform=steps), strict=True):
        assert np.array_equal(dense(batch["X"]), known["X"].toarray())


@pytest.mark.parametrize("device", DEVICES)
def test_matrices_frames_of_members_and_workers_are_taken(device):
    alone = list(to_device(scDataset(COUNTS, Streaming(), 100), device))
    assert np.array_equal(np.vstack([dense(part) for part in alone]), COUNTS.toarray())
    loader = DataLoader(dataset(), batch_size=None, num_workers=1, multiprocessing_context="fork")
    batches = to_device(loader, device)
    assert len(batches) == len(loader) == 10
    given = list(batches)
    assert all(
        np.array_equal(dense(batch["X"]), dense(known["X"])) for batch, known in zip(given, expected(), strict=True)
    )


@pytest.mark.parametrize("device", DEVICES)
def test_columns_in_any_order_and_twice_are_added_up(device):
    matrix = sp.csr_matrix((np.arange(1.0, 6.0), [4, 1, 1, 0, 0], [0, 3, 5]), (2, 6))
    for layout in ("dense", "csr"):
        (batch,) = to_device([matrix], device, to_torch=ToTorch(layout=layout))
        assert dense(batch).tolist() == [[0, 5, 0, 0, 1, 0], [9, 0, 0, 0, 0, 0]]


@pytest.mark.parametrize("device", DEVICES)
def test_batches_that_are_kept_stay_as_they_were(device):
    kept = list(to_device(dataset(), device))
    assert np.array_equal(np.sort(np.vstack([dense(b["X"]) for b in kept]), 0), np.sort(COUNTS.toarray(), 0))
    assert all(batch["label"].untyped_storage().nbytes() <= 1024 for batch in kept)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("depth", [1, 4])
def test_a_state_leaves_out_what_is_on_its_way(device, depth):
    batches, again = to_device(dataset(), device, depth), to_device(dataset(), device, depth)
    first = list(islice(iter(batches), 3))
    again.load_state_dict(batches.state_dict())
    both = first + list(again)
    assert all(torch.equal(a["X"].cpu(), b["X"]) for a, b in zip(both, expected(), strict=True))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("values", [[-1.0, 3.0], [np.nan, 1.0], [np.inf, 1.0]], ids=str)
def test_values_that_a_transform_refuses_are_refused(device, values):
    matrix = sp.csr_matrix(np.array([[1.0, 2.0]] * 40 + [values], np.float32))
    with pytest.raises(ArgumentValueError, match=r"NormalizeTotal|Log1p"):
        list(to_device([matrix], device, transform=STEPS))


@pytest.mark.parametrize("device", DEVICES)
def test_columns_beyond_the_matrix_are_an_error(device):
    matrix = COUNTS.copy()
    matrix.indices[5] = 700
    with pytest.raises(ValueError, match=r"column|indices"):
        list(to_device([matrix], device))


@pytest.mark.parametrize("device", DEVICES)
def test_missing_labels_are_refused(device):
    batches = [{"X": COUNTS, "label": np.array([-1] + [0] * 299)}]
    with pytest.raises(ArgumentValueError, match="1 missing label"):
        list(to_device(batches, device))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("chosen", [slice(None), [12, 3]], ids=["all genes", "two genes"])
def test_windows_of_files_arrive_as_they_are(device, chosen, tmp_path):
    simulated = simulate_atlas(tmp_path / "a.h5ad", n_cells=3000, n_genes=2000, genes_per_cell=400, progress=False)
    names = open_collection(simulated).var_names
    found = open_collection(simulated, genes=names[chosen])
    dataset = scDataset(found, BlockShuffling(4), 100, 10, seed=0)
    given = list(to_device(dataset, device, transform=STEPS))
    known = scDataset(found, BlockShuffling(4), 100, 10, seed=0, batch_transform=Compose(STEPS, ToTorch()))
    for batch, known_batch in zip(given, known, strict=True):
        np.testing.assert_allclose(dense(batch["X"]), dense(known_batch["X"]), rtol=3e-7)


def test_an_error_of_the_dataset_arrives():
    def broken(batch):
        message = "broken"
        raise RuntimeError(message)

    with pytest.raises(RuntimeError, match="broken"):
        list(to_device(dataset(batch_transform=broken), "cpu"))


def test_a_loop_may_stop_early():
    iterator = iter(to_device(dataset(), "cpu"))
    next(iterator)
    iterator.close()
    assert next(iterator, None) is None


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ({"batches": 5}, ArgumentTypeError, "int"),
        ({"device": "nowhere"}, ArgumentValueError, "nowhere"),
        ({"device": "cuda:99"}, ArgumentValueError, "cuda:99"),
        ({"device": None}, ArgumentTypeError, "NoneType"),
        ({"depth": 0}, ArgumentValueError, "depth=0"),
        ({"to_torch": "dense"}, ArgumentTypeError, "ToTorch"),
        ({"to_torch": ToTorch(device="cpu")}, ArgumentValueError, "leave it out"),
        ({"transform": Clip(maximum=1)}, ArgumentTypeError, "NormalizeTotal"),
        ({"transform": np.log1p}, ArgumentTypeError, "NormalizeTotal"),
    ],
)
def test_bad_arguments_are_refused_when_it_is_made(wrong, error, says):
    arguments = {"batches": dataset(), "device": "cpu", **wrong}
    with pytest.raises(error, match=says):
        to_device(**arguments)


@pytest.mark.parametrize(
    ("taken", "n_workers"),
    often(itertools.product([3, 10, 14], [0, 2]), lambda taken, workers: taken == 10 or not workers),
)
def test_a_state_of_any_epoch_goes_on_with_what_was_not_given(taken, n_workers):
    def batches():
        rows = scDataset(np.arange(100.0).reshape(100, 1), BlockShuffling(4), 10, 2, seed=0)
        workers = {"num_workers": n_workers, "multiprocessing_context": "fork" if n_workers else None}
        return to_device(DataLoader(rows, batch_size=None, **workers), "cpu")

    first, again = batches(), batches()
    seen = list(first) if taken > 10 else []
    seen = list(islice(iter(first), taken - len(seen)))
    again.load_state_dict(first.state_dict())
    rest = list(again)
    assert sorted(torch.cat((seen if taken % 10 else []) + rest)[:, 0].tolist()) == list(range(100))
