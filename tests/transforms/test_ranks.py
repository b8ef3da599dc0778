"""Ranked tokens: those of Geneformer, written plainly here, ties aside."""

import pickle

import anndata
import numpy as np
import pytest
import scipy.sparse as sp
import torch

from scdataset import ArgumentTypeError, ArgumentValueError, BlockShuffling, MultiIndexable, scDataset
from scdataset.transforms import Compose, Log1p, NormalizeTotal, RankTokens, ToTorch

GENERATOR = np.random.default_rng(0)
N_GENES = 400
COUNTS = GENERATOR.poisson(GENERATOR.gamma(0.3, 4, (30, N_GENES))).astype(np.float32)
COUNTS[3] = 0  # an empty cell
MEDIANS = GENERATOR.gamma(2, 3, N_GENES) + 0.1
TOKENS = GENERATOR.permutation(N_GENES) + 4
TOKENS[::7] = -1


def _reference(counts, tokens, medians, totals, n_genes):
    """Return the tokens of one cell: genes that share a token are summed where the first of them is."""
    known = [token for token in dict.fromkeys(tokens.tolist()) if token >= 0]
    summed = np.array([counts[tokens == token].sum(dtype=np.float64) for token in known])
    median = np.array([medians[np.argmax(tokens == token)] for token in known])
    there = np.flatnonzero(summed)
    values = summed[there] / totals * 1e4 / median[there]
    return np.array(known)[there][np.argsort(-values, kind="stable")][:n_genes].tolist()


def _padded(genes, max_length, cls, eos, pad):
    tokens = [token for token in (cls, *genes, eos) if token is not None]
    return tokens + [pad] * (max_length - len(tokens)), len(tokens)


SPECIAL = {"V1": {}, "V2": {"cls": 1, "eos": 2}, "other pad": {"cls": 3, "pad": 900}}


@pytest.mark.parametrize("special", SPECIAL.values(), ids=SPECIAL)
@pytest.mark.parametrize("max_length", [20, 250])
@pytest.mark.parametrize("n_shared", [0, 60])
def test_tokens_are_ranked_as_by_geneformer(special, max_length, n_shared):
    tokens, medians = TOKENS.copy(), MEDIANS.copy()
    shared = GENERATOR.integers(0, N_GENES, (n_shared, 2))
    for kept, copy in shared[tokens[shared[:, 0]] >= 0]:
        tokens[copy] = tokens[kept]
    for token in np.unique(tokens[tokens >= 0]):
        medians[tokens == token] = medians[np.argmax(tokens == token)]
    medians[tokens < 0] = np.nan
    batch = RankTokens(tokens, medians, max_length, **special)(sp.csr_matrix(COUNTS))
    special = {"cls": None, "eos": None, "pad": 0, **special}
    n_genes = max_length - (special["cls"] is not None) - (special["eos"] is not None)
    for row, counts in enumerate(COUNTS):
        genes = _reference(counts, tokens, medians, counts.sum(dtype=np.float64), n_genes)
        expected, length = _padded(genes, max_length, **special)
        assert batch["input_ids"][row].tolist() == expected
        assert batch["lengths"][row] == length
        assert batch["attention_mask"][row].tolist() == [True] * length + [False] * (max_length - length)


def test_ties_come_in_the_order_of_the_genes():
    to_tokens = RankTokens(np.arange(10, 0, -1), np.ones(10), 10)
    assert to_tokens(np.ones((1, 10), np.float32))["input_ids"].tolist() == [list(range(10, 0, -1))]
    shared = RankTokens([5, 6, 7, 5], np.ones(4), 3)
    assert shared(np.array([[0, 1, 1, 1], [1, 1, 0, 1]], np.float32))["input_ids"].tolist() == [[5, 6, 7], [5, 6, 0]]


def test_total_counts_of_all_genes_do_not_change_the_order_and_have_to_fit():
    to_tokens = RankTokens(TOKENS, MEDIANS, 300)
    expected = to_tokens(COUNTS)["input_ids"]
    batch = {"X": COUNTS, "total_counts": COUNTS.sum(1) + 100, "y": np.arange(30)}
    assert np.array_equal(to_tokens(batch)["input_ids"], expected)
    assert list(to_tokens(batch)) == ["total_counts", "y", "input_ids", "attention_mask", "lengths"]
    with pytest.raises(ArgumentValueError, match="RankTokens: the total counts of row 2 are 0, and it has counts"):
        to_tokens({**batch, "total_counts": np.arange(30) != 2})


BATCHES = {
    "MultiIndexable": lambda matrix: MultiIndexable({"X": matrix, "y": np.arange(30)}, unstructured={"a": 1}),
    "dict": lambda matrix: {"X": matrix, "y": np.arange(30)},
    "AnnData": anndata.AnnData,
    "CSR array": sp.csr_array,
    "dense": lambda matrix: matrix.toarray(),
    "integers": lambda matrix: matrix.astype(np.int32),
}


@pytest.mark.parametrize("make", BATCHES.values(), ids=BATCHES)
def test_batches_of_every_form_have_the_same_tokens(make):
    to_tokens = RankTokens(TOKENS, MEDIANS, 300)
    batch = make(sp.csr_matrix(COUNTS))
    found = to_tokens(batch)
    assert np.array_equal(found["input_ids"], to_tokens(COUNTS)["input_ids"])
    assert "X" not in found
    if isinstance(batch, (dict, MultiIndexable)):
        assert type(found) is type(batch)
        assert np.array_equal(found["y"], np.arange(30))
    if isinstance(batch, MultiIndexable):
        assert found.unstructured == {"a": 1}


def test_the_longest_cell_may_give_the_length():
    short, full = (RankTokens(TOKENS, MEDIANS, 300, cls=1, padding=padding) for padding in ("longest", "max_length"))
    found, expected = short(COUNTS), full(COUNTS)
    longest = expected["lengths"].max()
    assert found["input_ids"].shape == found["attention_mask"].shape == (30, longest)
    assert np.array_equal(found["input_ids"], expected["input_ids"][:, :longest])
    assert short(COUNTS[:0])["input_ids"].shape == (0, 300)


def test_dictionaries_of_a_model_give_the_same():
    names = [f"ENSG{gene:03}" for gene in range(N_GENES)]
    tokens = {"<pad>": 0, "<mask>": 1, "<cls>": 2, "<eos>": 3}
    tokens |= {name: int(token) for name, token in zip(names, TOKENS, strict=True) if token >= 0}
    medians = dict(zip(names, MEDIANS, strict=True))
    found = RankTokens.from_dictionaries(names, tokens, medians, 300)(COUNTS)["input_ids"]
    assert np.array_equal(found, RankTokens(TOKENS, MEDIANS, 300, cls=2, eos=3)(COUNTS)["input_ids"])
    del medians["ENSG001"]
    with pytest.raises(ArgumentValueError, match=r"1 gene has a token and no median, such as \['ENSG001'\]"):
        RankTokens.from_dictionaries(names, tokens, medians)
    with pytest.raises(ArgumentValueError, match=r"None of 1 var_names .* \['CD4'\]"):
        RankTokens.from_dictionaries(["CD4"], tokens, medians)


def test_tokens_reach_the_loop_as_tensors():
    transform = Compose(RankTokens(TOKENS, MEDIANS, 64), ToTorch())
    cells = MultiIndexable(X=sp.csr_matrix(COUNTS), y=np.arange(30))
    for place in ("fetch_transform", "batch_transform"):
        for batch in scDataset(cells, BlockShuffling(4), 8, 2, seed=0, **{place: transform.transforms[0]}):
            assert batch["input_ids"].shape == (len(batch["y"]), 64)
            tensors = ToTorch()(batch)
            assert tensors["input_ids"].dtype == torch.int64
            assert tensors["attention_mask"].dtype == torch.bool
            expected = transform(COUNTS[batch["y"]])["input_ids"]
            assert torch.equal(tensors["input_ids"], expected)


def test_it_can_be_pickled():
    transform = RankTokens(TOKENS, MEDIANS, 64, cls=1)
    copy = pickle.loads(pickle.dumps(transform))
    assert repr(copy) == repr(transform)
    assert "tokens of 342 of 400 genes>, max_length=64, cls=1" in repr(transform)
    assert np.array_equal(copy(COUNTS)["input_ids"], transform(COUNTS)["input_ids"])


LOGARITHMS = Compose(NormalizeTotal(), Log1p())(COUNTS[4:])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: RankTokens([1, 2], [1.0]), ArgumentTypeError, r"medians has shape \(1,\)"),
        (lambda: RankTokens([1.5], [1.0]), ArgumentTypeError, "token_ids has shape .* dtype float64"),
        (lambda: RankTokens([5, -1], [np.nan, 1]), ArgumentValueError, "1 gene has a token and no median above 0"),
        (lambda: RankTokens([5, 6], [1, 0]), ArgumentValueError, "such as gene 1 with token 6 and 0.0"),
        (lambda: RankTokens([5, 5], [1, 2]), ArgumentValueError, "token 5 have several medians, such as gene 1"),
        (lambda: RankTokens([-1], [1]), ArgumentValueError, "no gene of the vocabulary"),
        (lambda: RankTokens([0, 1], [1, 1]), ArgumentValueError, "genes have pad=0; give each a number of its own"),
        (lambda: RankTokens([4], [1], cls=2, eos=2), ArgumentValueError, "not all different numbers"),
        (lambda: RankTokens([4], [1], cls="<cls>"), ArgumentTypeError, "cls='<cls>' is of type str"),
        (lambda: RankTokens([4], [1], eos=-1), ArgumentValueError, "eos=-1 is out of bounds"),
        (lambda: RankTokens([4], [1], pad=None), ArgumentTypeError, "pad=None is of type NoneType"),
        (lambda: RankTokens([4], [1], 2, cls=2, eos=3), ArgumentValueError, "max_length=2 is out of bounds"),
        (lambda: RankTokens([4], [1], padding="left"), ArgumentValueError, "padding='left'"),
        (lambda: RankTokens([4], [1])(COUNTS), ArgumentValueError, "numbers of 1 gene, and X has 400"),
        (lambda: RankTokens([4], [1])([[-1.0]]), ArgumentTypeError, "got a list"),
        (
            lambda: RankTokens([4], [1])(np.array([[-1.0]])),
            ArgumentValueError,
            "such as -1.0 in row 0",
        ),
        (
            lambda: RankTokens([4], [1])(np.array([[1], [np.nan]])),
            ArgumentValueError,
            "such as nan in row 1",
        ),
        (lambda: RankTokens(TOKENS, MEDIANS)(LOGARITHMS), ArgumentValueError, "got logarithms of counts"),
    ],
)
def test_what_cannot_be_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
