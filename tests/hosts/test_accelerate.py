"""Accelerate shares out the batches of an iterable dataset among ranks again; here that is an error."""

from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("accelerate_run.py")
pytestmark = pytest.mark.skipif(find_spec("accelerate") is None, reason="accelerate is not installed")


@pytest.mark.slow
def test_ranks_that_do_not_prepare_the_loader_share_the_epoch_and_the_others_are_told(launch, tmp_path):
    ranks = launch(SCRIPT, tmp_path / "out", 2)
    assert sorted(row for rank in ranks for row in rank["rows"]) == list(range(400))
    assert "Prepare model and optimizer, and use DataLoader" in ranks[0]["said"]


def test_one_process_may_prepare_the_loader(launch, tmp_path):
    (alone,) = launch(SCRIPT, tmp_path / "out", 1)
    assert sorted(alone["rows"]) == list(range(400))
    assert alone["said"] == 400
