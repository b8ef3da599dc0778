"""Binned values: those of scGPT and Tahoe-x1, each of the ties by the key of its cell and gene."""

import pickle

import anndata
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy import stats
from tests.examples import rare

from scdataset import ArgumentTypeError, ArgumentValueError, MultiIndexable
from scdataset.transforms import BinValues, Compose, Log1p, MaskValues, NormalizeTotal, RowKeys, ToTorch

FALSE_ALARM = 1e-4
GENERATOR = np.random.default_rng(0)
COUNTS = GENERATOR.poisson(GENERATOR.gamma(0.3, 4, (40, 300))).astype(np.float32)
COUNTS[3] = 0  # an empty cell
COUNTS[4, 1:] = 0  # a cell of one gene
VALUES = {
    "counts": COUNTS,
    "normalised": Compose(NormalizeTotal(), Log1p())(COUNTS),
    "double": np.log1p(COUNTS * GENERATOR.random((40, 1))),
    "no ties": np.where(COUNTS > 0, GENERATOR.random(COUNTS.shape), 0).astype(np.float32),
}
in_all_values = pytest.mark.parametrize(
    "values",
    [
        pytest.param(values, marks=pytest.mark.slow if name == "double" else (), id=name)
        for name, values in VALUES.items()
    ],
)
ROWS = np.arange(40) * 1_000_003
KEYS = RowKeys(ROWS, seed=0, epoch=0)


def _first_and_last_bins(cell, n_bins):
    """Return the bins that scGPT draws from, of the values of a cell that are not zero."""
    edges = np.quantile(cell, np.linspace(0, 1, n_bins - 1))
    left, right = np.digitize(cell, edges), np.digitize(cell, edges, right=True)
    return np.minimum(right + 1, left), left


@in_all_values
@pytest.mark.parametrize("n_bins", [51, 4, 200])
def test_bins_are_among_those_of_scgpt(values, n_bins):
    binned = BinValues(n_bins)(sp.csr_matrix(values), KEYS)
    assert binned.dtype == np.int32
    for row, cell in zip(binned.toarray(), values, strict=True):
        assert np.array_equal(row == 0, cell == 0)
        if cell.any():
            first, last = _first_and_last_bins(cell[cell != 0], n_bins)
            assert np.all((first <= row[cell != 0]) & (row[cell != 0] <= last))


@pytest.mark.parametrize("n_distinct", [512, 513, 3000])
@pytest.mark.parametrize("dtype", ["f4", *rare("f8")])
def test_cells_of_many_distinct_values_are_binned_too(n_distinct, dtype):
    values = (
        np.random.default_rng(0).permutation(np.repeat(np.log1p(np.arange(1, n_distinct + 1)), 2))[None].astype(dtype)
    )
    first, last = _first_and_last_bins(values[0], 51)
    bins = BinValues(51)(values, RowKeys([0], seed=0, epoch=0))[0]
    assert np.all((first <= bins) & (bins <= last))
    edges = torch.quantile(torch.from_numpy(values[0].astype("f4")), torch.linspace(0, 1, 50))
    expected = torch.bucketize(torch.from_numpy(values[0].astype("f4")), edges) + 1
    assert np.array_equal(BinValues(51, mode="deterministic")(values)[0], expected)


def test_ties_come_into_each_of_their_bins_alike():
    cells = np.ones((2_000, 5), np.float32)  # every value equals all edges
    bins = BinValues(11)(cells, RowKeys(np.arange(2_000), seed=0, epoch=0))
    assert stats.chisquare(np.bincount(bins.ravel(), minlength=11)[1:]).pvalue > FALSE_ALARM
    again = BinValues(11)(cells, RowKeys(np.arange(2_000), seed=0, epoch=1))
    assert abs(np.corrcoef(bins.ravel(), again.ravel())[0, 1]) < 0.05
    assert abs(np.corrcoef(bins[:, 0], bins[:, 1])[0, 1]) < 0.1


@in_all_values
@pytest.mark.parametrize("n_bins", [51, 4, 200])
def test_deterministic_bins_are_those_of_tahoe(values, n_bins):
    binned = BinValues(n_bins, mode="deterministic")(sp.csr_matrix(values)).toarray()
    for row, cell in zip(binned, torch.from_numpy(values.astype(np.float32)), strict=True):
        there = cell != 0
        assert np.array_equal(row == 0, ~there.numpy())
        if there.any():
            edges = torch.quantile(cell[there], torch.linspace(0, 1, n_bins - 1))
            assert row[there].tolist() == (torch.bucketize(cell[there], edges, right=False) + 1).tolist()


@pytest.mark.parametrize("transform", [BinValues(), BinValues(9, mode="deterministic")], ids=repr)
def test_the_bins_of_a_cell_depend_on_nothing_beside_it(transform):
    arguments = (KEYS,) if transform.needs_keys else ()
    expected = transform(COUNTS, *arguments)
    some = np.array([7, 1, 30, 7])
    arguments = (RowKeys(ROWS[some], seed=0, epoch=0),) if transform.needs_keys else ()
    assert np.array_equal(transform(COUNTS[some], *arguments), expected[some])
    shuffled = sp.csr_matrix(COUNTS)[some]
    for row in range(4):  # columns in any order
        part = slice(shuffled.indptr[row], shuffled.indptr[row + 1])
        order = np.random.default_rng(row).permutation(part.stop - part.start)
        shuffled.indices[part] = shuffled.indices[part][order]
        shuffled.data[part] = shuffled.data[part][order]
    shuffled.has_sorted_indices = False
    assert np.array_equal(transform(shuffled, *arguments).toarray(), expected[some])


def test_seeds_epochs_and_streams_give_other_bins():
    found = [
        BinValues(stream=stream)(COUNTS, RowKeys(ROWS, seed=seed, epoch=epoch))
        for stream, seed, epoch in [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]
    ]
    assert len({bins.tobytes() for bins in found}) == 4


BATCHES = {
    "MultiIndexable": lambda matrix: MultiIndexable({"X": matrix, "y": np.arange(40)}),
    "dict": lambda matrix: {"X": matrix, "y": np.arange(40)},
    "AnnData": lambda matrix: anndata.AnnData(matrix, obs={"y": np.arange(40)}),
    "CSC": sp.csc_matrix,
    "dense": lambda matrix: matrix.toarray(),
    "integers": lambda matrix: matrix.astype(np.int64),
    "half floats": lambda matrix: matrix.toarray().astype(np.float16),
    "stored zeros": lambda matrix: sp.csr_matrix(
        (
            np.append(matrix.data, np.float32(0)),
            np.append(matrix.indices, 0),
            np.append(matrix.indptr[:-1], matrix.nnz + 1),
        ),
        matrix.shape,
    ),
}


@pytest.mark.filterwarnings("ignore:Transforming to str index")
@pytest.mark.parametrize("make", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize("transform", [BinValues(), BinValues(5, mode="deterministic")], ids=repr)
def test_batches_of_every_form_have_the_same_bins(make, transform):
    arguments = (KEYS,) if transform.needs_keys else ()
    batch = make(sp.csr_matrix(COUNTS))
    changed = transform(batch, *arguments)
    after = changed.X if isinstance(batch, anndata.AnnData) else changed
    after = changed["X"] if isinstance(changed, (dict, MultiIndexable)) else after
    assert np.array_equal(after.toarray() if sp.issparse(after) else after, transform(COUNTS, *arguments))
    if isinstance(changed, (dict, MultiIndexable)):
        assert np.array_equal(changed["y"], np.arange(40))


def test_bins_and_masks_become_tensors():
    batch = Compose(BinValues(), MaskValues(0.5), ToTorch())({"X": sp.csr_matrix(COUNTS)}, KEYS)
    assert batch["X"].dtype == torch.float32
    assert batch["X"].max() == 50
    assert batch["masked_X"].min() == -1


def test_it_is_its_options():
    transform = BinValues(9, mode="deterministic")
    assert pickle.loads(pickle.dumps(transform)) == transform != BinValues(9)
    assert transform.runs_ahead
    assert (transform.needs_keys, BinValues().needs_keys) == (False, True)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: BinValues(2), ArgumentValueError, "n_bins=2 is out of bounds"),
        (lambda: BinValues(5.0), ArgumentTypeError, "n_bins=5.0 is of type float"),
        (lambda: BinValues(mode="tahoe"), ArgumentValueError, 'give "scgpt" or "deterministic"'),
        (lambda: BinValues()(COUNTS), ArgumentTypeError, "BinValues needs the keys of the rows, and got None"),
        (lambda: BinValues()(COUNTS[:9], KEYS), ArgumentValueError, "keys of 40 rows for a batch of 9"),
        (
            lambda: BinValues()(COUNTS - 1, KEYS),
            ArgumentValueError,
            "such as -1.0 in row 0 and column",
        ),
        (lambda: BinValues()(np.array([[1.0], [np.nan]]), RowKeys([0, 1], 0, 0)), ArgumentValueError, "nan in row 1"),
        (lambda: BinValues()(np.array([[np.inf]]), RowKeys([0], 0, 0)), ArgumentValueError, "inf in row 0"),
        (lambda: BinValues()({"y": COUNTS}, KEYS), ArgumentValueError, r"there are \['y'\]"),
    ],
)
def test_what_cannot_be_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_columns_beyond_the_matrix_are_refused():
    matrix = sp.csr_matrix(np.eye(3))
    matrix.indices[1] = 7
    with pytest.raises(ArgumentValueError, match="X is no CSR matrix"):
        BinValues(mode="deterministic")(matrix)
