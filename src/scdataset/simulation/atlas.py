"""Making an atlas: design it, sample its cells in threads, write them in order."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from os import PathLike
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdataset._paths import absolute
from scdataset._progress import progress_bar
from scdataset.errors import ArgumentValueError
from scdataset.simulation.design import BURST_PARAMETER, AtlasDesign, AtlasShape, Run, design_atlas
from scdataset.simulation.kernels import CellCounts, sample_cells
from scdataset.simulation.writer import CsrWriter, Storage, replacing, write_annotations

_N_THREADS = 2
_BURSTS_PER_BLOCK = 4_000_000
"""Bounds the memory of a block: 8 bytes a burst, and a few blocks at a time."""


def simulate_atlas(
    path: str | PathLike[str],
    *,
    n_cells: int = 100_000,
    n_genes: int = 20_000,
    genes_per_cell: int = 1_000,
    n_donors: int = 8,
    n_types: int = 12,
    seed: int = 0,
    compression: str | None = None,
    chunk_elements: int = 30_360,
    progress: bool = True,
) -> Path:
    """Write a synthetic single-cell atlas as h5ad, sorted by donor and then by cell type as real files are.

    Counts are negative binomial (variance twice the mean at a given depth) around a heavy-tailed expression profile
    with marker genes of cell types, their lineages and donors. Sequencing depth is log-normal. The commonest type
    is expected sixty times as often as the rarest, and each donor has a composition of its own.

    Parameters
    ----------
    path
        The file to write. It appears when it is complete and replaces one that exists.
    n_cells, n_genes
        Rows and columns of ``X``.
    genes_per_cell
        Genes with a count above zero in a cell, on average; at most half of ``n_genes``.
    n_donors, n_types
        Categories of ``obs["donor"]`` and ``obs["cell_type"]``. Small atlases may lack some.
    seed
        The file is a function of the arguments and this seed, whatever the machine's number of cores.
    compression
        HDF5 filter of ``X``: None, ``"gzip"`` or ``"lzf"``.
    chunk_elements
        Length of the HDF5 chunks of ``X/data`` and ``X/indices``.
    progress
        Whether to show a progress bar on stderr, if rich is installed.

    Returns
    -------
    Path
        Where the file is.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        If an argument is not as described here.
    MissingDependencyError
        On import, if anndata is not installed.

    Examples
    --------
    >>> import tempfile, anndata
    >>> folder = tempfile.mkdtemp()
    >>> path = simulate_atlas(f"{folder}/atlas.h5ad", n_cells=50, n_genes=200, genes_per_cell=40, progress=False)
    >>> anndata.read_h5ad(path, backed="r").shape
    (50, 200)
    """
    path = Path(absolute("path", path))
    shape = AtlasShape(n_cells, n_genes, genes_per_cell, n_donors, n_types, seed)
    storage = Storage(compression, chunk_elements)
    if not path.parent.is_dir():
        message = f"path={str(path)!r} is in a folder that does not exist; create {str(path.parent)!r} first."
        raise ArgumentValueError(message)
    design = design_atlas(shape)
    with (
        replacing(path) as temporary,
        h5py.File(temporary, "w") as file,
        progress_bar("Simulating cells", n_cells, visible=progress) as advance,
    ):
        matrix = CsrWriter(file.create_group("X"), storage)
        totals = []
        for block in _sampled(design):
            matrix.append(block)
            totals.append(block.totals)
            advance(len(block.totals))
        matrix.finish(n_genes)
        write_annotations(file, _cell_table(design, np.concatenate(totals)), _gene_table(n_genes))
    return path


def _sampled(design: AtlasDesign) -> Iterator[CellCounts]:
    """Yield the blocks of an atlas in order, while threads work on the ones that follow."""
    pending: deque[Future[CellCounts]] = deque()
    with ThreadPoolExecutor(_N_THREADS) as threads:
        for block in _blocks(design):
            pending.append(threads.submit(_sample, design, block))
            if len(pending) > _N_THREADS:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _blocks(design: AtlasDesign) -> Iterator[Run]:
    """Cut the runs of an atlas into blocks of bounded memory."""
    n_cells = max(1, int(_BURSTS_PER_BLOCK / max(1.0, design.bursts.mean())))
    for run in design.runs():
        for start in range(run.start, run.stop, n_cells):
            yield replace(run, start=start, stop=min(start + n_cells, run.stop))


def _sample(design: AtlasDesign, block: Run) -> CellCounts:
    """Sample the counts of one block."""
    bursts = design.bursts[block.start : block.stop]
    return sample_cells(design.expression(block), bursts, design.key, block.start, BURST_PARAMETER)


def _cell_table(design: AtlasDesign, totals: NDArray[np.int64]) -> pd.DataFrame:
    """Return ``obs``."""
    n_donors, n_types = design.sizes.shape
    donors, types = (np.repeat(codes.ravel(), design.sizes.ravel()) for codes in np.indices(design.sizes.shape))
    return pd.DataFrame(
        {
            "donor": pd.Categorical.from_codes(donors, pd.Index(_names("donor", n_donors))),
            "cell_type": pd.Categorical.from_codes(types, pd.Index(_names("type", n_types))),
            "n_counts": totals.astype(np.float32),
        },
        index=_names("cell", len(totals)),
    )


def _gene_table(n_genes: int) -> pd.DataFrame:
    """Return ``var``: gene symbols, and identifiers that look like those of Ensembl."""
    ids = [f"ENSG{gene:011d}" for gene in range(n_genes)]
    return pd.DataFrame({"gene_ids": ids}, index=_names("gene", n_genes))


def _names(prefix: str, n: int) -> list[str]:
    """Return ``n`` names that sort in their order."""
    width = len(str(n - 1))
    return [f"{prefix}_{i:0{width}d}" for i in range(n)]
