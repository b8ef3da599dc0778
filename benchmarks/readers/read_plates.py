"""Batches of several plates through scDataset: the package here, or the one on PyPI, whichever the environment has.

``how`` is ``files`` (open_collection of the h5ad files), ``anncollection`` (an AnnCollection of backed AnnData), or
``lists`` (a saved Hugging Face data set whose rows are lists of genes and values): by open_collection here, and by
datasets with ``hf_tahoe_to_tensor`` there. With the rate comes a digest of the first batches: the sum of each cell.
"""

import hashlib
import warnings
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from clock import BATCH, WINDOW, arguments, report

from scdataset import BlockShuffling, scDataset

N_GENES = 62_710


def _files(folder: Path) -> Any:
    return sorted(str(path) for path in folder.glob("plate*.h5ad"))


def _collection(how: str, folder: Path) -> tuple[Any, dict[str, Any]]:
    """Return what is read, and the hooks of the script."""
    if how == "files":
        from scdataset import open_collection  # noqa: PLC0415 only here, not on PyPI

        return open_collection(_files(folder)), {"batch_transform": lambda batch: batch["X"]}
    if how == "anncollection":
        import anndata  # noqa: PLC0415 as below, only where it is read
        from anndata.experimental import AnnCollection  # noqa: PLC0415

        plates = [anndata.read_h5ad(path, backed="r") for path in _files(folder)]
        whole = AnnCollection(plates, join_obs="inner", index_unique="-")
        return whole, {"fetch_transform": lambda window: window.to_adata().X}
    if how == "lists":
        from scdataset import open_collection  # noqa: PLC0415 only here, not on PyPI

        return open_collection(folder / "lists", gene_table=N_GENES), {"batch_transform": lambda batch: batch["X"]}
    import datasets  # noqa: PLC0415

    from scdataset.transforms import hf_tahoe_to_tensor  # noqa: PLC0415

    lists = datasets.load_from_disk(str(folder / "lists"))
    return lists, {
        "fetch_callback": lambda data, rows: data[np.asarray(rows).tolist()],
        "fetch_transform": lambda columns: [
            {"genes": genes, "expressions": values}
            for genes, values in zip(columns["genes"], columns["expressions"], strict=True)
        ],
        "batch_callback": lambda window, rows: hf_tahoe_to_tensor([window[row] for row in rows]),
    }


def _digest(batches: Any) -> str:
    digest = hashlib.sha256()
    for batch in islice(batches, 20):
        sums = batch.sum(dim=1).numpy() if hasattr(batch, "numpy") else np.asarray(batch.sum(axis=1)).ravel()
        digest.update(np.rint(sums).astype(np.int64).tobytes())
    return digest.hexdigest()[:16]


def main() -> None:
    """Measure."""
    warnings.simplefilter("ignore")
    asked = arguments()
    data, hooks = _collection(asked.how, Path(asked.path))
    dataset = scDataset(data, BlockShuffling(block_size=asked.block), BATCH, WINDOW // BATCH, seed=0, **hooks)
    first = _digest(dataset) if asked.how != "tensors" else ""
    report(lambda: dataset, lambda batch: int(batch.shape[0]), asked.skip, asked.count, digest=first)


if __name__ == "__main__":
    main()
