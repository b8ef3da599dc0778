"""Where the bytes of the keys of a zarr store are: files of a folder, or stretches of a zip file."""

import json
import os
import struct
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

from scdataset._tables import counted
from scdataset._types import BytesLike
from scdataset.engine.bytes.connections import Request
from scdataset.engine.bytes.folders import is_folder, last_change
from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.bytes.opening import open_bytes
from scdataset.engine.bytes.remote import requested
from scdataset.engine.bytes.source import ByteSource
from scdataset.engine.codecs.unpacking import most_bytes
from scdataset.engine.containers.zarr_claims import Claims
from scdataset.engine.containers.zarr_metadata import ArrayJson
from scdataset.engine.containers.zarr_shards import Stored
from scdataset.engine.containers.zip_members import MAX_METADATA, METADATA, is_chunk, is_zip, members_of
from scdataset.errors import DamagedFileError

__all__ = ["Keys"]

_ZIP_HEADER = struct.Struct("<4s22xHH")
"""Local header of a zip member: signature, ..., length of the name and of the extra field that follow it."""


class Keys:
    """The keys of a store, as they were when it was opened.

    Parameters
    ----------
    path
        The folder or zip file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._zip = None if is_folder(path) else _zip_file(path)
        self._opened = time.time_ns()
        self._claims: dict[str, Claims] = {}
        self._members = {} if self._zip is None else members_of(self._zip)

    @property
    def is_zip(self) -> bool:
        """Whether all keys are in one file."""
        return self._zip is not None

    @property
    def is_remote(self) -> bool:
        """Whether they are in an object store."""
        return self._zip is not None and self._zip.is_remote

    @property
    def listed(self) -> list[str]:
        """All keys of a zip file."""
        return list(self._members)

    def request(self, keys: Sequence[str]) -> Sequence[Request]:
        """Ask for all that finding some keys takes at once, and return the requests; none where it is known."""
        if self._zip is None:
            return []
        found = [key for key in keys if key in self._members]
        headers = [self._members[key].header for key in found]
        return requested(self._zip, headers, [_ZIP_HEADER.size + len(key) for key in found])

    def metadata(self, name: str) -> tuple[str, ArrayJson]:
        """Return the key and content of the metadata of an array or group.

        Raises
        ------
        DamagedFileError
            If there is none or it is not JSON.
        """
        for key in (f"{name}/{file}" for file in METADATA):
            stored = self.find(key)
            if stored is not None:
                content = self._read_metadata(key, stored)
                try:
                    if self.is_packed(key):
                        content = zlib.decompressobj(-15).decompress(content, MAX_METADATA)
                    return key, cast("ArrayJson", dict(json.loads(content)))
                except (ValueError, TypeError, RecursionError, zlib.error) as error:
                    message = f"{self.path}: {key} is not zarr metadata: {error}."
                    raise DamagedFileError(message) from error
        message = f"{self.path}: there is no {name}."
        raise DamagedFileError(message)

    def _read_metadata(self, key: str, stored: Stored) -> bytes:
        if stored.size > MAX_METADATA:
            message = f"{self.path}: {key} has {counted(stored.size, 'byte')}, and metadata at most {MAX_METADATA:,}."
            raise DamagedFileError(message)
        return stored.read()

    def is_packed(self, key: str) -> bool:
        """Whether a zip file has deflated a key."""
        return key in self._members and self._members[key].encoded

    def unpacked(self, key: str, stored: Stored) -> bytes:
        """Return the bytes of a key that a zip file has deflated, after `check`.

        Raises
        ------
        DamagedFileError
            If they are not those that were written.
        """
        member = self._members[key]
        try:
            content = zlib.decompressobj(-15).decompress(stored.read_unchecked(), member.n_bytes)
        except zlib.error as error:
            message = f"{self.path}: {key} cannot be unpacked: {error}."
            raise DamagedFileError(message) from error
        if len(content) != member.n_bytes or zlib.crc32(content) != member.checksum:
            message = f"{self.path}: {key} does not have the length and CRC-32 of its entry."
            raise DamagedFileError(message)
        return content

    def find(self, key: str) -> Stored | None:
        """Return where the bytes of a key are, or None if it was never written.

        Raises
        ------
        DamagedFileError
            If it was written after the store was opened, or is no regular file.
        """
        if self._zip is None:
            return self._find_file(os.path.join(self.path, key))  # noqa: PTH118 once a chunk, and Path is slow
        if key not in self._members:
            return None
        member = self._members[key]
        header, size = member.header, member.size
        stored = self._zip.read(header, _ZIP_HEADER.size + len(key)).ljust(_ZIP_HEADER.size)
        signature, *lengths = _ZIP_HEADER.unpack_from(stored)
        other = key.isascii() and stored[_ZIP_HEADER.size :] != key.encode()
        if signature != b"PK\x03\x04" or other:
            message = f"{self.path}: the zip file has no member where its directory says that {key} is."
            raise DamagedFileError(message)
        checksum = None if member.encoded else member.checksum
        return Stored(self._zip, header + _ZIP_HEADER.size + sum(lengths), size, checksum)

    def _find_file(self, path: str) -> Stored | None:
        try:
            file = LocalFile(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        self._refuse_newer(path, file.identity[-1])
        return Stored(file, 0, file.size)

    def check(self, key: str) -> None:
        """Raise for a key that zarr must not read: as `find` does, for one that vanished or unpacks to too much."""
        stored = self.find(key)
        if stored is None and is_chunk(key):
            self.check_absent(key)
        if self._zip is not None:
            self._zip.check()
        if self.is_packed(key):
            member, most = self._members[key], most_bytes(self._members[key].size)
            if member.n_bytes > most:
                message = (
                    f"{self.path}: {key} unpacks to {counted(member.n_bytes, 'byte')}, where at most {most:,} can be."
                )
                raise DamagedFileError(message)
        self._check_stored(key, stored)

    def _check_stored(self, key: str, stored: Stored | None) -> None:
        """Raise for a chunk with more bytes than it can have."""
        if stored is not None and is_chunk(key):
            with self._decoding(key):
                self._claims_of(key).check_stored(stored.size)

    def check_content(self, key: str, content: BytesLike, start: int | None = 0, *, whole: bool = True) -> None:
        """Raise for a chunk that says it holds more than chunks do, before zarr takes memory for that: see `Claims`."""
        if is_chunk(key):
            with self._decoding(key):
                self._claims_of(key).check(content, start, whole=whole)

    @contextmanager
    def _decoding(self, key: str) -> Iterator[None]:
        try:
            yield
        except (ValueError, DamagedFileError) as error:
            message = f"{self.path}: {key} cannot be decoded: {error}."
            raise DamagedFileError(message) from error

    def _claims_of(self, key: str) -> Claims:
        """Return the claims of the chunks of an array, by the nearest metadata above a key."""
        name = key.rpartition("/")[0]
        if name not in self._claims:
            there = name and any(self.find(f"{name}/{file}") for file in METADATA)
            above = self._claims_of(name) if name else Claims()
            self._claims[name] = Claims.from_metadata(self.metadata(name)[1]) if there else above
        return self._claims[name]

    def check_absent(self, key: str) -> None:
        """Raise if a key that is not there may have been there when the store was opened."""
        if self._zip is None:
            self._refuse_newer(*last_change(os.path.join(self.path, key)))  # noqa: PTH118 as in find

    def _refuse_newer(self, path: str, changed: int) -> None:
        """Raise for a chunk that was written after the store was opened, and a folder that lost or gained one."""
        if changed > self._opened:
            message = f"{path} was changed after {self.path} was opened; open the store again."
            raise DamagedFileError(message)

    def encoded(self, name: str) -> bool:
        """Return whether the zip file itself compresses or encrypts keys of an array."""
        members = self._members.items()
        return any(member.encoded for key, member in members if key.startswith(f"{name}/") and is_chunk(key))

    def watch(self, key: str) -> ByteSource:
        """Return the file of a key, which tells whether the store is still the one that was opened."""
        return self._zip or LocalFile(os.path.join(self.path, key))  # noqa: PTH118 as in find

    def close(self) -> None:
        """Close the zip file in this process."""
        if self._zip is not None:
            self._zip.close()


def _zip_file(path: str) -> ByteSource | None:
    """Return a zip file, or None if it is none; zarr tells why it is no store either.

    Raises
    ------
    DamagedFileError
        If it is an object of a store, which zarr does not see.
    """
    file = open_bytes(path)
    if is_zip(file):
        return file
    if file.is_remote:
        message = f"{path} cannot be read as a zip file: it has no list of entries at its end."
        raise DamagedFileError(message)
    return None
