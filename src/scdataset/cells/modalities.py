"""ModalityCollection: several modalities of the same cells, read together."""

from collections.abc import Sequence
from typing import NoReturn

import numpy as np
import pandas as pd
import scipy.sparse
from numpy.typing import ArrayLike, DTypeLike, NDArray

from scdataset._tables import counted, html_table
from scdataset._types import Array
from scdataset.cells.closing import Closing
from scdataset.cells.collection import CellCollection, Opened
from scdataset.cells.formats.cell_file import CellFile
from scdataset.cells.formats.mudata import ModalityObs, MuDataFile
from scdataset.cells.join.obs import HasObs, Obs, check_label, joined_column, tried_column
from scdataset.cells.join.origin import Origin
from scdataset.collections.base import ReadsInBackground
from scdataset.collections.multiindexable import MultiIndexable
from scdataset.collections.values import ValueKind
from scdataset.engine.arrays.read_cost import ReadCost
from scdataset.engine.matrices.parts import MatrixRows
from scdataset.errors import ArgumentValueError, UnimplementedError

__all__ = ["ModalityCollection", "joined_modalities"]


class ModalityCollection(Closing, HasObs, ReadsInBackground):
    """Modalities of the same cells, read by row in any order; made by `open_collection` of MuData.

    Parameters
    ----------
    files
        How the cells of each file are aligned.
    modalities
        The cells of each modality, those of all files.
    obs
        obs of all cells.
    masked
        Whether cells that lack a modality are read as zeros, with a mask; else they are refused.

    Attributes
    ----------
    modalities
        The cells of each modality as a collection of its own, with ``var`` and ``shape``.
    present
        Which modalities each cell has, shape ``(n_obs, n_modalities)``, bool.
    """

    def __init__(
        self,
        files: Sequence[MuDataFile],
        modalities: dict[str, CellCollection],
        obs: Obs,
        *,
        masked: bool,
    ) -> None:
        self.files = [file.path for file in files]
        self.modalities = modalities
        self.n_obs = sum(file.n_obs for file in files)
        self._obs = obs
        self._masked = masked
        self._rows = {name: _joined_rows(files, name) for name in modalities}
        if not masked:
            self._check_complete()

    @property
    def present(self) -> pd.DataFrame:
        """Which modalities each cell has."""
        return pd.DataFrame({name: rows >= 0 for name, rows in self._rows.items()})

    def __len__(self) -> int:
        return self.n_obs

    def __repr__(self) -> str:
        widths = ", ".join(f"{name}: {cells.n_vars}" for name, cells in self.modalities.items())
        extra = f", obs={list(self._obs.batch)}" if self._obs.batch else ""
        n_files = counted(len(self.files), "file")
        return f"ModalityCollection({counted(self.n_obs, 'cell')} x {{{widths}}}, {n_files}{extra})"

    def _repr_html_(self) -> str:
        """Return a short table, which a notebook shows."""
        rows = [
            ("cells", f"{self.n_obs:,}"),
            *(
                (name, f"{counted(len(cells), 'cell')} x {counted(cells.n_vars, 'gene')}")
                for name, cells in self.modalities.items()
            ),
            ("obs in batches", ", ".join(self._obs.batch) or "none"),
            ("files", f"{len(self.files):,}, {self.files[0]}" + (", ..." if len(self.files) > 1 else "")),
        ]
        return html_table("ModalityCollection", rows)

    def __getitem__(self, rows: slice | ArrayLike) -> MultiIndexable:
        """Return some cells; ``rows`` is a slice, a list or array of row numbers, or a boolean mask."""
        return self.read(self.rows_of(rows))

    def to_adata(self, rows: object, **options: object) -> NoReturn:  # noqa: ARG002 those of one modality
        """Refuse: an AnnData is made of one modality, in ``modalities``."""
        one = next(iter(self.modalities))
        message = (
            f"to_adata({rows!r}) of {counted(len(self.modalities), 'modality')}: an AnnData holds one. Call it on one "
            f"of {list(self.modalities)}, cells.modalities[{one!r}].to_adata(rows), whose rows are its own cells."
        )
        raise UnimplementedError(message)

    def write_obsm(self, name: str, array: object, **options: object) -> NoReturn:  # noqa: ARG002 as above
        """Refuse: h5mu files are not written to."""
        message = (
            f"write_obsm({name!r}) of {counted(len(self.modalities), 'modality')}: results are written to h5ad and "
            "zarr files of AnnData; save the array with numpy.save."
        )
        raise UnimplementedError(message)

    def read(self, rows: NDArray[np.int64]) -> MultiIndexable:
        """Return cells in the order asked for: a matrix a modality, and one array a column of obs.

        Where cells may lack a modality, its rows are zeros there, and ``"name:mask"`` tells which are not. With
        ``row_sums`` there is ``"name:total_counts"`` for each.
        """
        if rows.size and (rows.min() < 0 or rows.max() >= self.n_obs):
            message = f"Rows from {rows.min()} to {rows.max()} of a collection with {counted(self.n_obs, 'cell')}."
            raise IndexError(message)
        read: dict[str, object] = {}
        for name, cells in self.modalities.items():
            local = self._rows[name][rows].astype(np.int64)
            for part, values in cells.read(local[local >= 0]).items():
                read[name if part == "X" else f"{name}:{part}"] = _spread(values, local >= 0)
            if self._masked:
                read[f"{name}:mask"] = local >= 0
        codes = {name: column.codes[rows] for name, column in self._obs.batch.items()}
        return MultiIndexable.from_rows({**read, **codes}, rows.size)

    def value_kind(self, *, seed: int = 0) -> dict[str, ValueKind]:
        """Return the kind of values in each modality; see `CellCollection.value_kind`."""
        return {name: cells.value_kind(seed=seed) for name, cells in self.modalities.items()}

    @property
    def is_remote(self) -> bool:
        """Whether some of the modalities lie in an object store."""
        return any(cells.is_remote for cells in self.modalities.values())

    def announce(self, rows: NDArray[np.int64]) -> int:
        """Tell the system that these cells will be read soon, and return the number of requests for them."""
        local = {name: own[rows].astype(np.int64) for name, own in self._rows.items()}
        return sum(self.modalities[name].announce(own[own >= 0]) for name, own in local.items())

    def read_cost(self, rows: NDArray[np.int64]) -> ReadCost:
        """Return the bytes and chunks that reading these cells would touch, of all modalities."""
        local = {name: own[rows].astype(np.int64) for name, own in self._rows.items()}
        return sum((self.modalities[name].read_cost(own[own >= 0]) for name, own in local.items()), ReadCost())

    def share_threads(self, processes: int) -> None:
        """Divide the cores among ``processes`` DataLoader workers of this machine, which read together."""
        for cells in self.modalities.values():
            cells.share_threads(processes)

    def fingerprint(self) -> str:
        """Return shapes and files."""
        return f"modalities:{self.n_obs}:{[cells.fingerprint() for cells in self.modalities.values()]}"

    def close(self) -> None:
        """Close all files and threads; the next read opens them again."""
        for cells in self.modalities.values():
            cells.close()

    def _check_complete(self) -> None:
        lacking = {name: int((rows < 0).sum()) for name, rows in self._rows.items() if (rows < 0).any()}
        if lacking:
            complete = int(self.present.all(axis=1).sum())
            message = (
                f"Of {counted(self.n_obs, 'cell')} some lack a modality: {lacking}; {complete:,} lack none. Open one, "
                'modality=..., or give missing_modality="mask" for zeros and a mask, and choose cells by the attribute '
                "present."
            )
            raise ArgumentValueError(message)


def joined_modalities(
    files: Sequence[MuDataFile],
    opened: dict[str, list[CellFile]],
    obs: Sequence[str],
    obsm: Sequence[str],
    dtype: DTypeLike | None,
    num_threads: int | None,
    *,
    masked: bool,
    fill: bool = False,
    origin: Origin | None = None,
    row_sums: bool = False,
) -> ModalityCollection:
    """Make a collection of the modalities in ``opened``, each of which is open in every file.

    Raises
    ------
    ArgumentValueError
        If a file lacks a column or an array, or cells lack a modality and are not to be masked.
    """
    by_file = [{name: those[number] for name, those in opened.items()} for number in range(len(files))]
    cells_of = [ModalityObs(file, those) for file, those in zip(files, by_file, strict=True)]
    columns = _obs(cells_of, obs, fill=fill, origin=origin)
    arrays: dict[str, list[str]] = {name: [] for name in opened}
    for name in obsm:
        modality, _, inside = name.partition(":")
        if modality not in arrays or not inside:
            message = f"obsm={list(obsm)} has {name!r}; give arrays of modalities, {[f'{one}:...' for one in opened]}."
            raise ArgumentValueError(message)
        arrays[modality].append(inside)
    cells = {
        name: CellCollection(_opened(those, arrays[name]), (), arrays[name], dtype, num_threads, row_sums=row_sums)
        for name, those in opened.items()
    }
    _check_names([*columns.batch, *cells])
    return ModalityCollection(files, cells, columns, masked=masked)


def _obs(files: Sequence[ModalityObs], names: Sequence[str], *, fill: bool, origin: Origin | None) -> Obs:
    """Read the columns of batches, from all files."""
    label = None if origin is None else origin.label
    for file in files:
        check_label(file, label)
    columns = {
        name: joined_column(name, [tried_column(file, name) for file in files], files, fill=fill)
        for name in names
        if name != label
    }
    named = origin is not None and origin.index_unique is not None
    return Obs(files, columns, fill=fill, origin=origin, named=named)


def _opened(files: Sequence[CellFile], obsm: Sequence[str]) -> list[Opened]:
    return [Opened(file, arrays={name: file.array(name) for name in obsm}) for file in files]


def _check_names(names: Sequence[str]) -> None:
    """Raise unless modalities and columns of obs have names of their own."""
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        message = f"obs has {repeated}, which are names of modalities; each part of a batch has a name of its own."
        raise ArgumentValueError(message)


def _spread(values: MatrixRows, present: NDArray[np.bool_]) -> MatrixRows:
    """Return rows among rows of zeros where they are not present."""
    if present.all():
        return values
    if isinstance(values, np.ndarray):
        spread = np.zeros((present.size, *values.shape[1:]), values.dtype)
        spread[present] = values
        return spread
    lengths = np.zeros(present.size + 1, values.indptr.dtype)
    lengths[1:][present] = np.diff(values.indptr)
    return scipy.sparse.csr_matrix(
        (values.data, values.indices, np.cumsum(lengths, dtype=lengths.dtype)), shape=(present.size, values.shape[1])
    )


def _joined_rows(files: Sequence[MuDataFile], name: str) -> Array:
    """Return the rows of all files, counted on from file to file."""
    first, parts = 0, []
    for file in files:
        rows = file.rows[name].astype(np.int64)
        parts.append(np.where(rows < 0, rows, rows + first))
        first += int((rows >= 0).sum())
    joined_rows = np.concatenate(parts)
    return joined_rows.astype(np.min_scalar_type(-max(first, 1)))
