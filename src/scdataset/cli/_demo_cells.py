"""The cells of the demo: their files, their labels, and which are held out."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.experimental import AnnCollection
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from scdataset._paths import existing
from scdataset._tables import counted
from scdataset.cells.formats.unknown import description
from scdataset.errors import ArgumentValueError, CollectionError
from scdataset.simulation import simulate_atlas

ATLAS_FILE = "atlas-1.h5ad"
"""Its number goes up whenever the simulation changes."""

_SMALLEST_CLASS = 2
"""A cell to train on and a cell to test on."""

_FEWEST_CLASSES = 2


@dataclass(frozen=True, slots=True)
class LabelledCells:
    """Cells on disk and the class of each.

    Attributes
    ----------
    collection
        The files, opened and not read.
    label
        Column of ``obs`` that holds the classes.
    classes
        Names of the classes.
    codes
        Position in ``classes`` for each cell, or -1 for cells that are left out, shape ``(n_cells,)``.
    left_out
        The cells left out and why, a sentence each.
    """

    collection: AnnData | AnnCollection
    label: str
    classes: tuple[str, ...]
    codes: NDArray[np.int64]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Split:
    """Rows to train on and rows to test on, each in the order of the file."""

    train: NDArray[np.int64]
    test: NDArray[np.int64]


def cached_atlas() -> Path:
    """Return the simulated atlas in the user's cache folder, made now if it is not there."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scdataset"
    path = folder / ATLAS_FILE
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        simulate_atlas(path)
    return path


def open_cells(paths: Sequence[Path], label: str) -> LabelledCells:
    """Open h5ad files as one collection and read the labels, and nothing else, into memory.

    Raises
    ------
    CollectionError
        If a file cannot be used: it is not h5ad, or lacks ``X``; or the files share no genes.
    ArgumentValueError
        If a file is missing, or ``label`` is not a column, or has fewer than two usable classes.
    """
    paths = [Path(existing("--data", path)) for path in paths]
    files = [_open(path) for path in paths]
    for path, file in zip(paths, files, strict=True):
        _check_column(path, file.obs.columns, label)
    collection = files[0] if len(files) == 1 else _join(paths, files)
    return _label(collection, label)


def split(cells: LabelledCells, test_fraction: float, seed: int) -> Split:
    """Hold out the same fraction of every class."""
    rows = np.flatnonzero(cells.codes >= 0)
    try:
        train, test = train_test_split(rows, test_size=test_fraction, stratify=cells.codes[rows], random_state=seed)
    except ValueError as error:
        found = f"{counted(len(rows), 'cell')} of {counted(len(cells.classes), 'class')}"
        message = f"{found} cannot be split at {test_fraction}: {error}"
        raise ArgumentValueError(message) from error
    return Split(train=np.sort(train), test=np.sort(test))


def _open(path: Path) -> AnnData:
    """Open one file, after checks with clearer errors than anndata's."""
    if not path.is_file() or not h5py.is_hdf5(path):
        message = f"{str(path)!r} is not an h5ad file: it is {description(str(path)) or 'not HDF5'}."
        raise CollectionError(message)
    with _opened(path) as file:
        missing = [name for name in ("X", "obs", "var") if name not in file]
    if missing:
        message = f"{str(path)!r} has no {' and no '.join(missing)}; the demo needs an h5ad file with counts in X."
        raise CollectionError(message)
    with warnings.catch_warnings():
        # Row names that are numbers become text in memory, which changes nothing here.
        warnings.simplefilter("ignore", anndata.ImplicitModificationWarning)
        return anndata.read_h5ad(path, backed="r")


def _opened(path: Path) -> h5py.File:
    try:
        return h5py.File(path)
    except OSError as error:
        message = f"{str(path)!r} cannot be opened as HDF5: {error}; scdataset check says whether it is damaged."
        raise CollectionError(message) from error


def _check_column(path: Path, columns: pd.Index, label: str) -> None:
    """Raise unless ``label`` is a column, with the name that was probably meant."""
    if label in columns:
        return
    names = [str(name) for name in columns]
    nearest = get_close_matches(label, names, n=1)
    meant = f"; did you mean {nearest[0]!r}?" if nearest else "."
    message = f"{str(path)!r} has no column {label!r} in obs{meant} Its columns: {', '.join(names) or 'none'}."
    raise ArgumentValueError(message)


def _join(paths: Sequence[Path], files: Sequence[AnnData]) -> AnnCollection:
    """Put files one after the other, with the genes that all of them have."""
    for path, file in zip(paths, files, strict=True):
        if not file.var_names.is_unique:
            message = f"{str(path)!r} has repeated gene names, so its genes cannot be matched with other files."
            raise CollectionError(message)
    collection = AnnCollection(files, join_vars="inner", index_unique="-")
    if collection.shape[1] == 0:
        message = f"the {counted(len(files), 'file')} have no gene name in common."
        raise CollectionError(message)
    return collection


def _label(collection: AnnData | AnnCollection, label: str) -> LabelledCells:
    """Assign a number to each class, leaving out unlabelled cells and classes too small to split."""
    column = pd.Categorical(collection.obs[label])
    sizes = np.bincount(column.codes[column.codes >= 0], minlength=len(column.categories))
    kept = sizes >= _SMALLEST_CLASS
    if kept.sum() < _FEWEST_CLASSES:
        found = counted(int(kept.sum()), "class")
        message = f"label {label!r} has {found} of two or more cells; a classifier needs two classes."
        raise ArgumentValueError(message)
    renumbered = np.append(np.where(kept, np.cumsum(kept) - 1, -1), -1)  # the last is for cells without a label
    names = column.categories.astype(str)
    left_out = []
    if n_unlabelled := int((column.codes < 0).sum()):
        left_out.append(f"Left out {counted(n_unlabelled, 'cell')} without a value in {label!r}.")
    if singles := list(names[sizes == 1]):
        left_out.append(f"Left out {counted(len(singles), 'class')} with a single cell: {', '.join(singles)}.")
    return LabelledCells(collection, label, tuple(names[kept]), renumbered[column.codes], tuple(left_out))
