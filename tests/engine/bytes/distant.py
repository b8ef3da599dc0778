"""A source without a descriptor, as objects of a bucket are: ranges come by calls that are counted."""

import contextlib
import hashlib
import io
from pathlib import Path

from scdataset.errors import DamagedFileError


class DistantBytes:
    """An object of a folder, which stands in for a bucket; other processes find it there."""

    is_settled = True
    checks = False
    is_remote = False  # so that nothing is announced but by those who ask for it

    def __init__(self, path):
        self.path = self.address = path
        content = Path(path).read_bytes()
        self.size = len(content)
        self.identity = hashlib.sha256(content).hexdigest(), self.size
        self.requests = []
        self.announced = []

    def ready(self, offsets, sizes):
        return contextlib.nullcontext()

    def read(self, offset, size):
        return self.read_many([offset], [size])[0]

    read_unchecked = read

    def read_many(self, offsets, sizes):
        content = self._content()
        self.requests.append(len(offsets))
        return [content[offset : offset + size] for offset, size in zip(offsets, sizes, strict=True)]

    def is_in_memory(self, offsets):
        return False

    def announce(self, offsets, sizes):
        self.announced += [(offset, offset + size) for offset, size in zip(offsets, sizes, strict=True)]
        return True

    def stream(self):
        return io.BytesIO(self._content())

    def check(self):
        self._content()

    def close(self):
        pass

    def _content(self):
        content = Path(self.path).read_bytes()
        if (hashlib.sha256(content).hexdigest(), len(content)) != self.identity:
            message = f"{self.path} was replaced."
            raise DamagedFileError(message)
        return content
