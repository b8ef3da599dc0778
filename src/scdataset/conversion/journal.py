"""The steps of a conversion that are done, a line each, for a process that goes on with it."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Journal"]


@dataclass(frozen=True, slots=True)
class Journal:
    """A file of JSON lists, one a line, that is appended to; a process may end at any moment.

    Parameters
    ----------
    path
        Path of the file, which is made with its first line.
    """

    path: Path

    def note(self, *entry: object) -> None:
        """Add a line."""
        with self.path.open("a", encoding="utf-8") as journal:
            journal.write("\n" + json.dumps(entry))  # a line that was cut short does not spoil this one

    def entries(self) -> Iterator[list[Any]]:
        """Yield the lists of all lines that are whole."""
        for line in self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else ():
            with suppress(ValueError):  # the process ended while it wrote the line
                yield json.loads(line)
