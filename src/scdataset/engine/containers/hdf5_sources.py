"""The bytes of the files that h5py has open, by the names that h5py has for them."""

from weakref import WeakValueDictionary

from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.bytes.source import ByteSource

__all__ = ["note_source", "source_of"]

_SOURCES: WeakValueDictionary[str, ByteSource] = WeakValueDictionary()


def note_source(source: ByteSource) -> None:
    """Note the bytes of a file that is going to be opened by h5py."""
    _SOURCES[source.path] = source


def source_of(name: str) -> ByteSource:
    """Return the bytes of a file by the name that h5py has for it."""
    known = _SOURCES.get(name)
    return LocalFile(name) if known is None else known
