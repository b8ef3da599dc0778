"""Attributes of a dataset that can be assigned: each is checked, and takes effect with the next iteration."""

import functools
import inspect
import types
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from scdataset._arguments import hook
from scdataset._attributes import CheckedAttribute
from scdataset.dataset.hooks import HOOK_ARGUMENTS
from scdataset.errors import HookError, ReadOnlyError
from scdataset.strategy.row_keys import needs_keys

__all__ = ["Option", "Refused", "hook_option"]

T = TypeVar("T")


class Owner(Protocol):
    """A dataset, as far as its options are concerned."""

    def change(self, name: str, **stored: object) -> None:
        """Store the checked value of an option under its name, and bring all that follows from it up to date."""
        ...


class Option(CheckedAttribute[T]):
    """An attribute of a dataset that can be assigned."""

    def __set__(self, dataset: Any, value: object) -> None:
        owner: Owner = dataset
        owner.change(self._name, **{self._name: self._check(self._name, value)})


class Refused:
    """The name of something that cannot be assigned to a dataset, and would be ignored if it were.

    A subclass may use the name for an attribute of its own.

    Parameters
    ----------
    remedy
        How to get its effect.
    """

    def __init__(self, remedy: str) -> None:
        self._remedy = remedy
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, dataset: object | None, owner: type) -> Any:
        if dataset is not None and self._name in vars(dataset):
            return vars(dataset)[self._name]
        message = f"{owner.__name__!r} object has no attribute {self._name!r}; {self._remedy}."
        raise AttributeError(message)

    def __set__(self, dataset: object, value: object) -> None:
        if not _is_ours(type(dataset)):
            vars(dataset)[self._name] = value
            return
        message = f"{self._name}={value!r} cannot be assigned to a dataset, and would have no effect; {self._remedy}."
        raise ReadOnlyError(message)


def _is_ours(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == "scdataset"


def hook_option() -> Option[Callable[..., object] | None]:
    """Return an option that is one of the four hooks."""
    return Option(_checked_hook)


def _checked_hook(name: str, value: Any) -> Callable[..., object] | None:
    """Return ``value`` if it can be called with the arguments of this hook, as far as its signature tells."""
    checked = hook(name, value)
    arguments = HOOK_ARGUMENTS[name]
    if needs_keys(checked):
        if len(arguments) > 1:
            message = f"{name} needs keys, which fetch_transform and batch_transform are given; use one of those."
            raise HookError(message)
        arguments += ("keys",)
    # Other callables (classes, modules, compiled functions) may have signatures that do not say how they are called.
    if not isinstance(checked, (types.FunctionType, types.MethodType, functools.partial)):
        return checked
    try:
        signature = inspect.signature(checked, follow_wrapped=False)
    except (TypeError, ValueError):  # a partial of a builtin that has none
        return checked
    try:
        signature.bind(*arguments)
    except TypeError as error:
        message = (
            f"{name} cannot be called as {name}({', '.join(arguments)}): {error}. Its signature is {signature}; write "
            "a function of those arguments, or bind others with functools.partial."
        )
        raise HookError(message) from None
    return checked
