"""A path that leads to another file by now: rows are those of the file that was opened, or there is an error."""

import itertools
import multiprocessing
import os
import pickle
import shutil

import anndata
import h5py
import numpy as np
import pytest
import scipy.sparse as sp
import zarr
from anndata.experimental import AnnCollection
from tests.children import CONTEXT
from tests.collections.files import Own
from tests.examples import rare

from scdataset import CollectionError, DamagedFileError, Streaming, as_collection, scDataset

N_ROWS = 6


def full(value):
    return np.full((N_ROWS, 3), value, np.float32)


def write_h5(path, value):
    with h5py.File(path, "w") as file:
        file["x"] = full(value)


def write_npy(path, value):
    with path.open("wb") as file:
        np.save(file, full(value))


def cells(value):
    adata = anndata.AnnData(sp.csr_matrix(full(value)))
    adata.obs["value"] = np.full(N_ROWS, value)
    return adata


def write_h5ad(path, value):
    cells(value).write_h5ad(path)


def write_h5ad_with_raw(path, value):  # which the engine leaves to anndata
    adata = cells(value)
    adata.raw = adata.copy()
    adata.write_h5ad(path)


def write_zarr(path, value):
    zarr.create_array(path, data=full(value), chunks=(2, 3), overwrite=True)


def write_zip(path, value):
    with zarr.storage.ZipStore(path, mode="w") as store:
        zarr.create_array(store, data=full(value))


def write_sparse(path, value):
    anndata.io.write_elem(zarr.open_group(path, mode="w", zarr_format=2), "x", sp.csr_matrix(full(value)))


def backed(path):
    return anndata.read_h5ad(path, backed="r")


KINDS = {
    "h5py": (write_h5, lambda path: h5py.File(path)["x"]),
    "h5py stdio": (write_h5, lambda path: h5py.File(path, driver="stdio")["x"]),
    "own collection": (write_h5, lambda path: Own(h5py.File(path)["x"])),
    "memmap": (write_npy, lambda path: np.memmap(path, np.float32, "r", 128, (N_ROWS, 3))),
    "npy": (write_npy, lambda path: np.load(path, mmap_mode="r")[:]),
    "AnnData": (write_h5ad, backed),
    "AnnData with raw": (write_h5ad_with_raw, backed),
    "AnnData list": (write_h5ad, lambda path: [backed(path)]),
    "AnnCollection": (write_h5ad, lambda path: AnnCollection([backed(path)])),
    "CSR on disk": (write_h5ad, lambda path: backed(path).X),
    "CSR in zarr": (write_sparse, lambda path: anndata.io.sparse_dataset(zarr.open_group(path, mode="r")["x"])),
    "zarr": (write_zarr, lambda path: zarr.open_array(path, mode="r")),
    "zarr zip": (write_zip, lambda path: zarr.open_array(zarr.storage.ZipStore(path, mode="r"), mode="r")),
}


def replace(path, other):
    path.replace(path.with_name("old"))
    other.replace(path)


def overwrite(path, other):
    if path.is_dir():
        shutil.rmtree(path)
        shutil.copytree(other, path)
    else:
        path.write_bytes(other.read_bytes())


def remove(path, other):
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def retarget(path, other):
    path.unlink()
    path.symlink_to(other)


CHANGES = {"replaced": replace, "overwritten": overwrite, "removed": remove, "retargeted": retarget, "chdir": None}


class Changed:
    """A container over a file of ones, whose path leads elsewhere, as to a file of twos, after ``change``."""

    def __init__(self, folder, kind, change):
        self.change = CHANGES[change]
        self.path, self.other = folder / "one" / "x", folder / "two" / "x"
        write, self.open = KINDS[kind]
        for value, path in enumerate((self.path, self.other), 1):
            path.parent.mkdir(parents=True)
            written = folder.parents[1] / f"{write.__name__} {value}"  # once for all
            if not written.exists():
                write(written, value)
            (shutil.copytree if written.is_dir() else shutil.copy)(written, path)
        if change == "retargeted":
            target = folder / "target"
            self.path.replace(target)
            self.path.symlink_to(target)

    def opened(self, monkeypatch):
        monkeypatch.chdir(self.path.parent)
        return self.open(self.path.relative_to(self.path.parent) if self.change is None else self.path)

    def happen(self, monkeypatch):
        monkeypatch.chdir(self.other.parent)
        if self.change is not None:
            self.change(self.path, self.other)


def values_of(batch):
    arrays = [batch.obs["value"], batch.X] if hasattr(batch, "obs") else [batch]
    return {value for array in arrays for value in np.unique(array.toarray() if sp.issparse(array) else array).tolist()}


def delivered(dataset):
    """Return the values of all batches, or the error."""
    try:
        return set().union(*map(values_of, dataset))
    except Exception as error:  # noqa: BLE001 any other than a DamagedFileError is to be seen
        return error


def send_delivered(datasets, connection):
    connection.send([delivered(dataset) for dataset in datasets])


def through(context, datasets):
    """Return what another process delivers."""
    here, there = context.Pipe()
    process = context.Process(target=send_delivered, args=(datasets, there))
    process.start()
    there.close()  # so that a process that dies is an error here, and no hang
    found = here.recv()
    process.join()
    return found


class Late:
    """A dataset that is unpickled where it is read, so that one error hides no others."""

    def __init__(self, pickled):
        self.pickled = pickled

    def __iter__(self):
        return iter(pickle.loads(self.pickled))


EVERY = list(itertools.product(KINDS, CHANGES))
EVERY.remove(("own collection", "overwritten"))  # which looks at its handle only when it reads
SOME = list(zip(KINDS, itertools.cycle(CHANGES), strict=False))


@pytest.fixture(params=[SOME, *rare(EVERY)], ids=["some", "every"])
def changed(request, tmp_path, monkeypatch):
    """Return a dataset of each kind after its change, and each pickled before it."""
    found = {}
    for kind, change in request.param:
        case = Changed(tmp_path / kind / change, kind, change)
        dataset = scDataset(case.opened(monkeypatch), Streaming(), 2)
        found[kind, change] = case, dataset, Late(pickle.dumps(dataset))
    for case, *_ in found.values():
        case.happen(monkeypatch)
    return {case: datasets for case, (_, *datasets) in found.items()}


def delivered_pickled(dataset):
    try:
        return delivered(Late(pickle.dumps(dataset)))
    except DamagedFileError as error:
        return error


def test_rows_are_of_the_file_that_was_opened_or_there_is_an_error(changed):
    ways = {
        "fork": through(multiprocessing.get_context("fork"), [dataset for dataset, _ in changed.values()]),
        "from nothing": through(CONTEXT, [Late(late.pickled) for _, late in changed.values()]),
        "here": [delivered(dataset) for dataset, _ in changed.values()],
        "pickled before": [delivered(late) for _, late in changed.values()],
        "pickled after": [delivered_pickled(dataset) for dataset, _ in changed.values()],
    }
    wrong = {
        (*case, way): seen
        for way, found in ways.items()
        for case, seen in zip(changed, found, strict=True)
        if seen != {1} and not isinstance(seen, DamagedFileError)
    }
    assert not wrong, "\n".join(f"{case}: {seen!r}" for case, seen in wrong.items())


IN_FOLDERS = ("zarr", "CSR in zarr")
"""Kinds that have nothing open, so that a change before the dataset is made cannot be seen."""


@pytest.mark.parametrize("change", ["replaced", "chdir", *rare("removed", "retargeted")])
def test_a_path_may_lead_elsewhere_before_the_dataset_is_made(tmp_path, monkeypatch, change):
    for kind in KINDS.keys() - IN_FOLDERS:
        case = Changed(tmp_path / kind / change, kind, change)
        data = case.opened(monkeypatch)
        case.happen(monkeypatch)
        try:
            dataset = scDataset(data, Streaming(), 2)
        except DamagedFileError:
            assert kind == "h5py stdio"  # whose descriptor is not known
            continue
        assert delivered(dataset) == {1}, kind
        again = delivered_pickled(dataset)
        assert again == {1} or isinstance(again, DamagedFileError), kind


@pytest.mark.parametrize("kind", IN_FOLDERS)
def test_a_zarr_store_with_a_relative_path_is_refused_where_it_is_not(tmp_path, monkeypatch, kind):
    case = Changed(tmp_path / kind / "chdir", kind, "chdir")
    data = case.opened(monkeypatch)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CollectionError, match=f"not at {tmp_path}/x.*absolute path"):
        scDataset(data, Streaming(), 2)


def test_anndata_whose_file_was_closed_is_not_opened_over_another(tmp_path):
    write_h5ad(tmp_path / "a.h5ad", 1)
    write_h5ad(tmp_path / "b.h5ad", 2)
    adata = backed(tmp_path / "a.h5ad")
    dataset = scDataset(adata, Streaming(), 2)
    adata.file.close()
    (tmp_path / "b.h5ad").replace(tmp_path / "a.h5ad")
    assert isinstance(delivered(dataset), DamagedFileError)


def test_one_file_has_one_fingerprint_however_its_path_is_written(tmp_path, monkeypatch):
    write_h5ad(tmp_path / "a.h5ad", 1)
    write_h5(tmp_path / "a.h5", 1)
    for open_file in (backed, lambda path: AnnCollection([backed(path)]), lambda path: backed(path).X):
        absolute = as_collection(open_file(tmp_path / "a.h5ad"))
        monkeypatch.chdir(tmp_path)
        relative = as_collection(open_file("a.h5ad"))
        monkeypatch.chdir("/")
        assert relative.fingerprint() == absolute.fingerprint()


def test_a_file_that_is_renamed_or_has_another_mode_is_the_same(tmp_path):
    for kind in ("h5py", "memmap", "AnnData"):
        case = Changed(tmp_path / kind / "replaced", kind, "replaced")
        dataset = scDataset(case.open(case.path), Streaming(), 2)
        case.path.chmod(0o600) if kind == "AnnData" else case.path.rename(tmp_path / f"other {kind}")
        assert delivered(dataset) == {1}, kind


def test_a_memmap_whose_file_was_cut_short_is_an_error(tmp_path):
    case = Changed(tmp_path / "memmap" / "replaced", "memmap", "replaced")
    dataset = scDataset(case.open(case.path), Streaming(), 2)
    os.truncate(case.path, 10)
    assert isinstance(delivered(dataset), DamagedFileError)
