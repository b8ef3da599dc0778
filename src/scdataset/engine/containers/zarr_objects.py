"""The keys of a zarr store in an object store: one listing, and then one object a key."""

from collections import OrderedDict

import numpy as np

from scdataset.engine.bytes.object_store import Bucket, Location
from scdataset.engine.bytes.remote import RemoteFile
from scdataset.engine.containers.zarr_keys import Keys
from scdataset.engine.containers.zarr_shards import Stored
from scdataset.engine.containers.zip_members import is_chunk
from scdataset.errors import CollectionError

__all__ = ["ObjectKeys"]

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
    CollectionError
        If the host has no way to list them.
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
        if not self._bucket.can_list:
            message = (
                f"{url} is a zarr store, and hosts of HTTP do not list their files; copy it to a disk, or read it by "
                "s3://, gs:// or az://."
            )
            raise CollectionError(message)
        prefix = location.key.rstrip("/")
        listed = self._bucket.walk(prefix)
        if not listed:
            raise self._bucket.missing(prefix)
        self._versions = {key[len(prefix) + 1 :] if prefix else key: version for key, version in listed.items()}
        self._files: OrderedDict[str, RemoteFile] = OrderedDict()
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

    def _file(self, key: str) -> RemoteFile:
        file = self._files.get(key)
        if file is None:
            file = RemoteFile(f"{self.path}/{key}", self._versions[key], self._bucket)
            file = self._files.setdefault(key, file)
            while len(self._files) > _MOST_OPEN:
                self._files.popitem(last=False)
        return file

    def _fetch_metadata(self) -> None:
        """Ask for all metadata at once: there are some for every column of obs."""
        for key in [key for key in self._versions if not is_chunk(key)][:_MOST_METADATA]:
            file = self._file(key)
            file.announce(np.zeros(1, np.int64), np.array([file.size]))
