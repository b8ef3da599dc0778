"""A progress bar on a terminal, a line of the log elsewhere."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

try:
    from rich.console import Console
    from rich.progress import Progress, TimeRemainingColumn
except ModuleNotFoundError:
    _HAS_RICH = False
else:
    _HAS_RICH = True

__all__ = ["late_bar", "log_or_bar", "progress_bar"]

_LOG = logging.getLogger("scdataset")

_PATIENCE = 1.0
"""Seconds before anything is shown, of work that may be done soon."""


@contextmanager
def progress_bar(description: str, total: int, *, visible: bool) -> Iterator[Callable[[int], None]]:
    """Show a bar on stderr while the context lasts, where rich is installed; call the yielded function to move it on.

    Where stderr is not a terminal, rich prints the finished bar once.
    """
    if not (visible and _HAS_RICH):
        yield lambda _: None
        return
    columns = [*Progress.get_default_columns()[:-1], TimeRemainingColumn(elapsed_when_finished=True)]
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(description, total=total)
        yield lambda steps: progress.advance(task, steps)


@contextmanager
def log_or_bar(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar where stderr is a terminal, and else write one line to the log ``scdataset``, of level info."""
    terminal = sys.stderr is not None and sys.stderr.isatty()
    if not (terminal and _HAS_RICH):
        _LOG.info("%s", description)
    with progress_bar(description, total, visible=terminal) as advance:
        yield advance


@contextmanager
def late_bar(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """As `log_or_bar`, once it has taken more than a second; nothing before."""
    begun, done = time.monotonic(), 0
    with ExitStack() as stack:
        shown: Callable[[int], None] | None = None

        def advance(steps: int) -> None:
            nonlocal shown, done
            if shown is not None:
                shown(steps)
                return
            done += steps
            if time.monotonic() - begun > _PATIENCE:
                shown = stack.enter_context(log_or_bar(description, total))
                shown(done)

        yield advance
