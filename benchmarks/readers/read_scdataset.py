"""Batches of h5ad through scDataset: the package here, or the one on PyPI, whichever the environment has.

``how`` is ``engine`` (open_collection), ``backed`` (a backed AnnData, CSR out), ``workers`` (the same through two
worker processes of a DataLoader), or ``dense`` (a backed AnnData, window to memory, batch to a dense float32 tensor).
"""

import warnings
from typing import Any

import anndata
import torch
from clock import BATCH, WINDOW, arguments, report
from torch.utils.data import DataLoader

from scdataset import BlockShuffling, scDataset


def _to_csr(window: Any) -> Any:
    return window.to_memory().X


def _to_memory(window: Any) -> Any:
    return window.to_memory()


def _to_dense(batch: Any) -> Any:
    return torch.from_numpy(batch.X.toarray())


HOOKS: dict[str, dict[str, Any]] = {
    "engine": {},
    "backed": {"fetch_transform": _to_csr},
    "workers": {"fetch_transform": _to_csr},
    "dense": {"fetch_transform": _to_memory, "batch_transform": _to_dense},
}


def main() -> None:
    """Measure."""
    warnings.simplefilter("ignore")
    asked = arguments()
    if asked.how == "engine":
        from scdataset import open_collection  # noqa: PLC0415 only here, not on PyPI

        data = open_collection(asked.path, obs=["cell_type"])
    else:
        data = anndata.read_h5ad(asked.path, backed="r")
    strategy = BlockShuffling(block_size=asked.block)
    dataset = scDataset(data, strategy, BATCH, WINDOW // BATCH, seed=0, **HOOKS[asked.how])
    workers = {"num_workers": 2, "prefetch_factor": WINDOW // BATCH} if asked.how == "workers" else {}
    batches = DataLoader(dataset, batch_size=None, **workers) if workers else dataset
    n_rows = len if asked.how == "engine" else _n_rows
    report(lambda: batches, n_rows, asked.skip, asked.count)


def _n_rows(batch: Any) -> int:
    return int(batch.shape[0])


if __name__ == "__main__":
    main()
