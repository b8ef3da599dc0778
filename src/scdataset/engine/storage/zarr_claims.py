"""What a chunk of zarr says of its own size, which zarr and numcodecs believe and take memory for.

A compressed chunk says how many bytes it holds, and a chunk of strings how many strings, in its first four bytes:
https://numcodecs.readthedocs.io/en/stable/other/vlen.html
"""

import math
import zlib
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from scdataset.engine.codecs import decode
from scdataset.engine.compressors import claimed_size
from scdataset.engine.storage.zarr_metadata import COMPRESSORS, named

__all__ = ["Claims", "most_bytes"]

_FREE, _RATIO = 1 << 28, 100
"""Bytes that any chunk may unpack to, and how many times as long as its stored bytes a longer one may be."""

_WINDOWS = {"gzip": 15, "gzip_file": 31}
"""Compressors that do not say how many bytes they hold, by the number by which zlib tells them."""

_COUNT = 4
"""Bytes of the number of strings."""


def most_bytes(n_stored: int) -> int:
    """Return how many bytes ``n_stored`` bytes may unpack to."""
    return max(_FREE, n_stored * _RATIO)


@dataclass(frozen=True, slots=True)
class Claims:
    """How to tell from the chunks of an array what they say.

    Attributes
    ----------
    compressor
        As `codecs` calls it; None for one that is not known here, and for none.
    n_strings
        Strings in a chunk; None for arrays of anything else, and for strings under a compressor that is not known.
    """

    compressor: str | None = None
    n_strings: int | None = None

    @classmethod
    def from_metadata(cls, metadata: dict[str, Any]) -> Self:
        """Read them in the metadata of an array, of any kind; none where these are damaged."""
        try:
            version_3 = metadata["zarr_format"] == 3
            grid = metadata["chunk_grid"]["configuration"]["chunk_shape"] if version_3 else metadata["chunks"]
            names = [named(codec)[0] for codec in metadata["codecs"]] if version_3 else _names(metadata)
            last = names[-1].removeprefix("numcodecs.")
            known = last in COMPRESSORS or last.startswith("vlen-")
            strings = known and names[0].startswith("vlen-") and len(names) <= 2
            return cls(COMPRESSORS.get(last), math.prod(grid) if strings else None)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError):
            return cls()

    def check(self, content: Any) -> None:
        """Raise if a chunk says that it holds more than it can.

        Raises
        ------
        ValueError
            With what it says.
        DamagedFileError
            If it cannot be decoded.
        """
        size = 0 if self.compressor is None else claimed_size(self.compressor, content)
        most = most_bytes(len(content))
        if size > most:
            message = f"it unpacks to {size} bytes from {len(content)}, where at most {most} can be"
            raise ValueError(message)
        if self.n_strings is not None:
            n_strings = int.from_bytes(self._first_bytes(content, size), "little")
            if n_strings > self.n_strings:
                message = f"it says it has {n_strings} strings, where a chunk has {self.n_strings}"
                raise ValueError(message)

    def _first_bytes(self, content: Any, size: int) -> bytes:
        if self.compressor in _WINDOWS:
            return zlib.decompressobj(_WINDOWS[self.compressor]).decompress(content, _COUNT)
        if self.compressor is None or size == 0:
            return bytes(content[:_COUNT])
        return decode(content, ((self.compressor, None),), 0, np.dtype("u1"), size)[:_COUNT].tobytes()


def _names(metadata: dict[str, Any]) -> list[str]:
    """Return the codecs of an array of version 2, in the order in which they encode."""
    compressor = metadata["compressor"]
    filters = [one["id"] for one in metadata.get("filters") or []]
    return [*filters, *([] if compressor is None else [compressor["id"]])]
