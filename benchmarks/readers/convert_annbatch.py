"""Convert an h5ad file to annbatch's own store, shuffled, with its default settings."""

import json
import resource
import sys
import time
import warnings

import zarr
from annbatch import DatasetCollection

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"})
    source, target = sys.argv[1:]
    start = time.perf_counter()
    DatasetCollection(zarr.open_group(target, mode="a")).add_adatas(adata_paths=[source])
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(json.dumps({"seconds": time.perf_counter() - start, "memory": memory}))  # noqa: T201
