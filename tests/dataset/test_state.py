"""Saved states: what they hold, what they refuse, and states of earlier versions that have to be read for ever."""

import hashlib
import io
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st

from scdataset import (
    ArgumentTypeError,
    ArgumentValueError,
    BlockShuffling,
    BlockWeightedSampling,
    ClassBalancedSampling,
    SamplingStrategy,
    StateError,
    Streaming,
    scDataset,
)

GOLDEN = json.loads(Path(__file__).with_name("golden_states.json").read_text())


def make(n=400, strategy=None, batch_size=7, fetch_factor=4, **options):
    strategy = BlockShuffling(4) if strategy is None else strategy
    return scDataset(np.arange(n), strategy, batch_size, fetch_factor, **{"seed": 3, **options})


def without_checksum(state, **changes):
    """Return a state as the first version has it, with some fields changed."""
    return {name: value for name, value in state.items() if name != "checksum"} | {"version": 1, **changes}


def taken(dataset, count):
    batches = iter(dataset)
    return [next(batches).tolist() for _ in range(count)]


def test_a_state_says_what_was_consumed_and_of_what():
    dataset = make(world_size=2, rank=1)
    taken(dataset, 9)
    state = dataset.state_dict()
    assert len(json.dumps(state)) < 450
    assert len(state.pop("checksum")) == 12
    assert state == {
        "version": 2,
        "epoch": 0,
        "chain": [[2, 1, 9]],
        "seed": 3,
        "n_samples": 400,
        "batch_size": 7,
        "fetch_factor": 4,
        "drop_last": False,
        "uneven_ranks": False,
        "strategy": "BlockShuffling:BlockShuffling(block_size=4, indices=None, drop_last=False):e4a6a0577479b2b4",
        "collection": "ndarray:(400,):int64",
    }


def test_before_the_first_batch_and_after_the_last_an_epoch_is_whole():
    dataset = make()
    assert (dataset.state_dict()["epoch"], dataset.state_dict()["chain"]) == (0, [])
    iter(dataset)
    assert dataset.state_dict()["chain"] == []
    assert len(list(dataset)) == 58
    assert (dataset.state_dict()["epoch"], dataset.state_dict()["chain"]) == (1, [])


def test_what_was_taken_is_counted_and_not_what_was_fetched():
    dataset = make()
    batches = iter(dataset)
    for number in range(1, 12):
        next(batches)
        assert dataset.state_dict()["chain"] == [[1, 1, number]]


def test_a_broken_loop_is_where_it_was_broken():
    dataset = make()
    for number, _ in enumerate(dataset, start=1):
        if number == 5:
            break
    again = make()
    again.load_state_dict(dataset.state_dict())
    assert taken(again, 1) == taken(make(), 6)[5:]


def test_an_error_in_a_hook_loses_no_batch():
    def fail(batch, calls=[0]):  # noqa: B006 counts calls
        calls[0] += 1
        if calls[0] == 6:
            raise OSError
        return batch

    dataset = make(batch_transform=fail)
    with pytest.raises(OSError):
        list(dataset)
    assert dataset.state_dict()["chain"] == [[1, 1, 5]]


def test_the_epochs_after_a_resumed_one_are_whole():
    dataset, again = make(), make()
    list(dataset)
    taken(dataset, 20)
    again.load_state_dict(dataset.state_dict())
    assert (len(list(again)), len(list(again))) == (38, 58)
    again.set_epoch(2)
    reference = make()
    reference.set_epoch(2)
    assert taken(again, 58) == taken(reference, 58)


def test_the_length_counts_what_was_consumed_before():
    dataset = make()
    taken(dataset, 20)
    state = dataset.state_dict()
    same, other = make(), make(rank=0, world_size=2)
    same.load_state_dict(state)
    other.load_state_dict(state)
    assert (len(same), len(other)) == (58, 20 + 19)
    assert (len(list(same)), len(list(other))) == (38, 19)
    assert (len(same), len(other)) == (58, 29)


def test_the_length_is_that_of_the_next_epoch_when_the_last_batch_was_given():
    """Hosts that know the length do not ask for one batch more."""
    dataset, again = make(), make(world_size=2, rank=0)
    taken(dataset, 20)
    again.load_state_dict(dataset.state_dict())
    batches = iter(again)
    for _ in range(19):
        assert len(again) == 39
        next(batches)
    assert len(again) == 29
    again.load_state_dict(dataset.state_dict())
    assert len(again) == 39


def test_set_epoch_of_the_epoch_of_the_state_changes_nothing_and_of_another_begins_that():
    dataset = make()
    taken(dataset, 20)
    for epoch, left in [(0, 38), (1, 58)]:
        again = make()
        again.load_state_dict(dataset.state_dict())
        again.set_epoch(epoch)
        assert len(list(again)) == left


def test_without_a_seed_the_state_gives_its_own():
    dataset = make(seed=None)
    batches = taken(dataset, 9)
    again = make(seed=None)
    assert again.seed != dataset.seed
    again.load_state_dict(dataset.state_dict())
    assert again.seed == dataset.seed
    again = make(seed=None)
    again.load_state_dict(without_checksum(dataset.state_dict(), chain=[]))
    assert taken(again, 9) == batches


STATE = make().state_dict()

OTHERS = [
    ({"batch_size": 8}, "batch_size was 7 and is 8"),
    ({"fetch_factor": 5}, "fetch_factor was 4 and is 5"),
    ({"n": 401}, "n_samples was 400 and is 401"),
    ({"seed": 4}, "seed was 3 and is 4"),
    ({"drop_last": True}, "drop_last was False and is True"),
    ({"uneven_ranks": True}, "uneven_ranks was False and is True"),
    ({"strategy": BlockShuffling(5)}, r"strategy was .*block_size=4.* and is .*block_size=5.*ignore=\['strategy'\]"),
    ({"strategy": Streaming()}, r"strategy was 'BlockShuffling:.* and is 'Streaming:"),
]


@pytest.mark.parametrize(("options", "message"), OTHERS)
def test_a_state_of_another_dataset_is_refused_with_both_values(options, message):
    with pytest.raises(StateError, match=message):
        make(**options).load_state_dict(STATE)


def test_another_collection_is_refused_and_may_be_ignored():
    state = make().state_dict(9, epoch=0)
    other = scDataset(np.arange(400.0), BlockShuffling(4), 7, 4, seed=3)
    with pytest.raises(
        StateError, match=r"int64' and is .*float64'.*load_state_dict\(state, ignore=\['collection'\]\)"
    ):
        other.load_state_dict(state)
    other.load_state_dict(state, ignore=["collection"])
    assert len(list(other)) == 49


@pytest.mark.parametrize("ignore", ["collection", ["seed"], ["batch_size", "strategy"]])
def test_nothing_else_can_be_ignored(ignore):
    with pytest.raises(ArgumentValueError, match=r"among \['collection', 'strategy'\]"):
        make().load_state_dict(STATE, ignore=ignore)


WEIGHTS = np.arange(400.0)
STRATEGIES = [
    Streaming(),
    Streaming(shuffle=True),
    Streaming(range(100)),
    Streaming(range(1, 101)),
    Streaming(np.arange(100) * 2),
    BlockShuffling(4, np.arange(400) % 3 > 0),
    BlockShuffling(4, np.arange(400) % 3 > 1),
    BlockWeightedSampling(4),
    BlockWeightedSampling(4, weights=WEIGHTS),
    BlockWeightedSampling(4, weights=WEIGHTS[::-1]),
    BlockWeightedSampling(4, weights=WEIGHTS, aligned_to="collection"),
    ClassBalancedSampling(["a", "b"] * 200, 4),
    ClassBalancedSampling(["a", "a", "b", "b"] * 100, 4),
]


def test_strategies_that_differ_have_different_fingerprints():
    prints = [strategy.fingerprint() for strategy in STRATEGIES]
    assert len(set(prints)) == len(prints)
    assert prints == [strategy.fingerprint() for strategy in STRATEGIES]


class Mine(SamplingStrategy):
    def __init__(self, start):  # without the base's, as existing ones are written
        self.start = start
        self.helper = object()

    def get_indices(self, data_collection, seed=None, rng=None):
        return np.arange(self.start, len(data_collection))


class MineShown(Mine):
    def __repr__(self):
        return f"MineShown({self.start}, {self.helper!r})"


def test_a_strategy_of_ones_own_is_known_by_name_and_repr():
    assert Mine(1).fingerprint().startswith("Mine::")
    assert MineShown(1).fingerprint() == MineShown(1).fingerprint()  # whatever addresses the repr shows
    assert MineShown(1).fingerprint() != MineShown(2).fingerprint()


class Files:
    """A collection of many files, of which only the fingerprint matters."""

    def __init__(self, *names):
        self.names = names

    def __len__(self):
        return 100_000_000

    def read(self, rows):
        return rows

    def fingerprint(self):
        return ",".join(self.names)


NAMES = [f"/data/plate_{number}/cells.h5ad" for number in range(1000)]


def test_a_long_fingerprint_is_cut_and_still_tells_collections_apart():
    state = scDataset(Files(*NAMES), Streaming(), 7, seed=0).state_dict()
    other = scDataset(Files(*NAMES[:-1], "elsewhere"), Streaming(), 7, seed=0)
    with pytest.raises(StateError, match="collection was"):
        other.load_state_dict(state)


def test_a_state_of_many_files_takes_less_than_450_bytes():
    strategy = BlockWeightedSampling(64, weights=np.arange(1.0, 1001.0), indices=np.arange(1000), total_size=10**8)
    dataset = scDataset(Files(*NAMES), strategy, 4096, 256, seed=2**63 - 1, rank=0, world_size=1024)
    assert len(json.dumps(dataset.state_dict(10, epoch=1000, num_workers=16))) < 450


def test_a_state_whose_fingerprint_was_cut_at_300_characters_is_read():
    dataset = scDataset(Files(*NAMES), Streaming(), 7, seed=0)
    state = dataset.state_dict(3, epoch=0)
    whole = ",".join(NAMES)
    digest = hashlib.blake2b(whole.encode(), digest_size=8).hexdigest()
    cut = f"{whole[:300]}...{digest}"
    dataset.load_state_dict(without_checksum(state, collection=cut))
    for wrong in (f"{whole[:300]}...{'0' * 16}", whole[:300]):
        with pytest.raises(StateError, match="collection was"):
            dataset.load_state_dict(without_checksum(state, collection=wrong))


PART = make().state_dict(9, epoch=2)

DAMAGED = [
    ({"epoch": -1}, "-1 is not a whole number from 0"),
    ({"epoch": 1.5}, "1.5 is not of type int"),
    ({"epoch": 2.0}, "2.0 is not of type int"),
    ({"epoch": True}, "True is not a whole number"),
    ({"seed": None}, "None is not of type int"),
    ({"chain": [[1, 1]]}, "not enough values"),
    ({"chain": [[1, 1, 9, 9]]}, "too many values"),
    ({"chain": [[1, 1, 0]]}, "0 is not a whole number from 1"),
    ({"chain": [[1, 1, -9]]}, "-9 is not a whole number from 1"),
    ({"chain": [[1, True, 9]]}, "True is not a whole number from 1"),
    ({"chain": [[0, 1, 5]]}, "0 is not a whole number from 1"),
    ({"chain": [[1, 1, 59]]}, "59 batches taken from each of 1 rank, where 58 are"),
    *(
        ({"chain": wrong}, "is not of type list")
        for wrong in (7, "", {}, None, b"", set(), range(0), [{1, 2, 3}], ["123"])
    ),
    ({"strategy": None}, "None is not of type str"),
    ({"batch_size": "7"}, "'7' is not of type int"),
    ({"drop_last": 0}, "0 is not of type bool"),
    ({"worker": [0, 1, 1]}, "not enough values"),
    ({"worker": [2, 2, 1, 0]}, "2 is not a whole number from 0 to 1"),
    ({"worker": None}, "None is not of type list"),
    ({"note": 1}, r"version \d has no fields \['note'\]"),
    ({3: 1}, r"version \d has no fields \[3\]"),
]


@pytest.mark.parametrize(("change", "message"), DAMAGED)
def test_a_damaged_state_is_refused(change, message):
    with pytest.raises(StateError, match=message):
        make().load_state_dict({**without_checksum(PART), **change})
    with pytest.raises(StateError):
        make().load_state_dict({**PART, **change})


@pytest.mark.parametrize("version", [0, 3, None, True, 1.0, 2.0, "2"])
def test_a_state_of_another_version_is_refused(version):
    with pytest.raises(StateError, match=rf"version {version!r} and this scdataset reads versions 1 to 2"):
        make().load_state_dict({**PART, "version": version})


@pytest.mark.parametrize("state", [PART, without_checksum(PART)])
def test_a_truncated_state_is_refused(state):
    for name in state:
        rest = {key: value for key, value in state.items() if key != name}
        with pytest.raises(StateError, match="and no version" if name == "version" else f"KeyError: '{name}'"):
            make().load_state_dict(rest)


VALUES = st.none() | st.booleans() | st.integers(-2, 2**63) | st.floats() | st.text(max_size=9)
LISTS = st.lists(st.integers(0, 60) | VALUES, max_size=4)


@given(
    name=st.sampled_from([*PART, "worker", "other"]),
    value=VALUES | LISTS | st.lists(LISTS, max_size=3) | st.dictionaries(st.text(max_size=3), VALUES, max_size=2),
)
@example("epoch", 1)
@example("chain", [])
@example("chain", [[1, 1, 8]])
@example("chain", [[1, 2, 9]])
@example("seed", 4)
@example("version", 1)
@example("checksum", "")
@example("worker", [0, 1, 1, 3])
def test_a_state_with_any_one_field_changed_is_refused(name, value):
    assume(name not in PART or repr(PART[name]) != repr(value))
    with pytest.raises(StateError):
        make(seed=None).load_state_dict({**PART, name: value}, ignore=["collection", "strategy"])


@pytest.mark.parametrize("batches", [0, 9])
def test_a_state_is_the_same_through_json_pickle_and_torch_and_in_any_order(batches):
    state = make(world_size=2, rank=0).state_dict(batches, epoch=2)
    stream = io.BytesIO()
    torch.save(state, stream)
    stream.seek(0)
    tuples = {**state, "chain": tuple(map(tuple, state["chain"]))}
    backwards = dict(reversed(state.items()))
    for copy in (
        json.loads(json.dumps(state)),
        pickle.loads(pickle.dumps(state)),
        torch.load(stream),
        tuples,
        backwards,
    ):
        again = make(world_size=2, rank=1)
        again.load_state_dict(copy)
        assert again.state_dict() == state


@pytest.mark.parametrize("state", ["{}", None, [STATE], 3])
def test_what_is_no_state_is_refused(state):
    with pytest.raises(ArgumentTypeError, match="give the dict that state_dict"):
        make().load_state_dict(state)


def test_a_state_is_not_loaded_into_an_iteration_that_runs():
    dataset = make()
    batches = iter(dataset)
    next(batches)
    with pytest.raises(StateError, match="Epoch 0 is being iterated over, 1 batch in"):
        dataset.load_state_dict(STATE)
    del batches
    dataset.load_state_dict(STATE)
    assert taken(dataset, 58) == taken(make(), 58)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((59,), {"epoch": 0}, ArgumentValueError, "batches=59, and 58 are left of epoch 0"),
        ((-1,), {}, ArgumentValueError, "batches=-1"),
        ((1.0,), {}, ArgumentTypeError, "batches=1.0"),
        ((3,), {}, ArgumentValueError, "no iteration has begun; say of which epoch: epoch=0"),
        ((3,), {"epoch": -1}, ArgumentValueError, "epoch=-1"),
        ((3,), {"epoch": 0, "num_workers": -1}, ArgumentValueError, "num_workers=-1"),
    ],
)
def test_states_of_impossible_counts_are_refused(arguments, options, error, message):
    with pytest.raises(error, match=message):
        make().state_dict(*arguments, **options)


def test_zero_batches_of_an_epoch_that_is_over_are_ambiguous():
    dataset = make()
    list(dataset)
    with pytest.raises(ArgumentValueError, match="epoch 0 has just begun or the one after"):
        dataset.state_dict(0)
    assert dataset.state_dict(0, epoch=1)["epoch"] == 1


@pytest.mark.parametrize(
    ("n_restarts", "n_ranks"), [(24, 8), (4, 1024), pytest.param(24, 1024, marks=pytest.mark.slow)]
)
def test_a_state_is_small_for_many_ranks_and_many_restarts(n_restarts, n_ranks):
    """What the chain holds does not grow with ranks, and grows by three numbers with each change of them."""
    state = None
    for number in range(n_restarts):
        size = n_ranks if number % 2 else n_ranks // 2
        dataset = scDataset(range(10**7), BlockShuffling(4), 7, 4, seed=3, rank=size - 1, world_size=size)
        if state is not None:
            dataset.load_state_dict(state)
        state = dataset.state_dict(1, epoch=0, num_workers=number % 3)
    assert len(state["chain"]) == n_restarts
    assert len(json.dumps(state)) < 1024


@pytest.mark.parametrize("name", GOLDEN)
def test_states_of_earlier_versions_are_read(name):
    """A change here is breaking, and belongs under *State* in the changelog; states are added and never changed."""
    saved = GOLDEN[name]
    strategy = {"blocks": BlockShuffling(4), "streaming": Streaming(), "weighted": BlockWeightedSampling(4)}[
        saved["strategy"]
    ]
    dataset = make(strategy=strategy, rank=saved["rank"], world_size=saved["world_size"])
    dataset.load_state_dict(saved["state"])
    assert [batch[0] for batch in taken(dataset, 3)] == saved["first_rows"]
    assert len(list(dataset)) == len(dataset)


@pytest.mark.parametrize("wrong", [{}, {"model": {"weight": 1}, "epoch": 3}])
def test_a_dict_that_is_no_state_says_so_with_its_keys(wrong):
    with pytest.raises(StateError, match=r"it has the keys \[.* Give what dataset\.state_dict"):
        scDataset(np.arange(9), Streaming(), 4).load_state_dict(wrong)


def test_a_checkpoint_that_has_the_state_inside_says_where():
    dataset = scDataset(np.arange(9), Streaming(), 4)
    with pytest.raises(StateError, match="here under 'data'"):
        dataset.load_state_dict({"model": {}, "data": dataset.state_dict()})
