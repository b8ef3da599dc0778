"""Stores for zarr itself, which look at each key before zarr reads it.

zarr reads whatever a path leads to: a pipe without end, a device, a folder as a chunk that is not there, and a chunk
that was written after the store was opened as one that was there before.
"""

from collections.abc import Callable, Iterable
from typing import Any

from zarr.storage import LocalStore, ZipStore

__all__ = ["CheckedFolder", "CheckedZip"]

Check = Callable[[str], object]
"""Raises for a key that must not be read."""


class CheckedFolder(LocalStore):  # type: ignore[misc]  # zarr is optional, and Any to the type checker
    """A store in a folder.

    Parameters
    ----------
    path
        The folder.
    check
        Is called with each key before it is read.
    """

    def __init__(self, path: str, check: Check) -> None:
        super().__init__(path, read_only=True)
        self._check = check

    async def get(self, key: str, *arguments: Any, **options: Any) -> Any:
        """Read a key, or a part of it."""
        self._check(key)
        return await super().get(key, *arguments, **options)

    async def get_partial_values(self, prototype: Any, key_ranges: Iterable[tuple[str, Any]]) -> Any:
        """Read parts of several keys."""
        listed = list(key_ranges)
        for key, _ in listed:
            self._check(key)
        return await super().get_partial_values(prototype, listed)


class CheckedZip(ZipStore):  # type: ignore[misc]  # as above
    """A store in a zip file; see `CheckedFolder`."""

    def __init__(self, path: str, check: Check) -> None:
        super().__init__(path, mode="r")
        self._check = check

    async def get(self, key: str, *arguments: Any, **options: Any) -> Any:
        """Read a key, or a part of it."""
        self._check(key)
        return await super().get(key, *arguments, **options)

    async def get_partial_values(self, prototype: Any, key_ranges: Iterable[tuple[str, Any]]) -> Any:
        """Read parts of several keys."""
        listed = list(key_ranges)
        for key, _ in listed:
            self._check(key)
        return await super().get_partial_values(prototype, listed)
