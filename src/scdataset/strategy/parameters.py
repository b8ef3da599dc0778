"""Attributes of a strategy that can be assigned: each is checked, and takes effect in the next epoch."""

from typing import Any, Protocol, TypeVar

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

    def __set__(self, strategy: Any, value: Any) -> None:
        vars(strategy)[self._name] = self._check(self._name, value)
        owner: Owner = strategy
        owner._forget()  # noqa: SLF001 which strategies override
