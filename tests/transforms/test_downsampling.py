"""Downsampled counts: drawn without replacement, exactly, by the key of each cell."""

import pickle

import anndata
import numpy as np
import pytest
import scipy.sparse as sp
from scipy import stats
from tests.examples import rare

from scdataset import ArgumentTypeError, ArgumentValueError, MultiIndexable
from scdataset.transforms import DownsampleCounts, RowKeys

FALSE_ALARM = 1e-4
COUNTS = np.random.default_rng(0).poisson(np.random.default_rng(1).gamma(0.3, 6, (60, 50))).astype(np.float32)
ROWS = np.arange(60)
KEYS = RowKeys(ROWS, seed=0, epoch=0)


def test_genes_of_a_cell_are_drawn_together():
    cells = np.tile([4, 3, 2], (6_000, 1))
    drawn = DownsampleCounts(5)(cells, RowKeys(np.arange(6_000), seed=0, epoch=0))
    law = stats.multivariate_hypergeom([4, 3, 2], 5)
    outcomes, found = np.unique(drawn, axis=0, return_counts=True)
    expected = law.pmf(outcomes) * 6_000
    assert expected.sum() == pytest.approx(6_000)
    assert stats.chisquare(found, expected).pvalue > FALSE_ALARM


@pytest.mark.parametrize("transform", [DownsampleCounts(40), DownsampleCounts(fraction=0.3)], ids=repr)
@pytest.mark.parametrize("form", [sp.csr_matrix, sp.csc_array, np.asarray])
@pytest.mark.parametrize("dtype", ["f4", *rare("i4", "f8", "u2")])
def test_cells_keep_as_many_molecules_as_asked_for(transform, form, dtype):
    matrix = form(COUNTS.astype(dtype))
    drawn = transform(matrix, KEYS)
    assert drawn.dtype == dtype
    assert sp.issparse(drawn) == sp.issparse(matrix)
    if sp.issparse(drawn):
        assert drawn.data.all()
        drawn = drawn.toarray()
    assert np.all(drawn <= COUNTS)
    totals = COUNTS.sum(1)
    wanted = np.rint(totals * 0.3) if transform.total is None else np.minimum(totals, 40)
    assert drawn.sum(1).tolist() == wanted.tolist()
    assert np.array_equal(drawn, transform(COUNTS, KEYS))
    assert np.array_equal(matrix.toarray() if sp.issparse(matrix) else matrix, COUNTS)


def test_molecules_of_a_cell_depend_on_seed_epoch_row_and_stream():
    transform = DownsampleCounts(20)
    expected = transform(COUNTS, KEYS)
    some = np.array([9, 0, 33, 9])
    assert np.array_equal(transform(COUNTS[some], RowKeys(some, seed=0, epoch=0)), expected[some])
    others = (
        transform(COUNTS, RowKeys(ROWS, seed=0, epoch=1)),
        transform(COUNTS, RowKeys(ROWS, seed=1, epoch=0)),
        DownsampleCounts(20, stream=1)(COUNTS, KEYS),
    )
    assert len({expected.tobytes(), *(other.tobytes() for other in others)}) == 4


def test_molecules_are_drawn_from_all_genes_where_their_number_is_known():
    totals = COUNTS.sum(1).astype(np.int64) * 10
    batch = MultiIndexable({"X": sp.csr_matrix(COUNTS), "total_counts": totals})
    drawn = DownsampleCounts(fraction=0.5)(batch, KEYS)
    assert drawn["total_counts"].tolist() == (totals // 2).tolist()
    assert drawn["total_counts"].dtype == np.int64
    n_there = int(COUNTS.sum())
    assert abs(drawn["X"].sum() - n_there / 2) < 5 * np.sqrt(n_there / 4)
    with pytest.raises(ArgumentValueError, match=r"total_counts of row 0 of the batch is 1\.0"):
        DownsampleCounts(3)({"X": COUNTS, "total_counts": np.ones(60)}, KEYS)
    with pytest.raises(ArgumentValueError, match="total_counts of row 5 of the batch is"):
        DownsampleCounts(3)({"X": COUNTS, "total_counts": totals + 0.5 * (ROWS == 5)}, KEYS)


def test_anndata_is_downsampled():
    drawn = DownsampleCounts(9)(anndata.AnnData(sp.csr_matrix(COUNTS)), KEYS)
    assert np.array_equal(drawn.X.toarray(), DownsampleCounts(9)(COUNTS, KEYS))


def test_it_is_its_options():
    transform = DownsampleCounts(fraction=0.5)
    assert pickle.loads(pickle.dumps(transform)) == transform
    assert transform.runs_ahead


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (DownsampleCounts, ArgumentValueError, "total=None and fraction=None; give one of the two"),
        (lambda: DownsampleCounts(5, 0.5), ArgumentValueError, "total=5 and fraction=0.5"),
        (lambda: DownsampleCounts(-1), ArgumentValueError, "total=-1 is out of bounds"),
        (lambda: DownsampleCounts(1.5), ArgumentTypeError, "total=1.5 is of type float"),
        (lambda: DownsampleCounts(fraction=2), ArgumentValueError, "fraction=2; give the share"),
        (lambda: DownsampleCounts(fraction="a"), ArgumentTypeError, "fraction='a' is of type str"),
        (lambda: DownsampleCounts(5)(COUNTS), ArgumentTypeError, "DownsampleCounts needs the keys of the rows"),
        (lambda: DownsampleCounts(5)(COUNTS - 1, KEYS), ArgumentValueError, "takes counts.* such as -1.0 in row 0"),
        (lambda: DownsampleCounts(5)(COUNTS / 2, KEYS), ArgumentValueError, r"takes counts.* such as .*\.5 in row"),
        (lambda: DownsampleCounts(5)(COUNTS * np.nan, KEYS), ArgumentValueError, "takes counts.* such as nan in row 0"),
        (lambda: DownsampleCounts(5)(COUNTS[:9], KEYS), ArgumentValueError, "keys of 60 rows for a batch of 9"),
    ],
)
def test_what_cannot_be_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
