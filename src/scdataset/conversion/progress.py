"""Progress of a conversion: a bar with rate and remaining time, or log lines where there is no terminal."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from scdataset._progress import live_bar

__all__ = ["Bar", "no_bar", "rate_bar"]

Bar = Callable[..., AbstractContextManager[Callable[[int], None]]]
"""Shows how far something is, given its description, its number of cells or other units, and their name."""

_SECONDS = 1.0
"""Between two looks, and before the first: nothing is shown of something shorter."""


@contextmanager
def rate_bar(description: str, total: int, unit: str = "cells") -> Iterator[Callable[[int], None]]:
    """Show a bar with the units a second while the context lasts; call the yielded function with more of them."""
    begun = shown = time.monotonic()
    done = waiting = 0
    with ExitStack() as stack:
        show: Callable[[int, str], None] | None = None

        def advance(steps: int) -> None:
            nonlocal show, shown, done, waiting
            done, waiting, now = done + steps, waiting + steps, time.monotonic()
            if now - shown < _SECONDS and done < total:
                return
            if show is None and now - begun >= _SECONDS:
                show = stack.enter_context(live_bar(description, total))
            if show is not None:
                show(waiting, f"{done / (now - begun):,.0f} {unit}/s")
                shown, waiting = now, 0

        yield advance


@contextmanager
def no_bar(_description: str, _total: int, _unit: str = "cells") -> Iterator[Callable[[int], None]]:
    """Show nothing."""
    yield lambda _: None
