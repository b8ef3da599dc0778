"""Fixtures that all tests share."""

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("no deadlines", deadline=None)  # no test asserts a time
settings.load_profile("no deadlines")

REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True, scope="session")
def cache_of_tests(tmp_path_factory):
    """Keep what tests put into the cache apart from the user's; processes that tests start inherit it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCDATASET_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def real_data():
    """Return a function from a relative path to a real file, which skips the test where there is none."""

    def find(name):
        path = REAL_DATA / name
        if not path.exists():
            pytest.skip(f"real file {name} is not here")
        return path

    return find
