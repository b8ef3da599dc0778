"""Batches as tensors."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from torch.utils.data import get_worker_info

from scdataset._arguments import names as as_names
from scdataset._arguments import one_of, optional_whole, whole
from scdataset._tables import counted
from scdataset._types import Array, RowData
from scdataset.collections import MultiIndexable
from scdataset.collections.device import as_tensor
from scdataset.engine.buffers import BufferPool
from scdataset.engine.kernels.densify import fill_dense
from scdataset.engine.threads import Threads
from scdataset.errors import ArgumentTypeError, ArgumentValueError
from scdataset.transforms.base import Transform
from scdataset.transforms.matrices import Csr, as_csr, is_anndata, is_sparse

__all__ = ["ToTorch", "check_device", "check_to_torch", "is_there", "mapped"]

_FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)

_SAME_FLOATS = {(np.dtype(np.float32), torch.float32), (np.dtype(np.float64), torch.float64)}
"""Types of X for which its values need no conversion."""


@dataclass(frozen=True, eq=False)
class ToTorch(Transform):
    """Turn a batch into tensors that a model takes.

    Given as ``fetch_transform`` it is called with one batch after the other, in the background, so that no window
    becomes dense.

    Parameters
    ----------
    layout
        Form of a sparse X afterwards: ``"dense"``, or ``"csr"`` for a ``torch.sparse_csr`` tensor over the same memory.
    dtype
        Type of X and of whatever else has two axes, but for tokens and masks. Columns of whole numbers, such as
        labels, become int64, which losses take, and columns of floats float32, or ``dtype`` if that is wider.
    device
        Where the tensors go; None for where they are made, in memory of the CPU. It is first used with a batch, so that
        a process without it can make, send and save the transform.
    missing_label
        Value in place of a missing label, -1, such as the ``ignore_index`` of a loss; None to refuse them.
    tokens
        Names of members with whole numbers for an embedding, which become int64. Booleans stay booleans.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> batch = ToTorch()({"X": csr_array([[0, 2], [1, 0]]), "cell_type": np.array([1, 0], np.int8)})
    >>> batch["X"], batch["cell_type"]
    (tensor([[0., 2.],
            [1., 0.]]), tensor([1, 0]))
    """

    layout: Literal["dense", "csr"] = "dense"
    dtype: torch.dtype = torch.float32
    device: torch.device | str | int | None = None
    missing_label: int | None = None
    tokens: tuple[str, ...] = ("input_ids", "gene_ids")

    _buffers: BufferPool = field(default_factory=BufferPool, init=False, repr=False, compare=False)
    _threads: Threads = field(default_factory=Threads, init=False, repr=False, compare=False)
    runs_ahead: ClassVar[bool] = True

    def __post_init__(self) -> None:
        one_of("layout", self.layout, allowed=("dense", "csr"))
        if not isinstance(self.dtype, torch.dtype) or self.dtype not in _FLOATS:
            message = f"dtype={self.dtype!r}; give one of {', '.join(map(str, _FLOATS))}."
            raise (ArgumentValueError if isinstance(self.dtype, torch.dtype) else ArgumentTypeError)(message)
        optional_whole("missing_label", self.missing_label, minimum=-(2**63), maximum=2**63 - 1)
        self._set(tokens=_names(self.tokens))
        check_device(self.device)
        if self.layout == "csr" and self.dtype in (torch.bfloat16, torch.float16):
            message = f"layout='csr' with dtype={self.dtype}, which few operations take; give torch.float32."
            raise ArgumentValueError(message)

    def divided(self) -> tuple[None, Self]:
        """Return no part for windows: as dense ones they would be many times as large as batches."""
        return None, self

    def __call__(self, value: object) -> Any:
        """Return tensors: a dict of them for a `MultiIndexable`, a dict or AnnData (its X), one for an array.

        Columns of obs come along from AnnData that `adata_to_mindex` was called on before.

        Raises
        ------
        ArgumentTypeError
            For strings, objects and frames.
        ArgumentValueError
            For labels that are missing, unless ``missing_label`` is given, and if the device is not there.
        """
        return self.tensors(value, self._of_sparse)

    def tensors(self, value: RowData, of_sparse: Callable[[Csr], RowData]) -> RowData:
        """Return tensors as a call does, and ``of_sparse(matrix)`` in place of every sparse matrix."""
        if isinstance(value, (MultiIndexable, Mapping)):
            return {name: self._member(name, member, of_sparse) for name, member in value.items()}
        return self.tensors({"X": value.X}, of_sparse) if is_anndata(value) else self._tensor("X", value, of_sparse)

    def _member(self, name: str | int, member: object, of_sparse: Callable[[Csr], RowData]) -> object:
        if isinstance(member, (MultiIndexable, Mapping)):
            return self.tensors(member, of_sparse)
        return self._tensor(name, getattr(member, "codes", member), of_sparse)  # of a Categorical

    def _tensor(self, name: str | int, value: object, of_sparse: Callable[[Csr], RowData]) -> object:
        if is_sparse(value):
            return of_sparse(value)
        tensor = as_tensor(name, value)
        if not isinstance(tensor, torch.Tensor):
            message = f"Modality {name!r} is of type {type(tensor).__qualname__}, which is no array of numbers."
            raise ArgumentTypeError(message)
        if tensor.dtype is not torch.bool:
            tensor = self._typed(name, tensor)
        return tensor if self.device is None else self._sent(tensor)

    def _of_sparse(self, matrix: Csr) -> torch.Tensor:
        tensor = self._dense(as_csr(matrix)) if self.layout == "dense" else as_tensor("X", matrix)
        if tensor.dtype != self.dtype:
            tensor = tensor.to(self.dtype)
        return tensor if self.device is None else self._sent(tensor)

    def _sent(self, tensor: torch.Tensor) -> torch.Tensor:
        try:
            return tensor.to(self.device, non_blocking=True)
        except (AssertionError, NotImplementedError, RuntimeError) as error:
            if is_there(self.device):
                raise
            message = f"device={self.device!r} is not on this machine ({error}); give one that is, such as 'cpu'."
            raise ArgumentValueError(message) from error

    def _typed(self, name: str | int, tensor: torch.Tensor) -> torch.Tensor:
        if name in self.tokens:
            return tensor.to(torch.int64)
        if tensor.ndim > 1:
            return tensor.to(self.dtype)
        if tensor.is_floating_point():
            return tensor.to(torch.promote_types(torch.float32, self.dtype))
        return self._labels(name, tensor)

    def _labels(self, name: str | int, labels: torch.Tensor) -> torch.Tensor:
        if labels.device.type == "cpu":  # numpy keeps the interpreter for so few, and torch has to get it back
            codes = labels.numpy().astype(np.int64, copy=False)
            labels, n_missing = torch.from_numpy(codes), int(np.count_nonzero(codes == -1))
        else:
            labels = labels.to(torch.int64)
            n_missing = int((labels == -1).sum())
        if not n_missing:
            return labels
        if self.missing_label is None:
            message = (
                f"{name!r} has {counted(n_missing, 'missing label')} (-1) among {counted(labels.numel(), 'cell')} of "
                "this batch, and no loss takes them. Leave those cells out with indices, or say what they become: "
                "ToTorch(missing_label=-100) is what torch's CrossEntropyLoss ignores."
            )
            raise ArgumentValueError(message)
        return labels.masked_fill(labels == -1, self.missing_label)

    def _dense(self, matrix: Csr) -> torch.Tensor:
        """Return a CSR matrix as a dense tensor, over memory that is used again once the tensor has died."""
        info = get_worker_info()
        if info is not None:
            self._threads.share_among(info.num_workers)
        n_rows, n_columns = matrix.shape
        bits = np.dtype(f"i{self.dtype.itemsize}")
        out: Array = self._buffers.empty(n_rows * n_columns, bits).reshape(n_rows, n_columns)
        if not self._fill(matrix, out):
            matrix = matrix.copy()  # columns that do not ascend, or are there twice
            matrix.check_format(full_check=True)
            matrix.sum_duplicates()
            self._fill(matrix, out)
        return torch.from_numpy(out).view(self.dtype)

    def _fill(self, matrix: Csr, out: Array) -> bool:
        values = matrix.data
        if (values.dtype, self.dtype) not in _SAME_FLOATS or not values.flags.carray:
            bits = getattr(torch, f"int{8 * self.dtype.itemsize}")
            values = as_tensor("X", values).to(self.dtype).view(bits).numpy()
        return fill_dense(matrix.indptr, matrix.indices, values, out, self._threads)


def mapped(value: RowData, change: Callable[[Any], RowData]) -> RowData:
    """Return the same nesting of tensors, as `ToTorch` returns it, each changed."""
    if isinstance(value, Mapping):
        return {name: mapped(member, change) for name, member in value.items()}
    return change(value)


def check_to_torch(value: object) -> None:
    """Raise if an argument named ``to_torch`` is something else."""
    if not isinstance(value, ToTorch):
        message = f"to_torch is of type {type(value).__qualname__}; give ToTorch(...)."
        raise ArgumentTypeError(message)


def _names(tokens: Iterable[str]) -> tuple[str, ...]:
    return (tokens,) if isinstance(tokens, str) else tuple(as_names("tokens", tokens))


def check_device(device: torch.device | str | int | None) -> None:
    """Raise if that is the name of no device."""
    if isinstance(device, int):
        whole("device", device, minimum=0)
    if device is None or isinstance(device, int):
        return
    try:
        torch.device(device)
    except (RuntimeError, TypeError) as error:
        message = f"device={device!r} is no device; give 'cpu', 'cuda', 'cuda:1', 'mps' or a torch.device."
        raise (ArgumentValueError if isinstance(device, str) else ArgumentTypeError)(message) from error


def is_there(wanted: torch.device | str | int | None) -> bool:
    """Tell whether this machine has a device."""
    try:
        device = torch.device(wanted)  # type: ignore[arg-type]
    except RuntimeError:  # of a number, where there is no accelerator
        return False
    module = getattr(torch, device.type, None)
    count = getattr(module, "device_count", None)
    return device.type in ("cpu", "meta") or (count is not None and count() > (device.index or 0))
