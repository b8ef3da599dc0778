"""Fixtures that all tests share."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("no deadlines", deadline=None)  # no test asserts a time
settings.load_profile("no deadlines")

REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def cache_folder():
    """Keep the tables of files that tests open, here and in the processes they start, out of the user's cache."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SCDATASET_CACHE_DIR"] = folder
        yield Path(folder)
        del os.environ["SCDATASET_CACHE_DIR"]


@pytest.fixture
def real_data():
    """Return a function from a relative path to a real file, which skips the test where there is none."""

    def find(name):
        path = REAL_DATA / name
        if not path.exists():
            pytest.skip(f"real file {name} is not here")
        return path

    return find
