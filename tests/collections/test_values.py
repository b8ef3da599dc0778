"""What kind of values there are."""

import anndata
import numpy as np
import pytest
import scipy.sparse as sp
from tests.conftest import REAL_DATA

from scdataset import open_collection

COUNTS = np.random.default_rng(0).negative_binomial(1, 0.3, (200, 50)).astype(np.float64)
NORMALISED = COUNTS / COUNTS.sum(axis=1, keepdims=True) * 1e4
SCALED = (NORMALISED - NORMALISED.mean(axis=0)) / NORMALISED.std(axis=0)
KINDS = {
    "counts": COUNTS,
    "normalised": NORMALISED,
    "normalised fractions": NORMALISED / 1e4,
    "normalised half": NORMALISED.astype(np.float16),
    "log-normalised": np.log1p(NORMALISED),
    "log-normalised base 2": np.log2(NORMALISED + 1),
    "log-normalised some genes": np.log1p(NORMALISED)[:, :20],
    "scaled": SCALED,
    "unknown missing": np.where(COUNTS == 3, np.nan, COUNTS),
    "unknown zeros": COUNTS * 0,
}


def written(path, values, *, dense=False):
    values = values if dense or values.dtype == np.float16 else sp.csr_matrix(values)
    anndata.AnnData(values).write_h5ad(path)
    return path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dense", [False, True])
def test_kinds_are_told_by_their_values(tmp_path, kind, dense):
    found = open_collection(written(tmp_path / "a.h5ad", KINDS[kind], dense=dense)).value_kind()
    assert found.kind == kind.split()[0]
    assert str(found).startswith(f"{found.kind}, by {found.n_cells} cells")
    assert "nan" not in str(found)


def test_evidence_is_that_of_the_sample(tmp_path):
    found = open_collection(written(tmp_path / "a.h5ad", COUNTS)).value_kind()
    assert (found.n_cells, found.whole, found.minimum, found.maximum) == (200, 1, 0, COUNTS.max())
    sums = COUNTS.sum(axis=1)
    assert found.spread == pytest.approx(sums.std() / sums.mean())
    logged = open_collection(written(tmp_path / "b.h5ad", np.log1p(NORMALISED))).value_kind()
    assert logged.whole == 0
    assert logged.spread_unlogged < 1e-6 < logged.spread


@pytest.mark.parametrize(
    ("name", "layer", "kind"),
    [
        ("cells/heart_human.h5ad", None, "counts"),
        ("old_schema/anndata_archive_v0.5.0.h5ad", None, "scaled"),
        ("old_schema/anndata_archive_v0.5.0.h5ad", "raw", "log-normalised"),
        ("odd/scfates_test_unsorted_indices.h5ad", None, "log-normalised"),
        ("zarr/scanpy_10x-10k-subset.zarr", None, "counts"),
    ],
)
def test_kinds_of_real_files(name, layer, kind):
    if not (REAL_DATA / name).exists():
        pytest.skip(f"real file {name} is not here")
    with open_collection(REAL_DATA / name, layer=layer) as cells:
        assert cells.value_kind().kind == kind


def test_files_of_different_kinds_are_told_apart(tmp_path):
    paths = [written(tmp_path / "a.h5ad", COUNTS), written(tmp_path / "b.h5ad", np.log1p(NORMALISED))]
    found = open_collection(paths).value_kind()
    assert found.kind == "mixed"
    assert list(found.by_file.values()) == ["counts", "log-normalised"]
    assert f"counts: {paths[0]}" in str(found)


def test_samples_come_from_all_over_the_files_and_repeat(tmp_path, monkeypatch):
    from scdataset.collections.values import sampled_rows

    rows = sampled_rows([10_000, 0, 20, 3], seed=1)
    assert [own.size for own in rows] == [511, 8, 3]
    assert np.diff(rows[0]).max() < 60
    assert np.array_equal(rows[2], [10_020, 10_021, 10_022])
    assert all(np.array_equal(a, b) for a, b in zip(rows, sampled_rows([10_000, 0, 20, 3], seed=1), strict=True))
    assert not np.array_equal(rows[0], sampled_rows([10_000, 0, 20, 3], seed=2)[0])
    assert len(sampled_rows([100] * 5000, seed=0)) == 64
