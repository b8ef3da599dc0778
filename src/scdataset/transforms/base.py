"""Transforms as values: frozen, and equal if their options are."""

from dataclasses import fields

import numpy as np

__all__ = ["Transform"]


class Transform:
    """Base of transforms, which are frozen dataclasses: two are equal, and hash alike, if their fields are.

    Arrays among them are read-only and are compared by their bytes, so that NaN equals NaN. Subclasses are decorated
    with ``@dataclass(frozen=True, eq=False)``, as the generated comparison takes no arrays.
    """

    def divided(self) -> tuple[object, object]:
        """Return the part to be called with windows, and the part to be called with their batches; None for neither."""
        return self, None

    def _set(self, **options: object) -> None:
        """Set fields, in ``__init__`` and ``__post_init__``."""
        for value in options.values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
        vars(self).update(options)

    def _compared(self) -> tuple[object, ...]:
        found = (getattr(self, field.name) for field in fields(self) if field.compare)  # type: ignore[arg-type]
        return tuple(map(_hashable, found))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Transform) or type(other) is not type(self):
            return NotImplemented
        return self._compared() == other._compared()

    def __hash__(self) -> int:
        return hash((type(self), self._compared()))

    def __setstate__(self, state: dict[str, object]) -> None:
        self._set(**state)  # arrays come out of a pickle writable


def _hashable(value: object) -> object:
    return (value.shape, value.dtype.str, value.tobytes()) if isinstance(value, np.ndarray) else value
