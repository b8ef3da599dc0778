"""Convert an h5ad file to cellstream's own store, a frame a cell, with its default settings."""

import json
import resource
import sys
import time
import warnings
from pathlib import Path

import cellstream

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    source, target = sys.argv[1:]
    start = time.perf_counter()
    cellstream.write_sharded(source, target, layout="cell")
    Path(f"{target}.lock").unlink(missing_ok=True)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(json.dumps({"seconds": time.perf_counter() - start, "memory": memory}))  # noqa: T201
