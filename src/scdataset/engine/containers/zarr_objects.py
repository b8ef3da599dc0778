"""The keys of a zarr store in an object store: one listing, and then one object a key.

Hosts of HTTP list nothing: there the consolidated metadata name the arrays, whose chunks are asked for by name.
"""

import json
import os
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, wait
from functools import partial

import numpy as np

from scdataset.engine.bytes.connections import result_of, submit
from scdataset.engine.bytes.object_store import Bucket, Location, ObjectVersion
from scdataset.engine.bytes.remote import RemoteFile
from scdataset.engine.containers.zarr_keys import Keys
from scdataset.engine.containers.zarr_shards import Stored
from scdataset.engine.containers.zip_members import is_chunk
from scdataset.errors import CollectionError, DamagedFileError, MissingFileError

__all__ = ["HostKeys", "ObjectKeys"]

_MOST_OPEN = 1 << 12
"""Objects that are remembered with the state of their requests."""

_MOST_METADATA = 1 << 12
"""Objects of metadata that are fetched when a store is opened."""


class ObjectKeys(Keys):
    """The keys of a store, in the versions that were listed when it was opened.

    Parameters
    ----------
    url
        The URL above the keys.

    Raises
    ------
    MissingFileError
        If there are none.
    """

    def __init__(self, url: str) -> None:
        location = Location.from_url(url)
        self.path = url.rstrip("/")
        self._zip = None
        self._members = {}
        self._claims = {}
        self._bucket = Bucket.from_location(location)
        self._files: OrderedDict[str, RemoteFile] = OrderedDict()
        self._versions = self._noted(location.key.rstrip("/"))
        self._fetch_metadata()

    @property
    def is_remote(self) -> bool:
        """True."""
        return True

    @property
    def listed(self) -> list[str]:
        """All keys."""
        return list(self._versions)

    def find(self, key: str) -> Stored | None:
        """Return where the bytes of a key are, or None if it was not listed."""
        if key not in self._versions:
            return None
        file = self._file(key)
        return Stored(file, 0, file.size)

    def check(self, key: str) -> None:
        """Raise for a chunk that has too many bytes; every request demands the version that was listed."""
        self._check_stored(key, self.find(key))

    def check_absent(self, key: str) -> None:
        """Do nothing: keys that were not listed were not there."""

    def watch(self, key: str) -> RemoteFile:
        """Return the object of a key, which tells whether the store is still the one that was opened."""
        return self._file(key)

    def close(self) -> None:
        """Close all objects in this process."""
        for file in list(self._files.values()):
            file.close()

    def __getstate__(self) -> dict[str, object]:
        # without what other threads change meanwhile; files come back by their versions
        return {**self.__dict__, "_files": OrderedDict()}

    def _noted(self, prefix: str) -> dict[str, ObjectVersion]:
        """Return the versions of all keys."""
        listed = self._bucket.walk(prefix)
        if not listed:
            raise self._bucket.missing(prefix)
        return {key[len(prefix) + 1 :] if prefix else key: version for key, version in listed.items()}

    def _file(self, key: str) -> RemoteFile:
        file = self._files.get(key)
        if file is None:
            file = RemoteFile(f"{self.path}/{key}", self._versions.get(key), self._bucket)
            file = self._files.setdefault(key, file)
            while len(self._files) > _MOST_OPEN:
                self._files.popitem(last=False)
        return file

    def _fetch_metadata(self) -> None:
        """Ask for all metadata at once: there are some for every column of obs."""
        for key in [key for key in self._versions if not is_chunk(key)][:_MOST_METADATA]:
            file = self._file(key)
            file.announce(np.zeros(1, np.int64), np.array([file.size]))


class HostKeys(ObjectKeys):
    """The keys of a store of a host that lists nothing.

    Each has the version in which it was first seen. A chunk that is not there was never written, as far as a host
    can tell. Made of the URL above the keys, as `ObjectKeys`.

    Raises
    ------
    CollectionError
        If there are no consolidated metadata.
    """

    @property
    def listed(self) -> list[str]:
        """The keys of metadata."""
        return list(self._names)

    def find(self, key: str) -> Stored | None:
        """Return where the bytes of a key are, or None if the host does not have it."""
        coming = self._coming.get((os.getpid(), key))
        return self._asked(key) if coming is None else result_of(coming)

    def _asked(self, key: str) -> Stored | None:
        if key in self._absent or not (is_chunk(key) or key in self._names):
            return None
        try:
            file = self._file(key)
        except MissingFileError:
            self._absent.add(key)
            return None
        self._versions[key] = file.version
        return Stored(file, 0, file.size)

    def request(self, keys: Sequence[str]) -> "list[Future[Stored | None]]":
        """Ask for the beginnings of some keys at once; faults are reported when they are read."""
        requests = []
        for key in keys:
            if key in self._versions or key in self._absent:
                continue
            coming = self._coming.get((os.getpid(), key))
            if coming is None:
                coming = self._coming[os.getpid(), key] = submit(partial(self._asked, key))
                coming.add_done_callback(partial(self._arrived, key))
            requests.append(coming)
        return requests

    def __getstate__(self) -> dict[str, object]:
        changing = {"_versions": self._versions.copy(), "_absent": self._absent.copy(), "_coming": {}}
        return {**super().__getstate__(), **changing}

    def _arrived(self, key: str, _: object) -> None:
        self._coming.pop((os.getpid(), key), None)

    def _noted(self, prefix: str) -> dict[str, ObjectVersion]:  # noqa: ARG002 nothing is listed
        self._absent: set[str] = set()
        self._coming: dict[tuple[int, str], Future[Stored | None]] = {}  # by process: threads do not survive a fork
        self._names = {"zarr.json", ".zmetadata"}
        self._versions = {}
        self._names = self._consolidated()
        return self._versions

    def _consolidated(self) -> set[str]:
        """Return the keys of all metadata."""
        for key in ("zarr.json", ".zmetadata"):
            stored = self.find(key)
            try:
                content = {} if stored is None else json.loads(self._read_metadata(key, stored))
                inside = content.get("consolidated_metadata") or {} if key == "zarr.json" else content
                if "metadata" in inside:
                    names = inside["metadata"]
                    return {key, *(f"{name}/{key}" for name in names)} if key == "zarr.json" else set(names)
            except (ValueError, AttributeError, TypeError) as error:
                message = f"{self.path}: {key} is not zarr metadata: {error}."
                raise DamagedFileError(message) from error
        message = (
            f"{self.path} is read as a zarr store, and has no consolidated metadata, which name its arrays where a "
            "host lists nothing. Write them: zarr.consolidate_metadata(...); or read it by s3://, gs:// or az://."
        )
        raise CollectionError(message)

    def _fetch_metadata(self) -> None:
        wait(self.request(list(self._names)[:_MOST_METADATA]))
