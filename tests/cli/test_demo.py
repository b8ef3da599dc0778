"""The command ``scdataset demo``: what it prints, what it refuses, and that it shows what it is meant to show."""

import pickle
import re
import sys
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from tests.children import run

from scdataset.cli import _demo, _demo_cells, main
from scdataset.cli._demo_cells import open_cells, split
from scdataset.cli._demo_training import Window, normalised, to_tensors
from scdataset.errors import CollectionError
from scdataset.simulation import simulate_atlas

SMALL: dict[str, Any] = {"n_cells": 600, "n_genes": 200, "genes_per_cell": 50, "n_types": 4, "progress": False}
ORDERS = ["streaming", "blocks of 16", "true random"]


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small simulated atlas."""
    return simulate_atlas(tmp_path_factory.mktemp("demo") / "atlas.h5ad", **SMALL)


def demo(*arguments: object) -> int:
    """Run the command with small windows."""
    return main(["demo", "--fetch-factor", "4", *map(str, arguments)])


def interrupt(*_: object, **__: object) -> NoReturn:
    """Do as Ctrl-C does."""
    raise KeyboardInterrupt


@pytest.mark.parametrize("workers", [0, 2])
def test_it_prints_a_row_for_each_order(atlas: Path, capsys: pytest.CaptureFixture[str], workers: int) -> None:
    assert demo("--data", atlas, "--label", "cell_type", "--workers", workers) == 0
    printed = capsys.readouterr().out
    assert [order for order in ORDERS if order in printed] == ORDERS
    assert "480 cells to train on and 120 to test on" in " ".join(printed.split())
    assert len(re.findall(r"[01]\.\d{3}", printed)) == 2 * len(ORDERS)
    assert "How to read it" in printed


def test_learning_curves_are_drawn(atlas: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    assert demo("--data", atlas, "--label", "cell_type", "--plot", tmp_path / "curves.png") == 0
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert "curves.png" in capsys.readouterr().out


def test_a_curve_goes_from_the_untrained_model_to_the_score(atlas: Path) -> None:
    cells = open_cells([atlas], "cell_type")
    training = _demo.Training(epochs=1, block_size=16, fetch_factor=4, batch_size=64, workers=0, seed=0)
    for result in _demo.compare(cells, split(cells, 0.2, seed=0), training, curves=True):
        seen = [number for number, _ in result.curve]
        assert seen[0] == 0
        assert seen[-1] == 480
        assert seen == sorted(seen)
        assert result.curve[-1][1] == pytest.approx(result.accuracy)


def test_several_files_share_their_genes(atlas: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = simulate_atlas(tmp_path / "other.h5ad", **{**SMALL, "n_genes": 150}, seed=1)
    assert demo("--data", atlas, other, "--label", "cell_type") == 0
    assert "1,200 cells x 150 genes" in capsys.readouterr().out


def test_the_atlas_is_simulated_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(_demo_cells, "simulate_atlas", partial(simulate_atlas, **SMALL))
    assert demo() == 0
    monkeypatch.setattr(_demo_cells, "simulate_atlas", interrupt)
    assert demo() == 0
    assert [file.suffix for file in (tmp_path / "scdataset").iterdir()] == [".h5ad"]
    assert str(tmp_path) in capsys.readouterr().out


def test_cells_that_cannot_be_used_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = pd.Series(["a"] * 40 + ["b"] * 40 + ["lonely"] + [None] * 3, dtype="object")
    counts = sp.random(84, 20, 0.5, format="csr", dtype=np.float32, rng=np.random.default_rng(0))
    obs = pd.DataFrame({"kind": labels.to_numpy()}, index=[f"cell_{i}" for i in range(84)])
    anndata.AnnData(counts, obs).write_h5ad(tmp_path / "a.h5ad")
    assert demo("--data", tmp_path / "a.h5ad", "--label", "kind") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "Left out 3 cells without a value in 'kind'." in printed
    assert "Left out 1 classes with a single cell: lonely." in printed
    assert "2 classes" in printed


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


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix, sp.csc_matrix])
def test_expression_is_the_logarithm_of_ten_thousand_counts_a_cell(container: Any) -> None:
    counts = np.array([[1, 3], [0, 0], [0, 8]])
    expected = np.log1p([[2500, 7500], [0, 0], [0, 10000]])
    np.testing.assert_allclose(normalised(container(counts)).toarray(), expected, rtol=1e-6)


def test_negative_counts_are_refused() -> None:
    with pytest.raises(CollectionError, match="negative"):
        normalised(np.array([[1.0, -1.0]]))


def test_transforms_reach_spawned_workers() -> None:
    window = Window("kind", ("a", "b"))
    assert pickle.loads(pickle.dumps(window)) == window
    assert pickle.loads(pickle.dumps(to_tensors)) is to_tensors


@pytest.fixture(scope="module")
def bad_inputs(tmp_path_factory: pytest.TempPathFactory, atlas: Path) -> dict[str, tuple[list[object], str]]:
    """Return arguments that must be refused, and what the message must say."""
    folder = tmp_path_factory.mktemp("bad")
    text, other, one_class = folder / "a.csv", folder / "other.h5", folder / "one.h5ad"
    text.write_text("a,b\n")
    names = [f"cell_{i}" for i in range(4)]
    anndata.AnnData(np.eye(4), pd.DataFrame({"kind": ["a"] * 4}, index=names)).write_h5ad(one_class)
    anndata.AnnData(obs=pd.DataFrame({"kind": ["a", "b"] * 2}, index=names)).write_h5ad(other)
    scaled = anndata.read_h5ad(atlas)
    scaled.X = scaled.X.toarray() - 1
    scaled.write_h5ad(folder / "scaled.h5ad")
    strangers = anndata.read_h5ad(atlas)
    strangers.var_names = [f"other_{i}" for i in range(strangers.n_vars)]
    strangers.write_h5ad(folder / "strangers.h5ad")
    return {
        "missing file": ([folder / "none.h5ad", "--label", "x"], "does not exist"),
        "folder": ([folder, "--label", "x"], "it is a folder"),
        "not HDF5": ([text, "--label", "x"], "not an h5ad file: it is"),
        "no X": ([other, "--label", "kind"], "has no X"),
        "no column": ([atlas, "--label", "celltype"], "did you mean 'cell_type'? Its columns: donor, cell_type"),
        "one class": ([one_class, "--label", "kind"], "needs two classes"),
        "negative": ([folder / "scaled.h5ad", "--label", "cell_type", "--workers", "1"], "X has negative values"),
        "no genes": ([atlas, folder / "strangers.h5ad", "--label", "cell_type"], "no gene name in common"),
        "too small a test": ([atlas, "--label", "cell_type", "--test-fraction", "0.001"], "cannot be split at 0.001"),
    }


@pytest.mark.parametrize(
    "case",
    [
        "missing file",
        "folder",
        "not HDF5",
        "no X",
        "no column",
        "one class",
        "negative",
        "no genes",
        "too small a test",
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    bad_inputs: dict[str, tuple[list[object], str]],
    capsys: pytest.CaptureFixture[str],
    case: str,
) -> None:
    arguments, message = bad_inputs[case]
    assert demo("--data", *arguments) == 2
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert message in printed.err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["demo", "--data", "a.h5ad"],
        ["demo", "--epochs", "0"],
        ["demo", "--workers", "-1"],
        ["demo", "--seed", str(2**32)],
        ["demo", "--batch-size", "many"],
        ["demo", "--test-fraction", "1"],
    ],
)
def test_wrong_arguments_leave_with_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert "usage: scdataset" in capsys.readouterr().err


def test_ctrl_c_leaves_with_code_130(
    atlas: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(_demo, "train", interrupt)
    assert demo("--data", atlas, "--label", "cell_type") == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_missing_package_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delitem(sys.modules, "scdataset.cli._demo")
    monkeypatch.delattr("scdataset.cli._demo")
    monkeypatch.setitem(sys.modules, "sklearn.model_selection", None)
    monkeypatch.delitem(sys.modules, "scdataset.cli._demo_cells")
    assert demo() == 2
    assert "pip install anndata h5py isal scikit-learn" in capsys.readouterr().err


@pytest.mark.slow
def test_a_log_has_no_control_characters(atlas: Path) -> None:
    command = f"import runpy, sys; sys.argv[1:] = {['demo', '--data', str(atlas), '--label', 'cell_type']}; "
    no_terminal = {"FORCE_COLOR": "", "TTY_COMPATIBLE": ""}
    done = run(command + "runpy.run_module('scdataset', run_name='__main__')", environment=no_terminal)
    assert "true random" in done.out
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", done.out + done.error)
    assert done.error.count("\n") == 2 * len(ORDERS)


@pytest.mark.slow
def test_streaming_a_sorted_atlas_hurts_and_blocks_do_not(tmp_path: Path) -> None:
    path = simulate_atlas(
        tmp_path / "atlas.h5ad",
        n_cells=6000,
        n_genes=2000,
        genes_per_cell=400,
        n_donors=3,
        n_types=6,
        progress=False,
    )
    cells = open_cells([path], "cell_type")
    training = _demo.Training(epochs=2, block_size=16, fetch_factor=64, batch_size=64, workers=0, seed=0)
    streaming, blocks, random = _demo.compare(cells, split(cells, 0.2, seed=0), training)
    assert random.accuracy > streaming.accuracy + 0.2
    assert random.macro_f1 > streaming.macro_f1 + 0.2
    assert abs(blocks.accuracy - random.accuracy) < 0.05
