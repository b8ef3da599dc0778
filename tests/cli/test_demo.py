"""The command ``scdataset demo``: what it prints, what it refuses, and that it shows what it is meant to show."""

import re
from functools import partial
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from tests.cli.demo_runs import ORDERS, SMALL, demo, interrupt
from tests.examples import rare

from scdataset.cli import _demo, _demo_cells
from scdataset.cli._demo_cells import open_cells, split
from scdataset.simulation import simulate_atlas


@pytest.mark.parametrize("workers", [0, *rare(2)])
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
    assert "Left out 1 class with a single cell: lonely." in printed
    assert "2 classes" in printed


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
