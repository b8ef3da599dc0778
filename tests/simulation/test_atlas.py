"""The simulated atlas: its file is a legal h5ad, and its counts follow the distribution that is promised."""

from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pytest
import scipy.sparse as sp
from tests.simulation.small import SMALL

from scdataset.errors import ArgumentTypeError, ArgumentValueError
from scdataset.simulation import atlas, simulate_atlas


def test_zeros_become_rarer_with_the_mean(small_file: Path) -> None:
    counts = anndata.read_h5ad(small_file).X.toarray()
    order = np.argsort(counts.mean(axis=0))
    zeros = [(counts[:, genes] == 0).mean() for genes in np.array_split(order, 8)]
    assert zeros == sorted(zeros, reverse=True)


def test_cells_show_the_genes_asked_for(tmp_path: Path) -> None:
    path = simulate_atlas(tmp_path / "a.h5ad", n_cells=2000, n_genes=3000, genes_per_cell=300, progress=False)
    assert np.diff(anndata.read_h5ad(path).X.indptr).mean() == pytest.approx(300, rel=0.03)


def test_cells_are_sorted_by_donor_and_then_by_type(small_file: Path) -> None:
    obs = anndata.read_h5ad(small_file, backed="r").obs
    codes = list(zip(obs["donor"].cat.codes, obs["cell_type"].cat.codes, strict=True))
    assert codes == sorted(codes)
    assert obs["donor"].nunique() == 8


def test_memory_and_backed_reading_agree(small_file: Path) -> None:
    memory, backed = anndata.read_h5ad(small_file), anndata.read_h5ad(small_file, backed="r")
    assert memory.shape == backed.shape == (600, 200)
    assert isinstance(memory.X, sp.csr_matrix)
    assert (backed.X[:] != memory.X).nnz == 0
    np.testing.assert_allclose(memory.obs["n_counts"], memory.X.sum(axis=1).A1)
    assert memory.obs_names.is_unique
    assert memory.var_names.is_unique
    backed.file.close()


def test_same_seed_gives_the_same_file_whatever_the_blocks_and_threads(
    small_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(atlas, "_N_THREADS", 1)
    monkeypatch.setattr(atlas, "_BURSTS_PER_BLOCK", 500)
    again = simulate_atlas(tmp_path / "again.h5ad", **SMALL)
    assert again.read_bytes() == small_file.read_bytes()


def test_another_seed_gives_other_cells(small_file: Path, tmp_path: Path) -> None:
    other = simulate_atlas(tmp_path / "other.h5ad", **SMALL, seed=1)
    assert (anndata.read_h5ad(other).X != anndata.read_h5ad(small_file).X).nnz > 0


@pytest.mark.parametrize(
    "shape",
    [
        {"n_cells": 1, "n_genes": 2, "genes_per_cell": 1, "n_donors": 1, "n_types": 1},
        {"n_cells": 1, "n_genes": 200, "genes_per_cell": 50},
        {"n_cells": 30, "n_genes": 2, "genes_per_cell": 1},
    ],
)
def test_tiny_atlases_are_legal(tmp_path: Path, shape: dict[str, Any]) -> None:
    cells = anndata.read_h5ad(simulate_atlas(tmp_path / "tiny.h5ad", **shape, progress=False))
    assert cells.shape == (shape["n_cells"], shape["n_genes"])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_cells": 0}, ArgumentValueError, "n_cells=0"),
        ({"n_types": 2.5}, ArgumentTypeError, "n_types=2.5"),
        ({"n_donors": True}, ArgumentTypeError, "n_donors=True"),
        ({"seed": -1}, ArgumentValueError, "seed=-1"),
        ({"genes_per_cell": 101}, ArgumentValueError, "give at most 100"),
        ({"chunk_elements": 0}, ArgumentValueError, "chunk_elements=0"),
        ({"compression": "zip"}, ArgumentValueError, "compression='zip'"),
    ],
)
def test_bad_arguments_are_named(tmp_path: Path, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        simulate_atlas(tmp_path / "a.h5ad", **{**SMALL, **options})
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArgumentValueError, match=r"create .*nowhere. first"):
        simulate_atlas(tmp_path / "nowhere" / "a.h5ad", **SMALL)
