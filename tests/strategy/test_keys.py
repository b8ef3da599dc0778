"""Keys: no two purposes share one, and the bits drawn from them are uniform.

Statistical tests use fixed keys: they give the same answer on every run. Another generator, as good as this one, would
fail each check with a chance of `FALSE_ALARM`.
"""

import numpy as np
import pytest
from scipy import stats

from scdataset.strategy.keys import MAX_SEED, make_key, mix, unit_float

FALSE_ALARM = 1e-4
PURPOSES = ("blocks", "short block", "window", "draws", "arrivals", "strategy")


def test_no_two_pairs_of_seed_and_epoch_share_a_key():
    seeds = [*range(60), *range(980, 1040), 2**31, 2**32, 2**63, MAX_SEED]
    epochs = [*range(60), *range(980, 1040), 2**32, MAX_SEED]
    keys = {make_key(seed, epoch, purpose) for seed in seeds for epoch in epochs for purpose in PURPOSES[:2]}
    assert len(keys) == 2 * len(seeds) * len(epochs)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_seed_and_epoch_are_not_added(purpose):
    assert make_key(0, 1, purpose) != make_key(1000, 0, purpose)
    assert make_key(0, 1, purpose) != make_key(1, 0, purpose)
    assert make_key(3, 4, purpose) != make_key(4, 3, purpose)


def test_purposes_and_numbers_have_keys_of_their_own():
    keys = {
        make_key(seed, epoch, purpose, number)
        for seed in range(5)
        for epoch in range(5)
        for purpose in PURPOSES
        for number in (*range(50), 2**40)
    }
    assert len(keys) == 5 * 5 * len(PURPOSES) * 51


def test_a_key_is_64_bits_and_the_same_every_time():
    key = make_key(12, 34, "window", 56)
    assert isinstance(key, np.uint64)
    assert key == make_key(12, 34, "window", 56)
    assert make_key(np.int64(12), np.int32(34), "window", np.int64(56)) == key


@pytest.mark.parametrize("purpose", PURPOSES)
def test_every_bit_of_a_key_is_fair(purpose):
    keys = np.array([make_key(0, epoch, purpose) for epoch in range(4000)])
    assert _bits_p_value(keys) > FALSE_ALARM


@pytest.mark.parametrize("key", [0, 1, 2**63, 0xDEADBEEF])
def test_every_mixed_bit_is_fair_and_counters_do_not_collide(key):
    mixed = np.array([mix(np.uint64(key), np.uint64(counter)) for counter in range(20_000)], np.uint64)
    assert np.unique(mixed).size == mixed.size
    assert _bits_p_value(mixed) > FALSE_ALARM


def _bits_p_value(values):
    """Return the p-value of 64 coins, one a bit, each thrown once a value."""
    ones = np.array([np.count_nonzero(values >> np.uint64(bit) & np.uint64(1)) for bit in range(64)])
    statistic = ((ones - values.size / 2) ** 2 / (values.size / 4)).sum()
    return stats.chi2(64).sf(statistic)


@pytest.mark.parametrize("seed", range(4))
def test_floats_are_uniform_between_0_and_1(seed):
    drawn = _floats(make_key(seed, 0, "draws"), 20_000)
    assert drawn.min() >= 0.0
    assert drawn.max() < 1.0
    assert stats.kstest(drawn, "uniform").pvalue > FALSE_ALARM


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("distance", [1, 2, 3])
def test_floats_of_one_stream_do_not_depend_on_each_other(seed, distance):
    drawn = _floats(make_key(seed, 0, "draws"), 20_000)
    assert _pairs_p_value(drawn[:-distance:4], drawn[distance::4]) > FALSE_ALARM


def test_floats_of_successive_epochs_do_not_depend_on_each_other():
    first = np.array([unit_float(make_key(0, epoch, "blocks")) for epoch in range(5001)])
    assert _pairs_p_value(first[:-1], first[1:]) > FALSE_ALARM


def _floats(key, n):
    return np.array([unit_float(np.uint64(mix(key, np.uint64(counter)))) for counter in range(n)])


def _pairs_p_value(left, right):
    counts, _, _ = np.histogram2d(left, right[: left.size], bins=8, range=((0, 1), (0, 1)))
    return stats.chisquare(counts.ravel()).pvalue


def test_the_largest_bits_stay_below_1():
    assert unit_float(np.uint64(0)) == 0.0
    assert unit_float(np.uint64(2**64 - 1)) == 1.0 - 2.0**-53
