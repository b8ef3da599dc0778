"""hf_tahoe_to_tensor: lists of genes and values to a dense tensor."""

import datasets
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scdataset import ArgumentTypeError, ArgumentValueError, BlockShuffling, scDataset
from scdataset.transforms import hf_tahoe_to_tensor

GENES = [[1, 2], [], [0, 3, 1]]
VALUES = [[1.0, 2.5], [], [5.0, -2.0, 0.25]]
DENSE = [[0, 1, 2.5, 0, 0], [0, 0, 0, 0, 0], [5, 0.25, 0, -2, 0]]

BATCHES = {
    "lists": {"genes": GENES, "expressions": VALUES},
    "tensors": {"genes": [*map(torch.tensor, GENES[::2])], "expressions": [*map(torch.tensor, VALUES[::2])]},
    "arrays": {"genes": [*map(np.array, GENES)][::2], "expressions": [*map(np.array, VALUES)][::2]},
    "one dict a cell": [{"genes": g, "expressions": v, "drug": "x"} for g, v in zip(GENES, VALUES, strict=True)],
    "an array of arrays": {
        "genes": np.array([np.array([1, 2]), np.array([0, 3, 1])], object),
        "expressions": np.array([np.array([1.0, 2.5]), np.array([5.0, -2.0, 0.25])], object),
    },
}


@pytest.mark.parametrize("batch", BATCHES.values(), ids=BATCHES)
def test_every_form_of_a_batch_becomes_a_dense_tensor(batch):
    dense = hf_tahoe_to_tensor(batch, num_genes=5)
    assert dense.dtype == torch.float32
    assert dense.tolist() == (DENSE if len(dense) == 3 else DENSE[::2])


def test_cells_of_one_length_may_be_a_matrix():
    batch = {"genes": torch.tensor([[0, 1], [2, 0]]), "expressions": np.array([[1, 2], [3, 4]], np.uint16)}
    assert hf_tahoe_to_tensor(batch, 3).tolist() == [[1, 2, 0], [4, 0, 3]]


def test_no_cells_give_no_rows_and_the_width_is_that_of_tahoe():
    assert hf_tahoe_to_tensor({"genes": [], "expressions": []}).shape == (0, 62713)
    assert hf_tahoe_to_tensor([]).shape == (0, 62713)
    assert hf_tahoe_to_tensor({"genes": [[]], "expressions": [[]]}, 3).tolist() == [[0, 0, 0]]


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 19), st.floats(-9, 9, width=32)), max_size=30).map(
            lambda cell: ([gene for gene, _ in cell], [value for _, value in cell])
        ),
        max_size=20,
    )
)
def test_of_a_gene_that_is_repeated_the_last_value_stays(cells):
    expected = np.zeros((len(cells), 20), np.float32)
    for row, (genes, values) in enumerate(cells):
        for gene, value in zip(genes, values, strict=True):
            expected[row, gene] = value
    dense = hf_tahoe_to_tensor({"genes": [g for g, _ in cells], "expressions": [v for _, v in cells]}, 20)
    assert dense.numpy().tobytes() == expected.tobytes()


def test_many_repeats_in_one_large_cell_leave_the_last_value():
    genes = np.tile(np.arange(1000), 300)
    dense = hf_tahoe_to_tensor({"genes": [genes], "expressions": [np.arange(genes.size)]}, 1000)
    assert np.array_equal(dense[0].numpy(), np.arange(299_000, 300_000, dtype=np.float32))


@pytest.mark.parametrize("genes", [[0, 5], [-1, 0]])
def test_a_gene_out_of_range_is_refused(genes):
    with pytest.raises(ArgumentValueError, match="num_genes=5; give a larger num_genes"):
        hf_tahoe_to_tensor({"genes": [[1, 2], genes], "expressions": [[1, 2], [3, 4]]}, 5)


def test_as_many_values_as_genes_are_needed_in_every_cell():
    with pytest.raises(ArgumentValueError, match="as many of both"):
        hf_tahoe_to_tensor({"genes": [[1], [2, 3]], "expressions": [[1, 2], [3]]}, 5)


@pytest.mark.parametrize(
    ("genes", "values", "message"),
    [
        ([1.5], [1.0], "genes.*list of integers"),
        (["a"], [1.0], "genes.*list of integers"),
        ([1], ["a"], "expressions.*list of numbers"),
        ([[1]], [1.0], "genes has shape"),
    ],
)
def test_genes_are_integers_and_values_numbers(genes, values, message):
    with pytest.raises(ArgumentTypeError, match=message):
        hf_tahoe_to_tensor({"genes": [genes], "expressions": [values]}, 5)


@pytest.mark.parametrize("form", [None, "torch", "numpy"])
def test_it_is_a_transform_of_what_a_hugging_face_dataset_gives(form):
    rng = np.random.default_rng(0)
    genes = [rng.permutation(50)[: rng.integers(0, 9)].tolist() for _ in range(33)]
    values = [[float(row)] * len(cell) for row, cell in enumerate(genes)]
    features = datasets.Features(
        genes=datasets.List(datasets.Value("int64")), expressions=datasets.List(datasets.Value("float32"))
    )
    data = datasets.Dataset.from_dict({"genes": genes, "expressions": values}, features).with_format(form)
    expected = hf_tahoe_to_tensor({"genes": genes, "expressions": values}, 50)
    for hook in ("fetch_transform", "batch_transform"):
        dataset = scDataset(
            data, BlockShuffling(3), 4, 2, seed=0, **{hook: lambda batch: hf_tahoe_to_tensor(batch, 50)}
        )
        rows = np.concatenate(list(scDataset(range(33), BlockShuffling(3), 4, 2, seed=0)))
        assert torch.equal(torch.cat(list(dataset)), expected[torch.from_numpy(rows)])


@pytest.mark.parametrize("batch", [3, None, "cells", b"cells"])
def test_what_is_no_batch_is_a_value_error(batch):
    with pytest.raises(ArgumentValueError, match=f"type {type(batch).__name__}; give a dict"):
        hf_tahoe_to_tensor(batch)


def test_a_gene_beyond_the_width_is_also_an_index_error():
    with pytest.raises(IndexError, match="larger num_genes") as caught:
        hf_tahoe_to_tensor({"genes": [[9]], "expressions": [[1.0]]}, num_genes=5)
    assert isinstance(caught.value, ArgumentValueError)
