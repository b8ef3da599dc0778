"""Every container over the same 37 rows, as a fixture."""

import pytest
from tests.collections import containers, files  # noqa: F401 which adds those on disk


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """Return a function from a name to the container of that name."""
    return containers.Builder(tmp_path_factory.mktemp("containers"))


@pytest.fixture(scope="session", params=list(containers.BUILDERS))
def container(request, built):
    """Return each container in turn."""
    return built(request.param)
