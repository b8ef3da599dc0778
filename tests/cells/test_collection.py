"""CellCollection over one file and several, alone and under scDataset."""

import multiprocessing
import pickle
from functools import partial

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from torch.utils.data import DataLoader

from scdataset import BlockShuffling, Streaming, open_collection, scDataset
from scdataset.errors import ArgumentTypeError, ArgumentValueError, CollectionError, StateError

SIZES = (70, 1, 45, 0, 33)
TYPES = (["T cell", "B cell"], ["NK"], ["B cell", "monocyte", "T cell"], [], ["T cell", "B cell"])


def cells(number, n_obs, labels, *, dtype="f4", kind="csr", n_vars=50):
    rng = np.random.default_rng(number)
    counts = scipy.sparse.random_array((n_obs, n_vars), density=0.3, format="csr", rng=rng)
    counts.data = rng.integers(1, 100, counts.data.size)
    counts = counts.astype(dtype)
    codes = rng.integers(-1, len(labels), n_obs)
    obs = pd.DataFrame(
        {
            "type": pd.Categorical.from_codes(codes, sorted(labels)),
            "depth": rng.random(n_obs).astype("f4"),
            "doublet": rng.random(n_obs) < 0.5,
        },
        index=[f"{number}-{i}" for i in range(n_obs)],
    )
    var = pd.DataFrame(index=[f"gene{i}" for i in range(n_vars)])
    return anndata.AnnData(
        counts.toarray() if kind == "dense" else counts, obs=obs, var=var, obsm={"X_pca": rng.normal(size=(n_obs, 4))}
    )


@pytest.fixture(scope="module", params=["csr", "gzip", "dense"])
def several(request, tmp_path_factory):
    """Return paths of five files, and the AnnData of all."""
    folder = tmp_path_factory.mktemp("several")
    kind, compression = ("dense", None) if request.param == "dense" else ("csr", {"gzip": "gzip"}.get(request.param))
    parts = [cells(i, n, labels, kind=kind) for i, (n, labels) in enumerate(zip(SIZES, TYPES, strict=True))]
    paths = [folder / f"part{i}.h5ad" for i in range(len(parts))]
    for part, path in zip(parts, paths, strict=True):
        part.write_h5ad(path, compression=compression)
    whole = anndata.concat(parts)
    whole.obs["type"] = pd.Categorical(whole.obs["type"].astype(object))
    return paths, whole


def dense(matrix):
    return matrix.toarray() if scipy.sparse.issparse(matrix) else np.asarray(matrix)


def check_batch(batch, whole, rows):
    np.testing.assert_array_equal(dense(batch["X"]), dense(whole.X)[rows])
    np.testing.assert_array_equal(batch["type"], whole.obs["type"].cat.codes.to_numpy()[rows])
    np.testing.assert_array_equal(batch["depth"], whole.obs["depth"].to_numpy()[rows])
    np.testing.assert_array_equal(batch["doublet"], whole.obs["doublet"].to_numpy()[rows])
    np.testing.assert_array_equal(batch["X_pca"], whole.obsm["X_pca"][rows])


def opened(paths, **options):
    return open_collection(paths, obs=["type", "depth", "doublet"], obsm=["X_pca"], **options)


@pytest.mark.parametrize("num_threads", [1, 3])
def test_rows_of_several_files_are_those_of_all_together(several, num_threads):
    paths, whole = several
    rng = np.random.default_rng(0)
    n = whole.n_obs
    with opened(paths, num_threads=num_threads) as collection:
        assert len(collection) == n
        windows = [np.arange(n), rng.integers(0, n, 300), rng.permutation(n), np.array([70]), np.arange(0)]
        windows += [np.array([69, 70, 71, 115, 116]), np.arange(40, 60)[::-1].copy()]
        for rows in windows:
            collection.announce(rows)
            check_batch(collection.read(rows), whole, rows)


def test_rows_are_indexed_as_numpy_does(several):
    paths, whole = several
    collection = opened(paths)
    every = np.arange(whole.n_obs)
    for key in (slice(60, 80), slice(None, None, 7), [3, -1, 3], every % 5 == 0, slice(5, 5)):
        check_batch(collection[key], whole, every[key])


@pytest.mark.parametrize("rows", [[-1], [0, 149], [10**12]])
def test_rows_outside_are_refused(several, rows):
    with pytest.raises(IndexError, match="of a collection with 149 cells"):
        opened(several[0]).read(np.array(rows))


def test_obs_var_and_categories(several):
    paths, whole = several
    collection = opened(paths)
    assert list(collection.categories) == ["type"]
    assert collection.categories["type"].tolist() == ["B cell", "NK", "T cell", "monocyte"]
    pd.testing.assert_frame_equal(collection.obs, whole.obs.reset_index(drop=True), check_categorical=False)
    assert collection.obs["type"].astype(object).equals(whole.obs["type"].astype(object).reset_index(drop=True))
    assert list(collection.var_names) == list(whole.var_names)
    assert (collection.n_obs, collection.n_vars) == collection.shape == whole.shape
    assert collection.files == [str(path) for path in paths]


def test_its_repr_says_what_it_is(several):
    kind = "CSR" if scipy.sparse.issparse(several[1].X) else "dense"
    assert repr(opened(several[0])) == (
        f"CellCollection(149 cells x 50 genes, {kind}, 5 files, obs=['type', 'depth', 'doublet'], obsm=['X_pca'])"
    )
    assert repr(open_collection(several[0][0])) == f"CellCollection(70 cells x 50 genes, {kind}, 1 file)"


@pytest.mark.parametrize("dtype", ["f8", "f4", "i4"])
def test_values_are_converted_to_the_type_asked_for(several, dtype):
    rows = np.arange(149)[::-1].copy()
    batch = opened(several[0], dtype=dtype).read(rows)
    assert batch["X"].dtype == dtype
    np.testing.assert_array_equal(dense(batch["X"]), dense(several[1].X)[rows].astype(dtype))


@pytest.mark.parametrize(
    ("values", "dtype"), [([0.5, 2], "int32"), ([np.nan, 1], "int64"), ([300, 1], "int8"), ([-1, 1], "uint8")]
)
@pytest.mark.parametrize("kind", [scipy.sparse.csr_matrix, np.asarray])
def test_a_type_that_would_change_values_is_refused_when_they_are_read(tmp_path, kind, values, dtype):
    anndata.AnnData(kind(np.array([values, [1, 2]], "f4"))).write_h5ad(tmp_path / "a.h5ad")
    cells = open_collection(tmp_path / "a.h5ad", dtype=dtype)
    np.testing.assert_array_equal(dense(cells[[1]]["X"]), [[1, 2]])
    with pytest.raises(
        ArgumentValueError, match=f"dtype='{dtype}' would change 1 of [24] values .* such as {values[0]}"
    ):
        cells[[0, 1]]


def test_reading_goes_on_after_a_close(several):
    collection = opened(several[0])
    rows = np.arange(149)
    for _ in range(2):
        check_batch(collection.read(rows), several[1], rows)
        collection.close()


def test_it_pickles_small_and_opens_again(several):
    collection = opened(several[0])
    collection.read(np.arange(149))
    again = pickle.loads(pickle.dumps(collection))
    rows = np.arange(149)[::2]
    check_batch(again.read(rows), several[1], rows)
    assert again.fingerprint() == collection.fingerprint()


def read_in_child(collection, queue):
    queue.put(collection.read(np.arange(149)[::-1].copy())["X"].sum())


@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_it_is_read_in_another_process(several, method):
    collection = opened(several[0])
    collection.read(np.arange(149))
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    child = context.Process(target=read_in_child, args=(collection, queue))
    child.start()
    assert queue.get() == several[1].X.sum()
    child.join()


def with_rows(collection, rows):
    fetched = collection.read(rows)
    return type(fetched)({**dict(fetched.items()), "row": rows})


@pytest.mark.parametrize(
    ("strategy", "num_workers"),
    [
        (BlockShuffling(4), 0),
        (BlockShuffling(4), 2),
        (Streaming(), 0),
        pytest.param(Streaming(), 2, marks=pytest.mark.slow),
    ],
)
def test_batches_are_rows_of_the_anndata(several, strategy, num_workers):
    paths, whole = several
    dataset = scDataset(opened(paths), strategy, batch_size=16, fetch_factor=3, seed=0, fetch_callback=with_rows)
    seen = []
    for batch in DataLoader(dataset, batch_size=None, num_workers=num_workers):
        rows = np.asarray(batch["row"])
        check_batch({name: np.asarray(value) if name != "X" else value for name, value in batch.items()}, whole, rows)
        seen.extend(rows.tolist())
    assert sorted(seen) == list(range(149))
    if isinstance(strategy, Streaming):
        assert seen == sorted(seen)


def test_batches_without_a_hook_are_rows_of_the_anndata(several):
    paths, whole = several
    dataset = scDataset(opened(paths), BlockShuffling(block_size=4), batch_size=16, fetch_factor=3, seed=0)
    place = {value: row for row, value in enumerate(whole.obs["depth"])}
    seen = []
    for batch in dataset:
        rows = [place[value] for value in batch["depth"]]
        check_batch(batch, whole, rows)
        seen += rows
    assert sorted(seen) == list(range(149))


def test_batches_that_are_kept_keep_their_values(several):
    paths, whole = several
    dataset = scDataset(opened(paths), Streaming(), batch_size=10, fetch_factor=2, seed=0)
    for number, batch in enumerate(list(dataset)):
        check_batch(batch, whole, np.arange(10 * number, min(10 * number + 10, 149)))


def write_all(folder, parts):
    paths = [folder / f"{i}.h5ad" for i in range(len(parts))]
    for part, path in zip(parts, paths, strict=True):
        part.write_h5ad(path)
    return paths


def test_other_genes_are_counted_and_the_first_is_named(tmp_path):
    parts = [cells(i, 5, ["a"], n_vars=n_vars) for i, n_vars in enumerate((9, 9, 7, 8))]
    with pytest.raises(CollectionError) as caught:
        open_collection(write_all(tmp_path, parts))
    assert "2 of 4 files have other genes" in str(caught.value)
    assert "2.h5ad, with 7 genes against 9, 7 in both" in str(caught.value)


def test_files_of_several_types_give_one_type_whichever_a_fetch_touches(tmp_path):
    parts = [cells(i, 5, ["a"], dtype=dtype) for i, dtype in enumerate(("f4", "i4", "u1"))]
    collection = open_collection(write_all(tmp_path, parts))
    whole = np.concatenate([part.X.toarray() for part in parts])
    for rows in (np.arange(5), np.arange(5, 10), np.arange(10, 15), np.arange(15), np.arange(0)):
        found = collection.read(rows)["X"]
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found.toarray(), whole[rows])


def test_files_of_several_kinds_are_refused(tmp_path):
    paths = write_all(tmp_path, [cells(0, 5, ["a"]), cells(1, 5, ["a"], kind="dense")])
    with pytest.raises(CollectionError, match=r"X is CSR with 50 columns in .*0\.h5ad, and dense with 50 in .*1\.h5ad"):
        open_collection(paths)


def test_arrays_of_several_widths_are_refused(tmp_path):
    parts = [cells(0, 5, ["a"]), cells(1, 5, ["a"])]
    parts[1].obsm["X_pca"] = np.zeros((5, 7))
    with pytest.raises(CollectionError, match="X_pca is dense with 4 columns in"):
        open_collection(write_all(tmp_path, parts), obsm=["X_pca"])


@pytest.mark.parametrize(("obs", "obsm"), [(["type", "type"], []), (["X"], []), (["X_pca"], ["X_pca"])])
def test_two_things_of_one_name_are_refused(several, obs, obsm):
    with pytest.raises(ArgumentValueError, match="more than once"):
        open_collection(several[0], obs=obs, obsm=obsm)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"obs": "type"}, ArgumentTypeError),
        ({"obsm": "X_pca"}, ArgumentTypeError),
        ({"num_threads": 0}, ArgumentValueError),
        ({"layer": "counts"}, ArgumentValueError),
    ],
)
def test_bad_options_are_refused_at_opening(several, options, error):
    with pytest.raises(error):
        partial(open_collection, several[0])(**options)


def test_a_state_is_refused_over_a_file_that_was_written_again(tmp_path):
    path = tmp_path / "cells.h5ad"
    cells(0, 30, ["a"]).write_h5ad(path)
    state = scDataset(open_collection(path), Streaming(), 4, seed=0).state_dict()
    other = cells(1, 30, ["a"])
    other.X = other.X * 0
    other.X.eliminate_zeros()
    other.write_h5ad(path)
    with pytest.raises(StateError, match="collection"):
        scDataset(open_collection(path), Streaming(), 4, seed=0).load_state_dict(state)


def test_a_notebook_shows_a_short_table(several):
    paths, _ = several
    shown = open_collection(paths, obs=["type"], obsm=["X_pca"], num_threads=3)._repr_html_()
    for cell in ("149", "50", "type", "X_pca", "5, ", "3"):
        assert f">{cell}" in shown
    assert shown.startswith("<table>")
