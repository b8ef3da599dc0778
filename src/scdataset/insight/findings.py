"""Faults of files that were found, each with its place."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

from scdataset._tables import counted
from scdataset._types import Json
from scdataset.errors import ScDatasetError

__all__ = ["Fault", "Findings", "Report"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a file, or something to know about it.

    Attributes
    ----------
    file
        Path of the file.
    place
        The array or group in it, such as ``"X/indices"``; ``"file"`` for the whole.
    message
        The fault, with chunk, row or position.
    """

    file: str
    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}: {self.place}: {self.message}"


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a check.

    Attributes
    ----------
    files
        Paths of all files that were read.
    faults
        Faults, in the order in which they were found.
    notes
        Findings that are unusual and no fault, such as rows whose columns are not in ascending order.
    n_bytes
        Bytes of values that were checked, decoded.
    """

    files: tuple[str, ...]
    faults: tuple[Fault, ...]
    notes: tuple[Fault, ...]
    n_bytes: int

    @property
    def ok(self) -> bool:
        """Whether no fault was found."""
        return not self.faults

    def as_dict(self) -> Json:
        """Return all fields as JSON-serialisable values."""
        return {**asdict(self), "ok": self.ok}

    def __str__(self) -> str:
        lines = [f"{counted(len(self.faults), 'fault')} in {counted(len(self.files), 'file')}", *map(str, self.faults)]
        return "\n".join(lines)


class Findings:
    """Collects the faults of one file; the same one is noted once.

    Parameters
    ----------
    path
        The file.
    advance
        Called with the bytes of values that were checked, as they are.
    """

    def __init__(self, path: str, advance: Callable[[int], None]) -> None:
        self.path = path
        self.n_bytes = 0
        self._advance = advance
        self._faults: dict[Fault, None] = {}
        self._notes: dict[Fault, None] = {}

    @property
    def faults(self) -> list[Fault]:
        """Faults, in the order in which they were found."""
        return list(self._faults)

    @property
    def notes(self) -> list[Fault]:
        """Remarks that are not faults."""
        return list(self._notes)

    def add(self, place: str, message: str | ScDatasetError) -> None:
        """Note a fault; from an error's message, the path is left out."""
        text = str(message).removeprefix(f"{self.path}: ").removeprefix(f"{self.path} ")
        self._faults.setdefault(Fault(self.path, place, text))

    def note(self, place: str, message: str) -> None:
        """Add a remark that is not a fault."""
        self._notes.setdefault(Fault(self.path, place, message))

    def checked(self, n_bytes: int) -> None:
        """Advance the progress by checked values."""
        self.n_bytes += n_bytes
        self._advance(n_bytes)
