"""Paths that users give: made absolute, checked, and named in errors."""

import errno
import os
import re
import reprlib
from pathlib import Path
from typing import NoReturn

from scdataset._arguments import nearest
from scdataset.errors import ArgumentTypeError, ArgumentValueError, MissingFileError, UnreadableFileError

__all__ = ["absolute", "existing", "is_there", "listed", "refuse_missing", "same_place"]

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def absolute(name: str, value: object) -> str:
    """Return a path as an absolute one, with ``~`` expanded, so that it stays the same wherever the process goes.

    Links and ``..`` stay as they are: they mean the same folder for as long as the file system does.

    Parameters
    ----------
    name
        The argument, for messages.
    value
        A str or a `os.PathLike` of one.

    Raises
    ------
    ArgumentTypeError
        If it is anything else.
    ArgumentValueError
        If it is empty, a URL, or has a character that no path has.
    """
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str):
        message = (
            f"{name}={reprlib.repr(value)} is of type {type(value).__name__}; give a path as a str or a pathlib.Path."
        )
        raise ArgumentTypeError(message)
    if not text or "\0" in text:
        message = f"{name}={text!r} is {'a path with a null character' if text else 'empty'}; give the path of a file."
        raise ArgumentValueError(message)
    url = _URL.match(text)
    if url:
        message = (
            f"{name}={text!r} is a URL, and files are read from disks alone; copy it to one, or mount it, and give the "
            "path there."
        )
        raise ArgumentValueError(message)
    return str(Path(os.path.expanduser(text)).absolute())  # noqa: PTH111 leaves ~ where there is no home


def existing(name: str, value: object) -> str:
    """Return a path as `absolute` does; raise as `is_there` and `refuse_missing` do if it leads nowhere."""
    path = absolute(name, value)
    return path if is_there(name, path) else refuse_missing(name, path)


def listed(name: str, folder: str) -> list[Path]:
    """Return the entries of a folder, in the order of names, without hidden files.

    Raises
    ------
    UnreadableFileError
        If the folder may not be listed.
    """
    try:
        return sorted(entry for entry in Path(folder).iterdir() if not entry.name.startswith("."))
    except PermissionError as error:
        raise _unreadable(name, folder, error) from error


def same_place(path: str | os.PathLike[str]) -> str:
    """Return the canonical path of a file, without links."""
    return os.path.realpath(path)


def is_there(name: str, path: str) -> bool:
    """Return whether a path leads to something.

    Raises
    ------
    UnreadableFileError
        If a folder on the way cannot be entered.
    """
    try:
        os.stat(path)  # noqa: PTH116 its error says why
    except PermissionError as error:
        raise _unreadable(name, path, error) from error
    except OSError:
        return False
    return True


def refuse_missing(name: str, path: str) -> NoReturn:
    """Raise an error that says how far a path leads, and which names are near the first missing one.

    Raises
    ------
    MissingFileError
        Always.
    """
    for part in [*reversed(Path(path).parents), Path(path)]:
        if part.is_symlink() and not is_there(name, str(part)):
            message = f"{name}={path!r} does not exist: {part} is a link to {str(part.readlink())!r}, {_why(part)}."
            raise MissingFileError(message)
        if not is_there(name, str(part)):
            break
    folder = part.parent
    where = "" if part == Path(path) else f": there is no {part.name!r} in {folder}"
    if part.name.endswith(":"):
        where += f", and a URL begins with {part.name}//"
    if folder.is_dir():
        near = nearest(part.name, [entry.name for entry in folder.iterdir()])
    else:
        where, near = f": {folder} is a file and no folder", "."
    message = f"{name}={path!r} does not exist{where}{near}"
    raise MissingFileError(message)


def _why(link: Path) -> str:
    try:
        link.stat()
    except OSError as error:
        return "and so on in a circle" if error.errno == errno.ELOOP else "which is not there"
    return "which is there now"


def _unreadable(name: str, path: str, error: OSError) -> UnreadableFileError:
    message = f"{name}={path!r} cannot be read: {error.strerror}; ask its owner for permission."
    return UnreadableFileError(message)
