"""The command ``scdataset tune``."""

import json
from importlib import import_module

import anndata
import numpy as np
import pandas as pd
import pytest

from scdataset.cli import main


@pytest.fixture
def file(tmp_path):
    obs = pd.DataFrame({"plate": np.repeat(["a", "b", "c"], 200)}, index=[f"c{i}" for i in range(600)])
    anndata.AnnData(np.ones((600, 5), "f4"), obs).write_h5ad(tmp_path / "a.h5ad")
    return tmp_path / "a.h5ad"


def run(*arguments):
    return main(["tune", *map(str, arguments), "--batch-size", "8", "--seconds", "0.05", "--memory", "200 MB"])


def test_a_setting_and_the_frontier_are_shown_and_drawn(file, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert run(file, "--label", "plate", "--plot", tmp_path / "t.png") == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("block_size", "fetch_factor", "rows a second", "of plate", "frontier"))
    assert "scDataset(cells, BlockShuffling(" in printed
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")


def test_a_program_gets_json(file, capsys):
    assert run(file, "--json") == 0
    assert json.loads(capsys.readouterr().out)["batch_size"] == 8


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--label", "plat"], "Did you mean 'plate'?"),
        (["--memory", "3 apples"], "apples"),
        (["--diversity", "2"], "diversity=2"),
        (["--plot", "none/t.png"], "folder is not there"),
    ],
)
def test_bad_input_is_one_line(file, tmp_path, monkeypatch, capsys, arguments, said):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    assert main(["tune", str(file), *arguments]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert said in printed.err


def test_a_missing_file_is_one_line(tmp_path, capsys):
    assert run(tmp_path / "none.h5ad") == 2
    assert "does not exist" in capsys.readouterr().err


def test_ctrl_c_is_code_130(file, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(import_module("scdataset.insight.tune"), "tune", interrupt)
    assert run(file) == 130
