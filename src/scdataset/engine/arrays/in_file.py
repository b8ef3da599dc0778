"""Common parts of arrays that lie in one file."""

from scdataset.engine.bytes.source import ByteSource

__all__ = ["InFile"]


class InFile:
    """Base of arrays, and chunks of arrays, whose bytes are in one file."""

    def __init__(self, file: ByteSource) -> None:
        self.file = file

    @property
    def is_remote(self) -> bool:
        """Whether bytes come by requests; see `ByteSource`."""
        return self.file.is_remote

    def check(self) -> None:
        """Raise if the file was replaced."""
        self.file.check()

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        self.file.close()
