"""Batches of annbatch's own store through its loader, with the codec pipeline that it recommends."""

import warnings

import anndata
import numpy as np
import zarr
from annbatch import DatasetCollection, Loader
from clock import BATCH, WINDOW, arguments, report


def _matrix_and_label(group: zarr.Group) -> anndata.AnnData:
    obs = anndata.io.read_elem(group["obs"])[["cell_type"]]
    return anndata.AnnData(X=anndata.io.sparse_dataset(group["X"]), obs=obs)


def main() -> None:
    """Measure."""
    warnings.simplefilter("ignore")
    zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"})
    asked = arguments()
    loader = Loader(
        batch_size=BATCH,
        chunk_size=asked.block,
        preload_nchunks=WINDOW // asked.block,
        shuffle=True,
        rng=np.random.default_rng(0),
    )
    with anndata.settings.override(remove_unused_categories=False):
        loader.use_collection(DatasetCollection(asked.path, mode="r"), load_adata=_matrix_and_label)
    report(lambda: loader, lambda batch: batch["X"].shape[0], asked.skip, asked.count)


if __name__ == "__main__":
    main()
