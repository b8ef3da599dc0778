"""Arrays in files of their own bytes, and spans that are read of arrays of all kinds."""

import operator

import numpy as np

from scdataset.engine.arrays.spans import ANY, Spans
from scdataset.engine.arrays.stored_arrays import PlainArray
from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.threads import Threads

SPANS = Spans(np.array([1, 3]), np.array([5, 7]), np.array([7, 0]))


def plain_array(path, values, chunk):
    """Write the chunks of an array in reverse order, and return the array."""
    values = np.asarray(values)
    starts = range(0, values.size, chunk)
    path.write_bytes(b"".join(values[start : start + chunk].tobytes() for start in reversed(starts)))
    sizes = [values[start : start + chunk].nbytes for start in starts]
    offsets = np.array([sum(sizes[number + 1 :]) for number in range(len(sizes))])
    return PlainArray(LocalFile(str(path)), path.name, values.dtype, chunk, offsets)


def read_spans(array):
    """Return the elements of `SPANS`, in their places among zeros."""
    out = np.zeros(12, array.dtype)
    Threads(2).run(operator.call, array.tasks(SPANS, out, ANY, 3))
    return out.tolist()
