"""Folders of Cell Ranger's text: matrix.mtx, features.tsv or genes.tsv, and barcodes.tsv, gzipped or not.

Text has no rows that could be found: it is read once, and cached as rows in the cache directory.
https://www.10xgenomics.com/support/software/cell-ranger/latest/analysis/outputs/cr-outputs-mex-matrices
"""

import io
import os
import re
from collections.abc import Sequence

import pandas as pd

from scdataset._tables import counted
from scdataset.cells.columns import ColumnValues
from scdataset.cells.formats.cell_file import CellFile
from scdataset.cells.formats.features import as_table, chosen_features
from scdataset.cells.formats.read_errors import reading
from scdataset.engine.bytes.folders import is_file, within
from scdataset.engine.bytes.object_store import opening, using_options
from scdataset.engine.bytes.opening import open_bytes
from scdataset.engine.cache_folder import cached_copy
from scdataset.engine.containers import by_cell
from scdataset.engine.containers.matrix_market import MatrixMarket
from scdataset.engine.containers.packed_text import Limited, packed_text
from scdataset.errors import CollectionError, DamagedFileError

__all__ = ["MtxFile"]

_COLUMNS = ("gene_ids", "gene_symbols", "feature_types")
"""The first columns of features.tsv; Cell Ranger 2 and its genes.tsv have two, other software may have one."""

_FREE, _LONGEST_ROW = 1 << 20, 256
"""Bytes of text that a table may have, and those of a row, on average: names and kinds of genes take less than 100."""

_BUFFER = 1 << 18
"""Bytes that are unpacked at a time."""

_KIND = "cells-of-mtx-2"
"""Name and version of the cached copy, changed whenever its content changes."""


class MtxFile(CellFile):
    """One matrix of text with its features and barcodes, of one prefix: ``GSM1_matrix.mtx.gz``, ``GSM1_barcodes.tsv``.

    Parameters
    ----------
    path
        The matrix.
    genome, feature_types
        As in `TenxFile`; there is no genome in these files.

    Attributes
    ----------
    chosen
        Stored columns that are columns of the matrix, shape ``(n_vars,)``, or None for all.
    """

    _kind = "a matrix of text"

    def __init__(self, path: str, *, feature_types: Sequence[str] | None = None) -> None:
        self.path = path
        self._options = opening().options  # its tables are read again whenever they are asked for
        text = MatrixMarket.from_path(path)
        self._shape = text.shape
        self._features, self._barcodes = _beside(path, "features", "genes"), _beside(path, "barcodes")
        features = self._all_features()
        self.n_obs = len(self._names_of_cells())
        if text.shape != (len(features), self.n_obs):
            message = (
                f"{path} is a matrix of {text.shape}, beside {counted(len(features), 'feature')} in {self._features} "
                f"and {counted(self.n_obs, 'barcode')} in {self._barcodes}; rows have to be features and columns "
                "cells."
            )
            raise DamagedFileError(message)
        self.chosen = chosen_features(path, features, None, feature_types)
        files = cached_copy(path, _KIND, lambda folder: by_cell.write_rows(path, folder))
        stored = by_cell.csr_matrix(files, len(features))
        self.matrix = stored if self.chosen is None else stored.remap(*as_table(self.chosen, stored.shape[1]))

    @property
    def var(self) -> pd.DataFrame:
        """The genes by name, which may repeat; ``gene_ids`` and ``feature_types`` where they are known."""
        features = self._all_features()
        return features if self.chosen is None else features.iloc[self.chosen]

    @property
    def obs_keys(self) -> list[str]:
        """Columns of obs: ``barcode`` alone."""
        return ["barcode"]

    def _obs_values(self, name: str) -> ColumnValues:  # noqa: ARG002 there is one
        return self._names_of_cells().to_numpy()

    @property
    def obs_names(self) -> pd.Index:
        """Barcodes of the cells."""
        names: pd.Index = pd.Index(self._names_of_cells().to_numpy(), dtype=object)
        return names

    def _all_features(self) -> pd.DataFrame:
        with using_options(self._options):
            table = _table(self._features, self._shape[0])
        frame = table.iloc[:, : len(_COLUMNS)].set_axis(_COLUMNS[: table.shape[1]], axis=1)
        names = frame.pop("gene_symbols") if "gene_symbols" in frame else frame["gene_ids"]
        return frame.set_axis(pd.Index(names.to_numpy(), dtype=object), axis=0)

    def _names_of_cells(self) -> pd.Series:
        with using_options(self._options):
            return _table(self._barcodes, self._shape[1]).iloc[:, 0]


def _beside(path: str, *names: str) -> str:
    """Return the file of one of some names, gzipped or not, with the prefix that the matrix has."""
    folder, matrix = os.path.split(path)  # of URLs too
    prefix = re.sub(r"matrix\.mtx(\.gz)?$", "", matrix)
    tried = [f"{prefix}{name}.tsv{ending}" for name in names for ending in (".gz", "")]
    for name in tried:
        if is_file(within(folder, name)):
            return within(folder, name)
    message = f"{path} lies beside none of {tried}, which name its genes and cells."
    raise CollectionError(message)


def _table(path: str, n_rows: int) -> pd.DataFrame:
    """Read a table of text that has as many rows as a side of the matrix."""
    reason = f"where the matrix has {n_rows} of its rows"
    source = open_bytes(path)
    with reading(path, "its table"), packed_text(source) as (_, text):
        lines = io.BufferedReader(Limited(source, text, _FREE + _LONGEST_ROW * n_rows, reason), _BUFFER)
        return pd.read_csv(lines, sep="\t", header=None, dtype=str, keep_default_na=False, quoting=3)
