"""Parts of files: as files of their own, which end where the part ends."""

from pathlib import Path

from tests.engine.bytes.files import OfFiles

from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.bytes.part import PartOfFile
from scdataset.testing.byte_sources import CONTENT

BEFORE, AFTER = b"before", b"and after"


class TestPartOfFile(OfFiles):
    def open(self, content):
        return PartOfFile(LocalFile(self.write(BEFORE + content + AFTER)), "member", len(BEFORE), len(content))

    def replace(self, source, content):
        Path(self.write(BEFORE + content + AFTER)).replace(Path(source.address).parent)

    def test_a_stream_ends_where_the_part_ends(self, source):
        with source.stream() as stream:
            stream.seek(-7, 2)
            assert stream.read() == CONTENT[-7:]
            assert stream.read(1) == b""

    def test_a_place_beyond_the_file_holds_what_there_is(self, source):
        whole = LocalFile(str(Path(source.address).parent))
        assert PartOfFile(whole, "rest", len(BEFORE) + len(CONTENT), 1 << 60).read(0, 1 << 60) == AFTER
        assert PartOfFile(whole, "none", 1 << 60, 1 << 60).size == 0
