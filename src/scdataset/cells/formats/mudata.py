"""MuData, in h5mu files and in zarr: which modalities there are, and which of their rows is which cell.

A group ``mod`` holds an AnnData for each modality; ``obsmap`` has for each the row of every cell, from 1 on, and 0 for
cells that it lacks: https://mudata.readthedocs.io/stable/io/spec.html
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from scdataset._tables import counted
from scdataset._types import Array
from scdataset.cells.columns import Column, ColumnValues, no_column
from scdataset.cells.formats.cell_file import CellFile
from scdataset.cells.formats.frames import frame_of, n_rows
from scdataset.cells.formats.nodes import Node
from scdataset.cells.formats.probe import Probe, holds_modalities, probing
from scdataset.errors import CollectionError, DamagedFileError

__all__ = ["ModalityObs", "MuDataFile", "is_mudata", "modalities_of"]


def is_mudata(probe: Probe) -> bool:
    """Return whether a zarr store holds modalities; False if it cannot be read."""
    with suppress(Exception):
        return holds_modalities(probe.root.stored)
    return False


@dataclass(frozen=True, slots=True)
class MuDataFile:
    """One file of modalities.

    Attributes
    ----------
    path
        The file, or the zarr store.
    n_obs
        Number of cells that are in one modality or more.
    rows
        For each modality, in their order, the row of every cell, -1 where it has none; shape ``(n_obs,)``.
    obs
        obs of all cells, shape ``(n_obs, n_columns)``.
    """

    path: str
    n_obs: int
    rows: dict[str, Array]
    obs: pd.DataFrame

    @classmethod
    def from_path(cls, path: str) -> "MuDataFile":
        """Read how cells are aligned; no values.

        Raises
        ------
        CollectionError
            If the modalities share genes and not cells.
        DamagedFileError
            If rows contradict each other.
        """
        with probing(path) as probe:
            root = probe.root
            if root.attribute("axis") == 1:
                message = f"{path} has modalities of the same genes and other cells (axis=1); open one, modality=..."
                raise CollectionError(message)
            obs = frame_of(root.child("obs"))
            rows = {name: _rows(root, name, len(obs)) for name in _modalities(root)}
        return cls(path, len(obs), rows, obs)

    def column(self, name: str, modalities: Mapping[str, CellFile]) -> Column:
        """Return a column that the file has for all cells, or one of a modality, called ``"modality:column"``.

        Cells that lack the modality have the code -1, or NaN in a column of numbers, which becomes float64 then.

        Raises
        ------
        ArgumentValueError
            If there is neither.
        """
        if name in self.obs:
            return Column.from_values(self.obs[name].array)
        modality, _, inside = name.partition(":")
        if modality not in modalities or not inside:
            raise no_column(self.path, name, ModalityObs(self, modalities).obs_keys)
        return _spread(modalities[modality].column(inside), self.rows[modality])


@dataclass(frozen=True, slots=True)
class ModalityObs:
    """obs of one file of modalities: columns of all cells, and those of each modality as ``"modality:column"``.

    Attributes
    ----------
    file
        The file.
    modalities
        The modalities that are open, by name.
    """

    file: MuDataFile
    modalities: Mapping[str, CellFile]

    @property
    def path(self) -> str:
        """The file."""
        return self.file.path

    @property
    def n_obs(self) -> int:
        """Number of cells."""
        return self.file.n_obs

    @property
    def obs_keys(self) -> list[str]:
        """Columns of all cells, then those of each modality."""
        inside = [f"{name}:{key}" for name, cells in self.modalities.items() for key in cells.obs_keys]
        return list(dict.fromkeys([*map(str, self.file.obs.columns), *inside]))

    @property
    def obs_names(self) -> pd.Index:
        """Names of the cells."""
        return self.file.obs.index

    def column(self, name: str) -> Column:
        """Read a column, with missing values where cells lack its modality."""
        return self.file.column(name, self.modalities)

    def column_values(self, name: str) -> ColumnValues:
        """Read a column as it is in batches."""
        return self.column(name).to_pandas()

    def close(self) -> None:
        """Close the modalities; the next read opens them again."""
        for cells in self.modalities.values():
            cells.close()


def _spread(column: Column, rows: Array) -> Column:
    """Return a column of a modality as one of all cells."""
    lacking = rows < 0
    codes = column.codes[rows] if column.codes.size else np.zeros(rows.size, column.codes.dtype)
    if column.categories is not None:
        return replace(column, codes=np.where(lacking, -1, codes).astype(codes.dtype))
    return replace(column, codes=np.where(lacking, np.nan, codes) if lacking.any() else codes)


def modalities_of(probe: Probe) -> list[str]:
    """Return the names of the modalities, in their order."""
    return _modalities(probe.root)


def _modalities(root: Node) -> list[str]:
    group = root.child("mod")
    names = group.names()
    ordered = group.texts("mod-order") if group.attribute("mod-order") is not None else []
    return ordered if sorted(ordered) == names else names


def _rows(root: Node, name: str, n_cells: int) -> Array:
    """Return the row of each cell in a modality."""
    n_there = n_rows(root.child("mod").child(name).child("obs"))
    stored = root.child("obsmap").child(name)
    mapped = stored.values().reshape(-1)
    if mapped.dtype.kind not in "iu":
        message = f"{root.path}: {stored.name} is of type {mapped.dtype}; it has to be integers."
        raise DamagedFileError(message)
    mapped = mapped.astype(np.int64) - 1
    present = mapped[mapped >= 0]
    if mapped.size != n_cells or not np.array_equal(np.sort(present), np.arange(n_there)):
        message = (
            f"{root.path}: {stored.name} has {counted(mapped.size, 'entry')}, {present.size:,} of them rows up to "
            f"{present.max(initial=-1) + 1:,}, for {counted(n_cells, 'cell')} and {counted(n_there, 'row')} of {name}; "
            "each has to be a cell."
        )
        raise DamagedFileError(message)
    return mapped.astype(np.min_scalar_type(-max(n_there, 1)))
