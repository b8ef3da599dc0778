"""Attributes that are checked whenever they are assigned."""

from collections.abc import Callable
from typing import Generic, Self, TypeVar, overload

__all__ = ["CheckedAttribute"]

T = TypeVar("T")


class CheckedAttribute(Generic[T]):
    """An attribute that is checked whenever it is assigned, and stored under its own name.

    Parameters
    ----------
    check
        ``check(name, value)`` returns the value to store, or raises.
    """

    def __init__(self, check: Callable[[str, object], T]) -> None:
        self._check = check
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Self | T:
        if instance is None:
            return self
        try:
            value: T = vars(instance)[self._name]
        except KeyError:
            message = f"{owner.__name__!r} object has no attribute {self._name!r}; call super().__init__() first."
            raise AttributeError(message) from None
        return value
