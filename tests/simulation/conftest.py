"""A small atlas."""

from pathlib import Path

import pytest
from tests.simulation.small import SMALL

from scdataset.simulation import simulate_atlas


@pytest.fixture(scope="session")
def small_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate_atlas(tmp_path_factory.mktemp("atlas") / "small.h5ad", **SMALL)
