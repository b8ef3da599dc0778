"""The content of a batch, as something that can be compared and counted."""

import hashlib
import pickle
from collections.abc import Iterable, Mapping
from typing import cast

import numpy as np
import scipy.sparse
import torch

from scdataset._types import RowData
from scdataset.collections import MultiIndexable

__all__ = ["content"]


def content(batch: RowData) -> str:
    """Return a digest of the values in a batch, the same for a tensor and for an array of the same values."""
    digest = hashlib.blake2b(digest_size=16)
    for part in _parts(batch):
        digest.update(part)
    return digest.hexdigest()


def _parts(value: RowData) -> Iterable[bytes]:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if scipy.sparse.issparse(value):
        csr = cast("scipy.sparse.csr_matrix", value).tocsr()
        value = [np.array(csr.shape), csr.indptr.astype(np.int64), csr.indices.astype(np.int64), csr.data]
    if isinstance(value, MultiIndexable):
        value = {name: value[name] for name in value.names or ()}
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        yield f"{value.dtype}{value.shape}".encode()
        yield value.tobytes()
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield f"{name}:".encode()
            yield from _parts(each)
    elif isinstance(value, (list, tuple)):
        yield f"{len(value)} of".encode()
        for each in value:
            yield from _parts(each)
    else:
        yield pickle.dumps(value)
