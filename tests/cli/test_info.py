"""The command ``scdataset info``."""

import json

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from scdataset.cli import main


@pytest.fixture
def file(tmp_path):
    matrix = sp.csr_matrix(np.random.default_rng(0).poisson(0.5, (40, 10)).astype("f4"))
    obs = pd.DataFrame({"cell_type": pd.Categorical(["B", "T"] * 20)}, index=[f"c{i}" for i in range(40)])
    made = anndata.AnnData(matrix, obs)
    made.obsm["X_pca"] = np.zeros((40, 3))
    made.write_h5ad(tmp_path / "a.h5ad")
    return tmp_path / "a.h5ad"


def test_a_file_is_described_in_plain_lines_in_a_pipe(file, capsys):
    assert main(["info", str(file)]) == 0
    printed = capsys.readouterr().out
    assert "40 cells x 10 genes" in printed
    assert "X     counts  CSR float32" in printed
    assert "cell_type  labels           2  B, T" in printed
    assert "Nothing here makes it slow." in printed
    assert "\x1b" not in printed


def test_several_files_are_lines_of_a_table(file, tmp_path, capsys):
    (tmp_path / "b.h5ad").write_bytes(file.read_bytes())
    assert main(["info", str(tmp_path / "*.h5ad")]) == 0
    printed = capsys.readouterr().out
    assert "2 files" in printed
    assert "80 cells in all" in printed


def test_a_program_gets_json(file, capsys):
    assert main(["info", "--json", str(file)]) == 0
    [described] = json.loads(capsys.readouterr().out)
    assert described["cells"][0]["columns"][0]["n_categories"] == 2


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: "none.h5ad", "none.h5ad' does not exist"),
        (lambda folder: "*.zarr", "matches no file"),
        (
            lambda folder: (folder / "a.loom").write_bytes(b"x") and ".",
            "with files of several kinds (1 .h5ad, 1 .loom)",
        ),
        (lambda folder: (folder / "a.csv").write_text("a,b") and "a.csv", "it is a table of text"),
        (lambda folder: (folder / "a.h5").write_bytes(b"") or "a.h5", "an empty file"),
    ],
)
def test_bad_input_is_one_line(file, tmp_path, monkeypatch, capsys, make, said):
    monkeypatch.chdir(tmp_path)
    assert main(["info", make(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert printed.err.startswith("scdataset: error: ")
    assert said in printed.err
    assert "source=" not in printed.err


def test_a_pipe_is_no_file(tmp_path, capsys):
    import os

    os.mkfifo(tmp_path / "a.h5ad")
    assert main(["info", str(tmp_path / "a.h5ad")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_file_that_may_not_be_read_is_one_line(file, monkeypatch, capsys):
    import os

    def refused(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refused)
    assert main(["info", str(file)]) == 2
    assert "ask its owner for permission" in capsys.readouterr().err
