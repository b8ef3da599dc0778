"""Errors that all readers of cells share."""

from collections.abc import Iterator
from contextlib import contextmanager

from scdataset._tables import counted
from scdataset.errors import DamagedFileError, ScDatasetError, UnreadableFileError

__all__ = ["check_shape", "naming", "reading"]


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Name the file in any error of the system: a disk that fails, a network file that is stale, a circle of links.

    Unlike `reading` it leaves all other errors as they are, so that code of this package may go inside.
    """
    try:
        yield
    except ScDatasetError:
        raise
    except PermissionError as error:
        message = f"{path} cannot be read: {error.strerror or error}; ask its owner for permission."
        raise UnreadableFileError(message) from error
    except OSError as error:
        message = f"{path} cannot be read: {error}"
        raise DamagedFileError(message) from error


@contextmanager
def reading(path: str, what: str) -> Iterator[None]:
    """Name the file and the part of it in any error that h5py, zarr, anndata or pandas raise over damaged bytes.

    Only calls of such a library go inside: whatever else is raised there, a mistake of this package too, becomes damage
    of the file.
    """
    try:
        yield
    except ScDatasetError:
        raise
    except MemoryError as error:
        message = f"{path}: {what} takes more memory than there is ({error}); its sizes may be damaged."
        raise DamagedFileError(message) from error
    except Exception as error:
        message = f"{path}: {what} cannot be read: {type(error).__name__}: {error}"
        raise DamagedFileError(message) from error


def check_shape(path: str, name: str, shape: tuple[int, ...], wanted: tuple[int, int], var_name: str) -> None:
    """Raise if a matrix has not as many rows as obs and columns as var."""
    if shape != wanted:
        message = (
            f"{path}: {name} has shape {shape}, and there are {counted(wanted[0], 'row')} of obs and {wanted[1]:,} of "
            f"{var_name}."
        )
        raise DamagedFileError(message)
