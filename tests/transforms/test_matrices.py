"""Every transform on every form of a window and a batch: the same values, and its members beside them."""

from functools import partial

import anndata
import numpy as np
import pytest
import scipy.sparse as sp
from tests.examples import rare

from scdataset import MultiIndexable
from scdataset.strategy.row_keys import call_transform
from scdataset.transforms import (
    BinValues,
    Clip,
    Compose,
    DownsampleCounts,
    GeneSentence,
    Log1p,
    MaskValues,
    NormalizeTotal,
    RankTokens,
    RowKeys,
    Scale,
    SelectGenes,
    ToTorch,
    adata_to_mindex,
)

N, GENES = 24, 12
COUNTS = np.random.default_rng(0).poisson(2, (N, GENES)).astype(np.float32)
ROWS = np.arange(N) + 100
NAMES = [f"g{gene}" for gene in range(GENES)]
IDS = np.arange(GENES) + 10

CHANGE_X = {
    "BinValues": BinValues(5),
    "Clip": Clip(0, 2),
    "DownsampleCounts": DownsampleCounts(9),
    "Log1p": Log1p(),
    "NormalizeTotal": NormalizeTotal(),
    "Scale": Scale(np.ones(GENES), np.ones(GENES)),
    "Scale, sparse": Scale(np.ones(GENES), np.full(GENES, 2), zero_center=False),
    "SelectGenes": SelectGenes(NAMES[3:9], NAMES),
    "Compose": Compose(NormalizeTotal(), Log1p()),
}
ADD_MEMBERS = {
    "GeneSentence": (GeneSentence(IDS, 6), ["gene_ids", "values", "attention_mask", "special_tokens_mask", "lengths"]),
    "MaskValues": (MaskValues(0.4), ["X", "masked_X"]),
    "RankTokens": (RankTokens(IDS, np.ones(GENES), 6), ["input_ids", "attention_mask", "lengths"]),
    "sentences, masked": (
        Compose(GeneSentence(IDS, 6), MaskValues(0.4)),
        ["gene_ids", "values", "attention_mask", "special_tokens_mask", "lengths", "masked_values"],
    ),
}
UNNAMED = pytest.mark.filterwarnings("ignore:Transforming to str index")


def _adata(counts):
    adata = anndata.AnnData(counts, obs={"y": np.arange(len(ROWS))[: counts.shape[0]]})
    adata.var_names = NAMES
    return adata


def _view(counts):
    twice = sp.vstack([counts, counts]).tocsr() if sp.issparse(counts) else np.concatenate([counts, counts])
    adata = anndata.AnnData(twice, obs={"y": np.tile(np.arange(counts.shape[0]), 2)})
    adata.var_names = NAMES
    view = adata[: counts.shape[0]]
    assert view.is_view
    return view


FORMS = {
    "CSR": sp.csr_matrix,
    "dense": np.asarray,
    "dict of CSR": lambda counts: {"X": sp.csr_array(counts), "y": np.arange(counts.shape[0])},
    "MultiIndexable": lambda counts: MultiIndexable({"X": counts, "y": np.arange(counts.shape[0])}),
    "AnnData": lambda counts: _adata(sp.csr_matrix(counts)),
    "AnnData, dense": _adata,
    "view of AnnData": lambda counts: _view(sp.csr_matrix(counts)),
    "view of AnnData, dense": _view,
}
in_all_forms = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def _called(transform, value, rows=ROWS):
    return call_transform(transform, value, RowKeys(rows, seed=0, epoch=0))


def _dense(matrix):
    return matrix.toarray() if sp.issparse(matrix) else np.asarray(matrix)


def _x_of(value):
    return _dense(value.X if isinstance(value, anndata.AnnData) else value["X"] if hasattr(value, "keys") else value)


@UNNAMED
@in_all_forms
@pytest.mark.parametrize("transform", CHANGE_X.values(), ids=CHANGE_X)
def test_x_is_changed_and_the_form_stays(transform, form):
    window = form(COUNTS)
    changed = _called(transform, window)
    expected = _x_of(_called(transform, COUNTS))
    assert np.array_equal(_x_of(changed), expected)
    assert np.array_equal(_x_of(window), COUNTS)
    if isinstance(window, anndata.AnnData):
        assert type(changed) is anndata.AnnData
        assert changed.obs["y"].tolist() == list(range(N))
        assert not changed.is_view
    elif hasattr(window, "keys"):
        assert type(changed) is type(window)
        assert list(changed["y"]) == list(range(N))
    some = np.array([5, 2, 17])
    assert np.array_equal(_x_of(_called(transform, form(COUNTS[some]), ROWS[some])), expected[some])


@UNNAMED
@in_all_forms
@pytest.mark.parametrize(("transform", "members"), ADD_MEMBERS.values(), ids=ADD_MEMBERS)
def test_members_are_added_and_anndata_becomes_a_container_of_them(transform, members, form):
    expected = _called(transform, {"X": COUNTS})
    window = form(COUNTS)
    found = _called(transform, window)
    if not hasattr(window, "keys") and not isinstance(window, anndata.AnnData) and "masked_X" in members:
        assert np.array_equal(_dense(found), expected["masked_X"])
        return
    assert type(found) is (dict if isinstance(window, dict) else MultiIndexable)
    assert [name for name in found.keys() if name != "y"] == members  # noqa: SIM118 not only of dicts
    assert ("y" in found) == hasattr(window, "keys")
    assert all(np.array_equal(_dense(found[name]), _dense(expected[name])) for name in members)
    some = np.array([5, 2, 17])
    batch = _called(transform, form(COUNTS[some]), ROWS[some])
    assert all(np.array_equal(_dense(batch[name]), _dense(expected[name])[some]) for name in members)


@UNNAMED
@in_all_forms
@pytest.mark.parametrize(("transform", "members"), ADD_MEMBERS.values(), ids=ADD_MEMBERS)
def test_all_members_arrive_as_tensors(transform, members, form):
    window = form(COUNTS)
    tensors = _called(Compose(transform, ToTorch()), window)
    expected = _called(transform, {"X": COUNTS})
    if hasattr(tensors, "keys"):
        assert all(np.array_equal(tensors[name].numpy(), _dense(expected[name])) for name in members)
    else:
        assert np.array_equal(tensors.numpy(), expected["masked_X"])


def _with_data(dtype):
    matrix = sp.csr_matrix(COUNTS)
    matrix.data = matrix.data.astype(dtype)
    return matrix


@pytest.mark.parametrize("dtype", ["f2", ">f4", ">i4", *rare("longdouble")])
@pytest.mark.parametrize("form", [_with_data, COUNTS.astype], ids=["CSR", "dense"])
def test_numbers_that_scipy_or_compiled_loops_lack_are_taken(form, dtype):
    for transform in [*CHANGE_X.values(), *(transform for transform, _ in ADD_MEMBERS.values())]:
        found, expected = _called(transform, {"X": form(dtype)}), _called(transform, {"X": COUNTS})
        for name in set(expected) - {"X"} or {"X"}:
            assert np.allclose(_dense(found[name]), _dense(expected[name]), rtol=1e-2)


def test_values_are_masked_after_columns_of_obs_came_along():
    take = partial(adata_to_mindex, columns=["y"])
    tensors = _called(Compose(take, MaskValues(0.4), ToTorch()), _adata(sp.csr_matrix(COUNTS)))
    assert list(tensors) == ["X", "y", "masked_X"]
