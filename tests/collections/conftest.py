"""Every container over the same 37 rows, as a fixture."""

import importlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # worker processes that are spawned import the classes of the tests
containers = importlib.import_module("containers")
importlib.import_module("files")


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """Return a function from a name to the container of that name."""
    return containers.Builder(tmp_path_factory.mktemp("containers"))


@pytest.fixture(scope="session", params=list(containers.BUILDERS))
def container(request, built):
    """Return each container in turn."""
    return built(request.param)
