"""The scripts here are run by tests in processes of their own, and not looked through for examples."""

import pytest
from tests.hosts.launching import RankServer

collect_ignore_glob = ["*_run.py", "bare_loop.py", "rank_server.py"]


@pytest.fixture(scope="session")
def launch():
    """Return a function that runs a script in one rank or several."""
    server = RankServer()
    yield server
    server.close()
