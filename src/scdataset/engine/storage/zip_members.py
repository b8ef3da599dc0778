"""Entries of a zip file that is a zarr store: where they are, and that metadata take no more memory than they can."""

import zipfile
import zlib
from dataclasses import dataclass

from scdataset.errors import DamagedFileError

__all__ = ["MAX_METADATA", "METADATA", "Member", "is_chunk", "members_of"]

METADATA = ("zarr.json", ".zarray", ".zgroup")

MAX_METADATA = 1 << 26
"""Bytes of the metadata of one array or group: a deflated member may claim to hold any number of them."""


_MOST_DEFLATED = 1032
"""How many times as long as its bytes a deflated text can be."""

_BLOCK = 1 << 20
"""Bytes of metadata that are unpacked at a time."""


@dataclass(frozen=True, slots=True)
class Member:
    """An entry of a zip file.

    Attributes
    ----------
    header, size
        Where its local header begins, and its stored bytes.
    encoded
        Whether it is compressed or encrypted.
    checksum
        CRC-32 of its content.
    """

    header: int
    size: int
    encoded: bool
    checksum: int


def members_of(path: str) -> dict[str, Member]:
    """Return the entries of a zip file; of those that share a name the last one counts."""
    try:
        with zipfile.ZipFile(path) as archive:
            listed = archive.infolist()
            for member in listed:
                _check_metadata(archive, member)
    except DamagedFileError:
        raise
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, ValueError) as error:
        message = f"{path} cannot be read as a zip file: {error}"
        raise DamagedFileError(message) from error
    members = {}
    for member in listed:
        encoded = member.compress_type != zipfile.ZIP_STORED or bool(member.flag_bits & 1)
        members[member.filename] = Member(member.header_offset, member.compress_size, encoded, member.CRC)
    return members


def _check_metadata(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Raise if an entry of metadata takes more memory than metadata do, whatever it says of its size."""
    if is_chunk(member.filename):
        return
    named = f"{archive.filename}: {member.filename}"
    if member.file_size > MAX_METADATA:
        message = f"{named} has {member.file_size} bytes, and metadata at most {MAX_METADATA}."
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
