"""The simulated atlas: its file is a legal h5ad, and its counts follow the distribution that is promised."""

from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy import stats

from scdataset.errors import ArgumentTypeError, ArgumentValueError
from scdataset.simulation import atlas, simulate_atlas
from scdataset.simulation.design import BURST_PARAMETER, DISPERSION, AtlasShape, design_atlas
from scdataset.simulation.kernels import alias_table, sample_cells

SMALL: dict[str, Any] = {"n_cells": 600, "n_genes": 200, "genes_per_cell": 50, "progress": False}


@pytest.fixture(scope="module")
def small_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate_atlas(tmp_path_factory.mktemp("atlas") / "small.h5ad", **SMALL)


def nb_counts(
    depth: float = 300.0,
    n_cells: int = 40_000,
    n_genes: int = 30,
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return counts of one profile, shape (n_cells, n_genes), and the expected count of each gene."""
    rng = np.random.default_rng(5)
    weights = np.exp(rng.normal(0.0, 2.0, n_genes))
    bursts = rng.poisson(depth, n_cells)
    rows = sample_cells(weights, bursts, np.uint64(7), 0, BURST_PARAMETER)
    pointers = np.concatenate([[0], np.cumsum(rows.lengths)])
    burst_size = -BURST_PARAMETER / ((1 - BURST_PARAMETER) * np.log1p(-BURST_PARAMETER))
    expected = weights / weights.sum() * depth * burst_size
    return sp.csr_matrix((rows.data, rows.indices, pointers), (n_cells, n_genes)).toarray(), expected


def test_mean_and_variance_are_those_of_the_negative_binomial() -> None:
    counts, expected = nb_counts()
    standard_error = np.sqrt(DISPERSION * expected / len(counts))
    assert np.all(np.abs(counts.mean(axis=0) - expected) < 5 * standard_error)
    assert counts.var(axis=0) == pytest.approx(DISPERSION * expected, rel=0.15)


def test_counts_follow_the_negative_binomial_distribution() -> None:
    counts, expected = nb_counts()
    gene = int(np.argmin(np.abs(expected - 5)))
    n_values = 30
    theory = stats.nbinom(expected[gene] / (DISPERSION - 1), 1 / DISPERSION).pmf(np.arange(n_values))
    found = np.bincount(counts[:, gene].astype(int), minlength=n_values)[:n_values]
    enough = theory * len(counts) > 10
    statistic = ((found - theory * len(counts)) ** 2 / (theory * len(counts)))[enough].sum()
    assert stats.chi2(enough.sum()).sf(statistic) > 1e-4


def test_genes_of_one_cell_are_independent_at_a_given_depth() -> None:
    counts, expected = nb_counts()
    correlations = np.atleast_2d(np.corrcoef(counts[:, np.argsort(expected)[-5:]].T))
    assert np.abs(correlations[np.triu_indices(5, 1)]).max() < 0.03


def test_alias_table_gives_back_the_weights() -> None:
    weights = np.array([0.0, 1.0, 5.0, 0.5, 100.0, 3.5])
    keep, alias = alias_table(weights)
    shares = np.zeros(6)
    np.add.at(shares, np.arange(6), keep / 6)
    np.add.at(shares, alias, (1 - keep) / 6)
    assert shares == pytest.approx(weights / weights.sum())


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


def test_types_are_unequal_and_donors_differ() -> None:
    sizes = design_atlas(AtlasShape(100_000, 100, 20, 8, 12, 0)).sizes
    types = sizes.sum(axis=0) / sizes.sum()
    assert types.max() > 0.2
    assert types.min() < 0.015
    assert stats.chi2_contingency(sizes).pvalue < 1e-6


def test_memory_and_backed_reading_agree(small_file: Path) -> None:
    memory, backed = anndata.read_h5ad(small_file), anndata.read_h5ad(small_file, backed="r")
    assert memory.shape == backed.shape == (600, 200)
    assert isinstance(memory.X, sp.csr_matrix)
    assert (backed.X[:] != memory.X).nnz == 0
    np.testing.assert_allclose(memory.obs["n_counts"], memory.X.sum(axis=1).A1)
    assert memory.obs_names.is_unique
    assert memory.var_names.is_unique
    backed.file.close()


def test_file_is_what_anndata_would_write(small_file: Path, tmp_path: Path) -> None:
    anndata.read_h5ad(small_file).write_h5ad(tmp_path / "again.h5ad")

    def layout(path: Path) -> dict[str, tuple[str, str]]:
        found = {}
        with h5py.File(path) as file:
            file.visititems(lambda name, item: found.update({name: item}))
            return {
                name: (str(sorted(item.attrs.items(), key=str)), str(getattr(item, "dtype", None)))
                for name, item in found.items()
            }

    assert layout(small_file) == layout(tmp_path / "again.h5ad")


def test_indices_are_sorted_within_a_row(small_file: Path) -> None:
    with h5py.File(small_file) as file:
        indices, pointers = file["X/indices"][:], file["X/indptr"][:]
    assert all(np.all(np.diff(row) > 0) for row in np.split(indices, pointers[1:-1]))


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


@pytest.mark.parametrize("compression", ["gzip", "lzf"])
def test_compression_changes_the_storage_and_not_the_values(small_file: Path, tmp_path: Path, compression: str) -> None:
    path = simulate_atlas(tmp_path / "c.h5ad", **SMALL, compression=compression, chunk_elements=1000)
    with h5py.File(path) as file:
        assert file["X/data"].compression == compression
        assert file["X/indices"].chunks == (1000,)
    assert (anndata.read_h5ad(path).X != anndata.read_h5ad(small_file).X).nnz == 0


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


def test_an_interrupted_run_leaves_nothing_and_keeps_what_was_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "a.h5ad"
    path.write_bytes(b"before")
    monkeypatch.setattr(atlas, "write_annotations", interrupt)
    with pytest.raises(KeyboardInterrupt):
        simulate_atlas(path, **SMALL)
    assert [file.name for file in tmp_path.iterdir()] == ["a.h5ad"]
    assert path.read_bytes() == b"before"
