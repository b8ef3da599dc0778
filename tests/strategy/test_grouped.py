"""GroupedSampling: whole sets of one group each, every cell as often as promised, with controls that match."""

import pickle
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tests.examples import examples, rare
from torch.utils.data import DataLoader

from scdataset import scDataset
from scdataset.errors import ArgumentTypeError, ArgumentValueError
from scdataset.strategy import GroupedSampling, SamplingStrategy

FALSE_ALARM = 1e-4
"""Chance of another, equally good generator to fail one check; with the fixed seeds here the answer never changes."""

seeds = st.integers(0, 2**64 - 1)


@st.composite
def screens(draw, max_groups=8, max_size=40):
    """Return groups of random sizes in random order; group 0 is that of the controls, of every stratum in 3."""
    sizes = draw(st.lists(st.integers(1, max_size), min_size=1, max_size=max_groups))
    groups = np.repeat(np.arange(len(sizes) + 1), [draw(st.integers(3, 30)), *sizes])
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    match = rng.integers(0, 3, groups.size)
    match[:3] = [0, 1, 2]
    order = rng.permutation(groups.size)
    return groups[order], match[order]


def _sets(strategy, n, seed=0, epoch=0):
    """Return the sets of an epoch with their controls, shape (n_sets, batch_unit)."""
    order = strategy.order(n, seed, epoch)
    assert not order.shuffles
    return order.rows(0, len(order)).reshape(-1, strategy.batch_unit)


def _sizes(groups):
    return dict(zip(*np.unique(groups, return_counts=True), strict=True))


@settings(max_examples=examples(150))
@given(screen=screens(), set_size=st.integers(1, 12), block=st.integers(1, 20), seed=seeds, epoch=st.integers(0, 99))
def test_proportional_sets_are_pure_and_padding_repeats_less_than_a_set_a_group(screen, set_size, block, seed, epoch):
    groups, _ = screen
    sets = _sets(GroupedSampling(groups, set_size, block_size=block), groups.size, seed, epoch)
    assert np.all(groups[sets] == groups[sets[:, :1]])
    times = np.bincount(sets.ravel(), minlength=groups.size)
    for group, size in _sizes(groups).items():
        of_group = times[groups == group]
        assert of_group.sum() == -(-size // set_size) * set_size
        assert of_group.min() >= 1
        assert of_group.max() <= (2 if size >= set_size else -(-set_size // size))
    assert all(
        np.unique(row).size == min(set_size, np.count_nonzero(groups == groups[row[0]])) for row in sets
    )  # no cell twice in a set that has others


@settings(max_examples=examples(150))
@given(screen=screens(), set_size=st.integers(1, 12), block=st.integers(1, 20), seed=seeds, epoch=st.integers(0, 99))
def test_proportional_sets_with_drop_hold_a_cell_at_most_once(screen, set_size, block, seed, epoch):
    groups, _ = screen
    if max(_sizes(groups).values()) < set_size:
        return
    strategy = GroupedSampling(groups, set_size, remainder="drop", block_size=block)
    sets = _sets(strategy, groups.size, seed, epoch)
    assert np.all(groups[sets] == groups[sets[:, :1]])
    assert np.unique(sets).size == sets.size
    n_sets = {group: size // set_size for group, size in _sizes(groups).items()}
    assert _sizes(groups[sets[:, 0]]) == {group: n for group, n in n_sets.items() if n}
    assert strategy.left_out == [group for group, n in n_sets.items() if not n]
    assert strategy.n_sets == len(sets)


@settings(max_examples=examples(150))
@given(
    screen=screens(),
    set_size=st.integers(1, 12),
    each=st.integers(1, 9),
    block=st.integers(1, 20),
    remainder=st.sampled_from(["pad", "drop"]),
    seed=seeds,
)
def test_balanced_groups_yield_equally_many_sets_and_use_up_their_cells_before_any_comes_again(
    screen, set_size, each, block, remainder, seed
):
    groups, _ = screen
    if remainder == "drop" and max(_sizes(groups).values()) < set_size:
        return
    options = {"balance": "balanced", "sets_per_group": each, "remainder": remainder, "block_size": block}
    strategy = GroupedSampling(groups, set_size, **options)
    order = strategy.order(groups.size, seed, 0)
    numbers = order.shuffled(np.arange(strategy.n_sets))
    sets = order.rows(0, len(order)).reshape(-1, set_size)[np.argsort(numbers)]  # group by group, in order of rounds
    assert np.all(groups[sets] == groups[sets[:, :1]])
    kept = {group: size for group, size in _sizes(groups).items() if remainder == "pad" or size >= set_size}
    assert _sizes(groups[sets[:, 0]]) == dict.fromkeys(kept, each)
    for group, size in kept.items():
        of_group = sets[groups[sets[:, 0]] == group]
        in_round = size // set_size if remainder == "drop" else -(-size // set_size)
        for start in range(0, each, in_round):
            turn = of_group[start : start + in_round].ravel()
            times = np.bincount(turn, minlength=groups.size)[groups == group]
            assert np.count_nonzero(times) == min(turn.size, size)


def test_the_default_of_balanced_is_the_average_number_of_sets():
    groups = np.repeat(["a", "b", "c"], [100, 40, 10])
    assert GroupedSampling(groups, 5, balance="balanced").n_sets == 3 * 10
    assert GroupedSampling(groups, 90, balance="balanced").n_sets == 3
    assert GroupedSampling(groups, 20, balance="balanced", remainder="drop").n_sets == 2 * 3


@settings(max_examples=examples(200))
@given(
    screen=screens(),
    set_size=st.integers(1, 12),
    n_controls=st.one_of(st.none(), st.integers(1, 20)),
    block=st.integers(1, 20),
    balance=st.sampled_from(["proportional", "balanced"]),
    seed=seeds,
)
def test_each_control_matches_its_cell_and_comes_once_in_a_set_where_there_are_enough(
    screen, set_size, n_controls, block, balance, seed
):
    groups, match = screen
    options = {"control": 0, "n_controls": n_controls, "match": match, "block_size": block, "balance": balance}
    sets = _sets(GroupedSampling(groups, set_size, **options), groups.size, seed)
    cells, controls = sets[:, :set_size], sets[:, set_size:]
    assert controls.shape[1] == (n_controls or set_size)
    assert np.all(groups[cells] != 0)
    assert np.all(groups[controls] == 0)
    assert np.array_equal(match[controls], match[cells][:, np.arange(controls.shape[1]) % set_size])
    available = np.bincount(match[groups == 0], minlength=3)
    for row in controls:
        for stratum in range(3):
            used = row[match[row] == stratum]
            assert np.unique(used).size == min(used.size, available[stratum])


def test_controls_change_nothing_about_the_sets():
    groups = np.random.default_rng(0).integers(0, 9, 500)
    with_controls = _sets(GroupedSampling(groups, 6, control=0), 500, 3)
    alone = _sets(GroupedSampling(groups, 6, indices=groups != 0), 500, 3)
    assert np.array_equal(with_controls[:, :6], alone)


def test_controls_are_used_about_equally_often():
    rng = np.random.default_rng(1)
    groups, match = rng.integers(0, 20, 20_000), rng.integers(0, 4, 20_000)
    sets = _sets(GroupedSampling(groups, 16, control=0, match=match), 20_000)
    times = np.bincount(sets[:, 16:].ravel(), minlength=20_000)[groups == 0]
    assert times.mean() == pytest.approx(19, abs=1)
    assert times.std() < 19**0.5  # less uneven than independent draws
    for stratum in range(4):
        assert times[match[groups == 0] == stratum].mean() == pytest.approx(19, abs=1.5)


def test_controls_of_one_stratum_are_used_up_before_any_comes_again():
    groups = np.repeat([1, 0], [400, 40])
    sets = _sets(GroupedSampling(groups, 8, control=0), 440)
    for lap in range(10):
        assert np.unique(sets[5 * lap : 5 * lap + 5, 8:]).size == 40


@pytest.mark.parametrize(("block_size", "share"), [(1, 1.0), (3, 0.95), (8, 0.3)])
def test_cells_meet_in_other_sets_each_round_epoch_and_seed(block_size, share):
    groups = np.repeat([1, 2], 400)
    strategy = GroupedSampling(groups, 8, block_size=block_size, balance="balanced", sets_per_group=100)
    pairs = [(seed, epoch) for seed in range(2) for epoch in range(5)]
    made = {frozenset(row) for pair in pairs for row in _sets(strategy, 800, *pair).tolist()}
    assert len(made) >= share * 10 * 200  # sets that are blocks of 8 have 8 possible bounds: 50 sets a group and bound


@pytest.mark.parametrize("size", [7, 30, 300])
def test_every_cell_is_equally_likely_to_be_left_out(size):
    groups = np.zeros(size, int)
    set_size = size // 2 + 1
    strategy = GroupedSampling(groups, set_size, remainder="drop")
    times = np.zeros(size)
    for seed in range(2000):
        times[_sets(strategy, size, seed)[0]] += 1
    # Draws without replacement vary less than independent ones, by the share that stays out.
    statistic = ((times - times.mean()) ** 2 / times.mean()).sum() / ((size - set_size) / (size - 1))
    assert FALSE_ALARM < stats.chi2(size - 1).sf(statistic) < 1 - FALSE_ALARM


def test_blocks_keep_neighbours_of_a_group_together():
    groups = np.random.default_rng(2).integers(0, 5, 5000)
    place = np.empty(5000, int)
    for group in range(5):
        place[groups == group] = np.arange(np.count_nonzero(groups == group))
    in_random_order = np.diff(place[_sets(GroupedSampling(groups, 32), 5000)], axis=1) == 1
    in_blocks = np.diff(place[_sets(GroupedSampling(groups, 32, block_size=32), 5000)], axis=1) == 1
    assert in_random_order.mean() < 0.01
    assert in_blocks.mean() > 0.9


def test_groups_are_given_as_strings_categories_or_codes_with_the_same_sets():
    pd = pytest.importorskip("pandas")
    codes = np.random.default_rng(3).integers(0, 4, 300)
    names = np.array(["a", "b", "c", "d"])[codes]
    expected = _sets(GroupedSampling(codes, 5, control=3), 300)
    for groups in (pd.Categorical(names), pd.Series(names, dtype="category")):
        assert np.array_equal(_sets(GroupedSampling(groups, 5, control="d"), 300), expected)
    assert np.array_equal(_sets(GroupedSampling(codes.astype(np.int8) - 100, 5, control=-97), 300), expected)
    assert set(names[_sets(GroupedSampling(names.tolist(), 5, control="d"), 300)[:, 5:]].ravel()) == {"d"}


@pytest.mark.filterwarnings("ignore:indices is not in ascending order")
def test_groups_and_match_are_of_the_collection_or_of_the_indices():
    rng = np.random.default_rng(4)
    groups, match = rng.integers(0, 5, 400), rng.integers(0, 2, 400)
    indices = rng.permutation(400)[:250]
    expected = _sets(GroupedSampling(groups, 4, control=0, match=match, indices=np.sort(indices)), 400)
    assert np.isin(expected, indices).all()
    for g, m in [(groups[indices], match[indices]), (groups, match[indices]), (groups[indices], match)]:
        assert np.array_equal(_sets(GroupedSampling(g, 4, control=0, match=m, indices=indices), 400), expected)


@pytest.mark.filterwarnings("ignore:indices is not in ascending order")
def test_where_both_lengths_fit_the_collection_decides_once_it_is_known():
    groups = ["a", "b", "c"]
    strategy = GroupedSampling(groups, 1, indices=[2, 1, 0], control="a")
    assert set(_sets(strategy, 3)[:, 1]) == {0}
    assert set(_sets(strategy, 4)[:, 1]) == {2}
    assert set(_sets(strategy, 3)[:, 1]) == {0}
    aligned = GroupedSampling(groups, 1, indices=[2, 1, 0], control="a", aligned_to="indices")
    assert set(_sets(aligned, 3)[:, 1]) == {2}


@settings(max_examples=examples(60))
@given(screen=screens(), set_size=st.integers(1, 6), seed=seeds, data=st.data())
def test_any_slice_of_an_epoch_with_controls_equals_that_slice_of_the_whole(screen, set_size, seed, data):
    groups, match = screen
    order = GroupedSampling(groups, set_size, control=0, match=match).order(groups.size, seed, 1)
    whole = order.rows(0, len(order))
    for _ in range(4):
        start = data.draw(st.integers(0, len(order)))
        stop = data.draw(st.integers(start, len(order)))
        assert np.array_equal(order.rows(start, stop), whole[start:stop])


def _screen(n=600):
    rng = np.random.default_rng(5)
    return rng.integers(0, 7, n), rng.integers(0, 3, n)


@pytest.mark.parametrize("n_workers", [0, 3, *rare(2)])
@pytest.mark.parametrize("world_size", [1, 3, *rare(2)])
def test_batches_hold_the_same_whole_sets_for_any_number_of_workers_and_ranks(n_workers, world_size):
    groups, match = _screen()
    strategy = GroupedSampling(groups, 4, control=0, match=match)
    expected = _sets(strategy, 600, 9).reshape(-1)
    cut = [expected[start : start + 16].tolist() for start in range(0, expected.size, 16)]
    found = {}
    for rank in range(world_size):
        dataset = scDataset(
            np.arange(600), strategy, 16, 3, rank=rank, world_size=world_size, seed=9, uneven_ranks=True
        )
        batches = DataLoader(dataset, batch_size=None, num_workers=n_workers)
        found[rank] = [np.asarray(batch).tolist() for batch in batches]
    assert sorted(chain.from_iterable(found.values())) == sorted(cut)
    if world_size == 1:
        assert found[0] == cut  # also in order


def test_4_bytes_a_row_are_kept_besides_codes_that_exist_already():
    n = 1_000_000
    groups = (np.arange(n) * 7919 % 1000).astype(np.uint16)
    match = (np.arange(n) // 1000 % 50).astype(np.uint8)
    strategy = GroupedSampling(groups, 32, control=0, match=match)
    _sets(strategy, n)
    assert np.shares_memory(strategy._prepared.controls.strata, match)
    assert len(pickle.dumps(strategy)) < n * (4 + 2 + 1) + 100_000
    assert np.array_equal(_sets(pickle.loads(pickle.dumps(strategy)), n), _sets(strategy, n))


class Pairs(SamplingStrategy):
    batch_unit = 2

    def get_indices(self, data_collection, seed=None, rng=None):
        return np.arange(len(data_collection))


@pytest.mark.parametrize(("batch_size", "near"), [(100, "64 or 128"), (63, "64 or 128"), (1, "64 or 128")])
def test_a_batch_size_that_cuts_sets_is_refused(batch_size, near):
    strategy = GroupedSampling([0] * 100 + [1], 32, control=1)
    with pytest.raises(
        ArgumentValueError, match=f"batch_size={batch_size} would cut .* multiple of 64, such as {near}"
    ):
        scDataset(np.arange(101), strategy, batch_size)
    scDataset(np.arange(101), strategy, 128)


def test_a_strategy_of_the_user_may_keep_rows_together_too():
    with pytest.raises(ArgumentValueError, match="cut units of 2 rows that Pairs keeps together"):
        scDataset(np.arange(10), Pairs(), 3)
    assert len(scDataset(np.arange(10), Pairs(), 4)) == 3


GENES = ["KLF1"] * 5 + ["GATA1"] * 3 + ["non-targeting"] * 4
DAYS = ["d1", "d2", "d9", "d9", "d1", "d1", "d9", "d1", "d1", "d2", "d1", "d2"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"set_size": 0}, "set_size=0 is out of bounds"),
        ({"set_size": 9, "remainder": "drop"}, "the largest group has 5 cells; give set_size of at most 5"),
        ({"balance": "equal"}, """balance='equal' is not known; give "proportional" or "balanced"."""),
        ({"remainder": "keep"}, """remainder='keep' is not known; give "pad" or "drop"."""),
        ({"unmatched": "keep"}, """unmatched='keep' is not known"""),
        ({"sets_per_group": 3}, "sets_per_group=3 with balance='proportional'"),
        ({"match": DAYS}, "match without control"),
        ({"n_controls": 3}, "n_controls=3 without control"),
        ({"control": "nontargeting"}, "control='nontargeting' is not among the 3 groups; .* 'non-targeting'"),
        ({"control": "xyz"}, "give one of them, such as 'KLF1', 'GATA1', 'non-targeting'"),
        ({"control": "non-targeting", "indices": range(8)}, "0 of the 8 selected rows are controls"),
        ({"control": "non-targeting", "indices": range(8, 12)}, "4 of the 4 selected rows are controls"),
        (
            {"control": "non-targeting", "match": DAYS},
            r"3 of 8 cells, in 2 groups, have no control .* 'KLF1' \(2\), 'GATA1' \(1\)\. .* cell of 'KLF1' with 'd9'",
        ),
        (
            {"control": "non-targeting", "match": {"day": DAYS, "lane": [1] * 8 + [2] * 4}, "unmatched": "drop"},
            "leaves no cell, since no control matches any",
        ),
        ({"control": "non-targeting", "match": {"day": DAYS, "lane": [1] * 8 + [2] * 4}}, "with day='d1', lane=1"),
        ({"control": "non-targeting", "match": DAYS[:5]}, r"match has length 5; .*\(12\)"),
        ({"control": "non-targeting", "match": [*DAYS[:-2], None, None]}, "match has 2 missing values among 12"),
        ({"groups": [*GENES[:-2], None, None]}, "groups has 2 missing values among 12"),
        ({"groups": []}, "groups is empty"),
        ({"indices": [0, 1], "groups": GENES, "aligned_to": "indices"}, r"groups has length 12; .*\(2\)"),
    ],
)
def test_bad_values_are_refused_at_construction(options, message):
    with pytest.raises(ArgumentValueError, match=message):
        GroupedSampling(**{"groups": GENES, "set_size": 2} | options)


def test_bad_types_are_refused_at_construction():
    with pytest.raises(ArgumentTypeError, match="set_size='2' is of type str"):
        GroupedSampling(GENES, "2")
    with pytest.raises(ArgumentTypeError, match=r"control=\['a'\] is of type list; give one label"):
        GroupedSampling(GENES, 2, control=["a"])


def test_groups_of_another_length_are_refused_with_all_lengths():
    strategy = GroupedSampling(GENES, 2, indices=[1, 2, 3])
    with pytest.raises(ArgumentValueError, match=r"groups has length 12; .*\(100\).*\(3\)"):
        scDataset(np.arange(100), strategy, 2)


def test_cells_without_a_match_are_dropped_on_request_and_their_groups_named():
    genes, days = [*GENES, "TP53"], [*DAYS, "d9"]
    strategy = GroupedSampling(genes, 2, control="non-targeting", match=days, unmatched="drop")
    cells = _sets(strategy, 13)[:, :2]
    assert set(cells.ravel().tolist()) == {0, 1, 4, 5, 7}
    assert strategy.left_out == ["TP53"]


def test_strategies_that_draw_other_sets_have_other_fingerprints():
    def made(**options):
        given = {"groups": GENES, "set_size": 2, "control": "non-targeting", "match": DAYS, "unmatched": "drop"}
        return GroupedSampling(**given | options)

    strategies = [
        made(),
        made(groups=[GENES[-1], *GENES[:-1]]),
        made(match=[DAYS[-1], *DAYS[:-1]]),
        made(match=None),
        made(balance="balanced", sets_per_group=2),
        made(balance="balanced", sets_per_group=3),
    ]
    prints = [strategy.fingerprint() for strategy in strategies]
    assert len(set(prints)) == len(prints)
    assert made().fingerprint() == prints[0]
