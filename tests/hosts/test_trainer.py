"""The Trainer of transformers with an iterable dataset: max_steps, and going on from a checkpoint in mid-epoch."""

from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("trainer_run.py")
pytestmark = pytest.mark.skipif(find_spec("transformers") is None, reason="transformers is not installed")


def test_max_steps_and_a_checkpoint_in_mid_epoch(launch, tmp_path):
    output = tmp_path / "trainer"
    (whole,) = launch(SCRIPT, tmp_path / "a", 1, output, "new", 2)
    (resumed,) = launch(SCRIPT, tmp_path / "b", 1, output, "resume", 2)
    assert (len(whole["rows"]), whole["steps"], resumed["steps"]) == (80, 80, 80)
    assert Counter(row for batch in whole["rows"][:50] for row in batch) == Counter(range(400))
    assert resumed["rows"] == whole["rows"][63:]


def test_two_processes_share_the_epoch(launch, tmp_path):
    ranks = launch(SCRIPT, tmp_path / "a", 2, tmp_path / "trainer", "new", 0)
    assert [rank["steps"] for rank in ranks] == [80, 80]
    first = Counter(row for rank in ranks for batch in rank["rows"][:25] for row in batch)
    assert first == Counter(range(400))
