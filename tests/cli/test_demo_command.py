"""The demo on the command line: what is refused, and how it ends."""

import re
import sys
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from tests.children import run
from tests.cli.demo_runs import ORDERS, demo, interrupt

from scdataset.cli import _demo, main


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
