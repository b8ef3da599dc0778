"""Calls in the style of version 0.1, answered with the way to write them now."""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from numbers import Integral
from typing import Concatenate, Never, ParamSpec, TypeVar

from scdataset.errors import RemovedApiError

__all__ = ["answers_old_calls", "refuse_set_mode", "refuse_subset"]

P = ParamSpec("P")
Self = TypeVar("Self")

_OLD_ORDER = ("batch_size", "block_size", "fetch_factor", "shuffle", "drop_last")
_OLD_ONLY = ("block_size", "shuffle", "sort_before_fetch", "shuffle_before_yield")


def answers_old_calls(init: Callable[Concatenate[Self, P], None]) -> Callable[Concatenate[Self, P], None]:
    """Wrap the constructor so that a call without a strategy raises `RemovedApiError` with the new call."""

    @wraps(init)
    def wrapper(self: Self, /, *args: P.args, **kwargs: P.kwargs) -> None:
        names_strategy = "strategy" in kwargs or (len(args) > 1 and not isinstance(args[1], Integral))
        if not names_strategy or any(name in kwargs for name in _OLD_ONLY):
            raise RemovedApiError(_new_call(args[1:], kwargs))
        init(self, *args, **kwargs)

    return wrapper


def _new_call(positional: Sequence[object], named: Mapping[str, object]) -> str:
    old_positional = [value for value in positional if not hasattr(value, "get_indices")]
    given = {**dict(zip(_OLD_ORDER, old_positional, strict=False)), **named}
    given.pop("data_collection", None)
    given.pop("strategy", None)
    given.setdefault("fetch_factor", 1)  # as in version 0.1
    block_size = given.get("block_size", 1)
    kept = ", ".join(f"{name}={_as_written(value)}" for name, value in given.items() if name not in _OLD_ONLY)
    return (
        "scDataset needs a strategy, which says which rows come in what order; block_size, shuffle and the like are "
        f"the strategy's. Write scDataset(data, BlockShuffling(block_size={block_size!r}), {kept}) to train, and "
        f"scDataset(data, Streaming(), {kept}) to evaluate."
    )


def _as_written(value: object) -> str:
    return getattr(value, "__name__", repr(value))


def refuse_subset(batch_size: int, fetch_factor: int) -> Never:
    """Answer ``dataset.subset(indices)``."""
    message = (
        "subset() went away with version 0.2: rows are chosen by the strategy. Write scDataset(data, "
        f"BlockShuffling(block_size=8, indices=indices), batch_size={batch_size}, fetch_factor={fetch_factor}) to "
        f"train on them, and scDataset(data, Streaming(indices=indices), batch_size={batch_size}, "
        f"fetch_factor={fetch_factor}) to evaluate."
    )
    raise RemovedApiError(message)


def refuse_set_mode(mode: object, batch_size: int, fetch_factor: int) -> Never:
    """Answer ``dataset.set_mode(mode)``."""
    strategy = "Streaming()" if mode in ("eval", "test", "val") else "BlockShuffling(block_size=8)"
    message = (
        f"set_mode({mode!r}) went away with version 0.2: make one dataset for each use. Write scDataset(data, "
        f"{strategy}, batch_size={batch_size}, fetch_factor={fetch_factor}) in its place."
    )
    raise RemovedApiError(message)
