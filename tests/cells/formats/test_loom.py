"""loom: rows are the columns of what loompy wrote, equal to what loompy reads."""

import itertools
import warnings

import h5py
import numpy as np
import pytest
from tests.examples import often

from scdataset import open_collection
from scdataset.cells.formats.loom import LoomFile
from scdataset.engine.context import ReadContext
from scdataset.engine.threads import Threads
from scdataset.errors import ArgumentValueError, DamagedFileError

COUNTS = np.random.default_rng(0).poisson(0.5, (130, 200))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return a file, and loompy's own reading of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loompy = pytest.importorskip("loompy")
        path = str(tmp_path_factory.mktemp("loom") / "a.loom")
        genes = {"Gene": np.array([f"gene{i}" for i in range(130)]), "Length": np.arange(130)}
        cells = {
            "CellID": np.array([f"cell{i}" for i in range(200)]),
            "Cluster": np.array(["a", "b"] * 100),
            "PCA": np.random.default_rng(1).normal(size=(200, 3)),
        }
        loompy.create(path, {"": COUNTS, "spliced": COUNTS * 0.5}, genes, cells)
        with loompy.connect(path, "r") as file:
            read = {"X": file[:, :].T, "spliced": file.layers["spliced"][:, :].T, **dict(file.ca.items())}
    return path, read


@pytest.mark.parametrize("layer", [None, "spliced"])
def test_rows_are_what_loompy_reads(written, layer):
    path, read = written
    collection = open_collection(path, layer=layer, obs=["Cluster", "CellID"], obsm=["PCA"])
    rows = np.random.default_rng(2).integers(0, 200, 333)
    batch = collection.read(rows)
    expected = read[layer or "X"][rows]
    assert batch["X"].dtype == expected.dtype
    assert np.array_equal(batch["X"], expected)
    assert np.array_equal(batch["PCA"], read["PCA"][rows])
    for name in ("Cluster", "CellID"):
        assert np.array_equal(collection.categories[name][batch[name]], read[name][rows])
    assert collection.var_names.tolist() == [f"gene{i}" for i in range(130)]
    assert collection.var["Length"].tolist() == list(range(130))
    assert repr(collection).startswith("CellCollection(200 cells x 130 genes, dense, 1 file")


def write(path, matrix=COUNTS, **options):
    with h5py.File(path, "w") as file:
        file.create_dataset("matrix", data=matrix, **options)
        file.create_group("row_attrs")
        file.create_group("col_attrs")
    return str(path)


LAYOUTS = [
    {},
    {"chunks": (7, 64)},
    {"chunks": (130, 1)},
    {"chunks": (1, 200)},
    {"chunks": (200, 300), "maxshape": (None, None)},
]


@pytest.mark.parametrize(
    ("dtype", "options", "filters"),
    often(
        itertools.product(["u1", "f4", ">i4"], LAYOUTS, [{}, {"compression": "gzip", "shuffle": True}]),
        lambda dtype, options, filters: dtype == "f4" or options == LAYOUTS[1],
    ),
)
def test_every_layout_is_read_alike(tmp_path, dtype, options, filters):
    path = write(tmp_path / "a.loom", COUNTS.astype(dtype), **options, **(filters if options else {}))
    rows = np.random.default_rng(3).integers(0, 200, 77)
    for fallback in (False, True):
        matrix = LoomFile(path, None, fallback=fallback).matrix
        for threads in (Threads(1), Threads(2)):
            found = matrix.read(rows, ReadContext(threads))
            assert np.array_equal(found, COUNTS.T[rows])
        assert matrix.read(np.arange(0), ReadContext(Threads(1))).shape == (0, 130)


def test_a_tile_is_decoded_once_however_many_cells_it_has(tmp_path, monkeypatch):
    matrix = LoomFile(write(tmp_path / "a.loom", chunks=(64, 64)), None).matrix
    numbers, piece = [], matrix.tiles.piece
    monkeypatch.setattr(matrix.tiles, "piece", lambda number: numbers.append(number) or piece(number))
    matrix.read(np.array([70, 5, 71, 5, 127]), ReadContext(Threads(1)))
    assert sorted(numbers) == [0, 1, 4, 5, 8, 9]


def test_genes_without_names_are_numbered(tmp_path):
    assert open_collection(write(tmp_path / "a.loom")).var_names.tolist() == [str(i) for i in range(130)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"layer": "x"}, r"no layer 'x'; it has to be one of \[None, 'spliced'\]"),
        ({"obs": ["x"]}, r"no column 'x'; it has \['CellID', 'Cluster'\]"),
        ({"obsm": ["Cluster"]}, r"no array 'Cluster'; it has \['PCA'\]"),
    ],
)
def test_what_is_not_there_is_refused(written, options, said):
    with pytest.raises(ArgumentValueError, match=said):
        open_collection(written[0], **options)


def test_attributes_of_another_length_and_cut_files_are_refused(tmp_path):
    path = write(tmp_path / "a.loom", chunks=(64, 64), compression="gzip")
    with h5py.File(path, "a") as file:
        file["col_attrs/Cluster"] = np.arange(7)
        file["row_attrs/Gene"] = np.arange(7)
    with pytest.raises(DamagedFileError, match="col_attrs/Cluster has 7 values"):
        open_collection(path, obs=["Cluster"])
    collection = open_collection(path)
    with pytest.raises(DamagedFileError, match="row_attrs/Gene"):
        collection.var  # noqa: B018 a property that reads
    with (tmp_path / "a.loom").open("r+b") as file:
        file.truncate(9000)
    with pytest.raises(DamagedFileError, match=r"a\.loom"):
        collection.read(np.arange(200))
