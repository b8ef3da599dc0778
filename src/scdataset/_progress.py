"""A progress bar in a terminal or notebook, lines of the log elsewhere."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec

try:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
except ModuleNotFoundError:
    _HAS_RICH = False
else:
    _HAS_RICH = True

__all__ = ["late_bar", "live_bar", "log_or_bar", "progress_bar"]

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
        try:
            yield lambda steps: progress.advance(task, steps)
        finally:
            progress.refresh()  # in a notebook rich leaves the bar as it was drawn last


@contextmanager
def log_or_bar(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar in a terminal or notebook; elsewhere write one line to the log ``scdataset``, of level info."""
    visible = _has_viewer()
    if not visible:
        _LOG.info("%s", description)
    with progress_bar(description, total, visible=visible) as advance:
        yield advance


@contextmanager
def live_bar(description: str, total: int, done: int = 0) -> Iterator[Callable[[int, str], None]]:
    """Show a bar with a text beside it in a terminal or notebook; elsewhere write the text to the log ``scdataset``.

    Call the yielded function with steps and the new text. It is drawn only then, by no thread, so that a loop that is
    left in any way leaves nothing behind.
    """
    if not _has_viewer():
        yield lambda _, text: _LOG.info("%s: %s", description, text)
        return
    columns = [
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
    ]  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False) as progress:
        task = progress.add_task(description, total=total, completed=done, text="")

        def show(steps: int, text: str) -> None:
            progress.update(task, advance=steps, text=text, refresh=True)

        yield show


def _has_viewer() -> bool:
    """Tell whether a bar can be drawn: in a terminal, or in a notebook that has widgets."""
    if not _HAS_RICH:
        return False
    if sys.stderr is not None and sys.stderr.isatty():
        return True
    return Console(stderr=True).is_jupyter and find_spec("ipywidgets") is not None


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
