"""Learning curves."""

from pathlib import Path

import pytest

from scdataset.cli import _demo
from scdataset.cli._demo_cells import open_cells, split


def test_a_curve_goes_from_the_untrained_model_to_the_score(atlas: Path) -> None:
    cells = open_cells([atlas], "cell_type")
    training = _demo.Training(epochs=1, block_size=16, fetch_factor=4, batch_size=64, workers=0, seed=0)
    for result in _demo.compare(cells, split(cells, 0.2, seed=0), training, curves=True):
        seen = [number for number, _ in result.curve]
        assert seen[0] == 0
        assert seen[-1] == 480
        assert seen == sorted(seen)
        assert result.curve[-1][1] == pytest.approx(result.accuracy)
