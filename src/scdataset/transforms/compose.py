"""Several transforms, one after the other."""

from collections.abc import Callable
from typing import Any

from scdataset.errors import ArgumentTypeError

__all__ = ["Compose"]


class Compose:
    """Transforms that are called one after the other, each with the result of the one before.

    Parameters
    ----------
    *transforms
        Callables of one argument.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from scdataset.transforms import Log1p, NormalizeTotal, ToTorch
    >>> batch = Compose(NormalizeTotal(1e4), Log1p(), ToTorch())({"X": csr_array([[1, 3]])})
    >>> batch["X"]
    tensor([[7.8244, 8.9228]])
    """

    def __init__(self, *transforms: Callable[[Any], Any]) -> None:
        for position, transform in enumerate(transforms):
            if not callable(transform):
                kind = type(transform).__qualname__
                message = f"Transform {position} is of type {kind}, which cannot be called."
                raise ArgumentTypeError(message)
        self.transforms = transforms

    @property
    def runs_ahead(self) -> bool:
        """Whether all of them may be called in the background."""
        return all(getattr(transform, "runs_ahead", False) for transform in self.transforms)

    def __call__(self, value: Any) -> Any:
        """Return the result of all transforms in order."""
        for transform in self.transforms:
            value = transform(value)
        return value

    def __repr__(self) -> str:
        return f"Compose({', '.join(map(repr, self.transforms))})"

    def __eq__(self, other: object) -> bool:
        return self.transforms == other.transforms if isinstance(other, Compose) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.transforms)
