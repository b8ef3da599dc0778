"""The command ``scdataset diversity``."""

import json
import sys

import anndata
import numpy as np
import pandas as pd
import pytest

from scdataset.cli import main


@pytest.fixture
def file(tmp_path):
    obs = pd.DataFrame({"plate": np.repeat(["a", "b", "c"], 200)}, index=[f"c{i}" for i in range(600)])
    anndata.AnnData(np.zeros((600, 2), "f4"), obs).write_h5ad(tmp_path / "a.h5ad")
    return tmp_path / "a.h5ad"


def run(*arguments):
    return main(["diversity", *map(str, arguments), "--batch-size", "8", "--fetch-factor", "4"])


def test_entropy_falls_with_the_block_size(file, capsys):
    assert run(file, "--label", "plate", "--json") == 0
    curve = json.loads(capsys.readouterr().out)
    assert [one["block_size"] for one in curve] == [1, 4, 16, 64, 256, 1024, 4096]
    assert curve[0]["share"] > 0.97 > curve[3]["share"]
    assert curve[0]["n_classes"] == 3


def test_the_size_asked_for_is_marked_and_drawn(file, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert run(file, "--label", "plate", "--block-size", "8", "--plot", tmp_path / "d.png") == 0
    printed = capsys.readouterr().out
    assert "  8 *" in printed
    assert "Blocks of 8:" in printed
    assert (tmp_path / "d.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--label", "plat"], "Did you mean 'plate'?"),
        (["--label", "plate", "--plot", "none/d.png"], "folder is not there"),
        (["--label", "plate", "--plot", "d.doc"], "its ending is none of"),
    ],
)
def test_bad_input_is_one_line(file, tmp_path, monkeypatch, capsys, arguments, said):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    assert run(file, *arguments) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert said in printed.err


def test_without_matplotlib_a_picture_is_refused_with_the_remedy(file, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr("scdataset.cli._arguments.find_spec", lambda name: None)
    assert run(file, "--label", "plate", "--plot", "d.png") == 2
    assert "pip install matplotlib" in capsys.readouterr().err


def test_a_label_has_to_be_given(file):
    with pytest.raises(SystemExit) as left:
        run(file)
    assert left.value.code == 2
