"""The plan of a conversion: everything that the content of a shard depends on, apart from its number."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from scdataset.errors import DamagedFileError

__all__ = ["MatrixPlan", "Plan"]


@dataclass(frozen=True, slots=True)
class MatrixPlan:
    """How a matrix is stored.

    Attributes
    ----------
    name
        Its place in the store, such as ``"X"`` or ``"layers/counts"``.
    kind
        ``"CSR"`` or ``"dense"``.
    n_rows, n_columns
        Its shape.
    dtype
        Type of the stored values.
    size
        Of CSR the number of stored values, of a dense matrix its rows: the axis that is cut into shards.
    chunk, shard
        Elements of that axis in a chunk and in a shard.
    """

    name: str
    kind: str
    n_rows: int
    n_columns: int
    dtype: str
    size: int
    chunk: int
    shard: int

    @property
    def n_shards(self) -> int:
        """Number of shards; 0 of a matrix without columns, of which nothing is stored."""
        return -(-self.size // self.shard) if self.n_columns else 0

    @property
    def arrays(self) -> tuple[str, ...]:
        """Places of the arrays that are cut into shards."""
        return (f"{self.name}/data", f"{self.name}/indices") if self.kind == "CSR" else (self.name,)

    def key(self, array: str, number: int) -> str:
        """Return the key of a shard of one of ``arrays``."""
        return f"{array}/c/{number}" + ("" if self.kind == "CSR" else "/0")

    def bounds(self, number: int) -> tuple[int, int]:
        """Return the first element of a shard, and its last + 1."""
        return number * self.shard, min((number + 1) * self.shard, self.size)

    def n_cells(self, number: int) -> int:
        """Return about how many cells are in a shard; over all shards, exactly all."""
        start, stop = self.bounds(number)
        return stop * self.n_rows // self.size - start * self.n_rows // self.size


@dataclass(frozen=True, slots=True)
class Plan:
    """A conversion.

    Attributes
    ----------
    matrices
        How each matrix is stored.
    pointers
        Of each CSR matrix its row pointers, shape ``(n_rows + 1,)``, by name.
    """

    matrices: tuple[MatrixPlan, ...]
    pointers: dict[str, NDArray[np.int64]]

    def shards(self) -> Iterator[tuple[MatrixPlan, int]]:
        """Yield all shards."""
        for matrix in self.matrices:
            for number in range(matrix.n_shards):
                yield matrix, number

    def save(self, folder: Path) -> None:
        """Write the plan; its file appears when all of it is there."""
        for place, pointers in zip(_files_of(self.matrices, folder), self.pointers.values(), strict=True):
            np.save(place, pointers)
        partial = folder / "plan.json.partial"
        content = {"matrices": [asdict(matrix) for matrix in self.matrices]}
        partial.write_text(json.dumps(content, indent=1), encoding="utf-8")
        partial.replace(folder / "plan.json")

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """Read the plan in a folder; None if there is none."""
        try:
            content = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
            matrices = tuple(MatrixPlan(**one) for one in content["matrices"])
            names = [matrix.name for matrix in matrices if matrix.kind == "CSR"]
            files = _files_of(matrices, folder)
            pointers = {name: np.load(place) for name, place in zip(names, files, strict=True)}
            return cls(matrices, pointers)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            message = f"{folder} holds a plan that cannot be read ({error}); remove the folder to begin again."
            raise DamagedFileError(message) from error


def _files_of(matrices: tuple[MatrixPlan, ...], folder: Path) -> list[Path]:
    """Return where the row pointers of CSR matrices are saved."""
    return [folder / f"pointers-{place}.npy" for place, matrix in enumerate(matrices) if matrix.kind == "CSR"]
