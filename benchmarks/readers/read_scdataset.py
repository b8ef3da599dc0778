"""Batches of h5ad through scDataset: the package here, or the one on PyPI, whichever the environment has.

``how`` is one of these, with a dash and the batch size if that is not 64:

    engine    open_collection, CSR out
    tensors   open_collection, batch to a dense float32 tensor by ToTorch
    toarray   open_collection, batch to a dense float32 tensor by scipy
    genes     open_collection of 2,000 genes, normalised and logged, batch to a dense float32 tensor
    chosen    open_collection of 2,000 genes, CSR out
    backed    a backed AnnData, CSR out
    workers   the same through two worker processes of a DataLoader
    dense     a backed AnnData, window to memory, batch to a dense float32 tensor by scipy
    bare      the last step of that alone, over and over with the batches of a window in memory: what no loader can save
"""

import warnings
from itertools import islice
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
    "backed": {"fetch_transform": _to_csr},
    "workers": {"fetch_transform": _to_csr},
    "dense": {"fetch_transform": _to_memory, "batch_transform": _to_dense},
}


def _opened(path: str, how: str) -> tuple[Any, dict[str, Any]]:
    """Return the collection and the hooks."""
    if how in HOOKS:
        return anndata.read_h5ad(path, backed="r"), HOOKS[how]
    # Only here, not on PyPI.
    from scdataset import open_collection  # noqa: PLC0415
    from scdataset.transforms import Compose, Log1p, NormalizeTotal, ToTorch  # noqa: PLC0415

    of_genes = how in ("genes", "chosen")
    genes = open_collection(path).var.index[::31][:2_000] if of_genes else None
    hooks: dict[str, dict[str, Any]] = {
        "tensors": {"batch_transform": ToTorch()},
        "toarray": {"batch_transform": lambda batch: torch.from_numpy(batch["X"].toarray())},
        "genes": {"fetch_transform": Compose(NormalizeTotal(1e4), Log1p()), "batch_transform": ToTorch()},
    }
    return open_collection(path, obs=["cell_type"], genes=genes), hooks.get(how, {})


def main() -> None:
    """Measure."""
    warnings.simplefilter("ignore")
    asked = arguments()
    how, _, size = asked.how.partition("-")
    batch_size = int(size or BATCH)
    data, hooks = _opened(asked.path, how)
    dataset = scDataset(data, BlockShuffling(asked.block), batch_size, WINDOW // batch_size, seed=0, **hooks)
    workers = {"num_workers": 2, "prefetch_factor": WINDOW // BATCH} if how == "workers" else {}
    batches = DataLoader(dataset, batch_size=None, **workers) if workers else dataset
    if how == "bare":
        kept = [batch["X"] for batch in islice(dataset, WINDOW // batch_size)]
        report(lambda: (torch.from_numpy(matrix.toarray()) for matrix in kept), _n_rows, asked.skip, asked.count)
        return
    report(lambda: batches, _n_rows, asked.skip, asked.count)


def _n_rows(batch: Any) -> int:
    cells = batch["X"] if hasattr(batch, "keys") else batch
    return int(cells.shape[0])


if __name__ == "__main__":
    main()
