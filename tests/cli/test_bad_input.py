"""Bad input of every command: one line that says what is wrong and what to do, the right code, no traceback."""

import os
import sys

import anndata
import h5py
import numpy as np
import pytest

from scdataset.cli import main

COMMANDS = {
    "info": ["info"],
    "check": ["check"],
    "bench": ["bench"],
    "tune": ["tune"],
    "diversity": ["diversity", "--label", "x"],
    "demo": ["demo", "--label", "x", "--data"],
}


def missing(folder):
    return folder / "none.h5ad"


def mixed(folder):
    (folder / "a.h5ad").write_bytes(b"x")
    (folder / "b.loom").write_bytes(b"x")
    return folder


def pipe(folder):
    os.mkfifo(folder / "a.h5ad")
    return folder / "a.h5ad"


def text(folder):
    (folder / "a.csv").write_text("a,b\n")
    return folder / "a.csv"


def page(folder):
    (folder / "a.csv").write_text("<html>")
    return folder / "a.csv"


CASES = {missing: "does not exist", mixed: "folder", pipe: "", text: "table of text", page: "download the file again"}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_it_is_one_line_and_code_2(tmp_path, capsys, command, make):
    assert main([*COMMANDS[command], str(make(tmp_path))]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("scdataset: error: ")
    assert printed.err.count("\n") == 1
    assert CASES[make] in printed.err
    assert "source=" not in printed.err


@pytest.mark.parametrize(("command", "remedy"), [("info", "copy or download it again"), ("demo", "scdataset check")])
def test_a_file_that_is_cut_short_is_named_with_the_remedy(tmp_path, capsys, command, remedy):
    path = tmp_path / "a.h5ad"
    with h5py.File(path, "w") as file:
        file["X"] = np.zeros(1000)
    path.write_bytes(path.read_bytes()[:4000])
    assert main([*COMMANDS[command], str(path)]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert str(path) in printed
    assert remedy in printed


@pytest.mark.parametrize("command", COMMANDS)
def test_a_missing_package_is_named_with_the_remedy(tmp_path, monkeypatch, capsys, command):
    for name in [name for name in sys.modules if name.startswith(("scdataset.insight.", "scdataset.cli._demo"))]:
        if name != "scdataset.cli._demo_command":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("scdataset.cli._demo", raising=False)
    monkeypatch.setitem(sys.modules, "h5py", None)
    for name in [name for name in sys.modules if name.startswith("scdataset.cells")]:
        monkeypatch.delitem(sys.modules, name)
    assert main([*COMMANDS[command], str(tmp_path / "a.h5ad")]) == 2
    assert "pip install anndata h5py" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["info", "check"])
def test_a_pipe_that_was_closed_ends_the_command_quietly(tmp_path, monkeypatch, capfd, command):
    anndata.AnnData(np.eye(5, dtype="f4")).write_h5ad(tmp_path / "a.h5ad")
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        assert main([command, str(tmp_path / "a.h5ad")]) == 141
        monkeypatch.undo()
    assert capfd.readouterr().err == ""
