"""The page cache: filling it, emptying it, and looking at what is in it."""

import ctypes
import mmap
import os
from pathlib import Path

import numpy as np
from stored_arrays import files_of

_libc = ctypes.CDLL(None, use_errno=True)


def warm(path: Path) -> None:
    """Read the files of a store once, so that they are in the page cache."""
    for file in files_of(path):
        with file.open("rb", buffering=0) as opened:
            while opened.read(1 << 24):
                pass


def empty(path: Path) -> None:
    """Ask the system to forget the pages of a store's files."""
    for file in files_of(path):
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)  # pages that are not yet on the disk are kept
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def share_cached(path: Path) -> float:
    """Return which part of a store's bytes is in the page cache, 0 to 1; NaN where the system does not tell.

    Trying reads that must not wait would tell too, and start to read what was missing.
    """
    pages = [_pages(file) for file in files_of(path) if file.stat().st_size]
    return float(np.mean(np.concatenate(pages))) if pages else np.nan


def _pages(file: Path) -> np.ndarray:
    size = file.stat().st_size
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), size, prot=mmap.PROT_READ) as mapped:
        content = np.frombuffer(mapped, np.uint8)
        resident = np.zeros(-(-size // mmap.PAGESIZE), np.uint8)
        status = _libc.mincore(
            ctypes.c_void_p(content.ctypes.data), ctypes.c_size_t(size), ctypes.c_void_p(resident.ctypes.data)
        )
        del content  # the mapping cannot be closed under it
    return np.full(resident.size, np.nan) if status else resident & 1
