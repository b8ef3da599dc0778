"""Text is unpacked as far as it can be true, and no further."""

import gzip
import io
import os

import pytest

from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.containers import packed_text as module
from scdataset.engine.containers.packed_text import Limited, packed_text
from scdataset.errors import DamagedFileError


@pytest.mark.parametrize("packed", [False, True])
def test_text_within_its_limit_is_read_and_beyond_it_refused(tmp_path, packed):
    content = bytes(range(256)) * 40
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(content) if packed else content)
    with packed_text(LocalFile(str(path))) as (stored, text):
        assert io.BufferedReader(Limited(LocalFile(str(path)), text, len(content), "said")).read() == content
        assert stored.tell() == path.stat().st_size
    said = "a holds more than 9,999 bytes of text, said"
    with packed_text(LocalFile(str(path))) as (_, text), pytest.raises(DamagedFileError, match=said):
        io.BufferedReader(Limited(LocalFile(str(path)), text, 9999, "said")).read()


def test_the_limit_grows_with_the_file_too(tmp_path, monkeypatch):
    """Of a text that claims any number of rows no more is unpacked than a file of its size can hold."""
    monkeypatch.setattr(module, "_FREE", 1000)
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(bytes(100_000)))
    limit = 1000 + 100 * path.stat().st_size
    with (
        packed_text(LocalFile(str(path))) as (_, text),
        pytest.raises(DamagedFileError, match=f"more than {limit:,} bytes"),
    ):
        io.BufferedReader(Limited(LocalFile(str(path)), text, 10**12, "said")).read()
    assert limit < 100_000


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a")
    with pytest.raises(DamagedFileError, match="no regular file"), packed_text(LocalFile(str(tmp_path / "a"))):
        pass
