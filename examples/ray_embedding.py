"""Embed every cell with a model, by actors of Ray Data, write it as Parquet and as obsm; and add up all counts.

    pip install 'ray[data]>=2.60'
    python examples/ray_embedding.py
    python examples/ray_embedding.py --actors 8 --gpus 1 --data /shared/atlas.h5ad --out /shared/embedding

Data are a simulated atlas of 2,000 cells unless you give your own, which every node has to see under the same path. The
model stands for one that you trained: load its weights in ``Embed``. An actor that is lost is replaced, and its cells
are embedded again.
"""

import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray
import torch

from scdataset import open_collection
from scdataset.integrations.ray import read_cells, to_csr
from scdataset.simulation import simulate_atlas
from scdataset.transforms import Compose, Log1p, NormalizeTotal

SIZE = 16


class Embed:
    """A model that an actor loads once."""

    def __init__(self, n_vars: int) -> None:
        torch.manual_seed(0)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model = torch.nn.Linear(n_vars, SIZE).to(self.device)
        self.transform = Compose(NormalizeTotal(1e4), Log1p())

    def __call__(self, batch: pa.Table) -> dict[str, Any]:
        """Return the numbers of the cells of a batch, and their embedding."""
        counts = torch.from_numpy(self.transform(to_csr(batch)).toarray())
        with torch.inference_mode():
            embedded = self.model(counts.to(self.device)).cpu().numpy()
        return {"row": batch["row"].to_numpy(), "X_emb": list(embedded)}


def gene_totals(batch: pa.Table) -> dict[str, Any]:
    """Return the counts of each gene in a batch: sums of batches add up."""
    return {"total": [to_csr(batch).sum(axis=0, dtype=np.float64).A1]}


def main() -> None:
    """Embed, write, and add up."""
    parser = ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--actors", type=int, default=1, help="processes with a model")
    parser.add_argument("--gpus", type=float, default=0, help="GPUs of each")
    parser.add_argument("--data", help="cells, under a path that all nodes see")
    parser.add_argument("--out", help="folder or bucket for Parquet, which all nodes see")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.data or str(simulate_atlas(Path(folder) / "atlas.h5ad", n_cells=2000))
        out = options.out or str(Path(folder) / "embedding")
        collection = open_collection(path)
        cells = read_cells(path)
        embedded = cells.map_batches(
            Embed,
            fn_constructor_args=(collection.n_vars,),
            compute=ray.data.ActorPoolStrategy(size=options.actors),
            batch_format="pyarrow",
            batch_size=1024,
            num_gpus=options.gpus,
        )
        embedded.write_parquet(out)
        totals = sum(part["total"] for part in cells.map_batches(gene_totals, batch_format="pyarrow").iter_rows())
        table = pq.read_table(out).sort_by("row")
        embedding = np.stack(table["X_emb"].to_numpy())
        if options.data is None:  # your own files stay as they are
            collection.write_obsm("X_emb", embedding)
        print(f"{len(embedding):,} cells embedded in {embedding.shape[1]} numbers each")
        print(f"{np.sum(totals):,.0f} counts, most of {collection.var_names[np.argmax(totals)]}")
    ray.shutdown()


if __name__ == "__main__":
    main()
