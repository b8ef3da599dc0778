"""Several transforms, one after the other."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scdataset._arguments import made
from scdataset.errors import ArgumentTypeError
from scdataset.strategy.row_keys import RowKeys, call_transform, needs_keys
from scdataset.transforms.base import Transform

__all__ = ["Compose"]


@dataclass(frozen=True, init=False, eq=False)
class Compose(Transform):
    """Transforms that are called one after the other, each with the result of the one before.

    Parameters
    ----------
    *transforms
        Callables of one argument, or of two, the value and its `RowKeys`, if they say ``needs_keys``.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from scdataset.transforms import Log1p, NormalizeTotal, ToTorch
    >>> batch = Compose(NormalizeTotal(1e4), Log1p(), ToTorch())({"X": csr_array([[1, 3]])})
    >>> batch["X"]
    tensor([[7.8244, 8.9228]])
    """

    transforms: tuple[Callable[..., object], ...]

    def __init__(self, *transforms: Callable[..., object]) -> None:
        for position, transform in enumerate(transforms):
            if not callable(transform):
                kind = type(transform).__qualname__
                message = f"Transform {position} is of type {kind}, which cannot be called; give Compose(a, b)."
                raise ArgumentTypeError(message)
            made(f"Transform {position}", transform)
        self._set(transforms=transforms)

    @property
    def runs_ahead(self) -> bool:
        """Whether all of them may be called in the background."""
        return all(getattr(transform, "runs_ahead", False) for transform in self.transforms)

    @property
    def needs_keys(self) -> bool:
        """Whether any of them has to be given keys."""
        return any(map(needs_keys, self.transforms))

    def divided(self) -> tuple["Compose | None", "Compose | None"]:
        """Return the transforms for windows, and those for batches: the first that takes no windows, and all after it.

        A function of the user's that is given as ``fetch_transform`` is written for windows: it gets them.
        """
        firsts = (n for n, transform in enumerate(self.transforms) if _part_for_batches(transform) is not None)
        first = next(firsts, len(self.transforms))
        before, after = self.transforms[:first], self.transforms[first:]
        if not after or not all(isinstance(transform, Transform) for transform in after):
            return self, None
        return Compose(*before) if before else None, Compose(*after)

    def __call__(self, value: object, keys: RowKeys | None = None) -> Any:
        """Return the result of all transforms in order; those that need ``keys`` are given them."""
        for transform in self.transforms:
            value = call_transform(transform, value, keys)
        return value

    def __repr__(self) -> str:
        return f"Compose({', '.join(map(repr, self.transforms))})"


def _part_for_batches(transform: object) -> object:
    return transform.divided()[1] if isinstance(transform, Transform) else None
