"""Cells of the demo, their labels and their split."""

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import scipy.sparse as sp

from scdataset.cli._demo_cells import open_cells, split
from scdataset.cli._demo_training import Window


def test_the_split_is_stratified_sorted_and_complete(atlas: Path) -> None:
    cells = open_cells([atlas], "cell_type")
    rows = split(cells, 0.25, seed=3)
    np.testing.assert_array_equal(np.sort(np.concatenate([rows.train, rows.test])), np.arange(600))
    assert np.all(np.diff(rows.train) > 0)
    assert np.all(np.diff(rows.test) > 0)
    expected = np.bincount(cells.codes) / 4
    assert np.abs(np.bincount(cells.codes[rows.test]) - expected).max() <= 1


def test_numbers_can_be_labels(tmp_path: Path) -> None:
    counts = sp.csr_matrix(np.eye(12, dtype=np.float32))
    obs = pd.DataFrame({"cluster": [1, 2, 3] * 4}, index=[f"cell_{i}" for i in range(12)])
    anndata.AnnData(counts, obs).write_h5ad(tmp_path / "a.h5ad")
    cells = open_cells([tmp_path / "a.h5ad"], "cluster")
    window = Window(cells.label, cells.classes)(cells.collection[np.arange(12)].to_memory())
    assert cells.classes == ("1", "2", "3")
    np.testing.assert_array_equal(window["code"], cells.codes)
