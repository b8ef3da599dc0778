"""Tests of sources over files of a folder."""

import itertools
from pathlib import Path

import pytest

from scdataset.testing.byte_sources import ByteSourceTests


class OfFiles(ByteSourceTests):
    """Sources of files in a folder."""

    start_methods = ("fork",)  # others take seconds, and find what a pickle holds

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path):
        self.names = (tmp_path / f"{number}.bin" for number in itertools.count())

    def write(self, content):
        path = next(self.names)
        path.write_bytes(content)
        return str(path)

    def replace(self, source, content):
        other = Path(self.write(content))
        other.replace(source.address)
