"""Files in HDF5 that are closed hold no descriptor, and open again."""

from pathlib import Path

import pytest

from scdataset.cells.formats.h5ad import H5adFile
from scdataset.testing.cell_files import cells


def descriptors_of(path):
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return [link for link in links if link.readlink() == path]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the system does not list descriptors")
def test_a_file_that_is_closed_holds_no_descriptor_and_opens_again(tmp_path):
    path = tmp_path / "a.h5ad"
    cells().write_h5ad(path)
    file = H5adFile(str(path), None)
    for _ in range(2):
        assert list(file.column("depth").codes) == list(cells().obs["depth"])
        assert descriptors_of(path)
        file.close()
        assert not descriptors_of(path)
