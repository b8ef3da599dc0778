"""MultiIndexable: several modalities of the same rows, indexed together."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st

import scdataset
from scdataset import ArgumentTypeError, ArgumentValueError, BlockShuffling, MultiIndexable, Streaming, scDataset
from scdataset.multiindexable import MultiIndexable as UnderItsOwnPath

N = 12
X = np.arange(N * 3, dtype=np.float32).reshape(N, 3)
Y = np.arange(N)

MADE = {
    "by position": lambda: MultiIndexable(X, Y),
    "with names": lambda: MultiIndexable(X, Y, names=["x", "y"]),
    "of a dict": lambda: MultiIndexable({"x": X, "y": Y}),
    "by keyword": lambda: MultiIndexable(x=X, y=Y),
}


@pytest.fixture(params=MADE)
def pair(request):
    return MADE[request.param]()


def rows_of(data):
    assert np.array_equal(data[0], X[data[1]])
    return data[1].tolist()


def test_it_is_one_class_under_all_its_paths():
    assert UnderItsOwnPath is scdataset.MultiIndexable is scdataset.collections.MultiIndexable


def test_modalities_come_out_by_integer_and_in_a_loop(pair):
    x, y = pair
    assert x is pair[0] is pair[-2] is X
    assert y is pair[1] is pair.values()[1] is Y
    assert pair.count == len(pair.keys()) == len(pair.items()) == 2
    assert len(pair) == N


def test_an_integer_of_numpy_is_an_integer(pair):
    """Defect of another library: a container of modalities fails when indexed with a numpy integer."""
    for one in (np.int64(1), np.uint8(1), np.array(1), torch.tensor(1)):
        assert pair[one] is Y


def test_names_are_keys_and_without_names_positions_are():
    named, unnamed = MADE["with names"](), MADE["by position"]()
    assert named.names == named.keys() == ["x", "y"]
    assert named["x"] is X
    assert "x" in named
    assert "z" not in named
    assert [name for name, _ in named.items()] == ["x", "y"]
    assert unnamed.names is None
    assert unnamed.keys() == [0, 1]


ROWS = {
    "a slice": (slice(2, 5), [2, 3, 4]),
    "a slice with a step": (slice(1, 10, 4), [1, 5, 9]),
    "a slice backwards": (slice(None, 8, -1), [11, 10, 9]),
    "a slice beyond the end": (slice(10, 99), [10, 11]),
    "an empty slice": (slice(5, 2), []),
    "a list": ([7, 0, 7], [7, 0, 7]),
    "a list of one": ([3], [3]),
    "an empty list": ([], []),
    "a tuple": ((4, 2), [4, 2]),
    "a range": (range(3), [0, 1, 2]),
    "an array": (np.array([9, 1]), [9, 1]),
    "small integers": (np.array([-1, 100 - 90], np.int8), [11, 10]),
    "unsigned integers": (np.array([11, 0], np.uint64), [11, 0]),
    "a tensor": (torch.tensor([2, 2]), [2, 2]),
    "negative rows": (np.array([-1, -12]), [11, 0]),
    "a mask": (Y % 5 == 1, [1, 6, 11]),
    "a list of booleans": ([True] + [False] * 11, [0]),
    "a tensor of booleans": (torch.arange(N) > 9, [10, 11]),
    "an empty mask": (np.zeros(N, bool), []),
}


@pytest.mark.parametrize(("key", "expected"), ROWS.values(), ids=ROWS)
def test_rows_are_taken_as_numpy_takes_them(pair, key, expected):
    part = pair[key]
    assert type(part) is MultiIndexable
    assert rows_of(part) == expected
    assert len(part) == len(expected)
    assert part.names == pair.names


@given(st.lists(st.integers(-200, 199), max_size=30), st.sampled_from(["i1", "i2", "i8"]))
def test_many_rows_are_taken_whatever_the_integers(rows, dtype):
    many = MultiIndexable(x=np.arange(200))
    rows = [row for row in rows if np.iinfo(dtype).min <= row <= np.iinfo(dtype).max]
    assert many[np.array(rows, dtype)]["x"].tolist() == [row % 200 for row in rows]


@pytest.mark.parametrize("key", [[N], [-N - 1], np.array([0, 99], np.uint64), 2, -3, np.int64(7)])
def test_what_is_out_of_range_is_an_index_error(pair, key):
    with pytest.raises(IndexError, match=r"12 rows|there are 2"):
        pair[key]


@pytest.mark.parametrize("key", [[0.5], [True], np.zeros((2, 2), int), 1.0, None, True, {1}, ["x"]])
def test_what_is_no_index_is_an_index_error(pair, key):
    with pytest.raises(IndexError, match="give"):
        pair[key]


def test_an_unknown_name_is_answered_with_the_names():
    with pytest.raises(KeyError, match=r"No modality 'z'; there are \['x', 'y'\]"):
        MADE["with names"]()["z"]


@pytest.mark.parametrize("name", ["names", "unstructured", "read", "X"])
def test_a_modality_of_any_name_in_a_dict_survives_indexing(name):
    """Defect of another library: a container of modalities loses one called names."""
    data = MultiIndexable({name: Y, "x": X}, unstructured={"genes": "abc"})
    for part in (data, data[:], data[[3, 1]], data.read(Y)):
        assert part.names == [name, "x"]
        assert part.unstructured == {"genes": "abc"}
        assert np.array_equal(X[part[name]], part["x"])


def test_a_modality_called_names_by_keyword_survives_indexing():
    """Defect of another library: a container of modalities loses one called names."""
    data = MultiIndexable(names=Y, x=X)
    assert data[2:4].names == ["x", "names"]
    assert data[2:4]["names"].tolist() == [2, 3]


def test_what_belongs_to_the_whole_is_carried_along():
    genes = np.array(["a", "b", "c"])
    data = MultiIndexable(x=X, y=Y, unstructured={"genes": genes})
    assert data.unstructured_keys == ["genes"]
    dataset = scDataset(data, BlockShuffling(2), 5, seed=0)
    for part in (data[3:], data[[1]], data.read(Y), *dataset):
        assert part.unstructured["genes"] is genes


def test_batches_have_their_rows_together(pair):
    batches = list(scDataset(pair, BlockShuffling(2), 5, 2, seed=0))
    assert sorted(sum(map(rows_of, batches), [])) == list(range(N))  # noqa: RUF017 three short lists


REFUSED = {
    "different lengths": (lambda: MultiIndexable(X, Y[:-1]), ArgumentValueError, "differ in length"),
    "too few names": (lambda: MultiIndexable(X, Y, names=["x"]), ArgumentValueError, "for 2 modalities"),
    "a name twice": (lambda: MultiIndexable(X, Y, names=["x", "x"]), ArgumentValueError, "different name"),
    "names that are text": (lambda: MultiIndexable(X, Y, names="xy"), ArgumentTypeError, "list of strings"),
    "names that are numbers": (lambda: MultiIndexable({0: X}), ArgumentTypeError, "list of strings"),
    "both ways": (lambda: MultiIndexable(X, y=Y), ArgumentTypeError, "all one way"),
    "a dict and names": (lambda: MultiIndexable({"x": X}, names=["x"]), ArgumentTypeError, "leave names out"),
    "unstructured rows": (lambda: MultiIndexable(X, unstructured=Y), ArgumentTypeError, "goes in a dict"),
    "no rows at all": (lambda: MultiIndexable(x=3), scdataset.CollectionError, "no __len__"),
}


@pytest.mark.parametrize(("make", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_wrong_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_it_nests():
    data = MultiIndexable(rna=MultiIndexable(x=X, y=Y), z=Y)
    part = next(iter(scDataset(data, Streaming(indices=[3, 8]), 2)))
    assert part["rna"]["x"].tolist() == X[[3, 8]].tolist()
    assert part["z"].tolist() == part["rna"]["y"].tolist() == [3, 8]


def test_repr_shows_rows_and_types():
    data = MultiIndexable(x=sp.csr_matrix(X), y=["a"] * N, unstructured={"genes": 3})
    assert repr(data) == "MultiIndexable(12 rows of {x: csr_matrix, y: list}, unstructured=['genes'])"


def test_it_pickles(pair):
    again = pickle.loads(pickle.dumps(pair[3:7]))
    assert rows_of(again) == [3, 4, 5, 6]
    assert again.names == pair.names


def test_a_slice_of_arrays_is_a_view_and_a_modality_keeps_its_type():
    data = MultiIndexable(x=X, s=sp.csr_matrix(X), f=pd.DataFrame(X), t=torch.tensor(X), l=list("abcdefghijkl"))
    part = data[2:9]
    assert np.shares_memory(part["x"], X)
    assert [type(value) for value in data[[1, 2]].values()[:4]] == [type(value) for value in data.values()[:4]]
    assert part["l"] == list("cdefghi")


def test_a_container_of_nothing_is_refused():
    for nothing, error in [
        (MultiIndexable, TypeError),
        (lambda: MultiIndexable(unstructured={"genome": "GRCh38"}), TypeError),
        (lambda: MultiIndexable({}), ValueError),
    ]:
        with pytest.raises(error, match="give at least one"):
            nothing()


def test_a_missing_modality_says_how_a_column_of_obs_gets_into_batches():
    with pytest.raises(KeyError, match=r"obs=\['cell_type'\]"):
        MultiIndexable(X=np.eye(3))["cell_type"]
    with pytest.raises(KeyError, match="Did you mean 'cell_type'"):
        MultiIndexable(cell_type=np.eye(3))["celltype"]


def numbers():
    return MultiIndexable(
        dense=np.eye(4, dtype=">f4")[::-1],
        csr=sp.csr_matrix(np.eye(4, 3)),
        other=sp.csr_array(np.eye(4, 3, dtype="f4")),
        listed=[1, 2, 3, 4],
        flags=np.array([True, False] * 2),
        tensor=torch.arange(4),
        nested=MultiIndexable(y=np.arange(4)),
        unstructured={"genes": ["a"]},
    )


def test_moving_makes_tensors_of_all_that_are_numbers():
    given = numbers()
    moved = given.to("cpu", torch.float64)
    tensors = [*(value for _, value in moved.items() if not isinstance(value, MultiIndexable)), moved["nested"]["y"]]
    assert {tensor.dtype for tensor in tensors} == {torch.float64}
    assert moved["dense"].tolist() == np.eye(4)[::-1].tolist()
    assert moved["csr"].layout == moved["other"].layout == torch.sparse_csr
    assert moved["other"].to_dense().tolist() == np.eye(4, 3).tolist()
    assert moved["listed"].tolist() == [1, 2, 3, 4]
    assert (len(moved), moved.unstructured) == (4, {"genes": ["a"]})
    assert given["listed"] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "labels",
    [
        list("abcd"),
        np.array(list("abcd")),
        np.array([None] * 4),
        pd.Categorical(list("abab")),
        pd.DataFrame({"a": Y[:4]}),
    ],
)
def test_what_no_device_takes_is_named(labels):
    with pytest.raises(ArgumentTypeError, match=r"Modality 'cell_type' is a .* no device takes"):
        MultiIndexable(x=np.eye(4), cell_type=labels).to("cpu")


def test_hosts_that_move_every_batch_leave_arrays_and_strings_to_the_training_step():
    transfer = pytest.importorskip("lightning_fabric.utilities.apply_func").move_data_to_device
    batch = MultiIndexable(x=np.eye(4), t=torch.eye(4), y=list("abcd"), nested=MultiIndexable(z=np.eye(4)))
    moved = transfer(batch, torch.device("meta"))
    assert moved["t"].device.type == "meta"
    assert [type(moved[name]) for name in ("x", "y")] == [np.ndarray, list]
    assert type(moved["nested"]["z"]) is np.ndarray


def test_columns_in_any_order_and_repeated_are_moved_too():
    parts = (np.array([1.0, 2, 4, 8]), np.array([2, 0, 1, 1]), np.array([0, 2, 4]))
    given = sp.csr_matrix(parts, shape=(2, 3))
    assert MultiIndexable(x=given).to("cpu")["x"].to_dense().tolist() == [[2, 0, 1], [0, 12, 0]]
    assert given.indices.tolist() == [2, 0, 1, 1]


def test_batches_of_a_window_know_how_many_rows_they_have():
    def window(rows):
        return MultiIndexable({"x": rows, "y": rows[:, 0].tolist()}, unstructured={"genome": "GRCh38"})

    dataset = scDataset(np.arange(70).reshape(35, 2), Streaming(), 8, 2, fetch_transform=window)
    batches = list(dataset)
    assert [len(batch) for batch in batches] == [8, 8, 8, 8, 3]
    for batch in batches:
        assert batch.unstructured == {"genome": "GRCh38"}
        assert [len(batch[1:3]), len(batch[[0, 2]]), len(batch[1:3][1:])] == [2, 2, 1]
        assert batch[1:3]["y"] == batch["x"][1:3, 0].tolist()
        copy = pickle.loads(pickle.dumps(batch))
        assert (len(copy), copy["y"]) == (len(batch), batch["y"])
