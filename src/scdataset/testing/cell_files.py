"""Tests that every format of `open_collection` passes; it takes pytest.

class TestMine(CellFileTests):
obs = ("type",)
def write(self, folder, cells): ...
"""

import pickle
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from numpy.typing import DTypeLike

from scdataset._types import Array
from scdataset.cells import open_collection
from scdataset.dataset import scDataset
from scdataset.engine.matrices.parts import MatrixRows
from scdataset.errors import ScDatasetError
from scdataset.strategy import BlockShuffling

__all__ = ["CellFileTests", "cells"]

N_OBS, N_VARS = 60, 40

MOST_FILES = 8
"""Files of one store that are cut in turn."""

ROWS = np.array([7, 3, 3, 59, 0, 31, 30, 7])


def cells(seed: int = 0, dtype: DTypeLike = np.float32) -> anndata.AnnData:
    """Return small cells: counts, ``type`` and ``depth`` of obs, ``X_pca`` of obsm, and a layer ``double``."""
    rng = np.random.default_rng(seed)
    values = rng.poisson(0.4, (N_OBS, N_VARS)).astype(dtype)
    values[5] = 0
    counts = scipy.sparse.csr_matrix(values)
    obs = pd.DataFrame(
        {"type": pd.Categorical(rng.choice(["T", "B", "NK"], N_OBS)), "depth": rng.integers(0, 99, N_OBS)},
        index=[f"cell{i}" for i in range(N_OBS)],
    )
    made = anndata.AnnData(counts, obs, pd.DataFrame(index=[f"gene{i}" for i in range(N_VARS)]))
    made.obsm["X_pca"] = rng.normal(size=(N_OBS, 3))
    made.layers["double"] = 2 * counts
    return made


def dense(matrix: MatrixRows) -> Array:
    """Return an array of a matrix, sparse or not."""
    return matrix if isinstance(matrix, np.ndarray) else matrix.toarray()


class CellFileTests(ABC):
    """Tests of a format, inherited by a class that tells how a file of it is written.

    Attributes
    ----------
    obs, obsm, layers
        The parts of `cells` that the format holds.
    has_names
        Whether it holds the names of cells.
    dtypes
        Types of values that it holds as they are.
    options
        Options that `open_collection` needs for the format.
    """

    obs: Sequence[str] = ()
    obsm: Sequence[str] = ()
    layers: Sequence[str] = ()
    has_names = True
    dtypes: Sequence[str] = ("float32",)
    options: Mapping[str, object] = {}

    @abstractmethod
    def write(self, folder: Path, cells: anndata.AnnData) -> Path:
        """Write cells into an empty folder, and return the path to open."""

    def open(self, path: Any, **options: Any) -> Any:
        """Open a path, with the options that the format needs."""
        return open_collection(path, **{**self.options, **options})

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        """Write `cells`."""
        (tmp_path / "first").mkdir()
        return self.write(tmp_path / "first", cells())

    @pytest.fixture
    def collection(self, path: Path) -> Iterator[Any]:
        """Open `cells` with all that the format holds."""
        with closing(self.open(path, obs=self.obs, obsm=self.obsm)) as collection:
            yield collection

    def check(self, collection: Any, rows: Array | list[int], expected: anndata.AnnData) -> None:
        """Compare rows of a collection with those of an AnnData."""
        batch = collection.read(np.asarray(rows, np.int64))
        np.testing.assert_array_equal(dense(batch["X"]), expected.X[rows].toarray())
        for name in self.obsm:
            np.testing.assert_array_equal(dense(batch[name]), expected.obsm[name][rows])
        for name in self.obs:
            labels = collection.categories.get(name)
            found = batch[name] if labels is None else labels[batch[name]]
            np.testing.assert_array_equal(found, expected.obs[name].to_numpy()[rows])

    def test_it_knows_its_cells_and_genes(self, collection: Any) -> None:
        assert collection.shape == (N_OBS, N_VARS)
        assert list(collection.var.index) == list(cells().var_names)
        assert set(self.obs) <= set(collection.obs_keys())

    def test_rows_come_in_the_order_asked_for_repeated_or_not(self, collection: object) -> None:
        for rows in (ROWS, [], [5], range(N_OBS), range(N_OBS)[::-1]):
            self.check(collection, list(rows), cells())

    def test_values_have_their_type(self, tmp_path: Path) -> None:
        for dtype in self.dtypes:
            (tmp_path / dtype).mkdir()
            with closing(self.open(self.write(tmp_path / dtype, cells(dtype=dtype)))) as collection:
                found = collection.read(ROWS)["X"]
                assert found.dtype == dtype
                np.testing.assert_array_equal(dense(found), cells(dtype=dtype).X[ROWS].toarray())

    def test_a_column_that_is_not_there_is_refused_by_name(self, path: Path) -> None:
        with pytest.raises(ScDatasetError, match="no_such_column"):
            self.open(path, obs=["no_such_column"])

    def test_an_array_of_obsm_that_is_not_there_is_refused_by_name(self, path: Path) -> None:
        with pytest.raises(ScDatasetError, match="no_such_array"):
            self.open(path, obsm=["no_such_array"])

    def test_a_layer_is_read_or_refused_by_name(self, path: Path) -> None:
        for name in self.layers:
            with closing(self.open(path, layer=name)) as collection:
                np.testing.assert_array_equal(dense(collection.read(ROWS)["X"]), cells().layers[name][ROWS].toarray())
        with pytest.raises(ScDatasetError, match="no_such_layer"):
            self.open(path, layer="no_such_layer")

    def test_names_of_cells_are_those_written_or_refused(self, collection: Any) -> None:
        if self.has_names:
            assert list(collection.obs_names) == list(cells().obs_names)
        else:
            with pytest.raises(ScDatasetError, match="no names"):
                collection.obs_names  # noqa: B018 a property that reads

    def test_a_pickled_one_reads_the_same(self, collection: object) -> None:
        with closing(pickle.loads(pickle.dumps(collection))) as again:
            self.check(again, ROWS, cells())

    def test_it_is_read_again_after_it_was_closed(self, collection: Any) -> None:
        collection.close()
        self.check(collection, ROWS, cells())

    def test_files_act_as_one_below_the_other(self, path: Path, tmp_path: Path) -> None:
        (tmp_path / "second").mkdir()
        both = anndata.concat([cells(), cells(1)], index_unique="-")
        with closing(
            self.open([path, self.write(tmp_path / "second", cells(1))], obs=self.obs, obsm=self.obsm)
        ) as collection:
            self.check(collection, np.array([60, 0, 119, 59, 60]), both)

    def test_an_epoch_has_every_cell_once(self, path: Path) -> None:
        dataset = scDataset(self.open(path), BlockShuffling(4), 16, fetch_factor=2, seed=0)
        batches = np.concatenate([dense(batch["X"]) for batch in dataset])
        expected = cells().X.toarray()
        np.testing.assert_array_equal(batches[np.lexsort(batches.T)], expected[np.lexsort(expected.T)])

    def test_a_file_that_is_cut_is_refused_or_read_right(self, tmp_path: Path) -> None:
        (tmp_path / "whole").mkdir()
        path = self.write(tmp_path / "whole", cells())
        files = sorted(file for file in (tmp_path / "whole").rglob("*") if file.is_file())
        names = [file.relative_to(tmp_path / "whole") for file in files]
        for number, name in enumerate(names[:: -(-len(names) // MOST_FILES)]):
            folder = tmp_path / str(number)
            shutil.copytree(tmp_path / "whole", folder)
            content = (folder / name).read_bytes()
            (folder / name).write_bytes(content[: len(content) // 2])
            try:
                cut = self.open(folder / path.relative_to(tmp_path / "whole"), obs=self.obs, obsm=self.obsm)
                self.check(cut, ROWS, cells())
            except ScDatasetError as error:
                assert str(folder) in str(error)  # noqa: PT017 or it is read right
