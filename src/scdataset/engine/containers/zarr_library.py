"""Stores for zarr itself, which look at each key before zarr reads it, and at its bytes before zarr decodes them.

zarr reads whatever a path leads to: a pipe without end, a device, a folder as a chunk that is not there, and a chunk
that was written after the store was opened as one that was there before. It takes memory for whatever a chunk says that
it holds.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager

from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype
from zarr.storage import LocalStore, ZipStore

from scdataset.engine.containers.zarr_keys import Keys

__all__ = ["checked_store"]


def checked_store(keys: Keys) -> "_CheckedFolder | _CheckedZip | _CheckedObjects":
    """Return the store of a folder, of a zip file or of objects, as it was when its keys were noted."""
    if keys.is_remote:
        return _CheckedObjects(keys)
    return _CheckedZip(keys) if keys.is_zip else _CheckedFolder(keys)


@contextmanager
def _first_error() -> Iterator[None]:
    """Raise the first of the errors that zarr 3.4 groups; it looks for missing keys in the group itself."""
    try:
        yield
    except BaseExceptionGroup as errors:
        error: BaseException | None = errors.split(FileNotFoundError)[1]
        if error is None:
            raise
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from error.__cause__


class _Checked:
    """Base of stores that check each key before zarr reads it; it goes before the kind of store."""

    _keys: Keys

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Read a key, or a part of it."""
        self._keys.check(key)
        found = await super().get(key, prototype, byte_range)  # type: ignore[misc]
        self._check_content(key, found, byte_range)
        return found

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> Sequence[Buffer | None]:
        """Read parts of several keys."""
        listed = list(key_ranges)
        for key, _ in listed:
            self._keys.check(key)
        parts: Sequence[Buffer | None] = await super().get_partial_values(prototype, listed)  # type: ignore[misc]
        for (key, byte_range), found in zip(listed, parts, strict=True):
            self._check_content(key, found, byte_range)
        return parts

    async def get_ranges(
        self, key: str, byte_ranges: Sequence[ByteRequest | None], **options: object
    ) -> AsyncIterator[Sequence[tuple[int, Buffer | None]]]:
        """Read parts of a key one by one; zarr 3.4 would join chunks of a shard, each of which is to be checked."""
        parts: AsyncIterator[Sequence[tuple[int, Buffer | None]]]
        parts = super().get_ranges(key, byte_ranges, **{**options, "max_gap_bytes": -1})  # type: ignore[misc]
        with _first_error():
            async for part in parts:
                yield part

    def _check_content(self, key: str, found: Buffer | None, byte_range: ByteRequest | None) -> None:
        if found is not None:
            start = 0 if byte_range is None else getattr(byte_range, "start", getattr(byte_range, "offset", None))
            self._keys.check_content(key, found.to_bytes(), start, whole=byte_range is None)


class _CheckedFolder(_Checked, LocalStore):  # type: ignore[misc]  # zarr has no types to the type checker
    def __init__(self, keys: Keys) -> None:
        super().__init__(keys.path, read_only=True)
        self._keys = keys

    def get_sync(
        self, key: str, *, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Read a key, or a part of it, as zarr 3.4 does of a folder."""
        self._keys.check(key)
        found = super().get_sync(key, prototype=prototype, byte_range=byte_range)
        self._check_content(key, found, byte_range)
        return found

    def get_ranges_sync(
        self, key: str, byte_ranges: Sequence[ByteRequest | None], **options: object
    ) -> Sequence[tuple[int, Buffer | None]]:
        """As `get_ranges`."""
        parts: Sequence[tuple[int, Buffer | None]]
        with _first_error():
            parts = super().get_ranges_sync(key, byte_ranges, **{**options, "max_gap_bytes": -1})
        return parts


class _CheckedZip(_Checked, ZipStore):  # type: ignore[misc]  # as above
    def __init__(self, keys: Keys) -> None:
        super().__init__(keys.path, mode="r")
        self._keys = keys


class _Objects(Store):  # type: ignore[misc]  # as above
    """Objects as a store of zarr, read by sources of bytes, which cache them and demand their versions."""

    supports_writes = supports_deletes = supports_partial_writes = False
    supports_listing = True

    def __init__(self, keys: Keys) -> None:
        super().__init__(read_only=True)
        self._keys = keys

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Objects) and self._keys is other._keys

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return self._keys.path

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        content = await asyncio.to_thread(self._attempt, key, byte_range)
        if isinstance(content, Exception):
            raise content
        if content is None:
            return None
        return (default_buffer_prototype() if prototype is None else prototype).buffer.from_bytes(content)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> Sequence[Buffer | None]:
        return await asyncio.gather(*(self.get(key, prototype, byte_range) for key, byte_range in key_ranges))

    async def exists(self, key: str) -> bool:
        return self._keys.find(key) is not None

    async def list(self) -> AsyncIterator[str]:
        for key in self._keys.listed:
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        for key in self._keys.listed:
            if key.startswith(prefix):
                yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        above = f"{prefix.rstrip('/')}/" if prefix.strip("/") else ""
        names = (key[len(above) :].partition("/")[0] for key in self._keys.listed if key.startswith(above))
        for name in dict.fromkeys(names):
            yield name

    async def set(self, key: str, value: Buffer) -> None:  # noqa: ARG002 it raises
        self._check_writable()

    async def delete(self, key: str) -> None:  # noqa: ARG002 as above
        self._check_writable()

    def _attempt(self, key: str, byte_range: ByteRequest | None) -> bytes | Exception | None:
        """Read a key, or return the error: asyncio prints one that nobody waits for any more, as after Ctrl-C."""
        try:
            return self._read(key, byte_range)
        except Exception as error:  # noqa: BLE001 it is raised where it is waited for
            return error

    def _read(self, key: str, byte_range: ByteRequest | None) -> bytes | None:
        stored = self._keys.find(key)
        if stored is None:
            return None
        content = self._keys.unpacked(key, stored) if self._keys.is_packed(key) else None
        size = stored.size if content is None else len(content)
        start, stop = 0, size
        if isinstance(byte_range, RangeByteRequest):
            start, stop = byte_range.start, byte_range.end
        elif isinstance(byte_range, OffsetByteRequest):
            start = byte_range.offset
        elif byte_range is not None:
            start = max(size - byte_range.suffix, 0)
        if content is not None:
            return content[start:stop]
        return stored.file.read_unchecked(stored.offset + start, max(stop - start, 0))


class _CheckedObjects(_Checked, _Objects):
    """Objects, with the checks of `_Checked`."""
