"""Attributes of a strategy that can be assigned: each is checked, and takes effect in the next epoch."""

from typing import Protocol, TypeVar

from scdataset._attributes import CheckedAttribute

__all__ = ["Parameter"]

T = TypeVar("T")


class Owner(Protocol):
    """A strategy, as far as its parameters are concerned."""

    def _forget(self) -> None:
        """Forget all results of earlier parameters."""
        ...


class Parameter(CheckedAttribute[T]):
    """An attribute of a strategy that can be assigned."""

    def __set__(self, strategy: Owner, value: object) -> None:
        vars(strategy)[self._name] = self._check(self._name, value)
        strategy._forget()  # noqa: SLF001 which strategies override
