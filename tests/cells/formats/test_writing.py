"""Results go back to the files that are open, and a file that is idle is open to others."""

import warnings

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from tests.written import once

from scdataset import Streaming, open_collection, scDataset
from scdataset.cells.collection import CellCollection, Opened
from scdataset.cells.formats.h5ad import H5adFile
from scdataset.errors import ArgumentTypeError, ArgumentValueError, CollectionError, DamagedFileError


@once
def write(path, number, n_obs=20, **options):
    rng = np.random.default_rng(number)
    counts = scipy.sparse.random(n_obs, 6, 0.5, "csr", np.float32, rng=rng)
    obs = pd.DataFrame({"type": pd.Categorical(rng.choice(["a", "b"], n_obs))}, [f"{number}-{i}" for i in range(n_obs)])
    data = anndata.AnnData(counts, obs, pd.DataFrame(index=list("abcdef")))
    data.obsm["pca"] = rng.random((n_obs, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what anndata says of its next version
        data.write_zarr(path) if str(path).endswith(".zarr") else data.write_h5ad(path, **options)
    return str(path)


def read(path):
    return anndata.read_zarr(path) if str(path).endswith(".zarr") else anndata.read_h5ad(path)


@pytest.fixture(params=[".h5ad", ".zarr"])
def paths(request, tmp_path):
    return [write(tmp_path / f"{number}{request.param}", number, 20 + number) for number in range(3)]


def test_an_embedding_made_in_the_loop_is_in_the_files(paths):
    before = [read(path) for path in paths]
    with open_collection(paths, obs=["type"]) as cells:
        model = torch.nn.Linear(6, 4)
        parts = [
            model(torch.from_numpy(batch["X"].toarray())).detach()
            for batch in scDataset(cells, Streaming(), batch_size=16)
        ]
        embedding = torch.cat(parts)
        cells.write_obsm("X_emb", embedding)
        again = np.concatenate([batch["X"].toarray() for batch in scDataset(cells, Streaming(), batch_size=16)])
    first = 0
    for path, old in zip(paths, before, strict=True):
        new = read(path)
        assert np.array_equal(new.obsm["X_emb"], embedding[first : first + old.n_obs].numpy())
        assert np.array_equal(new.obsm["pca"], old.obsm["pca"])
        assert (new.X != old.X).nnz == 0
        assert np.array_equal(new.X.toarray(), again[first : first + old.n_obs])
        assert new.obs.equals(old.obs)
        first += old.n_obs
    assert sorted(new.obsm) == ["X_emb", "pca"]
    assert open_collection(paths, obsm=["X_emb"])[:]["X_emb"].tolist() == embedding.tolist()


def test_an_array_in_batches_is_replaced_in_them_as_well(paths):
    cells = open_collection(paths, obsm=["pca"])
    new = np.random.default_rng(0).random((63, 5))
    with pytest.raises(ArgumentValueError, match=r"'pca' in 3 of 3 files.*overwrite=True"):
        cells.write_obsm("pca", new)
    assert cells[:]["pca"].shape == (63, 3)
    cells.write_obsm("pca", new, overwrite=True)
    assert np.array_equal(cells[[62, 0]]["pca"], new[[62, 0]])
    assert np.array_equal(cells.to_adata(slice(0, 9)).obsm["pca"], new[:9])


@pytest.mark.parametrize(
    ("name", "array", "error", "said"),
    [
        ("X_emb", np.zeros((62, 2)), ArgumentValueError, r"shape \(62, 2\); give numbers of shape \(63, k\)"),
        ("X_emb", np.zeros(63), ArgumentValueError, r"shape \(63,\)"),
        ("X_emb", np.full((63, 2), "a"), ArgumentValueError, "give numbers"),
        ("X_emb", torch.zeros(63, 2, requires_grad=True), ArgumentTypeError, r"detach\(\)\.cpu\(\)\.numpy\(\)"),
        ("a/b", np.zeros((63, 2)), ArgumentValueError, "without slashes"),
    ],
)
def test_what_cannot_be_written_is_refused(paths, name, array, error, said):
    cells = open_collection(paths)
    with pytest.raises(error, match=said):
        cells.write_obsm(name, array)
    assert sorted(read(paths[0]).obsm) == ["pca"]


def test_nothing_is_written_unless_all_files_can_take_it(tmp_path, real_data):
    path = write(tmp_path / "a.h5ad", 0)
    with h5py.File(path, "r") as file:
        names = sorted(file["obsm"])
    tenx = open_collection(real_data("tenx/scanpy_v3_GRCh38chr21.h5"))
    with pytest.raises(CollectionError, match="neither h5ad nor zarr"):
        tenx.write_obsm("X_emb", np.zeros((tenx.n_obs, 2)))
    both = open_collection([path, write(tmp_path / "b.h5ad", 1)])
    both.write_obsm("one", np.zeros((40, 2)))
    with h5py.File(path, "r+") as file:
        del file["obsm/one"]
    with pytest.raises(ArgumentValueError, match=r"'one' in 1 of 2 files, such as .*b\.h5ad"):
        open_collection([path, str(tmp_path / "b.h5ad")]).write_obsm("one", np.zeros((40, 2)))
    with h5py.File(path, "r") as file:
        assert sorted(file["obsm"]) == names


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = write(tmp_path / "a.h5ad", 0)
    cells = open_collection(path)

    def fail(group, name, values):
        group[name] = values[:3]
        raise OSError(group.file.filename)

    with monkeypatch.context() as patch:
        patch.setattr(anndata.io, "write_elem", fail)
        with pytest.raises(CollectionError, match=r"a\.h5ad\. 0 of 1 file have it"):
            cells.write_obsm("X_emb", np.zeros((20, 2)))
    assert sorted(read(path).obsm) == ["pca"]
    assert len(cells[:3]) == 3
    cells.write_obsm("X_emb", np.ones((20, 2)))
    assert sorted(read(path).obsm) == ["X_emb", "pca"]


def test_a_file_of_before_obsm_gets_one(tmp_path):
    path = write(tmp_path / "a.h5ad", 0)
    with h5py.File(path, "r+") as file:
        del file["obsm"]
    open_collection(path).write_obsm("X_emb", np.ones((20, 2)))
    assert read(path).obsm["X_emb"].sum() == 40


def test_a_file_that_someone_else_has_open_says_so(tmp_path):
    path = write(tmp_path / "a.h5ad", 0)
    cells = open_collection(path)
    with h5py.File(path, "r"), pytest.raises(CollectionError, match="Close everything that has the file open"):
        cells.write_obsm("X_emb", np.ones((20, 2)))
    cells.write_obsm("X_emb", np.ones((20, 2)))


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_an_idle_collection_leaves_its_files_to_others(tmp_path, compression):
    paths = [write(tmp_path / f"{number}.h5ad", number, compression=compression) for number in range(2)]
    uses = [lambda _: None, lambda c: c[:5], lambda c: c.var, lambda c: c.obs_frame(), lambda c: c.obs_names]
    uses += [lambda c: c.to_adata([1]), lambda c: list(scDataset(c, Streaming(), batch_size=8))]
    for use in uses:
        cells = open_collection(paths, obs=["type"])
        use(cells)
        for path in paths:
            h5py.File(path, "a").close()  # refused while h5py has the file open for reading


def test_the_fallback_leaves_the_file_to_others(tmp_path):
    path = write(tmp_path / "a.h5ad", 0)
    file = H5adFile(path, None, fallback=True)
    cells = CellCollection([Opened(file)], (), (), None, None)
    assert np.array_equal(cells[[3, 1]]["X"].toarray(), read(path).X[[3, 1]].toarray())
    h5py.File(path, "a").close()


def test_a_file_that_was_written_to_by_others_has_to_be_opened_again(tmp_path):
    path = write(tmp_path / "a.h5ad", 0)
    cells = open_collection(path)
    assert len(cells[:2]) == 2
    with h5py.File(path, "a") as file:
        file["obsm/X_emb"] = np.zeros((20, 2))
    with pytest.raises(DamagedFileError, match="open it again"):
        cells[:2]


@pytest.mark.parametrize("paths", [".h5ad"], indirect=True)
def test_a_frame_goes_to_the_cells_of_its_index(paths):
    cells = open_collection(paths[:1])
    values = np.arange(40.0).reshape(20, 2)
    backwards = pd.DataFrame(values, cells.obs_names).iloc[::-1]
    cells.write_obsm("named", backwards)
    cells.write_obsm("numbered", pd.DataFrame(values).iloc[::-1])
    written = read(paths[0]).obsm
    assert np.array_equal(written["named"], values)
    assert np.array_equal(written["numbered"], values)
    with pytest.raises(ArgumentValueError, match=r"DataFrame with the index \['x0', .* cannot be aligned"):
        cells.write_obsm("others", backwards.set_axis([f"x{i}" for i in range(20)]))
