"""Collections that are closed at the end of a ``with`` statement."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

__all__ = ["Closing"]


class Closing(ABC):
    """Base of collections with open files: a ``with`` statement closes them."""

    @abstractmethod
    def close(self) -> None:
        """Close all files and threads; the next read opens them again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
