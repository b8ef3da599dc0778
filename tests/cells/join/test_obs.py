"""Columns of obs that are not in batches: listed, read on demand, used in conditions, and put into AnnData."""

import pickle
import warnings
from contextlib import suppress

import anndata
import mudata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from tests.written import H5AD, once

from scdataset import BlockShuffling, open_collection, scDataset
from scdataset.cells.formats.h5ad import H5adFile
from scdataset.cells.join import obs as module
from scdataset.errors import (
    ArgumentIndexError,
    ArgumentTypeError,
    ArgumentValueError,
    CollectionError,
    UnimplementedError,
)


def frame_of(number, n_obs):
    """Return a frame with a column of every kind that anndata writes."""
    rng = np.random.default_rng(number)
    gone, grades = rng.random(n_obs) < 0.3, ["low", "high"]
    columns = {
        "type": pd.Categorical(rng.choice(["T", "B", "NK"][number % 2 :], n_obs), ["NK", "T", "B"]),
        "grade": pd.Categorical(np.where(gone, None, rng.choice(grades, n_obs)), grades, ordered=True),
        "level": pd.Categorical(rng.choice([3, 1, 2], n_obs), [1, 2, 3]),
        "text": np.array([f"free text {i % 5}" for i in range(n_obs)], object),
        "flag": rng.random(n_obs) < 0.5,
        "count": rng.integers(-(2**40), 2**40, n_obs),
        "small": rng.integers(0, 200, n_obs).astype("u1"),
        "ratio": np.where(gone, np.nan, rng.random(n_obs)).astype("f4"),
        "maybe": pd.array(np.where(gone, None, rng.random(n_obs) < 0.5), dtype="boolean"),
        "whole": pd.array(rng.integers(0, 9, n_obs), dtype="Int16"),
        "some": pd.array(np.where(gone, None, rng.integers(0, 9, n_obs)), dtype="Int64"),
    }
    return pd.DataFrame(columns, index=[f"{number}-{i}" for i in range(n_obs)])


def write(path, number, n_obs=40, frame=None):
    return write_frame(path, number, frame) if frame is not None else write_numbered(path, number, n_obs)


@once
def write_numbered(path, number, n_obs):
    return write_frame(path, number, frame_of(number, n_obs))


def write_frame(path, number, obs):
    rng = np.random.default_rng(number)
    counts = scipy.sparse.random(len(obs), 6, 0.5, "csr", np.float32, rng=rng)
    data = anndata.AnnData(counts, obs, pd.DataFrame({"id": list("uvwxyz")}, list("abcdef")))
    data.obsm["pca"] = rng.random((len(obs), 3))
    with anndata.settings.override(allow_write_nullable_strings=True), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what anndata says of its next version
        if str(path).endswith(".zarr"):
            data.write_zarr(path, convert_strings_to_categoricals=False)
        else:
            data.write_h5ad(path, convert_strings_to_categoricals=False)
    return str(path)


def read(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return anndata.read_zarr(path) if str(path).endswith(".zarr") else anndata.read_h5ad(path)


def plain(series):
    """Return values as objects, None where one is missing."""
    return [None if pd.isna(value) else value for value in series.astype(object)]


def assert_same_frame(found, expected):
    """Compare names, values, and categories with their order."""
    assert list(found.columns) == list(expected.columns)
    for name in expected:
        assert plain(found[name]) == plain(expected[name]), name
        if isinstance(expected[name].dtype, pd.CategoricalDtype):
            assert found[name].cat.categories.tolist() == expected[name].cat.categories.tolist()
            assert found[name].cat.ordered == expected[name].cat.ordered
        elif isinstance(expected[name].dtype, np.dtype) and expected[name].dtype != object:
            assert found[name].dtype == expected[name].dtype


@pytest.fixture(params=[".h5ad", ".zarr"])
def path(request, tmp_path):
    return write(tmp_path / f"one{request.param}", 0)


@pytest.fixture
def several(tmp_path):
    return [write(tmp_path / f"{number}.h5ad", number, 20 + number) for number in range(3)]


def test_every_column_is_listed_and_read_as_anndata_reads_it(path):
    expected = read(path).obs
    with open_collection(path) as cells:
        assert cells.obs_keys() == list(expected.columns)
        assert_same_frame(cells.obs_frame(), expected)
        assert_same_frame(cells.obs_frame(["some", "type"]), expected[["some", "type"]])
        assert isinstance(cells.obs_frame(["type"]).index, pd.RangeIndex)
        assert cells.obs_frame(["type"], names=True).index.equals(expected.index)
        assert cells.obs_names.equals(expected.index)
        assert cells.obs.shape == (40, 0)


@pytest.mark.parametrize("name", H5AD)
def test_columns_of_real_files_equal_what_anndata_reads(real_data, name):
    path = real_data(name)
    expected = read(path).obs
    cells = open_collection(path)
    assert cells.obs_keys() == list(expected.columns)
    assert_same_frame(cells.obs_frame(), expected)
    assert list(cells.obs_names) == list(expected.index)


def test_columns_of_several_files_follow_each_other(several):
    parts = [read(path).obs for path in several]
    cells = open_collection(several)
    found = cells.obs_frame()
    for name in parts[0]:
        assert plain(found[name]) == [value for part in parts for value in plain(part[name])]
    assert list(cells.obs_names) == [name for part in parts for name in part.index]


def test_a_column_that_a_file_lacks_is_refused_or_missing(several, tmp_path):
    lacking = write(tmp_path / "few.h5ad", 9, frame=frame_of(9, 10)[["type"]].assign(extra=1.5))
    cells = open_collection([*several, lacking])
    assert cells.obs_keys() == [*frame_of(0, 1).columns, "extra"]
    assert list(cells.obs_frame().columns) == ["type"]
    for ask in (lambda: cells.obs_frame(["extra"]), lambda: cells.where(lambda obs: obs["extra"] > 1)):
        with pytest.raises(CollectionError, match=r'3 of 4 files.*missing_obs="fill"'):
            ask()
    filled = open_collection([*several, lacking], missing_obs="fill")
    assert list(filled.obs_frame().columns) == cells.obs_keys()
    assert filled.where(lambda obs: obs["extra"] > 1).tolist() == list(range(63, 73))
    assert filled.obs_frame(["text"])["text"].isna().sum() == 10


def test_a_condition_reads_the_columns_that_it_uses(several, monkeypatch):
    asked = []
    column = H5adFile.column
    monkeypatch.setattr(H5adFile, "column", lambda self, name: asked.append(name) or column(self, name))
    whole = pd.concat([read(path).obs for path in several])
    cells = open_collection(several, obs=["type"])
    asked.clear()
    for _ in range(2):
        found = cells.where(lambda obs: (obs["type"] == "B") & obs.flag & (obs[["count", "small"]] > 0).all(axis=1))
        expected = (whole["type"] == "B") & whole["flag"] & (whole[["count", "small"]] > 0).all(axis=1)
        assert found.tolist() == np.flatnonzero(expected).tolist()
    assert sorted(set(asked)) == ["count", "flag", "small"]
    assert len(asked) == 9  # once a file, although asked for twice
    assert (
        cells.where(lambda obs: obs.eval("small > 100 and ratio > 0.5")).tolist()
        == np.flatnonzero(whole.eval("small > 100 and ratio > 0.5")).tolist()
    )


def test_columns_read_on_demand_take_bounded_memory(several, monkeypatch):
    monkeypatch.setattr(module, "_CACHED_BYTES", 100)
    cells = open_collection(several)
    for name in cells.obs_keys():
        assert len(cells.obs_frame([name])) == 63
        assert len(cells._obs._read) == 1


def test_rows_of_a_condition_are_those_that_a_strategy_draws(path):
    cells = open_collection(path, obs=["type"])
    rows = cells.where(lambda obs: obs["flag"])
    frame = cells.obs_frame(["flag"])
    assert frame.index[frame["flag"]].tolist() == rows.tolist()
    dataset = scDataset(cells, BlockShuffling(4, indices=rows), batch_size=8, seed=0)
    assert sum(len(batch) for batch in dataset) == rows.size


@pytest.mark.parametrize("use", [lambda cells, mask: cells.where(mask), lambda cells, mask: cells.rows_of(mask)])
def test_a_mask_with_an_index_is_aligned_by_it(path, use):
    cells = open_collection(path)
    flags = read(path).obs["flag"]
    expected = np.flatnonzero(flags).tolist()
    assert use(cells, flags).tolist() == expected
    assert use(cells, flags.sample(frac=1, random_state=0)).tolist() == expected
    numbered = flags.reset_index(drop=True)
    assert use(cells, numbered.sample(frac=1, random_state=0)).tolist() == expected
    with pytest.raises(ArgumentValueError, match=r"'x0', .*cannot be aligned to \['0-0'"):
        use(cells, flags.set_axis([f"x{i}" for i in range(40)]))


@pytest.mark.parametrize("wrong", ["T cell", lambda _: "T cell", lambda obs: obs["flag"][:3], lambda obs: obs["small"]])
def test_a_condition_that_is_no_mask_is_refused(path, wrong):
    with pytest.raises(ArgumentValueError, match=r"give booleans of shape \(40,\).*lambda obs"):
        open_collection(path).where(wrong)


def test_an_unknown_column_names_the_nearest(path, several):
    for cells in (open_collection(path), open_collection(several)):
        for ask in (lambda: cells.obs_frame(["typ"]), lambda: cells.where(lambda obs: obs["typ"] == "B")):  # noqa: B023
            with pytest.raises(ArgumentValueError, match=r"no column 'typ'; it has \['type', .*Did you mean 'type'\?"):
                ask()
    with pytest.raises(ArgumentValueError, match=r"Did you mean 'type'\?"):
        open_collection(path, obs=["typ"])
    with pytest.raises(ArgumentTypeError, match=r"\['type'\]"):
        open_collection(path).obs_frame("type")


def test_obs_is_made_once_and_cannot_be_changed_by_its_callers(path, monkeypatch):
    cells = open_collection(path, obs=["type", "small"])
    first = cells.obs
    first["new"] = 0
    assert list(cells.obs.columns) == ["type", "small"]
    monkeypatch.setattr(module.Obs, "frame", lambda *_: pytest.fail("made again"))
    assert len(cells.obs) == 40


def test_what_was_read_on_demand_is_not_sent_to_workers(path):
    cells = open_collection(path)
    assert len(cells.obs_frame(names=True)) == len(cells.obs) == 40
    sent = pickle.loads(pickle.dumps(cells))
    assert not sent._obs._read
    assert "names" not in vars(sent._obs)
    assert sent.obs_frame(names=True).equals(cells.obs_frame(names=True))


@pytest.mark.parametrize("rows", [slice(3, 30, 4), [5, 0, 39, 7], np.arange(40) % 3 == 0, slice(0, 0)])
def test_some_cells_become_anndata(path, rows):
    expected = read(path)[rows]
    found = open_collection(path, obsm=["pca"]).to_adata(rows)
    assert (found.X != expected.X).nnz == 0
    assert list(found.obs_names) == list(expected.obs_names)
    assert found.var.equals(expected.var)
    assert np.array_equal(found.obsm["pca"], expected.obsm["pca"])
    for name in expected.obs:
        assert plain(found.obs[name]) == plain(expected.obs[name])


def test_anndata_has_what_was_asked_for(several):
    cells = open_collection(several, obs=["flag"])
    found = cells.to_adata([62, 0], obs=["type"], obsm=["pca"])
    whole = anndata.concat([read(path) for path in several])[[62, 0]]
    assert list(found.obs.columns) == ["type"]
    assert np.array_equal(found.obsm["pca"], whole.obsm["pca"])
    assert list(found.obs_names) == list(whole.obs_names)
    with pytest.raises(ArgumentValueError, match="umap"):
        cells.to_adata([0], obsm=["umap"])


def test_other_formats_list_their_columns(real_data):
    assert open_collection(real_data("tenx/scanpy_v3_GRCh38chr21.h5")).obs_keys() == ["barcode"]
    text = open_collection(real_data("mtx/scanpy_v3_GRCh38_chr21"))
    assert text.obs_keys() == ["barcode"]
    assert text.obs_frame(["barcode"])["barcode"].astype(str).tolist() == list(text.obs_names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gene symbols that repeat
        assert list(text.to_adata([1, 0]).obs_names) == list(text.obs_names[[1, 0]])


def test_modalities_have_columns_of_all_cells_and_of_each(tmp_path):
    paths = []
    for number in range(2):
        names = [f"{number}-{i}" for i in range(12)]
        rna = anndata.AnnData(np.ones((12, 3), "f4"), pd.DataFrame({"type": list("ab") * 6}, names))
        protein = anndata.AnnData(np.ones((10, 2), "f4"), pd.DataFrame({"depth": range(10)}, names[2:]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = mudata.MuData({"rna": rna, "protein": protein})
            data.obs["donor"] = pd.Categorical(["x", "y"] * 6)
            data.write_h5mu(tmp_path / f"{number}.h5mu")
        paths.append(str(tmp_path / f"{number}.h5mu"))
    cells = open_collection(paths, missing_modality="mask", label="file", index_unique="-")
    assert cells.obs_keys()[0] == "donor"
    assert {"rna:type", "protein:depth", "file"} < set(cells.obs_keys())
    found = cells.where(lambda obs: (obs["rna:type"] == "a") & (obs["donor"] == "x") & (obs["file"] == "1"))
    assert found.tolist() == list(range(12, 24, 2))
    assert cells.obs_frame(["protein:depth"])["protein:depth"].isna().sum() == 4
    assert cells.obs_names[[0, 23]].tolist() == ["0-0-0", "1-11-1"]
    assert cells[[0, 23]]["file"].tolist() == [0, 1]
    with pytest.raises(UnimplementedError, match=r"cells\.modalities\['rna'\]\.to_adata"):
        cells.to_adata([0])
    with pytest.raises(UnimplementedError, match=r"write_obsm\('X_emb'\) of 2 modalities: .* numpy\.save"):
        cells.write_obsm("X_emb", np.zeros((len(cells), 2)))
    assert cells.modalities["protein"].to_adata([9]).obs_names.tolist() == ["0-11"]


def test_obs_lies_over_the_memory_of_batches_and_is_not_written_to(tmp_path):
    with open_collection(write(tmp_path / "a.h5ad", 0), obs=["type", "ratio"]) as cells:
        columns = cells._obs.batch
        assert np.shares_memory(cells.obs["ratio"].to_numpy(), columns["ratio"].codes)
        assert np.shares_memory(cells.obs["type"].array.codes, columns["type"].codes)
        before = columns["ratio"].codes.copy()
        frame = cells.obs
        with suppress(ValueError):  # pandas 3 copies what is written to
            frame.loc[0, "ratio"] = 3
        np.testing.assert_array_equal(columns["ratio"].codes, before)
        with pytest.raises(ValueError, match="read-only"):
            cells.where(lambda obs: obs["ratio"].to_numpy().fill(3))
        frame["ratio"] = 3
        np.testing.assert_array_equal(cells.obs["ratio"], before)


def test_frames_that_are_asked_for_can_be_written_to(tmp_path):
    with open_collection(write(tmp_path / "a.h5ad", 0), obs=["type", "ratio"]) as cells:
        for frame in (cells.obs_frame(["type", "ratio"]), cells.obs.copy(), cells.to_adata([3, 0]).obs):
            frame.iloc[0, frame.columns.get_loc("ratio")] = 3
            frame.iloc[0, frame.columns.get_loc("type")] = "B"
            assert frame.iloc[0][["ratio", "type"]].tolist() == [3, "B"]
        assert cells.obs["ratio"].iloc[0] != 3


def test_cells_are_chosen_by_name(path, several):
    cells = open_collection(path)
    for wanted in (["0-5", "0-2"], np.array(["0-5", "0-2"]), pd.Index(["0-5", "0-2"]), pd.Series(["0-5", "0-2"])):
        assert cells.to_adata(wanted).obs_names.tolist() == ["0-5", "0-2"]
    assert cells.to_adata([]).n_obs == 0
    with pytest.raises(ArgumentIndexError, match=r"1 of 2 names is not of cells, such as 'zz'; cells are called '0-0'"):
        cells.to_adata(["0-1", "zz"])
    with pytest.warns(UserWarning, match="more than once"):
        twice = open_collection([path, path])
    with pytest.raises(ArgumentIndexError, match=r"several cells are called '0-5'; open .* with index_unique"):
        twice.to_adata(["0-5"])


def test_a_column_without_labels_says_why(path):
    categories = open_collection(path, obs=["type", "count"]).categories
    assert list(categories) == ["type"]
    for name, why in [
        ("count", "of numbers"),
        ("grade", r"not in batches; give .*obs=\['grade'\]"),
        ("typ", "no column"),
    ]:
        with pytest.raises(KeyError, match=f"No labels of '{name}', which is {why}"):
            categories[name]
    assert type(pickle.loads(pickle.dumps(categories))) is dict
