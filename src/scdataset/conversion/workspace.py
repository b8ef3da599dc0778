"""The working folder beside the output: the store is renamed to its final path once it is complete."""

import errno
import json
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from scdataset._paths import absolute, refuse_missing
from scdataset.conversion.journal import Journal
from scdataset.conversion.plan import MatrixPlan
from scdataset.errors import ArgumentValueError, ExistingFileError, OutputError, ScDatasetError

__all__ = ["Workspace", "writing_to"]

_SUFFIX = ".conversion"

_LONGEST = 200
"""Characters of a value in a message."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Workspace:
    """A folder ``OUT.zarr.conversion`` with the plan, the store, and a line for each shard that is complete.

    Attributes
    ----------
    out
        The path of the finished store.
    folder, store
        The folder, and the unfinished store in it.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.folder = out.with_name(out.name + _SUFFIX)
        self.store = self.folder / "store"
        self._journal = Journal(self.folder / "shards.jsonl")
        self._request = self.folder / "request.json"
        self._lock = self.folder / "lock"

    @classmethod
    @contextmanager
    def opened(cls, out: object) -> Iterator[Self]:
        """Check the path of the output, and hold the folder beside it.

        Raises
        ------
        ArgumentValueError
            If the path cannot be that of a store; an ExistingFileError if something is there.
        OutputError
            If another process is writing it, or the folder cannot be made.
        """
        here = cls(_checked(out))
        if os.path.lexists(here.out) and not here.is_finished:
            message = f"out={str(here.out)!r} is there already, and nothing is written over; give another path."
            raise ExistingFileError(message)
        if os.path.lexists(here.folder) and not here._is_ours():
            message = f"{here.folder} is in the way: it is not of a conversion that was interrupted; move it away."
            raise ExistingFileError(message)
        lock = FileLock(here._lock, blocking=False)
        with writing_to(here.out):
            here.folder.mkdir(exist_ok=True)
            try:
                lock.acquire()
            except Timeout as error:
                message = f"Another process is writing {here.out}; wait for it, or give another path."
                raise OutputError(message) from error
        try:
            here._remove_partial()
            yield here
        finally:
            here._discard_unplanned()
            lock.release()

    def complete(self) -> dict[tuple[str, int], dict[str, list[int]]]:
        """Return size and CRC-32 of the arrays of each complete shard, by matrix and number."""
        return {
            (name, number): stored
            for name, number, stored in self._journal.entries()
            if all(self._size(key) == size for key, (size, _) in stored.items())
        }

    def note(self, matrix: MatrixPlan, number: int, stored: Mapping[str, Sequence[int]]) -> None:
        """Note that a shard is complete, with the size and CRC-32 of each of its keys, as `checksums` returns them."""
        self._journal.note(matrix.name, number, stored)

    def checksums(self, matrix: MatrixPlan, number: int) -> dict[str, list[int]]:
        """Return the size and CRC-32 of each key of a shard, as the disk has it."""
        keys = [matrix.key(array, number) for array in matrix.arrays]
        contents = {key: (self.place / key).read_bytes() for key in keys}
        return {key: [len(content), zlib.crc32(content)] for key, content in contents.items()}

    def drop(self, matrix: MatrixPlan, number: int) -> None:
        """Remove a shard, and no longer count it as complete."""
        for array in matrix.arrays:
            (self.store / matrix.key(array, number)).unlink(missing_ok=True)

    @property
    def is_finished(self) -> bool:
        """Whether the store is at its final path and only cleaning up is left."""
        return self.out.exists() and self._request.exists() and not self.store.exists()

    @property
    def is_planned(self) -> bool:
        """Whether the plan is there; it is until cleaning up begins."""
        return (self.folder / "plan.json").exists()

    @property
    def place(self) -> Path:
        """Where the store is now."""
        return self.out if self.is_finished else self.store

    def finish(self) -> None:
        """Rename the finished store to its final path."""
        with writing_to(self.out):
            self.store.rename(self.out)

    def clean_up(self) -> None:
        """Remove all but the store; last of all the request, which identifies a finished conversion."""
        with writing_to(self.out):
            for path in self.folder.iterdir():
                if path not in (self._request, self._lock):
                    path.unlink()
            shutil.rmtree(self.folder)

    def claim(self, request: dict[str, object]) -> None:
        """Take the folder for a request, which an earlier one in it has to be equal to.

        Raises
        ------
        ArgumentValueError
            If it is not.
        """
        if self._request.exists():
            earlier = json.loads(self._request.read_text(encoding="utf-8"))
            differing = [name for name in request if request[name] != earlier.get(name)]
            if differing:
                name = differing[0]
                message = (
                    f"{self.folder} is of an interrupted conversion with other {', '.join(differing)}: {name} was "
                    f"{_short(earlier.get(name))}, and is {_short(request[name])}. Convert with the same, or remove "
                    "the folder to begin again."
                )
                raise ArgumentValueError(message)
            return
        partial = self._request.with_suffix(".partial")
        with writing_to(self.out):
            partial.write_text(json.dumps(request), encoding="utf-8")
            partial.replace(self._request)

    def _discard_unplanned(self) -> None:
        """Remove the folder if nothing in it took long to make."""
        if not self.is_planned and not self.is_finished:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _is_ours(self) -> bool:
        """Tell whether the folder is one of these; it may have been made just before the process ended."""
        return self.folder.is_dir() and (self._lock.exists() or not any(self.folder.iterdir()))

    def _size(self, key: str) -> int:
        try:
            return (self.place / key).stat().st_size
        except FileNotFoundError:
            return -1

    def _remove_partial(self) -> None:
        """Remove files that zarr was writing when the process ended."""
        for path in self.store.rglob("*.partial"):
            path.unlink()


@contextmanager
def writing_to(out: Path) -> Iterator[None]:
    """Turn errors of the file system into one that names the remedy.

    Raises
    ------
    OutputError
        If it is full, or refuses to be written to.
    """
    try:
        yield
    except ScDatasetError:
        raise
    except OSError as error:
        if error.errno in _FULL:
            message = (
                f"The disk of {out} is full ({error.strerror}). What was written is kept: make space and convert "
                "again, with the same arguments, to go on."
            )
        else:
            message = f"{out} cannot be written: {error}. Convert again, with the same arguments, to go on."
        raise OutputError(message) from error


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def _checked(out: object) -> Path:
    path = Path(absolute("out", out))
    if path.suffix != ".zarr":
        message = f"out={str(path)!r} has to end in .zarr, by which folders of stores are told."
        raise ArgumentValueError(message)
    if not path.parent.is_dir():
        refuse_missing("out", str(path.parent))
    return path
