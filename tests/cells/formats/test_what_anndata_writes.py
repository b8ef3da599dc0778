"""Whatever anndata can write is read as anndata reads it, or refused with what to do; it is never called damaged."""

import tempfile
import zipfile
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.examples import examples

from scdataset import open_collection
from scdataset.errors import ArgumentValueError, CollectionError

pytestmark = pytest.mark.filterwarnings("ignore")

NUMBERS = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=4).filter(
    lambda name: name not in {"X", ".", "..", "_index"} and not name.startswith("__")
)


def numbers(n, dtype, *shape):
    values = np.arange(n * int(np.prod(shape, dtype=int))).reshape(n, *shape) % 7
    return values.astype(dtype)


INDICES = {
    "strings": lambda n: pd.Index([f"cell{i}" for i in range(n)], dtype=object),
    "named": lambda n: pd.Index([f"cell{i}" for i in range(n)], dtype=object, name="barcode"),
    "repeated": lambda n: pd.Index(["é/ø"] * n, dtype=object),
    "of empty strings": lambda n: pd.Index([""] * n, dtype=object),
    "integers": lambda n: pd.Index(np.arange(n)[::-1] % 3, dtype="int64"),
    "floats": lambda n: pd.Index(np.arange(n) / 2, dtype="float64"),
    "categorical": lambda n: pd.CategoricalIndex([f"c{i % 2}" for i in range(n)], categories=["c1", "c0", "unused"]),
    "categorical, named": lambda n: pd.CategoricalIndex([f"c{i}" for i in range(n)], ordered=True, name="bar code"),
    "nullable strings": lambda n: pd.Index(pd.array([None, "a", "b"] * n, dtype="string")[:n]),
}

COLUMNS = {
    **{dtype: lambda n, dtype=dtype: numbers(n, dtype) for dtype in [*NUMBERS, "f2", "c8", "g", ">f4", ">i2"]},
    "with NaN": lambda n: np.where(np.arange(n) % 2, np.nan, np.arange(n)),
    "strings": lambda n: pd.Series([f"label {i}" for i in range(n)], dtype=object),
    "few strings": lambda n: pd.Series([["a", "", "ü"][i % 3] for i in range(n)], dtype=object),
    "strings and none": lambda n: pd.Series([["a", None][i % 2] for i in range(n)], dtype=object),
    "nullable strings": lambda n: pd.array([["a", None, "b"][i % 3] for i in range(n)], dtype="string"),
    "nullable integers": lambda n: pd.array([[2**60, None, -1][i % 3] for i in range(n)], dtype="Int64"),
    "nullable bytes": lambda n: pd.array([i % 3 for i in range(n)], dtype="UInt8"),
    "nullable booleans": lambda n: pd.array([[True, None, False][i % 3] for i in range(n)], dtype="boolean"),
    "dates": lambda n: pd.date_range("2020", periods=n),
    "categories": lambda n: pd.Categorical([["b", None, "a"][i % 3] for i in range(n)], ["b", "unused", "a"]),
    "ordered": lambda n: pd.Categorical(["lo", "hi"] * n, ["lo", "hi"], ordered=True)[:n],
    "integer categories": lambda n: pd.Categorical([[3, 1, None][i % 3] for i in range(n)]),
    "float categories": lambda n: pd.Categorical([[0.5, -1.0, None][i % 3] for i in range(n)]),
    "boolean categories": lambda n: pd.Categorical([[True, False, None][i % 3] for i in range(n)]),
    "nullable categories": lambda n: pd.Categorical(pd.array([["x", None][i % 2] for i in range(n)], dtype="string")),
    "no categories": lambda n: pd.Categorical([None] * n),
}

MATRICES = {
    **{f"dense {dtype}": lambda *s, dtype=dtype: numbers(s[0], dtype, s[1]) for dtype in [*NUMBERS, "f2"]},
    **{
        f"other {dtype}": lambda *s, dtype=dtype: numbers(s[0], dtype, s[1]) for dtype in ["c8", "g", "U3", "S2", ">f4"]
    },
    **{f"CSR {dtype}": lambda *s, d=dtype: scipy.sparse.csr_matrix(numbers(s[0], d, s[1])) for dtype in NUMBERS},
    "CSR array": lambda *s: scipy.sparse.csr_array(numbers(s[0], "f4", s[1])),
    "CSR complex": lambda *s: scipy.sparse.csr_matrix(numbers(s[0], "c8", s[1])),
    "CSR wide": lambda *s: scipy.sparse.csr_matrix(numbers(s[0], "g", s[1])),
    "CSC": lambda *s: scipy.sparse.csc_matrix(numbers(s[0], "f4", s[1])),
    "CSC array": lambda *s: scipy.sparse.csc_array(numbers(s[0], "f8", s[1])),
    "Fortran order": lambda *s: np.asfortranarray(numbers(s[0], "f4", s[1])),
}

ARRAYS = {
    **MATRICES,
    "three axes": lambda n, k: numbers(n, "f4", k, 2),
    "frame": lambda n, k: pd.DataFrame({f"{i}": numbers(n, "f4") for i in range(k)}),
}

WAYS = ["h5ad", "zarr 2", "zarr 3", "zarr 2 zip", "zarr 3 zip"]


@st.composite
def written(draw):
    """Return AnnData, how to write it, and the settings to do so with."""
    n, n_vars = draw(st.sampled_from([0, 1, 5])), draw(st.sampled_from([0, 1, 4]))
    columns = draw(st.dictionaries(NAMES, st.sampled_from(list(COLUMNS)), max_size=4))
    layers = draw(st.dictionaries(st.just("raw") | NAMES, st.sampled_from(list(MATRICES)), max_size=2))
    obsm = draw(st.dictionaries(NAMES.filter(lambda n: n not in columns), st.sampled_from(list(ARRAYS)), max_size=2))
    indices = [INDICES[draw(st.sampled_from(list(INDICES)))](size) for size in (n, n_vars)]
    width = draw(st.integers(0, 3))
    made = anndata.AnnData(
        obs=pd.DataFrame({name: COLUMNS[kind](n) for name, kind in columns.items()}, index=range(n)),
        var=pd.DataFrame(index=range(n_vars)),
    )
    made.obs.index, made.var.index = indices
    x = draw(st.sampled_from([None, *MATRICES]) | st.just("CSR f4"))
    if draw(st.booleans()) and x is not None:
        made.X = MATRICES[x](n, n_vars)
        made.raw = made
    made.X = None if x is None else MATRICES[x](n, n_vars)
    for name, kind in layers.items():
        made.layers[name] = MATRICES[kind](n, n_vars)
    for name, kind in obsm.items():
        value = ARRAYS[kind](n, width)
        made.obsm[name] = value.set_axis(made.obs_names, axis=0) if kind == "frame" else value
    return made, draw(st.sampled_from(WAYS)), draw(st.sampled_from([None, "gzip", "lzf"])), draw(st.booleans())


def write(folder, made, way, compression, *, flag):
    """Write AnnData; return its path and what anndata reads of it."""
    path = folder / f"a.{way.split()[0]}"
    options = {"allow_write_nullable_strings": True, "zarr_write_format": 3 if "3" in way else 2}
    with anndata.settings.override(**options, auto_shard_zarr_v3=flag):
        if way == "h5ad":
            made.write_h5ad(path, compression=compression, convert_strings_to_categoricals=flag)
            return path, anndata.read_h5ad(path)
        made.write_zarr(path, chunks=(2, 2) if isinstance(made.X, np.ndarray) and made.X.size and not flag else None)
    expected = anndata.read_zarr(path)
    if not way.endswith("zip"):
        return path, expected
    with zipfile.ZipFile(folder / "a.zarr.zip", "w") as archive:
        for file in sorted(path.rglob("*")):
            archive.write(file, file.relative_to(path).as_posix()) if file.is_file() else None
    return folder / "a.zarr.zip", expected


def is_read(matrix):
    """Return whether a matrix is one that the documentation says is read."""
    if matrix is None or isinstance(matrix, pd.DataFrame) or getattr(matrix, "format", "csr") != "csr":
        return False
    return matrix.ndim == 2 and matrix.dtype.kind in "iufb" and matrix.dtype.itemsize <= 8


def assert_same_matrix(found, expected):
    assert scipy.sparse.issparse(found) == scipy.sparse.issparse(expected)
    assert found.dtype == expected.dtype.newbyteorder("=")
    dense = [m.toarray() if scipy.sparse.issparse(m) else np.asarray(m) for m in (found, expected)]
    np.testing.assert_array_equal(*dense)


def assert_same_column(found, expected):
    if isinstance(expected.dtype, pd.CategoricalDtype):
        assert found.cat.ordered == expected.cat.ordered
        assert found.cat.categories.tolist() == expected.cat.categories.tolist()
    missing = expected.isna().to_numpy()
    assert found.isna().tolist() == missing.tolist()
    assert found[~missing].tolist() == expected.to_numpy()[~missing].tolist()
    if isinstance(expected.dtype, np.dtype) and expected.dtype.kind in "iufb":
        assert found.dtype == expected.dtype.newbyteorder("=")


def check_matrix(path, layer, expected):
    if not is_read(expected):
        with pytest.raises((CollectionError, ArgumentValueError)):
            open_collection(path, layer=layer)
        return
    assert_same_matrix(open_collection(path, layer=layer, num_threads=1)[:]["X"], expected)


def check_obs(path, layer, expected):
    """Compare what else is read along with a layer."""
    collection = open_collection(path, layer=layer, obs=list(expected.obs), num_threads=1)
    for name in expected.obs:
        assert_same_column(collection.obs[name], expected.obs[name].reset_index(drop=True))
    assert collection.var_names.tolist() == expected.var_names.astype(str).tolist()
    if expected.obs_names.is_unique:
        named = open_collection(path, layer=layer, unique_names=True)
        assert named.obs.index.tolist() == expected.obs_names.astype(str).tolist()
    else:
        with pytest.raises(CollectionError, match="more than once"):
            open_collection(path, layer=layer, unique_names=True)
    for name, array in expected.obsm.items():
        if is_read(array):
            assert_same_matrix(open_collection(path, layer=layer, obsm=[name])[:][name], array)
        else:
            with pytest.raises((CollectionError, ArgumentValueError)):
                open_collection(path, layer=layer, obsm=[name])


@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.too_slow])
@given(written())
def test_it_is_read_as_anndata_reads_it(case):
    made, way, compression, flag = case
    with tempfile.TemporaryDirectory() as folder:
        try:
            path, expected = write(Path(folder), made, way, compression, flag=flag)
        except Exception:  # noqa: BLE001 what anndata does not write, or not read again
            return
        layers = {None: expected.X, **dict(expected.layers.items())}
        if expected.raw is not None:
            layers["raw/X"] = expected.raw.X
            layers.setdefault("raw", expected.raw.X)
        for layer, matrix in layers.items():
            check_matrix(path, layer, matrix)
        readable = [layer for layer, matrix in layers.items() if is_read(matrix)]
        if readable:
            check_obs(path, readable[0], expected)
