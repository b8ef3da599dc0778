"""Throughput against the limit of the machine: what is counted, and what is refused."""

import anndata
import numpy as np
import pytest
import scipy.sparse as sp

from scdataset import ArgumentValueError, MissingFileError
from scdataset.insight.benching import BenchResult, bench


@pytest.fixture
def file(tmp_path):
    counts = sp.random(500, 100, 0.3, "csr", "f4", random_state=0)
    anndata.AnnData(counts, layers={"logs": counts}).write_h5ad(tmp_path / "a.h5ad")
    return tmp_path / "a.h5ad"


def test_whole_windows_are_timed_against_a_limit(file):
    result = bench(file, batch_size=8, fetch_factor=4, block_size=2, seconds=0.01)
    assert result.n_rows % 4 == 0
    assert result.n_rows > 0
    assert result.rows_per_second == pytest.approx(result.n_rows / result.seconds)
    assert result.limit > 0
    assert result.share == result.rows_per_second / result.limit
    assert not result.decodes
    assert result.bytes_per_second > 0
    assert result.as_dict()["share"] == result.share


def test_a_window_is_no_larger_than_the_file(file):
    assert bench(file, batch_size=64, fetch_factor=256, seconds=0.01).fetch_factor == 7
    assert bench(file, batch_size=1000, fetch_factor=256, seconds=0.01).fetch_factor == 1


def test_a_layer_can_be_measured(file):
    assert bench(file, batch_size=8, fetch_factor=4, seconds=0.01, layer="logs").limit > 0


def test_bad_arguments_are_refused(file, tmp_path):
    with pytest.raises(ArgumentValueError, match="seconds"):
        bench(file, seconds=0)
    with pytest.raises(ArgumentValueError, match="batch_size"):
        bench(file, batch_size=0)
    with pytest.raises(MissingFileError):
        bench(tmp_path / "none.h5ad")
    anndata.AnnData(np.zeros((0, 3), "f4")).write_h5ad(tmp_path / "empty.h5ad")
    with pytest.raises(ArgumentValueError, match="has no cells"):
        bench(tmp_path / "empty.h5ad")


def test_modalities_have_to_be_chosen(written):
    with pytest.raises(ArgumentValueError, match="modality="):
        bench(written("h5mu/mudata_v0.2.4_mdata_axis0.h5mu"))


def test_a_result_says_its_rate_and_share():
    result = BenchResult(50.0, 100.0, False, None, None, 10, 0.2, 8, 2, 4, 1)
    assert str(result) == "50 rows a second, 50% of the limit of 100"
    assert str(BenchResult(50.0, None, False, None, None, 10, 0.2, 8, 2, 4, 1)) == "50 rows a second"
