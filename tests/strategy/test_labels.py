"""Labels of every container and type become small codes; missing ones are counted and refused."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples

from scdataset.errors import ArgumentTypeError, ArgumentValueError
from scdataset.strategy import labels as labels_module
from scdataset.strategy.labels import encode_labels


def _pandas(build):
    return lambda: build(pytest.importorskip("pandas"))


def _polars(build):
    return lambda: build(pytest.importorskip("polars"))


def _pyarrow(build):
    return lambda: build(pytest.importorskip("pyarrow"))


WORDS = ["T cell", "B", "T cell", "", "NK", "B", "T cell"]
NUMBERS = [3, 1, 3, 3, 2, 1, 200]
CONTAINERS = {
    "list": (WORDS, lambda: WORDS),
    "tuple": (WORDS, lambda: tuple(WORDS)),
    "numpy U": (WORDS, lambda: np.array(WORDS)),
    "numpy object": (WORDS, lambda: np.array(WORDS, object)),
    "numpy bytes": ([b"a", b"b", b"a"], lambda: np.array([b"a", b"b", b"a"])),
    "mixed list": ([1, "a", (2, 3), 1], lambda: [1, "a", (2, 3), 1]),
    "int list": (NUMBERS, lambda: NUMBERS),
    "bool list": ([True, False, True], lambda: [True, False, True]),
    "bool array": ([True, False, True], lambda: np.array([True, False, True])),
    "float array": ([5.0, -1.0, 5.0], lambda: np.array([5.0, -1.0, 5.0])),
    "numpy dates": ([20, 10, 20], lambda: np.array([20, 10, 20], "datetime64[ns]")),
    "pandas Series": (WORDS, _pandas(lambda pd: pd.Series(WORDS, index=range(10, 17)))),
    "pandas string": (WORDS, _pandas(lambda pd: pd.array(WORDS, dtype="string"))),
    "pandas Index": (WORDS, _pandas(lambda pd: pd.Index(WORDS))),
    "pandas Categorical": (WORDS, _pandas(lambda pd: pd.Categorical(WORDS))),
    "pandas ordered": (
        WORDS,
        _pandas(lambda pd: pd.Categorical(WORDS, ["NK", "", "B", "unused", "T cell"], ordered=True)),
    ),
    "pandas categorical Series": (WORDS, _pandas(lambda pd: pd.Series(pd.Categorical(WORDS)))),
    "pandas CategoricalIndex": (WORDS, _pandas(lambda pd: pd.CategoricalIndex(WORDS))),
    "pandas categories of numbers": (NUMBERS, _pandas(lambda pd: pd.Series(NUMBERS, dtype="category"))),
    "pandas nullable ints": (NUMBERS, _pandas(lambda pd: pd.array(NUMBERS, dtype="Int64"))),
    "pandas nullable bools": ([True, False], _pandas(lambda pd: pd.array([True, False], dtype="boolean"))),
    "polars Series": (WORDS, _polars(lambda pl: pl.Series(WORDS))),
    "polars Categorical": (WORDS, _polars(lambda pl: pl.Series(WORDS, dtype=pl.Categorical))),
    "polars ints": (NUMBERS, _polars(lambda pl: pl.Series(NUMBERS))),
    "pyarrow array": (WORDS, _pyarrow(lambda pa: pa.array(WORDS))),
    "pyarrow dictionary": (WORDS, _pyarrow(lambda pa: pa.array(WORDS).dictionary_encode())),
    "pyarrow chunked": (WORDS, _pyarrow(lambda pa: pa.chunked_array([WORDS[:3], WORDS[3:]]))),
}


def _check(encoded, expected):
    codes = encoded.codes.astype(np.int64) - encoded.offset
    assert encoded.classes[codes].tolist() == list(expected)
    counted = {label: count for label, count in zip(encoded.classes.tolist(), encoded.counts, strict=True) if count}
    assert counted == Counter(expected)
    assert encoded.counts.dtype == np.int64


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_is_read(name):
    expected, build = CONTAINERS[name]
    _check(encode_labels(build()), expected)


@settings(deadline=None, max_examples=examples(100))
@given(
    labels=st.lists(st.text(max_size=2) | st.integers(-3, 3) | st.booleans(), min_size=1, max_size=200),
    as_array=st.booleans(),
)
def test_any_hashable_labels_are_counted(labels, as_array):
    array = np.empty(len(labels), object)
    array[:] = labels
    _check(encode_labels(array if as_array else labels), labels)


@settings(deadline=None, max_examples=examples(200))
@given(dtype=st.sampled_from(["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i2", ">i8"]), data=st.data())
def test_integers_of_any_type_and_range_are_counted(dtype, data):
    bounds = np.iinfo(dtype)
    centre = data.draw(st.integers(int(bounds.min), int(bounds.max)))
    width = data.draw(st.sampled_from([3, 300, 70_000, 2**62]))
    near = st.integers(max(int(bounds.min), centre - width), min(int(bounds.max), centre + width))
    labels = data.draw(st.lists(near, min_size=1, max_size=30))
    _check(encode_labels(np.array(labels, dtype)), labels)


@pytest.mark.parametrize("dtype", ["i8", "u8"])
def test_the_largest_integers_are_classes(dtype):
    largest = int(np.iinfo(dtype).max)
    for labels in ([largest], [largest - 2, largest], [2**63 - 2, 2**63 - 1]):
        _check(encode_labels(np.array(labels, dtype)), labels)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2"])
def test_small_integer_labels_are_not_copied(dtype):
    labels = np.arange(100).astype(dtype)
    assert np.shares_memory(encode_labels(labels).codes, labels)


def test_codes_of_categories_are_not_copied():
    categorical = pytest.importorskip("pandas").Categorical(WORDS)
    assert np.shares_memory(encode_labels(categorical).codes, categorical.codes)


@pytest.mark.parametrize(
    ("n_classes", "itemsize"), [(2, 1), (256, 1), (257, 2), (65_536, 2), (65_537, 4), (100_000, 4)]
)
def test_codes_of_wide_integers_are_as_small_as_the_number_of_classes_allows(n_classes, itemsize):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(n_classes), 2)) - 7
    encoded = encode_labels(labels)
    assert encoded.codes.dtype.itemsize == itemsize
    _check(encoded, labels.tolist())


@pytest.mark.parametrize("n_classes", [32_766, 32_767, 32_768, 32_769, 70_000])
def test_tens_of_thousands_of_names_have_codes_of_their_own(n_classes):
    labels = [f"clone {k}" for k in range(n_classes)] + ["clone 0"] * 3
    _check(encode_labels(labels), labels)
    _check(encode_labels(np.array(labels)), labels)


def test_labels_are_encoded_in_chunks_as_at_once(monkeypatch):
    labels = np.array([f"class {k % 23}" for k in range(1000)])
    monkeypatch.setattr(labels_module, "_CHUNK", 7)
    _check(encode_labels(labels), labels.tolist())
    _check(encode_labels(labels.tolist()), labels.tolist())
    _check(encode_labels(np.arange(1000) % 300), (np.arange(1000) % 300).tolist())


MISSING = {
    "list": (2, lambda: ["a", None, "b", float("nan")]),
    "object array": (1, lambda: np.array(["a", None], object)),
    "floats": (2, lambda: np.array([0.0, np.nan, np.nan])),
    "numpy dates": (1, lambda: np.array(["2020-01-01", "NaT"], "datetime64[ns]")),
    "numpy days": (1, lambda: np.array(["2020-01-01", "NaT"], "datetime64[D]")),
    "pandas Series": (2, _pandas(lambda pd: pd.Series(["a", None, np.nan]))),
    "pandas NA": (1, _pandas(lambda pd: ["a", pd.NA])),
    "pandas NaT": (1, _pandas(lambda pd: ["a", pd.NaT])),
    "pandas dates": (1, _pandas(lambda pd: pd.Series(pd.to_datetime(["2020-01-01", None])))),
    "pandas string": (1, _pandas(lambda pd: pd.array(["a", pd.NA], dtype="string"))),
    "pandas nullable ints": (1, _pandas(lambda pd: pd.array([1, None], dtype="Int64"))),
    "pandas Categorical": (2, _pandas(lambda pd: pd.Categorical(["a", None, "b", None]))),
    "pandas categorical Series": (1, _pandas(lambda pd: pd.Series(["a", None], dtype="category"))),
    "polars Series": (1, _polars(lambda pl: pl.Series(["a", None]))),
    "polars Categorical": (1, _polars(lambda pl: pl.Series(["a", None], dtype=pl.Categorical))),
    "polars ints": (1, _polars(lambda pl: pl.Series([1, None]))),
    "pyarrow dictionary": (1, _pyarrow(lambda pa: pa.array(["a", None]).dictionary_encode())),
}


@pytest.mark.parametrize("name", MISSING)
def test_missing_labels_are_counted_and_refused(name):
    n_missing, build = MISSING[name]
    labels = build()
    message = rf"labels has {n_missing} missing values among {len(labels)}; .* a class of their own"
    encoded = encode_labels(labels)
    assert encoded.n_missing == n_missing
    assert [label is None for label in encoded.labels().tolist()].count(True) == n_missing
    with pytest.raises(ArgumentValueError, match=message):
        encoded.refuse_missing("labels")


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([], ArgumentValueError, "labels is empty"),
        (np.empty(0, np.int64), ArgumentValueError, "labels is empty"),
        (np.empty(0, "U3"), ArgumentValueError, "labels is empty"),
        (np.empty(0, float), ArgumentValueError, "labels is empty"),
        (np.zeros((3, 2), int), ArgumentValueError, r"shape \(3, 2\); give one label a row"),
        ("abc", ArgumentValueError, "labels='abc' is of type str; give one label"),
        (None, ArgumentValueError, "labels=None is of type NoneType; give one label"),
        ([["a"], ["b"]], ArgumentTypeError, r"cannot be compared \(unhashable.*give strings, integers or categories"),
        ([{"a": 1}], ArgumentTypeError, r"cannot be compared"),
    ],
)
def test_what_is_no_labels_is_refused(labels, error, message):
    with pytest.raises(error, match=message):
        encode_labels(labels)


def test_labels_in_a_frame_of_one_column_are_those_of_the_column():
    pd = pytest.importorskip("pandas")
    labels = pd.Series(["a", "b", "a"], index=["x", "y", "z"], dtype="category")
    encoded = encode_labels(labels.to_frame())
    assert encoded.labels().tolist() == ["a", "b", "a"]
