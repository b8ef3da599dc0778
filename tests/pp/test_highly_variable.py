"""Highly variable genes out of core are those of scanpy in memory."""

import anndata
import numpy as np
import pandas as pd
import pytest
from tests.conftest import REAL_DATA
from tests.examples import often
from tests.pp.expected import assert_as_scanpy

from scdataset import ArgumentTypeError, ArgumentValueError, open_collection
from scdataset.pp import highly_variable_genes

V3 = ("seurat_v3", "seurat_v3_paper")
OTHERS = ("seurat", "cell_ranger")
pytestmark = [
    pytest.mark.usefixtures("small_windows"),
    pytest.mark.filterwarnings("ignore:Transforming to str index"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


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


@pytest.mark.parametrize("flavor", [*V3, *OTHERS])
def test_a_batch_of_one_cell_is_left_out_with_a_warning(counts, logged, opened, flavor):
    made = (counts if flavor in V3 else logged).copy()
    donors = made.obs["donor"].to_numpy(object, copy=True)
    donors[10] = "alone"
    made.obs["donor"] = pd.Categorical(donors)
    with pytest.warns(UserWarning, match=r"1 of 4 batches.*alone"):
        found = highly_variable_genes(opened(made), 40, flavor, "donor")
    rest = made[made.obs["donor"] != "alone"].copy()
    assert found["highly_variable"].equals(highly_variable_genes(opened(rest), 40, flavor, "donor")["highly_variable"])


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
        ("seurat_v3", lambda values: values / 3, "values are not whole, such as [0-9]"),
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
