"""Stores for zarr itself, which look at each key before zarr reads it, and at its bytes before zarr decodes them.

zarr reads whatever a path leads to: a pipe without end, a device, a folder as a chunk that is not there, and a chunk
that was written after the store was opened as one that was there before. It takes memory for whatever a chunk says that
it holds.
"""

from collections.abc import Iterable
from typing import Any

from zarr.storage import LocalStore, ZipStore

from scdataset.engine.containers.zarr_keys import Keys

__all__ = ["checked_store"]


def checked_store(keys: Keys) -> "_CheckedFolder | _CheckedZip":
    """Return the store of a folder or of a zip file, as it was when its keys were noted."""
    return _CheckedZip(keys) if keys.is_zip else _CheckedFolder(keys)


class _Checked:
    """Base of both kinds of store; it goes before the kind."""

    _keys: Keys

    async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
        """Read a key, or a part of it."""
        self._keys.check(key)
        found = await super().get(key, prototype, byte_range)  # type: ignore[misc]
        self._check_content(key, found, byte_range)
        return found

    async def get_partial_values(self, prototype: Any, key_ranges: Iterable[tuple[str, Any]]) -> Any:
        """Read parts of several keys."""
        listed = list(key_ranges)
        for key, _ in listed:
            self._keys.check(key)
        parts = await super().get_partial_values(prototype, listed)  # type: ignore[misc]
        for (key, byte_range), found in zip(listed, parts, strict=True):
            self._check_content(key, found, byte_range)
        return parts

    def _check_content(self, key: str, found: Any, byte_range: Any) -> None:
        if found is not None:
            start = 0 if byte_range is None else getattr(byte_range, "start", getattr(byte_range, "offset", None))
            self._keys.check_content(key, found.to_bytes(), start, whole=byte_range is None)


class _CheckedFolder(_Checked, LocalStore):  # type: ignore[misc]  # zarr is Any to the type checker
    def __init__(self, keys: Keys) -> None:
        super().__init__(keys.path, read_only=True)
        self._keys = keys


class _CheckedZip(_Checked, ZipStore):  # type: ignore[misc]  # as above
    def __init__(self, keys: Keys) -> None:
        super().__init__(keys.path, mode="r")
        self._keys = keys
