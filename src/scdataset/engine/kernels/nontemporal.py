"""A store instruction that goes past the cache.

Ordinary stores first read the old bytes into the cache. A window is larger than the cache and written once, so
this read and the room in the cache are wasted: without them rows are copied about 1.4 times as fast. Whatever hands a
window to another thread, a lock or a queue, also waits for these stores.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["STEP", "copy_nontemporal"]

STEP = 32
"""Bytes that are copied at once; the target is a multiple of it."""


@intrinsic  # type: ignore[untyped-decorator]
def copy_nontemporal(typing_context: Any, target: Any, origin: Any) -> Any:  # noqa: ARG001 what numba calls it with
    """Copy 32 bytes from address ``origin`` to address ``target``, a multiple of 32."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        vector = ir.VectorType(ir.IntType(8), STEP).as_pointer()
        to, of = (builder.inttoptr(address, vector) for address in arguments)
        store = builder.store(builder.load(of, align=1), to, align=STEP)
        store.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), generate
