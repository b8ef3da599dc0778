"""Convert an h5ad file with scdataset.convert; the third argument is the number of values in a chunk."""

import json
import resource
import sys
import time
import warnings

import scdataset

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    source, target, chunk = sys.argv[1:]
    start = time.perf_counter()
    scdataset.convert(source, target, chunk_size=int(chunk), progress=False)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(json.dumps({"seconds": time.perf_counter() - start, "memory": memory}))  # noqa: T201
