"""Numbers of genes and padded tokens."""

import numpy as np
import pytest
import scipy.sparse as sp

from scdataset import ArgumentTypeError, ArgumentValueError, MultiIndexable
from scdataset.transforms.padding import checked_padding, checked_values, ids_of_genes, in_place_of_x, trimmed


def test_genes_have_whole_numbers_or_none():
    ids = ids_of_genes("gene_ids", [5, -1, 7], {"cls": 0, "pad": None})
    assert ids.tolist() == [5, -1, 7]
    assert ids.dtype == np.int64


@pytest.mark.parametrize(
    ("ids", "special", "error", "said"),
    [
        ([[1, 2]], {}, ArgumentTypeError, r"shape \(1, 2\)"),
        ([1.5, 2], {}, ArgumentTypeError, "gene_ids"),
        ([-1, -1], {}, ArgumentValueError, "no gene of the vocabulary among 2"),
        ([1, 2], {"cls": 2}, ArgumentValueError, "genes have cls=2"),
        ([1, 2], {"cls": 0, "pad": 0}, ArgumentValueError, "not all different numbers"),
        ([1, 2], {"cls": -3}, ArgumentValueError, "cls"),
    ],
)
def test_numbers_that_cannot_be_are_refused(ids, special, error, said):
    with pytest.raises(error, match=said):
        ids_of_genes("gene_ids", ids, special)


def test_tokens_are_as_long_as_the_longest_where_that_is_asked_for():
    tokens, lengths = np.arange(12).reshape(3, 4), np.array([1, 3, 2])
    assert trimmed(tokens, lengths, "longest").tolist() == tokens[:, :3].tolist()
    assert trimmed(tokens, lengths, "max_length") is tokens
    assert trimmed(tokens[:0], lengths[:0], "longest").shape == (0, 4)
    with pytest.raises(ArgumentValueError, match="padding='short'"):
        checked_padding("short")


def test_a_matrix_has_a_number_for_each_gene_and_no_negative_values():
    ids = np.arange(3)
    checked_values("RankTokens", sp.eye(3, format="csr"), ids)
    with pytest.raises(ArgumentValueError, match="RankTokens has the numbers of 3 genes, and X has 4"):
        checked_values("RankTokens", sp.eye(4, format="csr"), ids)
    with pytest.raises(ArgumentValueError, match="RankTokens"):
        checked_values("RankTokens", -sp.eye(3, format="csr"), ids)


@pytest.mark.parametrize("form", [dict, MultiIndexable])
def test_members_beside_x_stay_and_x_goes(form):
    found = in_place_of_x(form(X=np.eye(3), label=np.arange(3)), {"tokens": np.zeros((3, 2))})
    assert type(found) is form
    assert sorted(found.keys()) == ["label", "tokens"]
    assert list(in_place_of_x(np.eye(3), {"tokens": np.zeros((3, 2))}).keys()) == ["tokens"]
