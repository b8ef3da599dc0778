"""Masked values: how many, which, and beside which members."""

import pickle

import anndata
import numpy as np
import pytest
import scipy.sparse as sp
from scipy import stats

from scdataset import ArgumentTypeError, ArgumentValueError, MultiIndexable
from scdataset.transforms import MaskValues, RowKeys

FALSE_ALARM = 1e-4
COUNTS = np.random.default_rng(0).poisson(0.8, (500, 60)).astype(np.float32)
ROWS = np.arange(500)
KEYS = RowKeys(ROWS, seed=0, epoch=0)


def _masked(transform, values=COUNTS, keys=KEYS):
    masked = transform(values, keys)
    chosen = masked == -1
    assert np.array_equal(masked[~chosen], values[~chosen])
    assert not chosen[values == 0].any()
    return chosen


def test_each_value_is_masked_with_the_same_probability():
    chosen = _masked(MaskValues(0.15))
    n, n_there = chosen.sum(), (COUNTS != 0).sum()
    assert stats.binomtest(int(n), int(n_there), 0.15).pvalue > FALSE_ALARM
    by_gene, there = chosen.sum(0), (COUNTS != 0).sum(0)
    assert stats.chi2.sf((((by_gene - 0.15 * there) ** 2) / (0.15 * 0.85 * there)).sum(), 60) > FALSE_ALARM


@pytest.mark.parametrize("ratio", [0, 0.15, 0.4, 1])
def test_exact_masks_have_exactly_their_share_of_every_cell(ratio):
    chosen = _masked(MaskValues(ratio, exact=True))
    assert chosen.sum(1).tolist() == [int(n * ratio) for n in (COUNTS != 0).sum(1).tolist()]


def test_exact_masks_choose_every_pair_alike():
    cells = np.ones((6_000, 4))
    chosen = _masked(MaskValues(0.5, exact=True), cells, RowKeys(np.arange(6_000), seed=0, epoch=0))
    _, found = np.unique(chosen, axis=0, return_counts=True)
    assert found.size == 6
    assert stats.chisquare(found).pvalue > FALSE_ALARM


@pytest.mark.parametrize("exact", [False, True])
def test_the_mask_of_a_cell_depends_on_seed_epoch_row_and_stream(exact):
    transform = MaskValues(0.3, exact=exact)
    expected = _masked(transform)
    some = np.array([9, 0, 333, 9])
    assert np.array_equal(_masked(transform, COUNTS[some], RowKeys(some, seed=0, epoch=0)), expected[some])
    others = [
        _masked(transform, keys=RowKeys(ROWS, seed=0, epoch=1)),
        _masked(transform, keys=RowKeys(ROWS, seed=1, epoch=0)),
        _masked(MaskValues(0.3, exact=exact, stream=1)),
    ]
    assert all(abs(np.corrcoef(other.ravel(), expected.ravel())[0, 1]) < 0.5 for other in others)


FORMS = {
    "CSR": sp.csr_matrix(COUNTS),
    "dict": {"X": sp.csr_array(COUNTS), "y": ROWS},
    "MultiIndexable": MultiIndexable({"X": COUNTS, "y": ROWS}, unstructured={"genome": "GRCh38"}),
    "AnnData": anndata.AnnData(sp.csr_matrix(COUNTS)),
}


@pytest.mark.parametrize("batch", FORMS.values(), ids=FORMS)
def test_masked_values_come_beside_the_values(batch):
    expected = MaskValues()(COUNTS, KEYS)
    changed = MaskValues()(batch, KEYS)
    if isinstance(batch, anndata.AnnData):
        assert type(changed) is MultiIndexable
        assert np.array_equal(changed["X"].toarray(), COUNTS)
    masked = changed if sp.issparse(batch) else changed["masked_X"]
    assert np.array_equal(masked.toarray() if sp.issparse(masked) else masked, expected)
    if isinstance(batch, (dict, MultiIndexable)):
        assert type(changed) is type(batch)
        assert changed["X"] is batch["X"]
        assert list(changed.keys()) == ["X", "y", "masked_X"]
    if isinstance(batch, MultiIndexable):
        assert changed.unstructured == batch.unstructured


@pytest.mark.parametrize("exact", [False, True])
def test_padding_and_special_tokens_are_never_masked(exact):
    special = np.zeros((500, 60), bool)
    special[:, 0] = special[:, 40:] = True
    batch = MaskValues(0.5, exact=exact)({"values": COUNTS, "special_tokens_mask": special}, KEYS)
    chosen = batch["masked_values"] == -1
    assert not chosen[special].any()
    assert batch["values"] is COUNTS
    assert np.array_equal(batch["masked_values"][~chosen], COUNTS[~chosen])
    assert 0.4 < chosen[~special].mean() < 0.6  # zeros of a sentence are values
    assert (chosen[COUNTS == 0]).any()
    if exact:
        assert set(chosen.sum(1)) == {19}
    assert (MaskValues(0.5)({"values": COUNTS}, KEYS)["masked_values"][:, 50:] == -1).any()


def test_integers_stay_integers_that_hold_the_mask_value():
    assert MaskValues(1)(COUNTS.astype(np.int32), KEYS).dtype == np.int32
    for dtype, value in ((np.uint16, -1), (np.int32, 0.5), (np.int8, 1000)):
        masked = MaskValues(1, mask_value=value)(COUNTS.astype(dtype), KEYS)
        assert masked.dtype == np.float32
        assert set(np.unique(masked).tolist()) == {0, value}


def test_it_is_its_options():
    transform = MaskValues(0.3, exact=True, mask_value=-5)
    assert pickle.loads(pickle.dumps(transform)) == transform
    assert repr(transform) == "MaskValues(ratio=0.3, exact=True, mask_value=-5, stream=0)"
    assert transform.runs_ahead


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: MaskValues(1.5), ArgumentValueError, "ratio=1.5; give the share of values to mask, from 0 to 1"),
        (lambda: MaskValues("a"), ArgumentTypeError, "ratio='a' is of type str"),
        (lambda: MaskValues(mask_value=np.nan), ArgumentValueError, "mask_value=nan"),
        (lambda: MaskValues()(-COUNTS, KEYS), ArgumentValueError, "values of mask_value=-1, which no model can tell"),
        (lambda: MaskValues()(COUNTS * np.nan, KEYS), ArgumentValueError, "finite numbers, .*such as nan"),
        (lambda: MaskValues()(COUNTS + np.inf, KEYS), ArgumentValueError, "finite numbers, .*such as inf"),
        (lambda: MaskValues()({"values": COUNTS + np.inf}, KEYS), ArgumentValueError, "finite .*such as inf in row 0"),
        (
            lambda: MaskValues(mask_value=-2)({"values": np.full((500, 2), -2.0)}, KEYS),
            ArgumentValueError,
            "1,000 values of mask_value=-2.*no value and no padding has",
        ),
        (lambda: MaskValues(exact="yes"), ArgumentTypeError, "exact='yes'"),
        (lambda: MaskValues()(COUNTS), ArgumentTypeError, "MaskValues needs the keys of the rows, and got None"),
        (lambda: MaskValues()(COUNTS, 0), ArgumentTypeError, "got 0. A dataset gives them"),
        (lambda: MaskValues()(COUNTS[:9], KEYS), ArgumentValueError, "keys of 500 rows for a batch of 9"),
        (lambda: MaskValues()({"values": COUNTS[:9]}, KEYS), ArgumentValueError, "keys of 500 rows for a batch of 9"),
    ],
)
def test_what_cannot_be_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
