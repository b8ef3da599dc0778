"""Names for types that many signatures have."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "DType"]

Array = NDArray[Any]
"""An array of any type of elements."""

DType = np.dtype[Any]
"""Any type of elements."""
