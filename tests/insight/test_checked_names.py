"""Names that are there more than once, and the encodings that are known."""

import anndata
import numpy as np
import pytest
import zarr

from scdataset.insight.checked_names import ENCODINGS, note_repeated
from scdataset.insight.findings import Findings


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ([["a", "b"], ["c"]], []),
        ([], []),
        ([["a", "b"], ["c", "b"]], ["has 1 name more than once, the first of them in rows 1 and 3."]),
        ([["a", "b", "a", "b", "a"]], ["has 2 names more than once, the first of them in rows 0 and 2."]),
        ([[1, 2, 1]], ["has 1 name more than once, the first of them in rows 0 and 2."]),
    ],
)
def test_repeated_names_are_a_remark_with_the_rows_of_the_first(pieces, said):
    found = Findings("a.h5ad", lambda _: None)
    note_repeated(map(np.array, pieces), "obs/_index", found)
    assert [note.message for note in found.notes] == said
    assert not found.faults


@pytest.mark.filterwarnings("ignore::UserWarning")  # of anndata, on the format of zarr
def test_encodings_are_those_that_anndata_writes(tmp_path):
    cells = anndata.AnnData(np.eye(2, dtype="f4"), uns={"a": "text", "b": {"c": 1}, "d": np.array(["x", "y"])})
    with anndata.settings.override(zarr_write_format=3):
        cells.write_zarr(tmp_path / "a.zarr")
    root = zarr.open_group(tmp_path / "a.zarr", mode="r")
    found = {node.attrs.get("encoding-type") for _, node in root.members(max_depth=None)}
    assert found <= ENCODINGS
