"""Read files of every layout while reads fail; run with the library of failing_reads.c preloaded."""

import ctypes
import json
import sys

import numpy as np
import pyarrow as pa

from scdataset import DamagedFileError, ScDatasetError, open_collection

ROWS = np.random.default_rng(0).integers(0, 60, 200)


def dense(batch):
    matrix = batch["X"]
    return matrix if isinstance(matrix, np.ndarray) else matrix.toarray()


def outcome(path, options, expected, error, every):
    """Tell what came of reading a file while every so many reads failed: ``"right"``, ``"wrong"``, or the error."""
    fail_reads = ctypes.CDLL(None).fail_reads
    cells = open_collection(path, **options)
    fail_reads(error, every)
    try:
        return "right" if np.array_equal(dense(cells.read(ROWS)), expected) else "wrong"
    except DamagedFileError as damaged:
        return f"damaged: {damaged}"
    except Exception as raw:  # noqa: BLE001 any other is what is looked for
        return f"raw: {type(raw).__name__}: {raw}"
    finally:
        fail_reads(0, 0)
        cells.close()


def opened_outcome(path, options, error):
    """Tell what came of opening and reading a file while every read of it failed."""
    shim = ctypes.CDLL(None)
    shim.fail_below(path.encode())
    try:
        shim.fail_reads(error, 1)
        dense(open_collection(path, **options).read(ROWS))
    except ScDatasetError as refused:
        return f"{type(refused).__name__}: {refused}"
    except Exception as raw:  # noqa: BLE001 any other is what is looked for
        return f"raw: {type(raw).__name__}: {raw}"
    else:
        return "no error"
    finally:
        shim.fail_reads(0, 0)
        shim.fail_below(b"/")


def main(cases, others, faults):
    pa.set_cpu_count(1)
    found = {}
    for name, (path, options) in cases.items():
        with open_collection(path, **options) as cells:
            expected = dense(cells.read(ROWS))
        for error, every in faults:
            found[f"{name} {error}"] = outcome(path, options, expected, error, every)
    for name, (path, options) in {**cases, **others}.items():
        for error in {error for error, every in faults if every == 1}:
            found[f"opening {name} {error}"] = opened_outcome(path, options, error)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(*json.loads(sys.argv[1]))
