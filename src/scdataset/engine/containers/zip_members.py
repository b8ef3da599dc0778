"""Entries of a zip file that is a zarr store: where they are, and that metadata take no more memory than they can."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from scdataset._tables import counted
from scdataset.engine.bytes.opening import buffered
from scdataset.engine.bytes.source import ByteSource
from scdataset.errors import DamagedFileError, ScDatasetError

__all__ = ["MAX_METADATA", "METADATA", "Member", "is_chunk", "is_zip", "members_of", "names_in"]

METADATA = ("zarr.json", ".zarray", ".zgroup")

MAX_METADATA = 1 << 26
"""Bytes of the metadata of one array or group: a deflated member may claim to hold any number of them."""


_MOST_DEFLATED = 1032
"""How many times as long as its bytes a deflated text can be."""

_BLOCK = 1 << 20
"""Bytes of metadata that are unpacked at a time."""


_UNREADABLE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, ValueError, TypeError)
"""Errors of zipfile over damaged bytes; a TypeError where the system has no bytes yet, and Python reads None."""


@dataclass(frozen=True, slots=True)
class Member:
    """An entry of a zip file.

    Attributes
    ----------
    header, size
        Where its local header begins, and its stored bytes.
    n_bytes
        Bytes of its content; unpacking ends there.
    encoded
        Whether it is compressed or encrypted.
    checksum
        CRC-32 of its content.
    """

    header: int
    size: int
    n_bytes: int
    encoded: bool
    checksum: int


def is_zip(source: ByteSource) -> bool:
    """Tell whether a file is a zip file."""
    with _unpacking(source.path), buffered(source) as stream:
        return zipfile.is_zipfile(stream)


def names_in(source: ByteSource) -> list[str]:
    """Return the names of the entries of a zip file."""
    with _archive(source) as archive:
        return archive.namelist()


def members_of(source: ByteSource) -> dict[str, Member]:
    """Return the entries of a zip file; of those that share a name the last one counts."""
    with _archive(source) as archive:
        listed = archive.infolist()
        for member in listed:
            _check_metadata(source.path, archive, member)
    members = {}
    for member in listed:
        encoded = member.compress_type != zipfile.ZIP_STORED or bool(member.flag_bits & 1)
        sizes = member.compress_size, member.file_size
        members[member.filename] = Member(member.header_offset, *sizes, encoded, member.CRC)
    return members


@contextmanager
def _archive(source: ByteSource) -> Iterator[zipfile.ZipFile]:
    with _unpacking(source.path), buffered(source) as stream, zipfile.ZipFile(stream) as archive:
        yield archive


@contextmanager
def _unpacking(path: str) -> Iterator[None]:
    try:
        yield
    except ScDatasetError:
        raise
    except _UNREADABLE as error:
        message = f"{path} cannot be read as a zip file: {error}"
        raise DamagedFileError(message) from error


def _check_metadata(path: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Raise if an entry of metadata takes more memory than metadata do, whatever it says of its size."""
    if is_chunk(member.filename):
        return
    named = f"{path}: {member.filename}"
    if member.file_size > MAX_METADATA:
        message = f"{named} has {counted(member.file_size, 'byte')}, and metadata at most {MAX_METADATA:,}."
        raise DamagedFileError(message)
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        message = f"{named} is compressed by method {member.compress_type}; metadata have to be stored or deflated."
        raise DamagedFileError(message)
    if member.compress_type == zipfile.ZIP_DEFLATED and member.compress_size * _MOST_DEFLATED > MAX_METADATA:
        with archive.open(member) as unpacked:  # to its size and no further; its checksum tells if that was a lie
            while unpacked.read(_BLOCK):
                pass


def is_chunk(key: str) -> bool:
    """Return whether a key is of a chunk or shard, and not of metadata."""
    return key.rpartition("/")[2] not in {*METADATA, ".zattrs", ".zmetadata"}
