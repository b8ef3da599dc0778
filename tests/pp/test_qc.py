"""Quality metrics out of core are those of scanpy in memory."""

import numpy as np
import pytest

from scdataset import ArgumentValueError
from scdataset.pp import qc_metrics

pytestmark = pytest.mark.usefixtures("small_windows")


@pytest.mark.parametrize("dense", [False, True])
def test_metrics_are_those_of_scanpy(scanpy, counts, opened, dense):
    made = counts.copy()
    if dense:
        made.X = made.X.toarray()
    made.var["mt"] = made.var_names.str.startswith("MT-")
    filled = np.arange(made.n_obs) != 4  # scanpy warns of an empty cell
    theirs = made[filled].copy()
    theirs.X = theirs.X if dense else theirs.X.toarray()  # for sparse ones scanpy compiles for ten seconds
    expected = scanpy.pp.calculate_qc_metrics(theirs, qc_vars=["mt"], percent_top=(10, 50))
    cells = opened(made, rows_per_file=130)
    for found, wanted in zip(qc_metrics(cells, "MT-", percent_top=(50, 10), indices=filled), expected, strict=True):
        assert list(found.columns) == list(wanted.columns)
        for name in found.columns:
            np.testing.assert_allclose(found[name], wanted[name].astype(float), rtol=1e-6, err_msg=name)
    assert qc_metrics(cells, made.var["mt"].to_numpy())[0].equals(qc_metrics(cells, "MT-")[0])
    assert qc_metrics(cells, list(made.var_names[made.var["mt"]]))[0].equals(qc_metrics(cells, "MT-")[0])


def test_rows_come_in_the_order_in_which_they_are_asked_for(counts, opened):
    rows = np.array([17, 4, 250])
    obs, var = qc_metrics(opened(counts), indices=rows, percent_top=())
    assert list(obs.index) == [17, 4, 250]
    assert list(obs["total_counts"]) == list(counts.X[rows].sum(axis=1).A1)
    assert list(obs.columns) == ["n_genes_by_counts", "log1p_n_genes_by_counts", "total_counts", "log1p_total_counts"]
    assert var["n_cells_by_counts"].sum() == counts.X[rows].nnz


def test_a_cell_without_counts_has_no_percentages(counts, opened):
    obs, _ = qc_metrics(opened(counts), "MT-")
    assert obs.loc[4, "total_counts"] == 0
    assert np.isnan(obs.loc[4, "pct_counts_mt"])
    assert obs.drop(index=4).notna().all(axis=None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mitochondrial": "mt-"}, "begins with 'mt-'.*'MT-'"),
        ({"mitochondrial": "ENSG"}, "begins with 'ENSG'; names are such as"),
        ({"mitochondrial": ["MT-nothing"]}, "1 of 1 name is of no gene, such as .'MT-nothing'"),
        ({"mitochondrial": np.ones(3, bool)}, r"shape \(3,\)"),
        ({"percent_top": (50, 201)}, "of 200 genes"),
    ],
)
def test_arguments_are_refused_with_what_is_allowed(counts, opened, options, message):
    with pytest.raises(ArgumentValueError, match=message):
        qc_metrics(opened(counts), **options)
