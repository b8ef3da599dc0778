"""The bytes of the files that h5py has open, by the names that h5py has for them; and files that these refer to."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from weakref import WeakValueDictionary

import h5py

from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.bytes.source import ByteSource
from scdataset.errors import DamagedFileError, ScDatasetError

__all__ = ["OtherFiles", "is_remote", "note_others", "note_source", "others_of", "source_of"]

_SOURCES: WeakValueDictionary[str, ByteSource] = WeakValueDictionary()


class OtherFiles:
    """The files that have parts in an HDF5 file, as they were when they were first used, in whichever process.

    Attributes
    ----------
    checked
        Virtual datasets whose sources were looked at in this process, by file and name.
    """

    def __init__(self) -> None:
        self.checked: set[tuple[str, str]] = set()
        self._files: dict[tuple[str, str], LocalFile] = {}

    def __bool__(self) -> bool:
        return bool(self._files)

    def __getstate__(self) -> dict[str, object]:
        return {"checked": set(), "_files": self._files}

    def source(self, called: str, name: str, places: Callable[[], Iterable[Path]]) -> LocalFile:
        """Return the file that a part of an HDF5 file lies in.

        Parameters
        ----------
        called
            That part, for messages.
        name
            The file as it is named there.
        places
            Where it may be.

        Raises
        ------
        DamagedFileError
            If it is not there, no regular file, or not the one that was there at first.
        """
        known = self._files.get((called, name))
        there = next((str(place) for place in places() if os.path.lexists(place)), None)
        if there is None or (known is not None and known.path != there):
            place = known.path if known else " or ".join(dict.fromkeys(map(str, places())))
            message = f"{called} lies in the file {name!r}, which is not there; it has to be {place}."
            raise DamagedFileError(message)
        try:
            if known is None:
                known = self._files[called, name] = LocalFile(there)
            known.check()
        except (ScDatasetError, OSError) as error:
            message = f"{called} lies in another file: {error}"
            raise DamagedFileError(message) from error
        return known


_OTHERS: WeakValueDictionary[int, OtherFiles] = WeakValueDictionary()
"""By the numbers that the library has for open files, none of them twice."""


def note_source(source: ByteSource) -> None:
    """Note the bytes of a file that is going to be opened by h5py."""
    _SOURCES[source.path] = source


def source_of(name: str) -> ByteSource:
    """Return the bytes of a file by the name that h5py has for it."""
    known = _SOURCES.get(name)
    return LocalFile(name) if known is None else known


def is_remote(name: str) -> bool:
    """Tell whether a file, by the name that h5py has for it, is remote."""
    known = _SOURCES.get(name)
    return known is not None and known.is_remote


def note_others(opened: h5py.h5f.FileID, others: OtherFiles) -> None:
    """Note the files that have parts in one that is open."""
    _OTHERS[h5py.h5o.get_info(opened).fileno] = others


def others_of(stored: h5py.HLObject) -> OtherFiles:
    """Return the files that have parts in the one that an object is in.

    The file is asked for its number: to tell that of an array, the library reads its whole chunk index.
    """
    known = _OTHERS.get(h5py.h5o.get_info(stored.file.id).fileno)
    return OtherFiles() if known is None else known
