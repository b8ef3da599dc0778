"""Find an open file again, in another process or after its path has changed its meaning.

A path may lead to another file by then: it was replaced, a link was retargeted, or the path was relative and the
working directory has changed. The descriptor of the process that has the file open leads to it even then:
https://man7.org/linux/man-pages/man5/proc_pid_fd.5.html
"""

import mmap
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

import numpy as np

from scdataset.engine.bytes.identity import FileIdentity
from scdataset.errors import DamagedFileError

__all__ = ["OpenedFile"]

T = TypeVar("T")

_DELETED = " (deleted)"
"""Suffix that Linux gives the former name of a file without a name."""


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A file that a process has open.

    Attributes
    ----------
    path
        Where it is, or was, absolute.
    descriptor
        Another path to it, for as long as that process has it open; empty where the system has none.
    identity
        The file.
    fixed
        Whether its content must not change. If not, as when it is open for writing, the same file is enough.
    """

    path: str
    descriptor: str
    identity: FileIdentity
    fixed: bool

    @classmethod
    def from_descriptor(cls, name: str | Path, descriptor: int, *, fixed: bool) -> Self:
        """Return the file that is open in this process under ``descriptor``, having been opened as ``name``."""
        identity = FileIdentity.from_status(os.fstat(descriptor))
        link = f"/proc/{os.getpid()}/fd/{descriptor}"
        path = Path(name).absolute()
        if _identity_at(path) == identity:
            return cls(str(path), link, identity, fixed)
        try:
            target = str(Path(link).readlink()).removesuffix(_DELETED)
        except OSError:  # a system without /proc
            target = str(path)
        return cls(target, link, identity, fixed)

    @classmethod
    def from_mapping(cls, name: str | Path, address: int, *, fixed: bool) -> Self:
        """Return the file that is mapped into the memory of this process at ``address``.

        Raises
        ------
        DamagedFileError
            If it is found neither under its name nor among the descriptors of this process.
        """
        mapped = _mapped_at(address)
        path = Path(name).absolute()
        for place in (path, *_descriptors()):
            with _opened(place) as descriptor:
                if descriptor is not None and _maps_to(descriptor, mapped):
                    identity = FileIdentity.from_status(os.fstat(descriptor))
                    return cls(str(path), "" if place == path else str(place), identity, fixed)
        raise _gone(str(path))

    @classmethod
    def from_path(cls, name: str | Path, *, fixed: bool) -> Self:
        """Return the file under a path that this process has open, through a descriptor that is not known.

        Raises
        ------
        DamagedFileError
            If no descriptor of this process leads to the file under the path.
        """
        path = Path(name).absolute()
        identity = _identity_at(path)
        here = _descriptors()
        link = None if identity is None else next((link for link in here if _is_of(identity, link)), None)
        if identity is None or (here and link is None):
            raise _gone(str(path))
        return cls(str(path), str(link or ""), identity, fixed)

    @classmethod
    def at_path(cls, name: str | Path) -> Self | None:
        """Return the file under a path now, to be reached by that path only; None if there is none."""
        path = Path(name).absolute()
        identity = _identity_at(path)
        return None if identity is None else cls(str(path), "", identity, fixed=True)

    @property
    def is_at_path(self) -> bool:
        """Whether the path leads to the file now."""
        now = _identity_at(self.path)
        if now is None:
            return False
        return self.identity.is_unchanged(now) if self.fixed else self.identity.is_same_file(now)

    def find(self) -> str:
        """Return a path that leads to the file now.

        Raises
        ------
        DamagedFileError
            If none does.
        """
        if self.is_at_path:
            return self.path
        now = _identity_at(self.descriptor)
        if now is not None and self._is_same(now):
            return self.descriptor
        raise _gone(self.path)

    def reopen(self, open_path: Callable[[str], T]) -> T:
        """Return the file opened by a library, which may not be able to open a descriptor of a file without a name."""
        path = self.find()
        try:
            return open_path(path)
        except OSError as error:
            if path == self.path:
                raise
            raise _gone(self.path) from error

    def check_path(self) -> None:
        """Raise `DamagedFileError` if the path leads elsewhere, or to other content."""
        if not self.is_at_path:
            raise _gone(self.path)

    def check_if_at_path(self) -> None:
        """Raise `DamagedFileError` if the path still leads to the file, and to other content."""
        now = _identity_at(self.path)
        if now is not None and self.identity.is_same_file(now) and not self._is_same(now):
            raise _gone(self.path)

    def check(self, descriptor: int) -> None:
        """Raise `DamagedFileError` if a descriptor leads to another file, or to this one with other content."""
        if not self._is_same(FileIdentity.from_status(os.fstat(descriptor))):
            raise _gone(self.path)

    def _is_same(self, now: FileIdentity) -> bool:
        """Compare with the open file: to rename an open file is harmless, and changes the time of its status."""
        return self.identity.has_same_content(now) if self.fixed else self.identity.is_same_file(now)


def _identity_at(path: str | Path) -> FileIdentity | None:
    try:
        return FileIdentity.from_status(os.stat(path))  # noqa: PTH116 half the time of Path.stat
    except OSError:
        return None


def _descriptors() -> list[Path]:
    """Return a path for each descriptor of this process; none on a system that has no such paths."""
    folder = Path(f"/proc/{os.getpid()}/fd")
    return [folder / name for name in os.listdir(folder)] if folder.is_dir() else []  # noqa: PTH208 names are enough


def _is_of(identity: FileIdentity, link: Path) -> bool:
    now = _identity_at(link)
    return now is not None and identity.is_same_file(now)


@contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    """Open a plain file for reading; None for anything else, which might block."""
    now = _identity_at(path)
    try:
        found = now is not None and stat.S_ISREG(now.mode) and now.size > 0
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)) if found else None
    except OSError:
        descriptor = None
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _maps_to(descriptor: int, mapped: list[str] | None) -> bool:
    """Tell whether mapping a file gives the entry ``mapped`` in the table of mappings; True without such a table.

    Device numbers in the table differ from those of ``os.stat`` on some file systems, so tables are compared.
    """
    with mmap.mmap(descriptor, 1, access=mmap.ACCESS_READ) as mapping:
        address = np.frombuffer(mapping, np.uint8).__array_interface__["data"][0]
        return _mapped_at(address) == mapped


def _mapped_at(address: int) -> list[str] | None:
    """Return device and inode of the file that is mapped at an address, as the system writes them."""
    table = Path("/proc/self/maps")
    if not table.exists():
        return None
    for line in table.read_text(errors="surrogateescape").splitlines():
        span, _, _, *file = line.split(maxsplit=5)[:5]
        start, stop = (int(bound, 16) for bound in span.split("-"))
        if start <= address < stop:
            return file
    return None


def _gone(path: str) -> DamagedFileError:
    message = (
        f"{path} was replaced, changed or removed since it was opened. Open it again, and by its absolute path if the "
        "working directory changes."
    )
    return DamagedFileError(message)
