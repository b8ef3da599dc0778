"""The command ``scdataset convert``."""

import json

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from scdataset.cli import main
from scdataset.conversion.workspace import Workspace


@pytest.fixture
def file(tmp_path):
    obs = pd.DataFrame({"donor": ["a", "b", "a"], "age": [1, 2, 3]}, index=["x", "y", "z"])
    var = pd.DataFrame(index=["g0", "g1"])
    x = scipy.sparse.csr_matrix(np.array([[0, 1.0], [2, 0], [3, 4]], np.float32))
    anndata.AnnData(x, obs=obs, var=var).write_h5ad(tmp_path / "a.h5ad")
    return tmp_path / "a.h5ad"


def test_a_file_is_converted_and_described(file, tmp_path, capsys):
    assert main(["convert", str(file), str(tmp_path / "a.zarr"), "--verify"]) == 0
    printed = capsys.readouterr().out
    assert "3 cells x 2 genes" in printed
    assert "uint8" in printed
    assert "Every value equals that of the source." in printed
    assert anndata.read_zarr(tmp_path / "a.zarr").X.toarray().tolist() == [[0, 1], [2, 0], [3, 4]]


def test_options_reach_the_conversion(file, tmp_path, capsys):
    (tmp_path / "genes.txt").write_text("g1\n\n")
    other = tmp_path / "b.h5ad"
    anndata.read_h5ad(file)[:, ::-1].write_h5ad(other)
    out = tmp_path / "a.zarr"
    options = ["--join", "inner", "--genes", str(tmp_path / "genes.txt"), "--obs", "donor", "--label", "file"]
    order = ["--index-unique", "-", "--shuffle", "--seed", "3", "--no-compact", "--json"]
    assert main(["convert", str(file), str(other), str(out), *options, *order]) == 0
    assert json.loads(capsys.readouterr().out)["shape"] == [6, 1]
    store = anndata.read_zarr(out)
    assert sorted(store.obs) == ["donor", "file", "source_row"]
    assert store.X.dtype == np.float32
    assert store.X.toarray()[np.argsort(store.obs["source_row"])].ravel().tolist() == [1, 0, 4] * 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere.h5ad", "a.zarr"], "nowhere.h5ad"),
        (["a.h5ad", "a.h5ad"], "has to end in .zarr"),
        (["a.h5ad", "a.zarr", "--obs", "doner"], "donor"),
        (["a.h5ad", "a.zarr", "--genes", "none.txt"], "none.txt"),
        (["a.h5ad", "a.zarr", "--dtype", "int3"], "int3"),
    ],
)
def test_bad_input_is_one_line_and_code_2(file, tmp_path, monkeypatch, capsys, arguments, told):
    monkeypatch.chdir(tmp_path)
    assert main(["convert", *arguments]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_a_source_without_a_store_is_refused(file, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["convert", str(file)])
    assert "as the last path, the store to write" in capsys.readouterr().err


def test_an_interrupted_command_says_how_to_go_on(file, tmp_path, monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    command = ["convert", str(file), str(tmp_path / "a.zarr")]
    with monkeypatch.context() as patch:
        patch.setattr(Workspace, "note", interrupt)
        assert main(command) == 130
    assert "run the same command again to go on" in capsys.readouterr().err
    assert main(command) == 0
