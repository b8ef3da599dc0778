"""Windows in file order."""

import logging
import threading
from dataclasses import dataclass

import anndata
import mudata
import numpy as np
import pandas as pd
import pytest

from scdataset import ArgumentTypeError, _progress, open_collection
from scdataset.pp import library_sizes
from scdataset.pp.streaming import Cells, Pass


@dataclass(frozen=True)
class ListPass(Pass):
    """Lists windows; or fails, if that is wanted."""

    fails: bool = False

    def begin(self, n_rows):
        return []

    def add(self, totals, window):
        if self.fails:
            raise ZeroDivisionError
        totals.append((window.places, window.matrix.toarray()))

    def join(self, totals, part, places):
        totals += part


def test_windows_have_all_rows_once_and_in_order(counts, opened, small_windows):
    rows = np.arange(0, 300, 2)
    places = Cells(opened(counts, rows_per_file=130), rows[::-1]).over("", ListPass())
    assert len(places) > 5
    assert np.array_equal(np.concatenate([matrix for _, matrix in places]), counts.X[rows].toarray())
    assert np.array_equal(np.concatenate([np.arange(150)[place] for place, _ in places]), np.arange(150))


def test_a_store_is_asked_for_each_window_before_the_one_in_front_of_it_is_read(
    counts, opened, small_windows, monkeypatch
):
    cells, announced, asked_later = opened(counts), set(), []
    read = cells.read_matrix

    def noted(rows):
        asked_later.append(set(announced) - set(range(rows[-1] + 1)))
        return read(rows)

    monkeypatch.setattr(type(cells), "is_remote", True)
    monkeypatch.setattr(cells, "announce", lambda rows, names: announced.update(rows.tolist()))
    monkeypatch.setattr(cells, "read_matrix", noted)
    windows = Cells(cells).over("", ListPass())
    assert len(windows) > 5
    assert np.array_equal(np.concatenate([matrix for _, matrix in windows]), counts.X.toarray())
    assert all(asked_later[1:-1])
    assert announced == set(range(windows[0][0].stop, len(cells)))


def test_an_error_of_the_work_leaves_no_thread_behind(counts, opened, small_windows):
    before = set(threading.enumerate())
    cells = Cells(opened(counts, num_threads=1))
    with pytest.raises(ZeroDivisionError):
        cells.over("", ListPass(fails=True))
    assert set(threading.enumerate()) <= before  # those of earlier tests may have ended meanwhile


def test_a_long_pass_is_logged_unless_that_is_not_wanted(counts, opened, small_windows, monkeypatch, caplog):
    monkeypatch.setattr(_progress, "_PATIENCE", -1)
    caplog.set_level(logging.INFO, "scdataset")
    cells = opened(counts)
    caplog.clear()
    library_sizes(cells, progress=False)
    assert not caplog.records
    library_sizes(cells)
    assert [record.message for record in caplog.records] == ["Adding up the counts of cells"]


@pytest.mark.filterwarnings("ignore:From 0.4:FutureWarning")
def test_several_modalities_are_refused_with_the_way_to_one(counts, tmp_path):
    other = anndata.AnnData(np.ones((counts.n_obs, 2)), obs=counts.obs[[]], var=pd.DataFrame(index=["x", "y"]))
    mudata.MuData({"rna": counts.copy(), "other": other}).write(tmp_path / "a.h5mu")
    cells = open_collection(tmp_path / "a.h5mu")
    with pytest.raises(ArgumentTypeError, match=r"give one, cells.modalities\[name\]"):
        library_sizes(cells)
    assert np.array_equal(library_sizes(cells.modalities["rna"]), library_sizes(counts))


def test_what_has_no_genes_is_told_by_its_own_type():
    with pytest.raises(ArgumentTypeError, match="cells is of type ndarray"):
        library_sizes(np.ones((4, 3)))


def test_a_function_in_place_of_rows_is_told(tmp_path):
    cells = anndata.AnnData(np.ones((4, 3), "f4"))
    with pytest.raises(ArgumentTypeError, match=r"indices=cells.where\(function\)"):
        library_sizes(cells, indices=lambda obs: obs["a"] == 1)
