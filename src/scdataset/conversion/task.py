"""One conversion, or the rest of one: annotations, scan, shards, and the metadata of the whole."""

import platform
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray

from scdataset._clusters import Cluster
from scdataset._tables import counted
from scdataset._types import DType, RowData
from scdataset._version import __version__
from scdataset.cells import CellCollection
from scdataset.conversion.ahead import read_ahead
from scdataset.conversion.disk_space import check_space
from scdataset.conversion.frames import write_element, write_frame, write_genes, write_groups
from scdataset.conversion.matrices import Shard, ShardWriter, create, open_arrays
from scdataset.conversion.names import NamesFile, numbers_as_names
from scdataset.conversion.order import RowOrder
from scdataset.conversion.parts import Parts
from scdataset.conversion.plan import MatrixPlan, Plan
from scdataset.conversion.progress import Bar, no_bar
from scdataset.conversion.request import Storage, Wanted
from scdataset.conversion.sources import MatrixSource, Scan, scanned
from scdataset.conversion.verification import verify_store
from scdataset.conversion.workspace import Workspace, writing_to
from scdataset.errors import ArgumentValueError, CollectionError, DamagedFileError, OutputError

__all__ = ["ShardWork", "Task"]

PlannedShard = tuple[MatrixPlan, int]
"""A shard that is to be written."""

WrittenShard = tuple[MatrixPlan, int, dict[str, list[int]]]
"""A shard that is complete, with the size and CRC-32 of each of its keys."""


class Task:
    """One conversion, or the rest of one that was interrupted."""

    def __init__(
        self,
        space: Workspace,
        cells: CellCollection,
        wanted: Wanted,
        storage: Storage,
        order: RowOrder,
        stack: ExitStack,
        bar: Bar,
    ) -> None:
        self._space = space
        self._cells = cells
        self._wanted = wanted
        self._storage = storage
        self._order = order
        self._bar = bar
        self._sources = [MatrixSource.of_x("X", cells)]
        for name in wanted.layers:
            opened = stack.enter_context(wanted.opened(name))
            _check_genes(cells, opened, name)
            self._sources.append(MatrixSource.of_x(f"layers/{name}", opened))
        if wanted.raw and not cells.members(("raw",))["raw"]:
            message = f"raw=True, and no file of {wanted.source!r} has raw; leave it out."
            raise ArgumentValueError(message)
        self._raw = stack.enter_context(wanted.opened("raw/X", genes=None)) if wanted.raw else None
        if self._raw is not None:
            self._sources.append(MatrixSource.of_x("raw/X", self._raw))
        self._parts = Parts.of(cells, self._raw, wanted, order)
        self._sources += self._parts.matrices

    def run(self, *, verify: bool, cluster: Cluster | None = None) -> None:
        """Write all that is not written yet; shards on a cluster, if there is one."""
        with writing_to(self._space.out):
            root = zarr.open_group(self._space.store, mode="a", zarr_format=3)
            self._annotate(root)
            plan = self._plan()
            writers = self._writers(root, plan)
            self._write(plan, writers, cluster)
            if verify:
                verify_store(self._space, plan, writers, self._bar)
            self._complete(root, plan)

    def verify(self) -> None:
        """Compare a store that already has its name with the source.

        Raises
        ------
        DamagedFileError
            If something differs.
        """
        verify_store(self._space, *self._planned("r"), self._bar)

    def _annotate(self, root: zarr.Group) -> None:
        """Write everything except the matrices, so that faults appear before the long part starts."""
        marker = self._space.folder / "annotated"
        if marker.exists():
            return
        cells, rows = self._cells, self._order.rows(0, self._order.n_rows)
        keys = cells.obs_keys() if self._wanted.obs is None else list(dict.fromkeys([*self._wanted.obs, *cells.obs]))
        values: dict[str, Callable[[], RowData]] = {name: partial(_taken, cells, name, rows) for name in keys}
        if self._order.seed is not None:
            if "source_row" in keys:
                message = (
                    'obs has a column "source_row", the name of the rows of a shuffled store; leave it out of obs.'
                )
                raise ArgumentValueError(message)
            values["source_row"] = lambda: rows
        write_groups(root, ("layers", "obsm", "obsp", "uns", "varm", "varp"))
        obs_names, obs_name = self._names()
        write_frame(root, "obs", obs_names.pieces(self._order), obs_name, list(values), lambda name: values[name]())
        obs_names.remove()
        write_genes(root, "var", cells)
        if self._raw is not None:
            write_groups(root, ("raw",), "raw")
            write_groups(root, ("raw/varm",))
            write_genes(root, "raw/var", self._raw)
        left_out = self._write_elements(root)
        write_element(root, "uns/conversion", self._provenance(left_out))
        marker.touch()

    def _write_elements(self, root: zarr.Group) -> dict[str, str]:
        """Write the parts that are read whole; return those that are left out and why."""
        left_out = dict(self._parts.left_out)
        for place, read in self._parts.elements.items():
            try:
                value = read()
            except DamagedFileError as error:  # or of a kind that this anndata does not know
                left_out[place] = str(error)
            else:
                write_element(root, place, value)
        return left_out

    def _names(self) -> tuple[NamesFile, object]:
        """Return the cell names, or row numbers where the files have none, and the name of the index."""
        called: list[object] = []

        def noted() -> Iterator[pd.Index]:
            for names in self._cells.each_obs_names():
                called.append(names.name)
                yield names

        try:
            return NamesFile.written(self._space.folder, noted()), called[0] if len(set(called)) == 1 else None
        except ArgumentValueError:
            return NamesFile.written(self._space.folder, numbers_as_names(len(self._cells))), None

    def _provenance(self, left_out: Mapping[str, str]) -> dict[str, object]:
        sizes = self._cells.sizes
        return {
            "left_out": np.array([f"{place}: {reason}" for place, reason in left_out.items()], object),
            "files": np.array(self._cells.files, object),
            "n_obs": np.array(sizes, np.int64),
            "shuffled": self._order.seed is not None,
            **(
                {}
                if self._order.seed is None
                else {"seed": str(self._order.seed), "block_size": self._order.block_size}
            ),
        }

    def _plan(self) -> Plan:
        plan = Plan.load(self._space.folder)
        if plan is not None:
            return plan
        scans = [self._scanned(source) for source in self._sources]
        pointers = {
            source.name: scan.pointers(self._order)
            for source, scan in zip(self._sources, scans, strict=True)
            if scan.kind == "CSR"
        }
        plan = Plan(
            tuple(
                self._matrix(source.name, scan, pointers.get(source.name))
                for source, scan in zip(self._sources, scans, strict=True)
            ),
            pointers,
        )
        plan.save(self._space.folder)
        return plan

    def _scanned(self, source: MatrixSource) -> Scan:
        with self._bar(f"Reading {source.name} once", self._order.n_rows) as advance:
            return scanned(source, self._order, len(self._cells), self._given_type(source.name), advance)

    def _given_type(self, name: str) -> DType | None:
        """Return the type that was asked for."""
        dtype = self._storage.dtype
        return None if dtype is None or _is_kept(name) else np.dtype(dtype)

    def _matrix(self, name: str, scan: Scan, pointers: NDArray[np.int64] | None) -> MatrixPlan:
        n_rows, width = self._order.n_rows, scan.n_columns
        size, across = (n_rows, width) if pointers is None else (int(pointers[-1]), 1)
        dtype = self._given_type(name)
        if dtype is None:
            dtype = scan.range.narrowest if self._storage.compact and not _is_kept(name) else scan.range.dtype
        chunk, shard = _chunks(self._storage, size, across)
        return MatrixPlan(name, scan.kind, n_rows, width, dtype.name, size, chunk, shard)

    def _writers(self, root: zarr.Group, plan: Plan) -> dict[str, ShardWriter]:
        return {
            matrix.name: ShardWriter(matrix, source, self._order, pointers, create(root, matrix, pointers))
            for matrix, source in zip(plan.matrices, self._sources, strict=True)
            for pointers in [plan.pointers.get(matrix.name)]
        }

    def _write(self, plan: Plan, writers: dict[str, ShardWriter], cluster: Cluster | None) -> None:
        complete = self._space.complete()
        left = [(matrix, number) for matrix, number in plan.shards() if (matrix.name, number) not in complete]
        check_space(self._space.out, left, writers)
        written = self._written_here(left, writers) if cluster is None else self._written_by(cluster, left)
        with self._bar(
            f"Writing {self._space.out.name}", sum(matrix.n_cells(number) for matrix, number in left)
        ) as advance:
            for matrix, number, stored in written:
                self._space.note(matrix, number, stored)
                advance(matrix.n_cells(number))

    def _written_here(self, left: Sequence[PlannedShard], writers: dict[str, ShardWriter]) -> Iterator[WrittenShard]:
        def read(item: PlannedShard) -> Shard:
            matrix, number = item
            return writers[matrix.name].read(number)

        def announce(item: PlannedShard) -> None:
            matrix, number = item
            writers[matrix.name].announce(number)

        for (matrix, number), content in read_ahead(read, left, announce):
            self._space.drop(matrix, number)  # zarr would read a half of one, to put it together with the rest
            writers[matrix.name].write(number, content)
            yield matrix, number, self._space.checksums(matrix, number)

    def _written_by(self, cluster: Cluster, left: Sequence[PlannedShard]) -> Iterator[WrittenShard]:
        opening = self._cells.opening
        assert opening is not None  # noqa: S101 the source was opened by open_collection
        wanted = replace(self._wanted, source=opening.arguments["source"], given=None)  # the files that were found here
        work = ShardWork(self._space.out, wanted, self._storage, self._order)
        for place, stored in cluster.each(work, [(matrix.name, number) for matrix, number in left]):
            yield *left[place], stored

    def shard_writers(self) -> dict[str, ShardWriter]:
        """Return the writers of the matrices, in a process that did not make the plan.

        Raises
        ------
        OutputError
            If this process does not see the folder that the other one writes to.
        """
        return self._planned("r+")[1]

    def _planned(self, mode: Literal["r", "r+"]) -> tuple[Plan, dict[str, ShardWriter]]:
        """Return the plan of a store that is there, and the writers of its matrices."""
        plan = Plan.load(self._space.folder)
        if plan is None:
            message = (
                f"The machine {platform.node()!r} does not see {self._space.folder}. Every machine that writes needs "
                "the folder of the store under the same path: give one on a file system that all share."
            )
            raise OutputError(message)
        root = zarr.open_group(self._space.place, mode=mode, use_consolidated=False)
        return plan, {
            matrix.name: ShardWriter(
                matrix, source, self._order, plan.pointers.get(matrix.name), open_arrays(root, matrix)
            )
            for matrix, source in zip(plan.matrices, self._sources, strict=True)
        }

    def _complete(self, root: zarr.Group, plan: Plan) -> None:
        """Consolidate the metadata and rename the store to its final path."""
        complete = self._space.complete()
        checksums: dict[str, list[str]] = {}
        for matrix, number in plan.shards():
            for array in matrix.arrays:
                _, checksum = complete[matrix.name, number][matrix.key(array, number)]
                checksums.setdefault(array, []).append(f"{checksum:08x}")
        root.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        root.attrs["scdataset"] = {"version": __version__, "crc32": checksums}
        _consolidate(root)
        self._space.finish()


class ShardWork:
    """Writes shards in another process: a shard depends on these arguments and on its number alone.

    Parameters
    ----------
    out, wanted, storage, order
        As of the `Task` whose shards they are; ``wanted`` lists the files.
    """

    def __init__(self, out: Path, wanted: Wanted, storage: Storage, order: RowOrder) -> None:
        self._arguments = out, wanted, storage, order
        self._writers: dict[str, ShardWriter] | None = None

    def __call__(self, shard: tuple[str, int]) -> dict[str, list[int]]:
        """Write a shard, and return the size and CRC-32 of each of its keys."""
        name, number = shard
        out, wanted, storage, order = self._arguments
        space = Workspace(out)
        with writing_to(out):
            if self._writers is None:
                cells = wanted.opened(wanted.layer)
                self._writers = Task(space, cells, wanted, storage, order, ExitStack(), no_bar).shard_writers()
            writer = self._writers[name]
            content = writer.read(number)
            space.drop(writer.matrix, number)
            writer.write(number, content)
            return space.checksums(writer.matrix, number)


def _taken(cells: CellCollection, name: str, rows: NDArray[np.int64]) -> object:
    return cells.obs_values(name)[rows]


def _is_kept(name: str) -> bool:
    """Tell whether values keep their type: coordinates in a narrow one would be subtracted in it."""
    return name.startswith(("obsm/", "obsp/"))


def _check_genes(cells: CellCollection, of_layer: CellCollection, name: str) -> None:
    if not cells.var_names.equals(of_layer.var_names):
        message = (
            f"layers/{name} has {counted(of_layer.n_vars, 'gene')}, and X {cells.n_vars:,}, or others; a layer has "
            f"those of X. Convert it on its own, layer={name!r}."
        )
        raise CollectionError(message)


def _chunks(storage: Storage, size: int, width: int) -> tuple[int, int]:
    """Return chunk and shard along the axis that is cut, no longer than it, given the values in a step of it."""
    chunk = max(storage.chunk // max(width, 1), 1)
    chunk = max(min(chunk, size), 1)
    per_shard = max(storage.shard // max(width, 1) // chunk, 1)
    return chunk, chunk * max(min(per_shard, -(-size // chunk)), 1)


def _consolidate(root: zarr.Group) -> None:
    """Copy all metadata to those of the root: in some stores each one takes a request."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr warns that version 3 does not specify it
        zarr.consolidate_metadata(root.store)
