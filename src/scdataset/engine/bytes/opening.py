"""From a path or URL to its bytes."""

from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.bytes.object_store import is_url, opening
from scdataset.engine.bytes.remote import RemoteFile
from scdataset.engine.bytes.source import ByteSource

__all__ = ["open_bytes"]


def open_bytes(path: str) -> ByteSource:
    """Return the bytes of a file of this machine, or of an object of a store in the version that was listed last."""
    return RemoteFile(path, opening().versions.get(path)) if is_url(path) else LocalFile(path)
