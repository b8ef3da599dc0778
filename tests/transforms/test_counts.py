"""Normalised, logged, clipped and scaled values: those of scanpy, for every form that a batch may have."""

import pickle

import anndata
import numpy as np
import pytest
import scipy.sparse as sp
from tests.examples import rare

from scdataset import ArgumentTypeError, ArgumentValueError, MultiIndexable
from scdataset.engine.buffers import part
from scdataset.transforms import Clip, Compose, Log1p, NormalizeTotal, Scale

COUNTS = np.random.default_rng(0).poisson(0.4, (60, 40)) * np.arange(60)[:, None].clip(0, 9)  # cell 0 is empty
FORMS = {
    "CSR matrix": sp.csr_matrix,
    "CSR array": sp.csr_array,
    "CSC": sp.csc_matrix,
    "dense": np.asarray,
}
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # of scanpy
in_all_forms = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def _dense(matrix):
    return matrix.toarray() if sp.issparse(matrix) else np.asarray(matrix)


@pytest.fixture(scope="module")
def scanpy():
    import scanpy

    return scanpy


@in_all_forms
@pytest.mark.parametrize("dtype", ["f4", "i4", *rare("f8", "u2")])
@pytest.mark.parametrize("base", [None, 2])
def test_normalised_and_logged_counts_are_those_of_scanpy(scanpy, form, dtype, base):
    matrix = form(COUNTS.astype(dtype))
    expected = anndata.AnnData(_as_scanpy_takes(COUNTS.astype(dtype), matrix))
    scanpy.pp.normalize_total(expected, target_sum=1e4)
    normalised = NormalizeTotal()(matrix)
    assert np.array_equal(_dense(normalised), _dense(expected.X))
    scanpy.pp.log1p(expected, base=base)
    logged = Compose(NormalizeTotal(), Log1p(base))(matrix)
    assert np.array_equal(_dense(logged), _dense(expected.X))
    assert logged.dtype == (np.float64 if dtype == "f8" else np.float32)
    assert np.array_equal(_dense(matrix), COUNTS)  # what is given stays as it is


def _as_scanpy_takes(counts, matrix):
    counts = counts.astype(np.float32) if counts.dtype == np.uint16 else counts
    return sp.csr_matrix(counts) if sp.issparse(matrix) else counts.copy()  # scanpy changes it in place


@in_all_forms
def test_values_of_a_window_go_to_memory_that_is_used_again(form):
    transform = Compose(NormalizeTotal(10), Log1p())
    for n_cells in (700, 600, 650):
        counts = np.random.default_rng(n_cells).integers(0, 9, (n_cells, 500)).astype(np.float32)
        logged = transform(form(counts))
        sizes = counts.sum(1, keepdims=True) / np.float32(10)
        assert np.array_equal(_dense(logged), np.log1p(counts / sizes))
        assert part(logged.data if sp.issparse(logged) else logged, 0, 1) is not None


@in_all_forms
@pytest.mark.parametrize("dtype", ["f4", *rare("f8")])
@pytest.mark.parametrize("zero_center", [True, False])
@pytest.mark.parametrize("max_value", [None, 1.5])
def test_scaled_values_are_those_of_scanpy(scanpy, form, dtype, zero_center, max_value):
    values = np.log1p(COUNTS).astype(dtype)
    values[:, 3] = 2  # a gene that does not vary
    matrix = form(values)
    expected = anndata.AnnData(_as_scanpy_takes(values, matrix))
    scanpy.pp.scale(expected, zero_center=zero_center, max_value=max_value)
    scale = Scale(expected.var["mean"], expected.var["std"], zero_center=zero_center, max_value=max_value)
    scaled = scale(matrix)
    assert np.allclose(_dense(scaled), _dense(expected.X), rtol=1e-6, atol=1e-6)
    assert scaled.dtype == dtype
    assert sp.issparse(scaled) == (sp.issparse(matrix) and not zero_center)


BATCHES = {
    "MultiIndexable": lambda matrix: MultiIndexable(
        {"X": matrix, "y": np.arange(60)}, unstructured={"genome": "GRCh38"}
    ),
    "dict": lambda matrix: {"X": matrix, "y": np.arange(60)},
    "AnnData": lambda matrix: anndata.AnnData(matrix, obsm={"y": np.arange(60)[:, None]}),
}


@pytest.mark.parametrize("make", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize(
    "transform", [NormalizeTotal(10), Log1p(), Clip(0, 2), Scale(np.zeros(40), np.ones(40))], ids=repr
)
def test_x_of_a_batch_is_changed_and_all_else_stays(make, transform):
    batch = make(sp.csr_matrix(COUNTS, dtype=np.float32))
    changed = transform(batch)
    assert type(changed) is type(batch)
    after = changed.X if isinstance(batch, anndata.AnnData) else changed["X"]
    assert np.array_equal(_dense(after), _dense(transform(sp.csr_matrix(COUNTS, dtype=np.float32))))
    y = changed.obsm["y"][:, 0] if isinstance(batch, anndata.AnnData) else changed["y"]
    assert np.array_equal(y, np.arange(60))
    before = batch.X if isinstance(batch, anndata.AnnData) else batch["X"]
    assert np.array_equal(_dense(before), COUNTS)


def test_total_counts_may_be_a_modality():
    totals = np.arange(1, 61)
    for matrix in (COUNTS, sp.csr_array(COUNTS)):
        normalised = NormalizeTotal(1, key="total_counts")({"X": matrix, "total_counts": totals})["X"]
        assert np.allclose(_dense(normalised), COUNTS / totals[:, None])


@pytest.mark.parametrize("transform", [NormalizeTotal(5.0), Log1p(2), Clip(maximum=3), Scale([1.0], [2.0])], ids=repr)
def test_transforms_can_be_pickled(transform):
    copy = pickle.loads(pickle.dumps(transform))
    assert repr(copy) == repr(transform)
    assert np.array_equal(copy(np.array([[2.0]])), transform(np.array([[2.0]])))


def _broken(pointers):
    matrix = sp.csr_matrix(np.eye(2))
    matrix.indptr[:] = pointers
    return matrix


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: NormalizeTotal(0), ArgumentValueError, "target_sum=0; give a finite number above 0"),
        (lambda: NormalizeTotal("a"), ArgumentTypeError, "target_sum='a' is of type str"),
        (
            lambda: NormalizeTotal()(-COUNTS[1:].astype("f4")),
            ArgumentValueError,
            "such as -.* in row .* of the batch",
        ),
        (
            lambda: NormalizeTotal()(np.full((2, 2), np.nan)),
            ArgumentValueError,
            "4 of 4 values are none, such as nan",
        ),
        (
            lambda: NormalizeTotal(key="n")({"X": COUNTS[:2], "n": [1, -1]}),
            ArgumentValueError,
            "the total counts of row 1 of the batch are -1",
        ),
        (lambda: NormalizeTotal(None), ArgumentValueError, "library_sizes=scdataset.pp.library_sizes"),
        (lambda: NormalizeTotal(None, library_sizes=[0, 0]), ArgumentValueError, "0 values above 0"),
        (
            lambda: NormalizeTotal(None, library_sizes=["a"]),
            ArgumentTypeError,
            r"library_sizes has shape \(1,\) and dtype <U1",
        ),
        (lambda: Clip("a"), ArgumentTypeError, "minimum='a' is of type str"),
        (lambda: NormalizeTotal(1, library_sizes=[1]), ArgumentValueError, "give target_sum=None"),
        (lambda: NormalizeTotal(key="n")(COUNTS), ArgumentValueError, r"no 'n' beside X; there are \[\]"),
        (lambda: NormalizeTotal(key="n")({"X": COUNTS, "m": 1}), ArgumentValueError, r"there are \['X', 'm'\]"),
        (
            lambda: NormalizeTotal(key="n")({"X": COUNTS, "n": [1, 2]}),
            ArgumentValueError,
            r"shape \(2,\); .* of 60 cells",
        ),
        (lambda: NormalizeTotal()(_broken([0, 3, 1])), ArgumentValueError, "row pointers do not ascend"),
        (lambda: NormalizeTotal()(_broken([0, 1, 9])), ArgumentValueError, "row pointers do not ascend"),
        (
            lambda: NormalizeTotal()(sp.csr_array([[1, np.inf]])),
            ArgumentValueError,
            "such as inf in row 0 and",
        ),
        (lambda: Log1p()(np.array([[np.inf]])), ArgumentValueError, "finite numbers above -1.*such as inf"),
        (lambda: Log1p(1), ArgumentValueError, "base of no logarithm"),
        (
            lambda: Log1p()(np.array([[-2.0]])),
            ArgumentValueError,
            "such as -2.0 in row 0.*Scaled values have",
        ),
        (Clip, ArgumentValueError, "neither minimum nor maximum"),
        (lambda: Clip(3, 1), ArgumentValueError, "minimum=3 is above maximum=1"),
        (lambda: Clip(1, 2)(sp.csr_array(COUNTS)), ArgumentValueError, "would change the zeros"),
        (lambda: Scale([1, 2], [1]), ArgumentValueError, "mean has 2 genes and std 1"),
        (lambda: Scale([1], [-1]), ArgumentValueError, "at least 0"),
        (lambda: Scale([np.nan], [1]), ArgumentValueError, "not finite"),
        (lambda: Scale([1], [1])(COUNTS), ArgumentValueError, "1 gene, and X has 40"),
        (lambda: Log1p()({"y": 1}), ArgumentValueError, r"there are \['y'\]"),
        (lambda: Log1p()([1, 2]), ArgumentTypeError, "got a list"),
        (lambda: Log1p()(np.arange(3)), ArgumentTypeError, r"ndarray of shape \(3,\)"),
    ],
)
def test_what_cannot_be_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


BAD = {"nan": np.nan, "inf": np.inf, "-inf": -np.inf}
ALL = [NormalizeTotal(), Log1p(), Clip(minimum=-9), Clip(maximum=9), Scale(np.zeros(2), np.ones(2))]


@pytest.mark.parametrize("value", BAD.values(), ids=BAD)
@pytest.mark.parametrize("transform", ALL, ids=repr)
@pytest.mark.parametrize("form", [sp.csr_matrix, np.asarray, lambda x: {"X": x, "total_counts": [1, 2]}])
def test_missing_and_infinite_values_are_refused_with_number_and_place(transform, value, form):
    batch = form(np.array([[0, 1], [value, 2.0]]))
    if isinstance(transform, Clip) and (value < 0 if transform.maximum is None else value > 0):
        transform(batch)  # a bound is what an infinite value becomes
        return
    name = type(transform).__name__
    with pytest.raises(ArgumentValueError, match=f"{name} takes .* 1 of [34] values .* {value} in row 1 and column 0"):
        transform(batch)


@pytest.mark.parametrize(("bounds", "dtype"), [((-1, 3), "f4"), ((0, 3), "u1"), ((0, 2.5), "f4"), ((0, np.inf), "f4")])
def test_integers_stay_integers_that_hold_the_bounds(bounds, dtype):
    clipped = Clip(*bounds)(np.array([[0, 2, 7]], np.uint8))
    assert clipped.dtype == dtype
    assert clipped.tolist() == [[0, 2, min(7, bounds[1])]]


def test_fractional_counts_are_normalised_and_logged_as_corrected_counts_are():
    assert NormalizeTotal(1)(np.array([[0.5, 1.5]])).tolist() == [[0.25, 0.75]]
    assert Log1p()(np.array([[0.5]])).tolist() == [[np.log1p(0.5)]]


@in_all_forms
def test_the_median_of_library_sizes_normalises_as_scanpy_does(scanpy, form):
    matrix = COUNTS[1:].astype(np.float32)  # scanpy 1.11 takes the median over empty cells of CSR as well
    expected = anndata.AnnData(_as_scanpy_takes(matrix, form(matrix)))
    scanpy.pp.normalize_total(expected)
    transform = NormalizeTotal(None, library_sizes=COUNTS.sum(axis=1))
    assert np.array_equal(_dense(transform(form(matrix))), _dense(expected.X))
    assert pickle.loads(pickle.dumps(transform)) == transform == NormalizeTotal(np.median(matrix.sum(axis=1)))


def test_total_counts_beside_the_counts_are_taken_unless_that_is_not_wanted():
    batch = {"X": COUNTS, "total_counts": COUNTS.sum(axis=1) * 2.0}
    of_rows = NormalizeTotal(1)(COUNTS)
    assert np.array_equal(NormalizeTotal(1)(batch)["X"], of_rows / 2)
    assert np.array_equal(NormalizeTotal(1)(MultiIndexable(batch))["X"], of_rows / 2)
    assert np.array_equal(NormalizeTotal(1, key=None)(batch)["X"], of_rows)
    adata = anndata.AnnData(COUNTS.astype("f4"), obs={"total_counts": batch["total_counts"]})
    assert np.array_equal(NormalizeTotal(1)(adata).X, of_rows)  # obs may have it from before genes were filtered


@in_all_forms
@pytest.mark.parametrize("base", [None, 2, 10])
def test_logarithms_of_logarithms_are_refused(form, base):
    logged = Compose(NormalizeTotal(), Log1p(base))(form(COUNTS))
    with pytest.raises(ArgumentValueError, match="Log1p got values that were logged already"):
        Log1p()(logged)


@pytest.mark.parametrize("target_sum", [1, 100, 1e4, 1e6])
def test_sound_values_are_logged_however_they_were_normalised(target_sum):
    rng = np.random.default_rng(0)
    alike = np.tile(COUNTS[5], (60, 1))
    for counts in (COUNTS, COUNTS[:, :5], alike, rng.poisson(3, (60, 2000)), rng.poisson(0.01, (60, 2000))):
        Log1p()(counts)
        for totals in (counts.sum(axis=1), rng.uniform(500, 600, 60)):
            Log1p()(NormalizeTotal(target_sum)({"X": sp.csr_matrix(counts), "total_counts": totals})["X"])


def test_logarithms_are_not_normalised():
    logged = np.log1p(NormalizeTotal()(COUNTS[1:]))
    with pytest.raises(ArgumentValueError, match="NormalizeTotal needs counts, and got logarithms"):
        NormalizeTotal()(logged)


def test_cells_with_many_counts_are_normalised_in_half_precision():
    halves = np.array([[40_000, 30_000]], np.float16)
    normalised = NormalizeTotal(1e4)(halves)
    assert normalised.dtype == np.float16
    assert np.allclose(normalised, halves.astype(np.float64) / 7, rtol=1e-3)
