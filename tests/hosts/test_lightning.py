"""Lightning's Trainer: fit, validate, a checkpoint in mid-epoch, and going on from it, on one process and on two."""

from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from tests.examples import rare

SCRIPT = Path(__file__).with_name("lightning_run.py")
MODULE = Path(__file__).with_name("cell_data_run.py")
pytestmark = pytest.mark.skipif(find_spec("pytorch_lightning") is None, reason="pytorch_lightning is not installed")


def rows(batches):
    return Counter(row for batch in batches for row in batch)


@pytest.mark.parametrize("num_workers", [2, *rare(0)])
def test_a_checkpoint_in_mid_epoch_goes_on_byte_for_byte(launch, tmp_path, num_workers):
    checkpoints = tmp_path / "checkpoints"
    (whole,) = launch(SCRIPT, tmp_path / "a", 1, 1, num_workers, 100, "new", checkpoints)
    (resumed,) = launch(SCRIPT, tmp_path / "b", 1, 1, num_workers, 100, "resume", checkpoints)
    assert resumed["rows"] == whole["rows"][9:]
    assert rows(whole["rows"][:50]) == rows(whole["rows"][50:]) == Counter(range(400))
    assert whole["rows"][:50] != whole["rows"][50:]
    assert (resumed["steps"], resumed["epoch"]) == (whole["steps"], whole["epoch"]) == (100, 2)
    assert Counter(resumed["validated"]) == Counter(dict.fromkeys(range(60), 2))


def test_two_devices_share_each_epoch_and_one_goes_on_with_it(launch, tmp_path):
    checkpoints = tmp_path / "checkpoints"
    ranks = launch(SCRIPT, tmp_path / "a", 2, 2, 0, 50, "new", checkpoints)
    assert [len(rank["rows"]) for rank in ranks] == [50, 50]
    assert sum((rows(rank["rows"]) for rank in ranks), Counter()) == Counter(dict.fromkeys(range(400), 2))
    (alone,) = launch(SCRIPT, tmp_path / "b", 1, 1, 0, -1, "resume", checkpoints)
    before = sum((rows(rank["rows"][:9]) for rank in ranks), Counter())
    assert before + rows(alone["rows"][:32]) == Counter(range(400))
    assert rows(alone["rows"][32:]) == Counter(range(400))
    assert Counter(alone["validated"]) == Counter(dict.fromkeys(range(60), 2))


def test_a_data_module_goes_on_with_another_number_of_devices(launch, tmp_path):
    file, checkpoints = tmp_path / "cells.h5ad", tmp_path / "checkpoints"
    X = sp.csr_matrix(np.random.default_rng(0).poisson(0.5, (203, 12)).astype("f4"))  # noqa: N806 the field's name
    columns = {"donor": pd.Categorical(np.repeat(["D1", "D4"], [160, 43])), "number": np.arange(203)}
    anndata.AnnData(X, pd.DataFrame(columns, index=[f"cell{i}" for i in range(203)])).write_h5ad(file)
    two = launch(MODULE, tmp_path / "a", 2, 2, -1, 0, file, checkpoints)
    twice = Counter(dict.fromkeys(range(160), 2))
    assert sum((rows(rank["trained"]) for rank in two), Counter()) == twice
    assert sum((rows(rank["predicted"]) for rank in two), Counter()) == Counter(range(203))
    for step, after in (5, 70), (20, 40):  # in the middle of an epoch, and after its last batch
        (one,) = launch(MODULE, tmp_path / f"b{step}", 1, 1, -1, step, file, checkpoints)
        before = sum((rows(rank["trained"][:step]) for rank in two), Counter())
        assert before + rows(one["trained"]) == twice
        assert (len(one["trained"]), one["epoch"]) == (after, 2)
    same = launch(MODULE, tmp_path / "c", 2, 2, -1, 25, file, checkpoints)
    assert [rank["trained"] for rank in same] == [rank["trained"][25:] for rank in two]
