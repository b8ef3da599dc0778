"""Fixtures that all tests share."""

import faulthandler
import gc
import itertools
import os
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import settings
from tests.children import look_often
from tests.compiling import compile_once
from tests.examples import EVERYTHING, examples, rare
from tests.written import Written

# No test asserts a time. What make test says depends on the code alone; make test-slow looks for new examples.
settings.register_profile("tests", deadline=None, derandomize=not EVERYTHING, max_examples=examples(100))
settings.load_profile("tests")
compile_once()
_watched = []


def _watch():
    """Let a child that hangs say where, before the test that waits for it is ended; its own children cannot be."""
    if not _watched:
        _watched.append(os.getpid())
        faulthandler.dump_traceback_later(400, file=sys.__stderr__)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_watch)

collect_ignore = ["preloaded.py"]  # is imported by other processes


def pytest_configure(config):
    """Let tests of random sizes have blocks beyond windows."""
    config.addinivalue_line("filterwarnings", "ignore:block_size=.* is beyond the window:UserWarning")


def pytest_collection_finish():
    """Leave what was imported and collected out of garbage collections, which tests ask for often."""
    gc.collect()
    gc.freeze()


REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def cache_folder():
    """Keep the tables of files that tests open, here and in the processes they start, out of the user's cache."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SCDATASET_CACHE_DIR"] = folder
        yield Path(folder)
        del os.environ["SCDATASET_CACHE_DIR"]


@pytest.fixture(scope="session", autouse=True)
def _loaders_look_often():
    look_often()


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    return Written(tmp_path_factory.mktemp("written"))


@pytest.fixture(params=["written", *rare("real")])
def real_data(request):
    """Return a function from a name to a real file, which skips where there is none, and to a small one like it."""
    return request.getfixturevalue("written") if request.param == "written" else _real


def _real(name):
    if not (REAL_DATA / name).exists():
        pytest.skip(f"real file {name} is not here")
    return REAL_DATA / name


@pytest.fixture(scope="session")
def moto():
    """Start a server that checks credentials and protocol as S3 does, as far as moto goes."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0, verbose=False)
    server.start()
    yield f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    server.stop()


_buckets = itertools.count()


@pytest.fixture
def s3(moto):
    """Make a bucket of the test's own: moto's servers share all that a process stores."""
    options = {"endpoint": moto, "region": "us-east-1", "access_key_id": "key", "secret_access_key": "secret"}
    client = pytest.importorskip("boto3").client(
        "s3",
        endpoint_url=moto,
        region_name=options["region"],
        aws_access_key_id=options["access_key_id"],
        aws_secret_access_key=options["secret_access_key"],
    )
    name = f"bucket{next(_buckets)}"
    client.create_bucket(Bucket=name)
    return SimpleNamespace(name=name, url=f"s3://{name}", client=client, options=options)
