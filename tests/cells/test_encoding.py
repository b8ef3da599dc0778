"""Labels that are encoded piece by piece are what pandas makes of them as a whole, and rows are no Python objects."""

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scdataset import open_collection
from scdataset.cells import encoding
from scdataset.cells.columns import Column
from scdataset.cells.encoding import encoded, pieces_in_memory
from scdataset.cells.formats.nodes import Node
from scdataset.engine.matrices import row_pointers
from scdataset.errors import DamagedFileError

pytestmark = pytest.mark.filterwarnings("ignore")

LABELS = [None, "b", "a", "", "ä", "long " * 30]


def assert_same(found, expected):
    np.testing.assert_array_equal(found.codes, expected.codes)
    assert found.codes.dtype == expected.codes.dtype
    assert found.categories.tolist() == expected.categories.tolist()


@given(st.lists(st.lists(st.sampled_from([*LABELS, 3, 2.5, True, np.nan, pd.NA]), max_size=9), max_size=5))
def test_pieces_are_encoded_as_a_whole_is(pieces):
    arrays = []
    for piece in pieces:
        arrays.append(np.empty(len(piece), object))
        arrays[-1][:] = piece
    assert_same(encoded(arrays), pd.Categorical(np.concatenate([np.empty(0, object), *arrays])))


@pytest.mark.parametrize("n_labels", [0, 1, 126, 127, 128, 129, 300, 40_000])
def test_codes_are_as_wide_as_those_of_pandas(n_labels):
    labels = np.array([f"label {i}" for i in range(n_labels)], object)
    assert_same(encoded(np.array_split(labels, 3)), pd.Categorical(labels))


@pytest.mark.parametrize("dtype", [object, "U"])
def test_arrays_in_memory_are_encoded_in_pieces(monkeypatch, dtype):
    monkeypatch.setattr(encoding, "_PIECE", 4)
    values = np.array(["b", "a", "c", "a", "b"] * 3, dtype)
    assert [len(piece) for piece in pieces_in_memory(values)] == [4, 4, 4, 3]
    assert_same(Column.from_values(values), pd.Categorical(values))


N_OBS = 50


def written(path, columns, zarr_format=3):
    obs = pd.DataFrame(columns, [f"c{i}" for i in range(N_OBS)]).astype({"plain": object})
    made = anndata.AnnData(np.eye(N_OBS, 2, dtype="f4"), obs)
    with anndata.settings.override(zarr_write_format=zarr_format, allow_write_nullable_strings=True):
        if path.suffix == ".h5ad":
            made.write_h5ad(path, convert_strings_to_categoricals=False)
        else:
            made.write_zarr(path, convert_strings_to_categoricals=False)
    return path


@pytest.fixture
def parts(monkeypatch):
    """Return the lengths of the parts in which columns are read, of a few rows each."""
    monkeypatch.setattr(row_pointers, "_PIECE", 8)
    read, lengths = Node.part, []
    monkeypatch.setattr(Node, "part", lambda node, rows: lengths.append(rows.stop - rows.start) or read(node, rows))
    return lengths


@pytest.mark.parametrize(("name", "zarr_format"), [("a.h5ad", 3), ("a.zarr", 2), ("b.zarr", 3)])
def test_strings_in_files_are_read_in_pieces(tmp_path, parts, name, zarr_format):
    plain = np.array([LABELS[1:][i % 5] for i in range(N_OBS)], object)
    nullable = pd.array([LABELS[i % 6] for i in range(N_OBS)], dtype="string")
    path = written(tmp_path / name, {"plain": plain, "nullable": nullable}, zarr_format)
    with open_collection(path, obs=["plain"]) as cells:
        assert_same(cells._obs.column("plain"), pd.Categorical(plain))
        n_parts = len(parts)
        assert sum(parts) == N_OBS
        assert_same(cells._obs.column("nullable"), pd.Categorical(nullable))
        assert len(parts) > n_parts
    if name == "a.h5ad":
        assert max(parts) <= 8


def test_labels_that_are_no_text_are_damage(tmp_path):
    path = written(tmp_path / "a.h5ad", {"plain": np.array(["a", "b"] * (N_OBS // 2), object)})
    with h5py.File(path, "r+") as file:
        file["obs/plain"][3] = b"\xff\xfe"
    with pytest.raises(DamagedFileError, match="obs/plain"):
        open_collection(path, obs=["plain"])
