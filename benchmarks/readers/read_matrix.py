"""Loops over collections of every kind through scDataset: the package here, or the one on PyPI, whichever there is.

Each line of the input is JSON: a collection, a strategy, a batch size and for how many seconds to read. Each is
answered with a line of JSON: the rows of an epoch and the seconds that it takes, or the error.
"""

import importlib.util
import json
import sys
import time
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import scipy.sparse
import torch

from scdataset import (
    BlockShuffling,
    BlockWeightedSampling,
    ClassBalancedSampling,
    MultiIndexable,
    Streaming,
    scDataset,
)

N, WIDTH, GENES = 100_000, 64, 2_000


def make(folder: Path) -> None:
    """Write the files that collections are made of."""
    folder.mkdir(parents=True, exist_ok=True)
    dense = np.random.default_rng(0).random((N, WIDTH), dtype=np.float32)
    np.save(folder / "dense.npy", dense)
    with h5py.File(folder / "dense.h5", "w") as file:
        file["contiguous"] = dense
        file.create_dataset("chunked", data=dense, chunks=(256, WIDTH))
    sparse = scipy.sparse.random(N, GENES, 0.05, "csr", dtype=np.float32, random_state=0)
    obs = pd.DataFrame({"label": np.arange(N) % 10}, index=np.arange(N).astype(str))
    anndata.AnnData(sparse, obs=obs).write_h5ad(folder / "cells.h5ad")


def _to_memory(window: Any) -> Any:
    return window.to_memory()


def _matrix(cells: Any) -> Any:
    return cells.X


def _rows_of_frame(frame: Any, rows: Any) -> Any:
    return frame.iloc[rows]


def _part_of_frame(frame: Any, rows: Any) -> Any:
    return frame.iloc[rows]


def _pair(fetched: Any) -> Any:
    return MultiIndexable(X=fetched, y=fetched[:, 0])


def _hugging_face(folder: Path) -> Any:
    import datasets  # noqa: PLC0415 not everywhere

    return datasets.Dataset.from_dict({"x": np.load(folder / "dense.npy")[:20_000]}).with_format("numpy")


Source = tuple[Callable[[Path], Any], dict[str, Any]]

COLLECTIONS: dict[str, Source] = {
    "numpy": (lambda folder: np.load(folder / "dense.npy"), {}),
    "torch": (lambda folder: torch.from_numpy(np.load(folder / "dense.npy")), {}),
    "memmap": (lambda folder: np.load(folder / "dense.npy", mmap_mode="r"), {}),
    "h5py contiguous": (lambda folder: h5py.File(folder / "dense.h5")["contiguous"], {}),
    "h5py chunked": (lambda folder: h5py.File(folder / "dense.h5")["chunked"], {}),
    "csr": (lambda folder: anndata.read_h5ad(folder / "cells.h5ad").X, {}),
    "pandas": (
        lambda folder: pd.DataFrame(np.load(folder / "dense.npy")[:, :8]),
        {"fetch_callback": _rows_of_frame, "batch_callback": _part_of_frame},
    ),
    "AnnData": (lambda folder: anndata.read_h5ad(folder / "cells.h5ad"), {"batch_transform": _matrix}),
    "backed AnnData": (
        lambda folder: anndata.read_h5ad(folder / "cells.h5ad", backed="r"),
        {"fetch_transform": _to_memory, "batch_transform": _matrix},
    ),
    "MultiIndexable": (lambda folder: MultiIndexable(X=np.load(folder / "dense.npy"), y=np.arange(N)), {}),
    "MultiIndexable by transform": (lambda folder: np.load(folder / "dense.npy"), {"fetch_transform": _pair}),
}
if importlib.util.find_spec("datasets"):
    COLLECTIONS["Hugging Face"] = (_hugging_face, {})

STRATEGIES: dict[str, Callable[[int], Any]] = {
    "Streaming": lambda _: Streaming(),
    "BlockShuffling(1)": lambda _: BlockShuffling(1),
    "BlockShuffling(16)": lambda _: BlockShuffling(16),
    "BlockShuffling(64)": lambda _: BlockShuffling(64),
    "BlockWeightedSampling(16)": lambda n: BlockWeightedSampling(16, weights=1.0 + np.arange(n) % 7, total_size=n),
    "ClassBalancedSampling(16)": lambda n: ClassBalancedSampling(np.arange(n) % 10, 16, total_size=n),
}


@cache
def _collection(name: str, folder: Path) -> Any:
    return COLLECTIONS[name][0](folder)


def measure(folder: Path, name: str, strategy: str, batch_size: int, seconds: float) -> dict[str, Any]:
    """Read batches for so many seconds, or an epoch, and return the rows of an epoch and the seconds that it takes.

    Those are the seconds to the first batch, in which an order may be drawn, and the seconds of as many batches like
    those that were read as make up the rest of the epoch.
    """
    data = _collection(name, folder)
    n_rows = data.shape[0] if hasattr(data, "shape") else len(data)
    dataset = scDataset(data, STRATEGIES[strategy](n_rows), batch_size, **COLLECTIONS[name][1])
    begun = time.perf_counter()
    batches = iter(dataset)
    next(batches)
    n_batches, start = 0, time.perf_counter()
    for _ in batches:
        n_batches += 1
        if not n_batches % 16 and time.perf_counter() - start > seconds:
            break
    each = (time.perf_counter() - start) / n_batches
    return {"rows": n_rows, "seconds": start - begun + each * (n_rows / batch_size - 1)}


def main() -> None:
    """Answer line by line."""
    warnings.simplefilter("ignore")
    folder = Path(sys.argv[1])
    for line in sys.stdin:
        try:
            answer = measure(folder, **json.loads(line))
        except Exception as error:  # noqa: BLE001 told to the one who asks
            answer = {"error": f"{type(error).__name__}: {str(error)[:200]}"}
        print(json.dumps(answer), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
