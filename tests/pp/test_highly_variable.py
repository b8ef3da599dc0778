"""Highly variable genes out of core are those of scanpy in memory."""

import sys

import anndata
import numpy as np
import pandas as pd
import pytest
from tests.conftest import REAL_DATA
from tests.examples import often

from scdataset import ArgumentTypeError, ArgumentValueError, open_collection
from scdataset.pp import highly_variable_genes

V3 = ("seurat_v3", "seurat_v3_paper")
OTHERS = ("seurat", "cell_ranger")
pytestmark = [
    pytest.mark.usefixtures("small_windows"),
    pytest.mark.filterwarnings("ignore:Transforming to str index"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def assert_as_scanpy(found, expected, *, exact):
    """Compare columns, bit by bit or to twelve digits."""
    assert not set(expected.columns) - set(found.columns) - {"gene_name", "mean_bin"}
    assert found.index.equals(expected.index)
    for name in found.columns:
        ours, theirs = found[name].to_numpy(), expected[name].to_numpy()
        assert ours.dtype == theirs.dtype, name
        if exact or ours.dtype.kind != "f":
            assert np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f"), name
        else:
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("batch_key", [None, "donor"])
@pytest.mark.parametrize("flavor", V3)
def test_seurat_v3_has_the_bits_of_scanpy(scanpy, counts, opened, flavor, batch_key):
    found = highly_variable_genes(opened(counts, rows_per_file=130), 40, flavor, batch_key)
    expected = scanpy.pp.highly_variable_genes(
        counts, n_top_genes=40, flavor=flavor, batch_key=batch_key, inplace=False
    )
    assert_as_scanpy(found, expected, exact=True)
    assert found["highly_variable"].sum() == 40


@pytest.mark.parametrize("batch_key", [None, "donor"])
@pytest.mark.parametrize("flavor", OTHERS)
def test_dispersions_are_those_of_scanpy(scanpy, logged, opened, flavor, batch_key):
    expressed = logged[:, 5:].copy()  # with more genes that no cell expresses, scanpy fails
    found = highly_variable_genes(opened(expressed, rows_per_file=130), 40, flavor, batch_key)
    expected = scanpy.pp.highly_variable_genes(
        expressed, n_top_genes=40, flavor=flavor, batch_key=batch_key, inplace=False
    )
    assert_as_scanpy(found, expected, exact=False)


def test_the_base_of_the_logarithm_is_taken_back(scanpy, counts, opened):
    made = counts[np.arange(counts.n_obs) != 4].copy()
    scanpy.pp.normalize_total(made, target_sum=1e4)
    scanpy.pp.log1p(made, base=2)
    found = highly_variable_genes(opened(made), 40, "seurat", log_base=2)
    expected = scanpy.pp.highly_variable_genes(made, n_top_genes=40, flavor="seurat", inplace=False)
    assert_as_scanpy(found, expected, exact=False)


@pytest.mark.parametrize("form", ["dense", "int", "in memory", "backed", "indices"])
def test_every_form_of_cells_gives_the_same(counts, opened, tmp_path, form):
    expected = highly_variable_genes(opened(counts), 40, batch_key="donor")
    made, indices = counts.copy(), None
    if form == "dense":
        made.X = made.X.toarray()
    if form == "int":
        made.X = made.X.astype(np.int32)
    cells = made
    if form in ("dense", "int"):
        cells = opened(made)
    if form == "backed":
        made.write_h5ad(tmp_path / "backed.h5ad")
        cells = anndata.read_h5ad(tmp_path / "backed.h5ad", backed="r")
    if form == "indices":
        cells = opened(anndata.concat([made, made[:50]], index_unique="-"))
        indices = np.random.default_rng(0).permutation(made.n_obs)
    assert_as_scanpy(highly_variable_genes(cells, 40, batch_key="donor", indices=indices), expected, exact=True)


def test_cell_ranger_takes_genes_that_no_cell_expresses(logged, opened):
    """scanpy fails where a tenth of the means are alike."""
    wide = anndata.AnnData(
        np.hstack([np.zeros((logged.n_obs, 60), np.float32), logged.X.toarray()]),
        var=pd.DataFrame(index=[f"zero{i}" for i in range(60)] + list(logged.var_names)),
    )
    found = highly_variable_genes(opened(wide), 40, "cell_ranger")
    assert found["highly_variable"].sum() >= 40
    assert not found["highly_variable"].iloc[:60].any()


@pytest.mark.parametrize("flavor", [*V3, *OTHERS])
def test_a_batch_of_one_cell_is_left_out_with_a_warning(counts, logged, opened, flavor):
    made = (counts if flavor in V3 else logged).copy()
    donors = made.obs["donor"].astype(object).to_numpy()
    donors[10] = "alone"
    made.obs["donor"] = pd.Categorical(donors)
    with pytest.warns(UserWarning, match=r"1 of 4 batches.*alone"):
        found = highly_variable_genes(opened(made), 40, flavor, "donor")
    rest = made[made.obs["donor"] != "alone"].copy()
    assert found["highly_variable"].equals(highly_variable_genes(opened(rest), 40, flavor, "donor")["highly_variable"])


def test_means_that_are_too_much_alike_get_noise_and_a_warning(counts, opened):
    made = counts.copy()
    few = np.flatnonzero(made.obs["donor"] == "c")[3:]
    made = made[np.setdiff1d(np.arange(made.n_obs), few)].copy()
    with pytest.warns(UserWarning, match=r"Genes of 1 of 3 batches.*noise.*'c': "):
        first = highly_variable_genes(opened(made), 40, batch_key="donor")
    with pytest.warns(UserWarning, match="noise"):
        again = highly_variable_genes(opened(made), 40, batch_key="donor")
    assert first.equals(again)


def test_cells_that_are_all_alike_are_refused(opened):
    same = anndata.AnnData(np.ones((20, 30), np.float32))
    with pytest.raises(ArgumentValueError, match="Too few genes vary among 20 cells"):
        highly_variable_genes(opened(same), 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_top_genes": 201}, "n_top_genes=201 .* at most 200"),
        ({"n_top_genes": 0}, "n_top_genes=0"),
        ({"flavor": "seurat_3"}, "flavor='seurat_3' .* Did you mean 'seurat_v3'"),
        ({"batch_key": "doner"}, "batch_key='doner' .* Did you mean 'donor'"),
        ({"indices": [3, 3]}, "1 of them repeated"),
        ({"indices": []}, "no cells"),
        ({"span": 7}, "span=7; give the part"),
        ({"n_bins": 0}, "n_bins=0 is out of bounds"),
        ({"log_base": -1}, "log_base=-1; give a finite number above 0"),
    ],
)
def test_arguments_are_refused_with_what_is_allowed(counts, opened, options, message):
    with pytest.raises(ArgumentValueError, match=message):
        highly_variable_genes(opened(counts), **{"n_top_genes": 10, **options})


def test_cells_without_a_batch_are_refused_with_a_way_to_leave_them_out(counts, opened):
    made = counts.copy()
    made.obs.loc[made.obs_names[:3], "donor"] = np.nan
    cells = opened(made)
    with pytest.raises(ArgumentValueError, match="'donor' is missing for 3 of 300 cells"):
        highly_variable_genes(cells, 10, batch_key="donor")
    there = cells.where(lambda obs: obs["donor"].notna())
    assert highly_variable_genes(cells, 10, batch_key="donor", indices=there)["highly_variable"].sum() == 10


@pytest.mark.parametrize(
    ("flavor", "change", "message"),
    [
        ("seurat_v3", lambda values: values * -1, "not negative, and there are values from -"),
        ("seurat_v3", lambda values: values * np.nan, "missing or infinite"),
        ("seurat_v3", lambda values: values / 3, "no whole numbers, such as [0-9]"),
        ("seurat", lambda values: values * -1, "not negative"),
        ("seurat", lambda values: values * 100.5, "takes logarithms"),
        ("seurat", lambda values: values, "takes logarithms .* whole numbers"),
        ("cell_ranger", lambda values: values, "takes logarithms .* whole numbers"),
    ],
)
def test_values_that_do_not_fit_the_flavor_are_refused(counts, opened, flavor, change, message):
    made = counts.copy()
    made.X.data[:] = change(made.X.data)
    with pytest.raises(ArgumentValueError, match=message):
        highly_variable_genes(opened(made), 10, flavor)


def test_fractional_values_are_taken_as_they_are_if_asked(scanpy, counts, opened):
    made = counts.copy()
    made.X.data /= 2
    found = highly_variable_genes(opened(made), 40, check_values=False)
    with pytest.warns(UserWarning, match="non-integers"):
        expected = scanpy.pp.highly_variable_genes(made, n_top_genes=40, flavor="seurat_v3", inplace=False)
    assert_as_scanpy(found, expected, exact=False)


def test_frames_are_written_and_read_again(logged, opened, tmp_path):
    found = highly_variable_genes(opened(logged), 40, "seurat", "donor")
    found.to_parquet(tmp_path / "hvg.parquet")
    assert pd.read_parquet(tmp_path / "hvg.parquet").equals(found)


def test_what_has_no_genes_is_refused(tmp_path):
    with pytest.raises(ArgumentTypeError, match="give what open_collection returns"):
        highly_variable_genes(np.ones((3, 4)), 2)


def test_without_scikit_misc_the_error_says_what_to_install(counts, opened, monkeypatch):
    monkeypatch.setitem(sys.modules, "skmisc.loess", None)
    with pytest.raises(ImportError, match="pip install scikit-misc"):
        highly_variable_genes(opened(counts), 10)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flavor", "batch_key"),
    often(
        [
            ("seurat_v3", None),
            ("seurat_v3", "donor_id"),
            ("seurat_v3_paper", "donor_id"),
            ("seurat", None),
            ("seurat", "donor_id"),
            ("cell_ranger", None),
            ("cell_ranger", "donor_id"),
        ],
        lambda flavor, batch_key: batch_key and flavor in ("seurat_v3", "seurat"),
    ),
)
def test_real_files_give_the_genes_of_scanpy(scanpy, opened, flavor, batch_key):
    path = REAL_DATA / "cells" / "heart_chicken.h5ad"
    if not path.exists():
        pytest.skip("real file cells/heart_chicken.h5ad is not here")
    adata, cells = anndata.read_h5ad(path), open_collection(path)
    fitted = (adata.obs["donor_id"] != "HH4").to_numpy()  # in whose cells scanpy's loess fails
    if flavor in V3 and batch_key:
        with pytest.warns(UserWarning, match="'HH4': 1e-06"):
            highly_variable_genes(cells, 2000, flavor, batch_key)
    adata = adata[fitted].copy()
    if flavor in OTHERS:
        scanpy.pp.filter_genes(adata, min_cells=1)
        scanpy.pp.normalize_total(adata, target_sum=1e4)
        scanpy.pp.log1p(adata)
        cells, fitted = opened(adata), None
    found = highly_variable_genes(cells, 2000, flavor, batch_key, indices=fitted)
    expected = scanpy.pp.highly_variable_genes(
        adata, n_top_genes=2000, flavor=flavor, batch_key=batch_key, inplace=False
    )
    assert_as_scanpy(found, expected, exact=flavor in V3)


def test_all_batches_are_read_in_the_same_two_passes(counts, opened, monkeypatch):
    cells, n_read = opened(counts), []
    read = type(cells).read_matrix
    monkeypatch.setattr(type(cells), "read_matrix", lambda own, rows: n_read.append(rows.size) or read(own, rows))
    highly_variable_genes(cells, 40, batch_key="donor")
    assert sum(n_read) == 2 * counts.n_obs
