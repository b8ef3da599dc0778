"""Filters of HDF5 that are decoded here, by their numbers."""

from importlib.util import find_spec
from typing import Any

import h5py

__all__ = ["filters_of"]

_FILTER_NAMES = {
    h5py.h5z.FILTER_DEFLATE: "gzip",
    h5py.h5z.FILTER_SHUFFLE: "shuffle",
    h5py.h5z.FILTER_FLETCHER32: "fletcher32",
    h5py.h5z.FILTER_LZF: "lzf",
    32001: "blosc",
    32004: "lz4_frames",
    32008: "bitshuffle",
    32015: "zstd",
}
"""Filters that are decoded here, by the numbers that are registered for them; any other sends the dataset through h5py:
https://github.com/HDFGroup/hdf5_plugins/blob/master/docs/RegisteredFilterPlugins.md"""

_FIRST_PLUGIN = 32000
"""Filters from this number on take numcodecs, or a plugin of HDF5 where there is one."""

_NO_NUMCODECS = find_spec("numcodecs") is None


def filters_of(properties: h5py.h5p.PropDCID) -> tuple[tuple[str, Any], ...] | None:
    """Return the filters of a dataset, or None if one of them is not known here."""
    filters = []
    for number in range(properties.get_nfilters()):
        code, _, values, _ = properties.get_filter(number)
        if code not in _FILTER_NAMES or (code >= _FIRST_PLUGIN and _NO_NUMCODECS and h5py.h5z.filter_avail(code)):
            return None
        filters.append((_FILTER_NAMES[code], values))
    return tuple(filters)
