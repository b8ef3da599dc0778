"""References to the strings of variable length that HDF5 keeps in heaps: a length, and where the string lies.

The library takes memory for a length before it looks at the string: four gigabytes for one that is damaged. Arrays and
attributes have these references where their values would be; see "Variable-length" in
https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html.
"""

import math
import re
import struct

import numpy as np

__all__ = ["NOWHERE", "REFERENCE", "damaged_attributes"]

REFERENCE = np.dtype([("length", "<u4"), ("address", "<u8"), ("number", "<u4")])
"""In files whose addresses have eight bytes, as nearly all have."""

NOWHERE = struct.pack("<IQ", 1, (1 << 64) - 1)
"""How a reference begins that the library refuses: of one byte, at an address that no file has."""

_TYPE = b"\x01\x00\x00\x00\x00\x00\x08\x00"
"""How the type of a string of bytes ends."""

_ATTRIBUTE = re.compile(
    rb"[\x19\x39\x49][\x00-\x01].\x00\x10\x00\x00\x00"  # references of 16 bytes,
    rb"[\x10\x30\x40].{3}"
    + _TYPE  # to bytes
    + rb"(?:\x00{4}(?P<old>\x01[\x00-\x20][\x00-\x01]\x00{5})|(?P<new>\x02[\x00-\x20][\x00-\x01][\x00-\x01]))",
    re.DOTALL,
)
"""An attribute in an object header: its type, and the first bytes of its shape in either version."""


def damaged_attributes(block: bytes, most: int) -> list[int]:
    """Return where in a block of metadata an attribute refers to a string of more than ``most`` bytes."""
    if _TYPE not in block:
        return []
    return [place for found in _ATTRIBUTE.finditer(block) for place in _too_long(block, found, most)]


def _too_long(block: bytes, found: re.Match[bytes], most: int) -> list[int]:
    """Return where the references of an attribute are that are too long, as far as it is in the block."""
    shape = found["old"] or found["new"]
    n_axes, has_maximum = shape[1], shape[2]
    ends = found.end() + 8 * n_axes
    sizes = [int.from_bytes(block[at : at + 8], "little") for at in range(found.end(), ends, 8)]
    start = ends + 8 * n_axes * has_maximum
    n = min(math.prod(sizes), max(len(block) - start, 0) // REFERENCE.itemsize)
    lengths = struct.unpack_from(f"<{4 * n}I", block, start)[::4]
    return [start + REFERENCE.itemsize * i for i, length in enumerate(lengths) if length > most]
