"""Refuse hooks and batches that cannot be sent between processes.

A DataLoader worker pickles its batches in a background thread. If that fails, the thread prints a traceback and the
main process waits forever.
"""

import functools
import io
import types
from collections.abc import Iterator
from multiprocessing import parent_process
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
import torch
from torch.utils.data import get_worker_info

from scdataset._types import RowData
from scdataset.dataset.hooks import HOOK_ARGUMENTS, Hooks
from scdataset.errors import HookError

__all__ = ["refuse_hooks_that_cannot_be_sent", "refuse_what_cannot_be_pickled", "sendable"]


def refuse_hooks_that_cannot_be_sent(hooks: Hooks) -> None:
    """Raise if a hook is a function that a process that is being started could not import."""
    for name in HOOK_ARGUMENTS:
        function = _local_function(getattr(hooks, name))
        if function is not None:
            message = (
                f"{name} is {function.__qualname__} of {function.__module__}, which cannot be sent to DataLoader "
                "workers that are started by spawn or forkserver. Write it as a function at the top level of a module, "
                'with functools.partial for its options; or give the DataLoader multiprocessing_context="fork" or '
                "num_workers=0."
            )
            raise HookError(message)


def _local_function(hook: object) -> types.FunctionType | None:
    """Return a lambda or a function defined inside another, in a hook or in the arguments of a partial."""
    if isinstance(hook, functools.partial):
        bound = (hook.func, *hook.args, *hook.keywords.values())
        return next(filter(None, map(_local_function, bound)), None)
    if not isinstance(hook, types.FunctionType):
        return None
    return hook if any(word in hook.__qualname__ for word in ("<lambda>", "<locals>")) else None


def sendable(batches: Iterator[object], hooks: Hooks) -> Iterator[RowData]:
    """Yield the batches; in a worker process, raise at once if the first of them cannot be pickled."""
    if get_worker_info() is not None and parent_process() is not None:
        for batch in batches:
            refuse_what_cannot_be_pickled(batch, hooks)
            yield batch
            del batch  # which would keep its window alive
            break
    yield from batches


def refuse_what_cannot_be_pickled(batch: RowData, hooks: Hooks) -> None:
    """Raise if a batch that went through these hooks could not be sent from a worker."""
    try:
        _Trial(io.BytesIO()).dump(batch)
    except Exception as error:
        origin = next((name for name in reversed(HOOK_ARGUMENTS) if getattr(hooks, name)), "collection")
        message = (
            f"The {origin} gives batches of type {type(batch).__qualname__} that cannot be sent from a DataLoader "
            f"worker to the main process ({type(error).__name__}: {error}). Return arrays, tensors or other values "
            "that can be pickled, or use num_workers=0."
        )
        raise HookError(message) from error


class _Trial(ForkingPickler):
    """A pickler that leaves out the content of arrays and tensors, which is large and can always be sent."""

    def reducer_override(self, value: object) -> Any:
        if isinstance(value, torch.Tensor):
            if value.requires_grad and not value.is_leaf:
                message = "a tensor that requires gradients; return tensor.detach()"
                raise TypeError(message)
            return int, ()
        if isinstance(value, np.ndarray) and not value.dtype.hasobject:
            return int, ()
        return NotImplemented
