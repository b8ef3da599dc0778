"""Batches that say which rows they are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from scdataset._types import RowData
from scdataset.collections import MultiIndexable
from scdataset.errors import HookError
from scdataset.strategy.row_keys import RowKeys, call_transform

__all__ = ["Numbered"]


@dataclass(frozen=True)
class Numbered:
    """A batch transform that adds the number of each row to the result of another.

    Parameters
    ----------
    transform
        The other one, or None.
    key
        Name of the numbers, int64 of shape ``(n_rows,)``: a tensor where there are tensors.
    """

    transform: Callable[..., object] | None
    key: str
    needs_keys: ClassVar[bool] = True

    def __call__(self, value: object, keys: RowKeys) -> RowData:
        """Return the batch with the numbers.

        Raises
        ------
        HookError
            If it is neither a dict nor a `MultiIndexable`, or has something of that name.
        """
        batch = value if self.transform is None else call_transform(self.transform, value, keys)
        if not isinstance(batch, (Mapping, MultiIndexable)):
            message = (
                f"A batch of type {type(batch).__name__} has no place for row numbers; let batch_transform return a "
                "dict, or leave them out with row_key=None."
            )
            raise HookError(message)
        members = dict(batch.items())
        if self.key in members:
            message = f"A batch has a member {self.key!r} already; give row numbers another name with row_key."
            raise HookError(message)
        tensors = any(isinstance(member, torch.Tensor) for member in members.values())
        members[self.key] = torch.from_numpy(keys.rows.copy()) if tensors else keys.rows
        return members if isinstance(batch, Mapping) else MultiIndexable(members, unstructured=batch.unstructured)
