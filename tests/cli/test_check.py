"""The command ``scdataset check``."""

import json
import shutil

import anndata
import h5py
import numpy as np
import pytest
import scipy.sparse as sp

from scdataset.cli import main


@pytest.fixture
def file(tmp_path):
    anndata.AnnData(sp.csr_matrix(np.eye(5, dtype="f4"))).write_h5ad(tmp_path / "a.h5ad")
    return tmp_path / "a.h5ad"


@pytest.fixture
def damaged(file, tmp_path):
    shutil.copy(file, tmp_path / "b.h5ad")
    with h5py.File(tmp_path / "b.h5ad", "a") as h5:
        h5["X/indices"][2] = 9
    return tmp_path / "b.h5ad"


def test_a_whole_file_is_code_0(file, capsys):
    assert main(["check", str(file)]) == 0
    assert "No fault in 1 file" in capsys.readouterr().out


def test_faults_are_code_1_and_named(file, damaged, capsys):
    assert main(["check", str(file.parent)]) == 1
    printed = capsys.readouterr().out
    assert f"\n{damaged}\n! X/indices: has 1 column number outside the matrix, the first in row 2.\n" in printed
    assert "1 fault in 2 files" in printed
    assert str(file) not in printed


def test_a_program_gets_json(damaged, capsys):
    assert main(["check", "--json", str(damaged)]) == 1
    assert json.loads(capsys.readouterr().out)["faults"][0]["place"] == "X/indices"


@pytest.mark.parametrize("name", ["none.h5ad", "a.csv", "."])
def test_bad_input_is_code_2(file, tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("a,b\n")
    (tmp_path / "c.loom").write_text("")
    assert main(["check", name]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)


def test_ctrl_c_is_code_130(file, monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("scdataset.insight.checking._check_file", interrupt)
    assert main(["check", str(file)]) == 130
    assert capsys.readouterr().err == "scdataset: interrupted\n"


def test_a_file_that_may_not_be_read_is_code_2(file, monkeypatch, capsys):
    import os

    def refused(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refused)
    assert main(["check", str(file)]) == 2
    assert "ask its owner for permission" in capsys.readouterr().err
