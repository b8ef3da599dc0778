"""Strategies of the user's own, with whichever method they write, and what the base refuses."""

import numpy as np
import pytest

from scdataset.errors import ArgumentTypeError, ArgumentValueError, ScDatasetError
from scdataset.strategy import BlockShuffling, BlockWeightedSampling, SamplingStrategy, Streaming
from scdataset.strategy.base import ListedOrder, count_rows


class WithBoth(SamplingStrategy):
    def get_indices(self, data_collection, seed=None, rng=None):
        rows = rng.permutation(len(data_collection))
        assert np.array_equal(rows, np.random.default_rng(seed).permutation(len(data_collection)))
        return rows


class WithSeed(SamplingStrategy):
    def get_indices(self, data_collection, seed=None):
        return np.random.default_rng(seed).permutation(len(data_collection))


class WithRng(SamplingStrategy):
    def get_indices(self, data_collection, rng):
        return rng.permutation(len(data_collection))


class WithKeywords(SamplingStrategy):
    def get_indices(self, data_collection, **options):
        assert set(options) == {"seed", "rng"}
        return options["rng"].permutation(len(data_collection))


class WithKeywordOnly(SamplingStrategy):
    def get_indices(self, data_collection, *, seed):
        return np.random.default_rng(seed).permutation(len(data_collection))


class WithNeither(SamplingStrategy):
    def get_indices(self, data_collection):
        return list(range(len(data_collection)))[::-1]


class OnlyOrder(SamplingStrategy):
    def order(self, n_rows, seed, epoch):
        return ListedOrder((np.arange(n_rows) + seed + epoch) % n_rows, n_rows, shuffles=True)


class Nothing(SamplingStrategy):
    pass


def _rows(strategy, seed=0, epoch=0, n=20):
    order = strategy.epoch_order(range(n), seed, epoch)
    return order.rows(0, len(order)).tolist()


@pytest.mark.parametrize("kind", [WithBoth, WithSeed, WithRng, WithKeywords, WithKeywordOnly])
def test_get_indices_gets_the_randomness_that_it_asks_for(kind):
    epochs = [tuple(_rows(kind(), seed, epoch)) for seed, epoch in [(0, 0), (0, 1), (1, 0), (1, 1)]]
    assert all(sorted(rows) == list(range(20)) for rows in epochs)
    assert len(set(epochs)) == 4
    assert _rows(kind(), 0, 1) == list(epochs[1])


def test_get_indices_without_randomness_gives_the_same_epoch_again():
    assert _rows(WithNeither(), 0, 0) == _rows(WithNeither(), 3, 4) == list(range(20))[::-1]


@pytest.mark.parametrize("kind", [WithBoth, WithNeither, OnlyOrder])
def test_the_length_follows_from_either_method(kind):
    assert kind().get_len(range(20)) == 20


def test_get_indices_sees_the_collection_itself():
    class OfCollection(SamplingStrategy):
        def get_indices(self, data_collection):
            return np.flatnonzero(np.array(data_collection) == "b")

    assert OfCollection().epoch_order(["a", "b", "a", "b"], 0, 0).rows(0, 2).tolist() == [1, 3]
    assert OfCollection().get_len(["a", "b", "b", "b"]) == 3


def test_a_strategy_that_only_writes_order_has_get_indices():
    assert OnlyOrder().get_indices(range(5), seed=2).tolist() == [2, 3, 4, 0, 1]
    assert _rows(OnlyOrder(), 1, 2, n=5) == [3, 4, 0, 1, 2]


@pytest.mark.parametrize("method", ["get_indices", "get_len", "epoch_order"])
def test_a_strategy_that_writes_neither_says_what_to_write(method):
    arguments = (range(5), 0, 0) if method == "epoch_order" else (range(5),)
    with pytest.raises(ArgumentTypeError, match=r"Nothing has neither get_indices nor order; write get_indices"):
        getattr(Nothing(), method)(*arguments)


@pytest.mark.parametrize("base", [BlockShuffling, Streaming, BlockWeightedSampling])
def test_get_indices_written_over_that_of_a_strategy_counts(base):
    class Mine(base):
        def get_indices(self, data_collection, seed=None, rng=None):
            return np.array([4, 2, 0])

    assert _rows(Mine(), n=10) == [4, 2, 0]
    assert Mine().get_len(range(10)) == 3


def test_order_written_over_get_indices_counts():
    class Mine(WithNeither):
        def order(self, n_rows, seed, epoch):
            return ListedOrder(np.arange(3), n_rows, shuffles=False)

    assert _rows(Mine(), n=10) == [0, 1, 2]


@pytest.mark.parametrize(("declared", "shuffles"), [(True, True), (False, False), (None, False)])
def test_windows_are_shuffled_if_the_strategy_says_so(declared, shuffles):
    class Declared(WithNeither):
        _shuffle_before_yield = declared

    assert Declared().epoch_order(range(5), 0, 0).shuffles is shuffles
    assert WithNeither().epoch_order(range(5), 0, 0).shuffles is False


def test_a_strategy_need_not_call_the_constructor_of_the_base():
    class Own(WithNeither):
        def __init__(self, step):
            self.step = step

    assert _rows(Own(3), n=4) == [3, 2, 1, 0]


@pytest.mark.parametrize(
    ("listed", "error", "message"),
    [
        ([0, 5, 10], ArgumentValueError, r"rows from 0 to 10 and the collection has 10; .* from 0 to 9"),
        ([-1, 3], ArgumentValueError, r"rows from -1 to 3 and the collection has 10"),
        ([0.0, 1.0], ArgumentTypeError, r"shape \(2,\) and dtype float64; return one-dimensional integer"),
        ([[0, 1]], ArgumentTypeError, r"shape \(1, 2\) and dtype int64"),
        (["a"], ArgumentTypeError, r"dtype <U1"),
        ([True, False], ArgumentTypeError, r"dtype bool"),
        (None, ArgumentTypeError, r"shape \(\) and dtype object"),
    ],
)
def test_rows_that_the_collection_lacks_are_refused(listed, error, message):
    class Wrong(SamplingStrategy):
        def get_indices(self, data_collection):
            return listed

    with pytest.raises(error, match=message):
        Wrong().epoch_order(range(10), 0, 0)


@pytest.mark.parametrize("listed", [[], (3, 1), np.array([3, 1], np.uint8), np.array([2**40 % 7], ">i4")])
def test_listed_rows_become_int64(listed):
    class Listing(SamplingStrategy):
        def get_indices(self, data_collection):
            return listed

    rows = Listing().epoch_order(range(10), 0, 0).rows(0, len(listed))
    assert rows.dtype == np.int64
    assert rows.tolist() == list(listed)


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, "0"])
def test_a_seed_out_of_bounds_is_refused_by_name(seed):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=r"seed"):
        BlockShuffling().get_indices(range(300), seed=seed)


def test_rows_are_counted_by_length_or_else_by_shape():
    class Shaped:
        shape = (np.int64(6), 2)

    assert count_rows([1, 2, 3]) == 3
    assert count_rows(np.zeros((4, 0))) == 4
    assert count_rows(Shaped()) == 6
    for nothing in (7, None, np.array(7)):
        with pytest.raises(TypeError, match=r"len|unsized"):
            count_rows(nothing)


def test_an_abstract_strategy_says_so_with_the_types_that_callers_catch():
    for error in (NotImplementedError, TypeError, ScDatasetError):
        with pytest.raises(error, match="neither get_indices nor order"):
            SamplingStrategy().get_indices(range(3))


def test_a_row_that_is_not_there_is_also_an_index_error():
    for strategy in (Streaming(indices=[3, 9]), BlockShuffling(indices=[3, 9])):
        with pytest.raises(IndexError, match="row 9 and the collection has 4"):
            strategy.get_indices(range(4))


@pytest.mark.parametrize(
    ("base", "shuffles"),
    [(BlockShuffling, True), (BlockWeightedSampling, True), (Streaming, False), (SamplingStrategy, False)],
)
def test_a_subclass_that_writes_get_indices_inherits_the_shuffle_inside_windows(base, shuffles):
    class Mine(base):
        def get_indices(self, data_collection, seed=None, rng=None):
            return np.arange(10)

    assert Mine().epoch_order(range(10), 0, 0).shuffles is shuffles

    class Declared(Mine):
        _shuffle_before_yield = not shuffles

    assert Declared().epoch_order(range(10), 0, 0).shuffles is not shuffles
    strategy = Mine()
    strategy._shuffle_before_yield = not shuffles
    assert strategy.epoch_order(range(10), 0, 0).shuffles is not shuffles


@pytest.mark.parametrize("base", [BlockShuffling, BlockWeightedSampling, Streaming])
def test_whether_windows_are_shuffled_can_be_assigned(base):
    strategy = base()
    for declared in (True, False):
        strategy._shuffle_before_yield = declared
        assert strategy.order(10, 0, 0).shuffles is declared


def test_a_subclass_may_keep_what_it_likes_as_its_indices():
    class Own(SamplingStrategy):
        def __init__(self, indices, *, inherits):
            if inherits:
                super().__init__()
            self._indices = indices

        def get_indices(self, data_collection, seed=None, rng=None):
            return self._get_rng(seed, rng).permutation(self._indices)

    for inherits in (True, False):
        strategy = Own(np.array([7, 3, 5]), inherits=inherits)
        assert strategy._indices.tolist() == [7, 3, 5]
        assert sorted(_rows(strategy)) == [3, 5, 7]
        assert strategy.fingerprint() != Own(np.array([7, 3, 6]), inherits=inherits).fingerprint()


def test_a_subclass_finds_its_indices_sorted():
    with pytest.warns(UserWarning, match="not in ascending order"):
        assert WithNeither([5, 2])._indices.tolist() == [2, 5]
    assert WithNeither()._indices is None
    with pytest.warns(UserWarning, match="not in ascending order"):
        assert WithNeither()._validate_and_sort_indices([5, 2]).tolist() == [2, 5]


def test_the_generator_comes_before_the_seed():
    rng = np.random.default_rng(5)
    assert SamplingStrategy()._get_rng(3, rng) is rng
    assert SamplingStrategy()._get_rng(3).random() == np.random.default_rng(3).random()
    strategy = BlockShuffling(1)
    first, second = (strategy.get_indices(range(300), seed=1, rng=rng) for _ in range(2))
    assert not np.array_equal(first, second)
    assert np.array_equal(first, strategy.get_indices(range(300), rng=np.random.default_rng(5)))


@pytest.mark.parametrize(
    ("strategy", "name", "value"),
    [(BlockShuffling(4), "block_size", 0), (BlockShuffling(4), "drop_last", "no"), (Streaming(), "shuffle", 3)],
)
def test_what_is_assigned_is_checked(strategy, name, value):
    before = getattr(strategy, name)
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=name):
        setattr(strategy, name, value)
    assert getattr(strategy, name) == before


def test_what_is_assigned_counts_from_the_next_epoch_on():
    strategy = BlockShuffling(4)
    strategy.block_size, strategy.drop_last = np.int8(5), 1
    assert np.array_equal(
        strategy.get_indices(range(99), seed=0), BlockShuffling(5, drop_last=True).get_indices(range(99), seed=0)
    )
    assert strategy.fingerprint() == BlockShuffling(5, drop_last=True).fingerprint()
