"""Opening of a file in a store, and some blocks of it, by h5py over s3fs.

python read_s3fs.py ENDPOINT NAME BLOCK N_BLOCKS
"""

import json
import sys
import time
import urllib.request

import h5py
import numpy as np
import s3fs


def _requests(endpoint: str) -> list[list[int]]:
    with urllib.request.urlopen(f"{endpoint}/bucket/_requests") as answer:  # noqa: S310 our own
        return list(json.loads(answer.read()))


def main() -> None:
    """Measure and print."""
    endpoint, name, block, n_blocks = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    _requests(endpoint)
    began = time.perf_counter()
    files = s3fs.S3FileSystem(anon=True, client_kwargs={"endpoint_url": endpoint})
    with files.open(f"bucket/{name}", "rb") as stream, h5py.File(stream) as file:
        data, indices, indptr = (file[f"X/{part}"] for part in ("data", "indices", "indptr"))
        pointers = indptr[:]
        opening, opening_requests = time.perf_counter() - began, len(_requests(endpoint))
        began = time.perf_counter()
        for start in np.random.default_rng(0).integers(0, pointers.size - 1 - block, n_blocks).tolist():
            part = slice(pointers[start], pointers[start + block])
            data[part], indices[part]
        seconds = time.perf_counter() - began
    asked = _requests(endpoint)
    print(  # noqa: T201
        json.dumps(
            {
                "version": s3fs.__version__,
                "opening": opening,
                "opening_requests": opening_requests,
                "seconds": seconds,
                "requests": len(asked),
                "bytes": sum(stop - start for _, start, stop in asked),
            }
        )
    )


if __name__ == "__main__":
    main()
