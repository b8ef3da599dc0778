"""Keys of rows: a function of seed, epoch, purpose and row, and of nothing else."""

import numpy as np
import pytest
from scipy import stats

from scdataset import ArgumentTypeError, ArgumentValueError
from scdataset.strategy.row_keys import RowKeys, keyed, needs_keys

FALSE_ALARM = 1e-4


def test_the_key_of_a_row_does_not_depend_on_the_rows_beside_it():
    rows = np.array([5, 0, 2**40, 5])
    keys = RowKeys(rows, seed=3, epoch=4).uint64("noise")
    assert keys.dtype == np.uint64
    assert keys.tolist() == [RowKeys([row], seed=3, epoch=4).uint64("noise")[0] for row in rows]
    floats = RowKeys(rows, seed=3, epoch=4).floats("noise", 6)
    assert np.array_equal(floats[:, :2], RowKeys(rows, seed=3, epoch=4).floats("noise", 2))
    assert np.array_equal(floats[[3, 1]], RowKeys(rows[[3, 1]], seed=3, epoch=4).floats("noise", 6))


def test_seeds_epochs_purposes_and_rows_have_keys_of_their_own():
    found = [
        RowKeys(np.arange(50), seed=seed, epoch=epoch).uint64(purpose)
        for seed in range(4)
        for epoch in range(4)
        for purpose in ("noise", "mask", "")
    ]
    assert np.unique(found).size == 4 * 4 * 3 * 50


def test_keys_are_the_same_in_every_release():
    keys = RowKeys([0, 1, 10**9], seed=7, epoch=2)
    assert keys.uint64("mask").tolist() == [10663103510358092148, 17960862015028655069, 6511733084806211921]
    assert keys.floats("mask").ravel().tolist() == [0.5192554234779957, 0.4565578674903604, 0.41387040836828015]


def test_floats_are_uniform():
    floats = RowKeys(np.arange(5_000), seed=0, epoch=0).floats("noise", 3)
    assert floats.min() >= 0
    assert floats.max() < 1
    assert stats.kstest(floats.ravel(), "uniform").pvalue > FALSE_ALARM
    assert abs(np.corrcoef(floats.T)[0, 1]) < 0.06


def test_what_needs_keys_says_so():
    class Noise:
        needs_keys = True

    assert needs_keys(Noise())
    assert needs_keys(keyed(lambda value, keys: value))
    assert not needs_keys(lambda value: value)
    assert not needs_keys(None)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([-1], 0, 0), ArgumentValueError, "rows has -1; give row numbers in the collection"),
        (([0.5], 0, 0), ArgumentTypeError, "dtype float64; give the whole number of each row"),
        (([[1]], 0, 0), ArgumentTypeError, r"rows has shape \(1, 1\)"),
        (([0], -1, 0), ArgumentValueError, "seed=-1 is out of bounds"),
        (([0], 0, 1.5), ArgumentTypeError, "epoch=1.5 is of type float"),
    ],
)
def test_what_is_no_row_seed_or_epoch_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        RowKeys(*arguments)
