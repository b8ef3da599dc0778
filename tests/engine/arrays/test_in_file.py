"""Arrays that lie in one file."""

import pytest

from scdataset.engine.arrays.in_file import InFile
from scdataset.engine.bytes.local import LocalFile
from scdataset.errors import DamagedFileError


def test_an_array_of_a_file_that_was_replaced_is_refused(tmp_path):
    path = tmp_path / "values"
    path.write_bytes(bytes(8))
    array = InFile(LocalFile(str(path)))
    assert not array.is_remote
    array.check()
    path.unlink()
    path.write_bytes(bytes(9))
    with pytest.raises(DamagedFileError):
        array.check()
    array.close()
