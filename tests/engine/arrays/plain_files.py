"""Arrays in files of their own bytes."""

import numpy as np

from scdataset.engine.arrays.stored_arrays import PlainArray
from scdataset.engine.bytes.local import LocalFile


def plain_array(path, values, chunk):
    """Write the chunks of an array in reverse order, and return the array."""
    values = np.asarray(values)
    starts = range(0, values.size, chunk)
    path.write_bytes(b"".join(values[start : start + chunk].tobytes() for start in reversed(starts)))
    sizes = [values[start : start + chunk].nbytes for start in starts]
    offsets = np.array([sum(sizes[number + 1 :]) for number in range(len(sizes))])
    return PlainArray(LocalFile(str(path)), path.name, values.dtype, chunk, offsets)
