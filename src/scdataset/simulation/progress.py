"""A progress bar where rich is installed, and none where it is not."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

try:
    from rich.console import Console
    from rich.progress import Progress, TimeRemainingColumn
except ModuleNotFoundError:
    _HAS_RICH = False
else:
    _HAS_RICH = True


@contextmanager
def progress_bar(description: str, total: int, *, visible: bool) -> Iterator[Callable[[int], None]]:
    """Show a bar on stderr while the context lasts; what it yields moves the bar on.

    Where stderr is not a terminal, rich prints the finished bar once.
    """
    if not (visible and _HAS_RICH):
        yield lambda _: None
        return
    columns = [*Progress.get_default_columns()[:-1], TimeRemainingColumn(elapsed_when_finished=True)]
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(description, total=total)
        yield lambda steps: progress.advance(task, steps)
