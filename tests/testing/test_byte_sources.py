"""Tests that sources inherit: they fail for sources that are wrong."""

from pathlib import Path

import pytest

from scdataset.engine.bytes.local import LocalFile
from scdataset.errors import DamagedFileError
from scdataset.testing.byte_sources import CONTENT, ByteSourceTests


class Late(LocalFile):
    """Gives bytes one later than asked for."""

    def read(self, offset, size):
        return super().read(offset + 1, size)


class Blind(LocalFile):
    """Sees no change."""

    def read(self, offset, size):
        with Path(self.path).open("rb") as file:
            file.seek(offset)
            return file.read(size)


class Suite(ByteSourceTests):
    def __init__(self, path, kind):
        self.path, self.kind = path, kind

    def open(self, content):
        self.path.write_bytes(content)
        return self.kind(str(self.path))

    def replace(self, source, content):
        self.path.with_suffix(".new").write_bytes(content)
        self.path.with_suffix(".new").replace(self.path)


@pytest.fixture
def suite(tmp_path):
    return lambda kind: Suite(tmp_path / "x.bin", kind)


def test_a_source_that_gives_other_bytes_fails(suite):
    for kind in (LocalFile, Late):
        tests = suite(kind)
        source = tests.open(CONTENT)
        if kind is LocalFile:
            tests.test_a_range_is_read_as_it_is(source, 1, 7)
        else:
            with pytest.raises(AssertionError):
                tests.test_a_range_is_read_as_it_is(source, 1, 7)


def test_a_source_that_reads_a_replaced_object_fails(suite):
    tests = suite(LocalFile)
    tests.test_a_replaced_object_is_refused_and_never_read_as_the_old_one(tests.open(CONTENT))
    tests = suite(Blind)
    with pytest.raises(pytest.fail.Exception, match=DamagedFileError.__name__):
        tests.test_a_replaced_object_is_refused_and_never_read_as_the_old_one(tests.open(CONTENT))
