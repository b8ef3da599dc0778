"""A small atlas."""

from pathlib import Path

import pytest
from tests.cli.demo_runs import SMALL

from scdataset.simulation import simulate_atlas


@pytest.fixture(scope="session")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small simulated atlas."""
    return simulate_atlas(tmp_path_factory.mktemp("demo") / "atlas.h5ad", **SMALL)
