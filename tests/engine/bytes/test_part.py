"""Parts of files: as files of their own, which end where the part ends."""

import itertools
from pathlib import Path

import pytest

from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.bytes.part import PartOfFile
from scdataset.testing.byte_sources import CONTENT, ByteSourceTests

BEFORE, AFTER = b"before", b"and after"


class TestPartOfFile(ByteSourceTests):
    start_methods = ("fork",)  # others take seconds, and find what a pickle holds

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path):
        self.names = (tmp_path / f"{number}.bin" for number in itertools.count())

    def write(self, content):
        path = next(self.names)
        path.write_bytes(BEFORE + content + AFTER)
        return path

    def open(self, content):
        return PartOfFile(LocalFile(str(self.write(content))), "member", len(BEFORE), len(content))

    def replace(self, source, content):
        self.write(content).replace(Path(source.address).parent)

    def test_a_stream_ends_where_the_part_ends(self, source):
        with source.stream() as stream:
            stream.seek(-7, 2)
            assert stream.read() == CONTENT[-7:]
            assert stream.read(1) == b""

    def test_a_place_beyond_the_file_holds_what_there_is(self, source):
        whole = LocalFile(str(Path(source.address).parent))
        assert PartOfFile(whole, "rest", len(BEFORE) + len(CONTENT), 1 << 60).read(0, 1 << 60) == AFTER
        assert PartOfFile(whole, "none", 1 << 60, 1 << 60).size == 0
