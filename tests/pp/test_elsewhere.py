"""Passes that other processes make a part each of: results equal those of one process."""

import numpy as np
import pandas as pd
import pytest
from tests.elsewhere import Elsewhere

from scdataset import ArgumentTypeError, ArgumentValueError
from scdataset.pp import highly_variable_genes, library_sizes, medians, nonzero_medians, qc_metrics, streaming

ROWS = np.r_[299:0:-2, 0:300:4]


@pytest.fixture
def cluster(monkeypatch):
    """Return a cluster, whose processes get 70 rows at a time."""
    monkeypatch.setattr(streaming, "_PART_ROWS", 70)
    return Elsewhere()


@pytest.mark.parametrize("batch_key", [None, "donor"])
def test_genes_vary_as_in_one_process(counts, opened, cluster, batch_key):
    cells = opened(counts, rows_per_file=130)
    found = highly_variable_genes(cells, 30, batch_key=batch_key, indices=ROWS, engine=cluster)
    pd.testing.assert_frame_equal(
        found, highly_variable_genes(cells, 30, batch_key=batch_key, indices=ROWS), check_exact=True
    )
    assert cluster.n_items == 8  # two passes over 225 rows


def test_sums_of_logarithms_differ_by_rounding_alone(logged, opened, cluster):
    cells = opened(logged)
    found = highly_variable_genes(cells, 30, "seurat", engine=cluster)
    pd.testing.assert_frame_equal(found, highly_variable_genes(cells, 30, "seurat"), rtol=1e-12)


def test_metrics_of_cells_and_genes_are_those_of_one_process(counts, opened, cluster):
    cells = opened(counts, rows_per_file=130)
    for found, expected in zip(
        qc_metrics(cells, "MT-", indices=ROWS, engine=cluster), qc_metrics(cells, "MT-", indices=ROWS), strict=True
    ):
        pd.testing.assert_frame_equal(found, expected, check_exact=True)
    found = library_sizes(cells, indices=ROWS, engine=cluster)
    pd.testing.assert_series_equal(found, library_sizes(cells, indices=ROWS), check_exact=True)


@pytest.mark.parametrize("in_memory", [0, 1 << 24])
def test_medians_are_those_of_one_process(counts, opened, cluster, monkeypatch, in_memory):
    monkeypatch.setattr(medians, "_IN_MEMORY", in_memory)
    cells, totals = opened(counts, rows_per_file=130), np.arange(1.0, ROWS.size + 1)
    for given in (None, totals):
        found = nonzero_medians(cells, totals=given, indices=ROWS, engine=cluster)
        pd.testing.assert_series_equal(found, nonzero_medians(cells, totals=given, indices=ROWS), check_exact=True)


def test_parts_depend_on_the_rows_alone(counts, opened, cluster, monkeypatch):
    monkeypatch.setattr(streaming, "_MAX_PARTS", 2)
    library_sizes(opened(counts), engine=cluster)
    assert cluster.n_items == 2


def test_cells_in_memory_are_refused(counts, cluster):
    with pytest.raises(
        ArgumentTypeError, match="AnnData, which other processes cannot open; give what open_collection"
    ):
        library_sizes(counts, engine=cluster)


def test_an_error_of_a_part_is_that_of_one_process(counts, opened, cluster):
    negative = counts.copy()
    negative.X.data[-1] = -1
    with pytest.raises(ArgumentValueError, match="values from -1"):
        qc_metrics(opened(negative), engine=cluster)
