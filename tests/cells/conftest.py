"""A few small files of cells, and a server of objects."""

import shutil

import pytest
from tests.cells.few_files import write

from scdataset.testing.object_server import ObjectServer


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    return [write(folder / f"{n}.h5ad", n, compression="gzip" if n % 3 else None) for n in range(5)]


@pytest.fixture
def few(sources, tmp_path):
    return [str(shutil.copy2(path, tmp_path / path.name)) for path in sources]


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Return a server of objects, of which nothing is cached yet."""
    monkeypatch.setenv("SCDATASET_CACHE_DIR", str(tmp_path / "cache"))
    with ObjectServer() as server:
        yield server
