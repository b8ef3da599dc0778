"""Arrays by their addresses, so that one compiled loop goes over arrays that many objects own.

Whoever passes an address on keeps the array alive, and passes it to no other process.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from scdataset._types import Array

__all__ = ["address_of", "pointer"]


def address_of(array: Array) -> int:
    """Return the address of the first byte of a C-contiguous array."""
    address: int = array.__array_interface__["data"][0]
    return address


@intrinsic  # type: ignore[untyped-decorator]
def pointer(typing_context: Any, address: Any) -> Any:  # noqa: ARG001 what numba calls it with
    """Return an address as a pointer, for ``numba.carray`` in compiled functions."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:  # noqa: ARG001 as above
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.intp), generate
