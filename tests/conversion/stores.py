"""Converted stores: their options, their bytes, and matrices compared."""

from pathlib import Path

import numpy as np
import scipy.sparse

SMALL = {"chunk_size": 1024, "shard_size": 2048, "progress": False, "shuffle": True, "obs": ["text"]}


def gene_names(numbers):
    return [f"gene{number}" for number in numbers]


def content(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()
    }


def same_matrix(got, expected):
    got, expected = (one.toarray() if scipy.sparse.issparse(one) else np.asarray(one) for one in (got, expected))
    np.testing.assert_array_equal(got, expected)
