"""Write results to the files of a collection: an array of obsm, to each file its rows."""

import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

import h5py
import numpy as np

from scdataset._packages import needing
from scdataset._tables import counted, verb
from scdataset._types import Array
from scdataset.cells.formats.cell_file import ObsFile
from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.bytes.object_store import is_url
from scdataset.engine.containers.hdf5 import H5File
from scdataset.errors import ArgumentTypeError, ArgumentValueError, CollectionError

__all__ = ["H5Writer", "ObsmWriter", "TakesObsm", "ZarrWriter", "write_rows"]

_SPARE_BYTES = 1 << 20
"""Free space that is asked for beyond the values."""


class ObsmWriter(Protocol):
    """Writes arrays of obsm to one file."""

    def names(self) -> list[str]:
        """Return the arrays of obsm that are there."""
        ...

    def write(self, name: str, values: Array) -> None:
        """Write an array, in place of one of that name."""
        ...


@runtime_checkable
class TakesObsm(Protocol):
    """A file that results can be written to."""

    def obsm_writer(self) -> ObsmWriter:
        """Return a function that writes arrays of obsm."""
        ...


def write_rows(files: Sequence[ObsFile], name: str, array: object, *, overwrite: bool) -> None:
    """Write an array of obsm, to each file its rows; nothing is written unless all files can take it.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        If the array or its name cannot be one of obsm, or is there and shall not be overwritten.
    CollectionError
        If a file is of another format than h5ad and zarr, or cannot be written to.
    """
    values = _checked(name, array, sum(file.n_obs for file in files))
    writers = [_writer(file) for file in files]
    there = [file.path for file, writer in zip(files, writers, strict=True) if name in writer.names()]
    if there and not overwrite:
        message = (
            f"obsm has {name!r} in {len(there):,} of {counted(len(files), 'file')}, such as {there[0]}; give "
            "overwrite=True."
        )
        raise ArgumentValueError(message)
    first = 0
    for number, (file, writer) in enumerate(zip(files, writers, strict=True)):
        rows = values[first : first + file.n_obs]
        _check_space(file.path, rows.nbytes)
        with _writing(file.path, name, number, len(files)):
            writer.write(name, rows)
        first += file.n_obs


def _checked(name: str, array: object, n_obs: int) -> Array:
    if not isinstance(name, str) or not name or "/" in name:
        message = f"name={name!r}; give the name of an array of obsm, a string without slashes, such as 'X_emb'."
        raise ArgumentValueError(message)
    try:
        values = np.asarray(array)
    except (TypeError, ValueError, RuntimeError) as error:
        message = f"array is of type {type(array).__name__}: {error}. Give a numpy array: tensor.detach().cpu().numpy()"
        raise ArgumentTypeError(message) from error
    if values.ndim != 2 or values.shape[0] != n_obs or values.dtype.kind not in "iufb":
        message = f"array is {values.dtype} of shape {values.shape}; give numbers of shape ({n_obs}, k), a row a cell."
        raise ArgumentValueError(message)
    return values


def _writer(file: ObsFile) -> ObsmWriter:
    if is_url(file.path):
        message = f"{file.path} is in an object store, which is not written to; save the array with numpy.save."
        raise CollectionError(message)
    if isinstance(file, TakesObsm):
        return file.obsm_writer()
    message = f"{file.path} is neither h5ad nor zarr, to which results can be written; save the array with numpy.save."
    raise CollectionError(message)


def _check_space(path: str, n_bytes: int) -> None:
    free = shutil.disk_usage(path).free
    if free < n_bytes + _SPARE_BYTES:
        message = f"{path} lies on a disk with {counted(free, 'byte')} free; {n_bytes + _SPARE_BYTES:,} are needed."
        raise CollectionError(message)


@contextmanager
def _writing(path: str, name: str, number: int, n_files: int) -> Iterator[None]:
    """Name the file, and say how many were written before."""
    try:
        yield
    except OSError as error:
        message = (
            f"obsm[{name!r}] cannot be written to {path}: {error}. {number} of {counted(n_files, 'file')} "
            f"{verb(number, 'have')} it by now. Close everything that has the file open, such as a backed AnnData or "
            "worker processes, and write again with overwrite=True."
        )
        raise CollectionError(message) from error


class H5Writer:
    """An h5ad file, or a modality in an h5mu file."""

    def __init__(self, file: H5File, group: str) -> None:
        self._file = file
        self._obsm = f"{group}obsm"
        self._group = group

    def names(self) -> list[str]:
        """Return the arrays of obsm that are there."""
        obsm = self._file.h5.get(self._obsm, {})
        if isinstance(obsm, h5py.Dataset):
            message = f"{self._file.path} is of anndata before 0.7; write it again with anndata to add to it."
            raise CollectionError(message)
        if not os.access(self._file.path, os.W_OK):
            message = f"{self._file.path} may not be written to by this user; save the array with numpy.save."
            raise CollectionError(message)
        return list(obsm)

    def write(self, name: str, values: Array) -> None:
        """Write under another name, and give the array its name when it is whole."""
        partial = f"{name}.partial"
        self._file.bytes.check()
        self._file.close()
        try:
            with h5py.File(self._file.path, "r+") as h5:
                if self._obsm not in h5:
                    _write_element(h5[self._group or "/"], "obsm", {})
                obsm = h5[self._obsm]
                try:
                    _write_element(obsm, partial, values)
                    h5.flush()
                    if name in obsm:
                        del obsm[name]
                    obsm.move(partial, name)
                finally:
                    if partial in obsm:
                        del obsm[partial]
        finally:
            local = self._file.bytes
            assert isinstance(local, LocalFile)  # noqa: S101 it was opened by its path
            local.accept_change()


class ZarrWriter:
    """A zarr store in a folder.

    Parameters
    ----------
    path, group
        The folder, and the group in it that is an AnnData, with a slash at its end.
    written
        Called after the store was changed.
    """

    def __init__(self, path: str, group: str, written: Callable[[], None]) -> None:
        self._folder = Path(path)
        self._group = group.rstrip("/")
        self._written = written
        if not self._folder.is_dir():
            message = f"{path} is a zip file, which cannot be added to; unpack it, or save the array with numpy.save."
            raise CollectionError(message)

    def names(self) -> list[str]:
        """Return the arrays of obsm that are there."""
        obsm = self._folder / self._group / "obsm"
        if not os.access(self._folder, os.W_OK):
            message = f"{self._folder} may not be written to by this user; save the array with numpy.save."
            raise CollectionError(message)
        return [entry.name for entry in obsm.iterdir() if entry.is_dir()] if obsm.is_dir() else []

    def write(self, name: str, values: Array) -> None:
        """Write beside the store, and move the array into it when it is whole."""
        import zarr  # noqa: PLC0415 an optional package

        root = zarr.open_group(self._folder, mode="r+", use_consolidated=False)
        group = self._group
        if f"{group}/obsm".strip("/") not in root:
            _write_element(root[group] if group else root, "obsm", {})
        place = self._folder / group / "obsm" / name
        with tempfile.TemporaryDirectory(prefix=f".{self._folder.name}.", dir=self._folder.parent) as beside:
            new = zarr.open_group(Path(beside) / "new", mode="w", zarr_format=root.metadata.zarr_format)
            _write_element(new, name, values)
            if place.exists():
                place.rename(Path(beside) / "old")
            (Path(beside) / "new" / name).rename(place)
        if self._is_consolidated():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of zarr about consolidated metadata, which the store has already
                zarr.consolidate_metadata(root.store, zarr_format=root.metadata.zarr_format)
        self._written()

    def _is_consolidated(self) -> bool:
        modern = self._folder / "zarr.json"
        return (self._folder / ".zmetadata").is_file() or (
            modern.is_file() and '"consolidated_metadata"' in modern.read_text(encoding="utf-8")
        )


def _write_element(group: object, name: str, value: object) -> None:
    """Write an element as anndata does."""
    with needing("Writing to obsm", "anndata"):
        import anndata  # noqa: PLC0415 takes a second to import
    anndata.io.write_elem(group, name, value)
