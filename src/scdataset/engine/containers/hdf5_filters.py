"""Filters of HDF5 that are decoded here, by their numbers."""

from importlib.util import find_spec

import h5py

from scdataset.engine.codecs.decoding import FilterOption

__all__ = ["claims_of", "filters_of"]

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

_CLAIMED_NAMES = {**_FILTER_NAMES, h5py.h5z.FILTER_SZIP: "szip", 307: "bzip2", 32026: "blosc2"}
"""Filters whose output can be bounded, whoever decodes them."""

_SIZES = {h5py.h5z.FILTER_NBIT: (2, 4), h5py.h5z.FILTER_SCALEOFFSET: (2, 4)}
"""Filters that give the bytes that their own values say: which of these are the elements, and the bytes of one."""

_FIRST_PLUGIN = 32000
"""Filters from this number on take numcodecs, or a plugin of HDF5 where there is one."""

_NO_NUMCODECS = find_spec("numcodecs") is None


def filters_of(properties: h5py.h5p.PropDCID) -> tuple[tuple[str, FilterOption], ...] | None:
    """Return the filters of a dataset, or None if one of them is not known here."""
    filters = []
    for number in range(properties.get_nfilters()):
        code, _, values, _ = properties.get_filter(number)
        if code not in _FILTER_NAMES or (code >= _FIRST_PLUGIN and _NO_NUMCODECS and h5py.h5z.filter_avail(code)):
            return None
        filters.append((_FILTER_NAMES[code], values))
    return tuple(filters)


def claims_of(properties: h5py.h5p.PropDCID) -> tuple[tuple[str, FilterOption], ...]:
    """Return the filters of a dataset as `codecs.unpacking` calls them; one it does not know, by name and number."""
    return tuple(_claim(*properties.get_filter(number)) for number in range(properties.get_nfilters()))


def _claim(code: int, _: int, values: tuple[int, ...], name: bytes) -> tuple[str, FilterOption]:
    if code in _SIZES:
        elements, item = _SIZES[code]
        return "sized", values[elements] * values[item] if len(values) > item else 0
    return _CLAIMED_NAMES.get(code, f"the filter {name.decode(errors='replace')!r} ({code})"), values
