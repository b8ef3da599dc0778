"""Names for types that many signatures have."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "BytesLike", "DType", "Json", "RowData"]

Array = NDArray[Any]
"""An array of any type of elements."""

BytesLike = bytes | bytearray | memoryview | NDArray[np.uint8]
"""Bytes in a row, as libraries take and return them."""

DType = np.dtype[Any]
"""Any type of elements."""

Json = dict[str, object]
"""An object of JSON, or of what is saved or pickled as one: metadata, states, results of commands."""

RowData = object
"""Data with rows, as given or as read: an array, sparse matrix, frame, tensor, AnnData, or a list or dict of these.

They have no type in common, not even a protocol: `scdataset.collections.rows` has one way to treat them all, and code
that looks into one names the type that it expects.
"""
