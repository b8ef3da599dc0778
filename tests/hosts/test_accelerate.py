"""Accelerate shares out the batches of an iterable dataset among ranks again; here that is an error."""

from pathlib import Path

import pytest
from tests.hosts.launching import launch

SCRIPT = Path(__file__).with_name("accelerate_run.py")
pytest.importorskip("accelerate")


@pytest.mark.timeout(300)
def test_ranks_that_do_not_prepare_the_loader_share_the_epoch_and_the_others_are_told(tmp_path):
    ranks, _ = launch(SCRIPT, tmp_path / "out", 2)
    assert sorted(row for rank in ranks for row in rank["rows"]) == list(range(400))
    assert "Prepare model and optimizer, and use DataLoader" in ranks[0]["said"]


@pytest.mark.timeout(300)
def test_one_process_may_prepare_the_loader(tmp_path):
    (alone,), _ = launch(SCRIPT, tmp_path / "out", 1)
    assert sorted(alone["rows"]) == list(range(400))
    assert alone["said"] == 400
