"""The one place where functions are compiled to machine code."""

import hashlib
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import TypeVar, cast

import numba
import numpy as np

__all__ = ["COMPILES", "compiled"]

COMPILES: bool = not numba.config.DISABLE_JIT
"""Whether functions are compiled: with ``NUMBA_DISABLE_JIT=1`` they run as Python, slower and with equal results."""

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile ``function`` on first call, without the GIL, and keep the code on disk.

    Numba keeps compiled code for as long as the function's own file is unchanged, although it holds the constants and
    functions of other files too. The fingerprint in the name makes code kept by another version of this package miss.
    """
    if not COMPILES:
        return _wrapping(function)
    function.__qualname__ += f"_{_fingerprint()}"
    return numba.njit(cache=True, nogil=True)(function)  # type: ignore[no-any-return]


def _wrapping(function: F) -> F:
    """Return the function with integers that wrap around in silence, as they do in machine code."""

    @wraps(function)
    def wrapped(*args: object) -> object:
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            return function(*args)

    return cast("F", wrapped)


@cache
def _fingerprint() -> str:
    digest = hashlib.blake2b(digest_size=6)
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        source = path.read_bytes()
        if b"_compiled" in source or b"numba" in source:
            digest.update(source)
    return digest.hexdigest()
