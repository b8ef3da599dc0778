"""Sentences of genes: which genes, in which places, padded as models take them."""

import pickle

import anndata
import numpy as np
import pytest
import scipy.sparse as sp
from scipy import stats

from scdataset import ArgumentTypeError, ArgumentValueError, MultiIndexable
from scdataset.transforms import BinValues, Compose, GeneSentence, MaskValues, RowKeys

FALSE_ALARM = 1e-4
N_GENES = 80
GENERATOR = np.random.default_rng(0)
COUNTS = GENERATOR.poisson(GENERATOR.gamma(0.4, 4, (50, N_GENES))).astype(np.float32)
COUNTS[3] = 0
IDS = GENERATOR.permutation(N_GENES) + 10
IDS[::9] = -1
ROWS = np.arange(50)
KEYS = RowKeys(ROWS, seed=0, epoch=0)
GENE_OF = {number: gene for gene, number in enumerate(IDS.tolist())}


def _sentences(batch, counts=COUNTS, pad=0, pad_value=-2, cls=None):
    """Return the genes of every cell, after a check of everything else."""
    found = []
    for row, length in enumerate(batch["lengths"].tolist()):
        ids, values = batch["gene_ids"][row].tolist(), batch["values"][row]
        n_places = len(ids)
        first = int(cls is not None)
        assert ids[:first] == [cls] * first
        assert set(ids[length:]) <= {pad}
        assert set(values[length:].tolist()) <= {pad_value}
        assert batch["attention_mask"][row].tolist() == [True] * length + [False] * (n_places - length)
        special = [True] * first + [False] * (length - first) + [True] * (n_places - length)
        assert batch["special_tokens_mask"][row].tolist() == special
        genes = [GENE_OF[number] for number in ids[first:length]]
        assert values[first:length].tolist() == counts[row, genes].tolist()
        found.append(genes)
    return found


@pytest.mark.parametrize("cls", [None, 5])
@pytest.mark.parametrize("max_length", [12, 75])
@pytest.mark.parametrize("include_zeros", [False, True])
def test_random_sentences_are_samples_in_the_order_of_genes(cls, max_length, include_zeros):
    sentence = GeneSentence(IDS, max_length, include_zeros=include_zeros, cls=cls)
    for genes, counts in zip(_sentences(sentence(sp.csr_matrix(COUNTS), KEYS), cls=cls), COUNTS, strict=True):
        candidates = np.flatnonzero((IDS >= 0) & (include_zeros | (counts > 0)))
        assert len(genes) == min(candidates.size, max_length - (cls is not None))
        assert set(genes) <= set(candidates.tolist())
        assert genes == sorted(set(genes))


@pytest.mark.parametrize("include_zeros", [False, True])
def test_every_gene_is_sampled_alike(include_zeros):
    cells = np.tile(COUNTS[0], (4_000, 1))
    sentence = GeneSentence(IDS, 6, include_zeros=include_zeros)
    batch = sentence(cells, RowKeys(np.arange(4_000), seed=0, epoch=0))
    candidates = IDS[(IDS >= 0) & (include_zeros | (COUNTS[0] > 0))]
    found = np.bincount(batch["gene_ids"].ravel(), minlength=IDS.max() + 1)[candidates]
    assert found.sum() == 6 * 4_000
    assert stats.chisquare(found).pvalue > FALSE_ALARM


@pytest.mark.parametrize("cls", [None, 5])
@pytest.mark.parametrize("max_length", [12, 75])
@pytest.mark.parametrize("include_zeros", [False, True])
def test_top_sentences_begin_with_the_largest_values(cls, max_length, include_zeros):
    sentence = GeneSentence(IDS, max_length, sample="top", include_zeros=include_zeros, cls=cls)
    batch = sentence(sp.csr_matrix(COUNTS), KEYS)
    for genes, counts in zip(_sentences(batch, cls=cls), COUNTS, strict=True):
        room = max_length - (cls is not None)
        ranked = [gene for gene in np.argsort(-counts, kind="stable") if IDS[gene] >= 0 and counts[gene]][:room]
        assert genes[: len(ranked)] == ranked
        rest = genes[len(ranked) :]
        assert not counts[rest].any()
        assert len(set(rest)) == len(rest) == (min((IDS >= 0).sum(), room) - len(ranked) if include_zeros else 0)


def test_top_sentences_without_zeros_need_no_keys():
    assert not GeneSentence(IDS, sample="top").needs_keys
    assert GeneSentence(IDS).needs_keys
    assert GeneSentence(IDS, sample="top", include_zeros=True).needs_keys
    assert GeneSentence(IDS, sample="top")(COUNTS)["gene_ids"].shape == (50, 1200)


@pytest.mark.parametrize("options", [{}, {"include_zeros": True}, {"sample": "top", "include_zeros": True}])
def test_the_sentence_of_a_cell_depends_on_seed_epoch_row_and_stream(options):
    sentence = GeneSentence(IDS, 40, **options)
    expected = sentence(COUNTS, KEYS)["gene_ids"]
    some = np.array([9, 0, 33, 9])
    assert np.array_equal(sentence(COUNTS[some], RowKeys(some, seed=0, epoch=0))["gene_ids"], expected[some])
    others = (
        sentence(COUNTS, RowKeys(ROWS, seed=0, epoch=1)),
        sentence(COUNTS, RowKeys(ROWS, seed=1, epoch=0)),
        GeneSentence(IDS, 40, stream=1, **options)(COUNTS, KEYS),
    )
    assert len({expected.tobytes(), *(other["gene_ids"].tobytes() for other in others)}) == 4


def test_sentences_of_bins_are_masked_but_for_cls_and_padding():
    transform = Compose(BinValues(), GeneSentence(IDS, 40, cls=5, cls_value=7, pad=3, pad_value=-9), MaskValues(0.5))
    for form in (lambda counts: {"X": counts}, lambda counts: MultiIndexable(X=counts)):
        batch = transform(form(sp.csr_matrix(COUNTS)), KEYS)
        assert "X" not in batch
        masked = batch["masked_values"] == -1
        assert not masked[batch["special_tokens_mask"]].any()
        assert 0.4 < masked[~batch["special_tokens_mask"]].mean() < 0.6
        assert set(batch["values"][:, 0].tolist()) == {7}
        assert set(batch["gene_ids"][~batch["attention_mask"]].tolist()) == {3}
        assert set(batch["values"][~batch["attention_mask"]].tolist()) == {-9}


def test_the_longest_cell_may_give_the_length():
    full = GeneSentence(IDS, 75, cls=5)(COUNTS, KEYS)
    short = GeneSentence(IDS, 75, cls=5, padding="longest")(COUNTS, KEYS)
    longest = full["lengths"].max()
    for name in ("gene_ids", "values", "attention_mask", "special_tokens_mask"):
        assert np.array_equal(short[name], full[name][:, :longest])


def test_anndata_and_integers_give_the_same_sentences():
    expected = GeneSentence(IDS, 40)(COUNTS, KEYS)
    for batch in (anndata.AnnData(sp.csr_matrix(COUNTS)), sp.csc_array(COUNTS.astype(np.int64))):
        found = GeneSentence(IDS, 40)(batch, KEYS)
        assert isinstance(found, MultiIndexable)
        assert all(np.array_equal(found[name], expected[name]) for name in ("gene_ids", "values", "lengths"))
        assert found["values"].dtype == np.float32


def test_it_can_be_pickled():
    transform = GeneSentence(IDS, 40, cls=1)
    copy = pickle.loads(pickle.dumps(transform))
    assert repr(copy) == repr(transform)
    assert repr(transform).startswith("GeneSentence(<71 of 80 genes>, max_length=40, sample='random'")
    assert np.array_equal(copy(COUNTS, KEYS)["gene_ids"], transform(COUNTS, KEYS)["gene_ids"])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: GeneSentence(range(5)), ArgumentValueError, "genes have pad=0; give each a number of its own"),
        (lambda: GeneSentence([1, 2], cls=2), ArgumentValueError, "genes have cls=2"),
        (lambda: GeneSentence([1, 2], cls=0.5), ArgumentTypeError, "cls=0.5 is of type float"),
        (lambda: GeneSentence([1, 2], cls_value="x"), ArgumentTypeError, "cls_value='x' is of type str"),
        (lambda: GeneSentence(["a"]), ArgumentTypeError, "gene_ids has shape"),
        (lambda: GeneSentence([-1, -1]), ArgumentValueError, "no gene of the vocabulary among 2"),
        (lambda: GeneSentence(IDS, 1, cls=5), ArgumentValueError, "max_length=1 is out of bounds"),
        (lambda: GeneSentence(IDS, sample="first"), ArgumentValueError, 'give "random" or "top"'),
        (lambda: GeneSentence(IDS)(COUNTS), ArgumentTypeError, "GeneSentence needs the keys of the rows"),
        (lambda: GeneSentence(IDS)(COUNTS[:, :9], KEYS), ArgumentValueError, "numbers of 80 genes, and X has 9"),
        (
            lambda: GeneSentence(IDS)(COUNTS - 1, KEYS),
            ArgumentValueError,
            "such as -1.0 in row 0 and column",
        ),
    ],
)
def test_what_cannot_be_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
