"""Attributes of a strategy that can be assigned: each is checked, and takes effect in the next epoch."""

from collections.abc import Callable
from typing import Any, Generic, Protocol, Self, TypeVar, overload

__all__ = ["Parameter"]

T = TypeVar("T")


class Owner(Protocol):
    """A strategy, as far as its parameters are concerned."""

    def _forget(self) -> None:
        """Forget what followed from the parameters before."""
        ...


class Parameter(Generic[T]):
    """An attribute that is checked whenever it is assigned, and kept under its own name.

    Parameters
    ----------
    check
        ``check(name, value)`` returns the value to keep, or raises.
    """

    def __init__(self, check: Callable[[str, Any], T]) -> None:
        self._check = check
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, strategy: None, owner: type) -> Self: ...
    @overload
    def __get__(self, strategy: object, owner: type) -> T: ...
    def __get__(self, strategy: object | None, owner: type) -> Self | T:
        if strategy is None:
            return self
        try:
            value: T = vars(strategy)[self._name]
        except KeyError:
            message = f"{owner.__name__!r} object has no attribute {self._name!r}; call super().__init__() first."
            raise AttributeError(message) from None
        return value

    def __set__(self, strategy: Any, value: Any) -> None:
        vars(strategy)[self._name] = self._check(self._name, value)
        owner: Owner = strategy
        owner._forget()  # noqa: SLF001 which strategies override
