"""Total counts of all genes beside chosen ones, summed in the read."""

import anndata
import h5py
import mudata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from scdataset import ArgumentTypeError, ArgumentValueError, BlockShuffling, open_collection, scDataset
from scdataset.pp import library_sizes, nonzero_medians
from scdataset.transforms import NormalizeTotal

ROWS = np.random.default_rng(0)


def cells(names, n_obs, dtype="f4", kind="csr", seed=0):
    X = np.random.default_rng(seed).poisson(0.5, (n_obs, len(names))).astype(dtype)  # noqa: N806
    obs = pd.DataFrame({"total_counts": np.zeros(n_obs)}, index=[f"cell {seed} {i}" for i in range(n_obs)])
    return anndata.AnnData(sp.csr_matrix(X) if kind == "csr" else X, obs, pd.DataFrame(index=list(names)))


def written(folder, parts):
    for number, part in enumerate(parts):
        part.write_h5ad(folder / f"{number}.h5ad")
    return [folder / f"{number}.h5ad" for number in range(len(parts))]


def sums_of(parts):
    return np.concatenate([np.asarray(part.X.sum(axis=1, dtype=np.float64)).reshape(-1) for part in parts])


@pytest.mark.parametrize("kind", ["csr", "dense"])
@pytest.mark.parametrize("options", [{"join": "inner"}, {"join": "outer"}, {"genes": list("CA")}])
def test_total_counts_are_the_sums_over_all_genes_of_each_file(tmp_path, kind, options):
    parts = [cells("ABCDE", 13, "f4", kind, 1), cells("CAXB", 7, "i2", kind, 2), cells("YBAC", 9, "f8", kind, 3)]
    paths = written(tmp_path, parts)
    collection, without = open_collection(paths, row_sums=True, **options), open_collection(paths, **options)
    for rows in (np.arange(29), ROWS.integers(0, 29, 60), np.arange(0)):
        read = collection.read(rows)
        assert list(read.keys()) == ["X", "total_counts"]
        assert read["total_counts"].dtype == np.float64
        np.testing.assert_array_equal(read["total_counts"], sums_of(parts)[rows])
        expected = without.read(rows)["X"]
        assert type(read["X"]) is type(expected)
        assert (read["X"] != expected).sum() == 0
    assert "row_sums=True" in repr(collection)


@pytest.mark.parametrize("layer", ["double", "raw"])
def test_sums_are_those_of_the_layer_that_is_read(tmp_path, layer):
    made = cells("ABCDE", 20)
    made.layers["double"] = made.X * 2
    made.raw = made.copy()
    made = made[:, :3].copy()
    paths = written(tmp_path, [made])
    expected = made.layers["double"].sum(axis=1) if layer == "double" else made.raw.X.sum(axis=1)
    read = open_collection(paths, layer=layer, genes=["B"], row_sums=True).read(np.arange(20))
    np.testing.assert_array_equal(read["total_counts"], np.asarray(expected).reshape(-1))


def test_values_of_another_type_are_added_up_as_they_are_stored(tmp_path):
    made = cells("AB", 20, "f8")
    made.X.data += 0.3
    read = open_collection(written(tmp_path, [made]), dtype="f4", row_sums=True).read(np.arange(20))
    np.testing.assert_allclose(read["total_counts"], sums_of([made]), rtol=1e-13)


@pytest.mark.parametrize("genes", [None, ["gene3", "gene1"]])
def test_features_that_are_not_taken_do_not_count(tmp_path, genes):
    counts = np.random.default_rng(0).poisson(1, (6, 5)).astype("i4")
    types = ["Gene Expression"] * 4 + ["Antibody Capture"]
    matrix = sp.csr_matrix(counts)
    with h5py.File(tmp_path / "tenx.h5", "w") as file:
        group = file.create_group("matrix")
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(matrix, name)
        group["shape"] = np.array([5, 6])
        group["barcodes"] = [f"c{i}".encode() for i in range(6)]
        for name, values in {"id": range(5), "name": [f"gene{i}" for i in range(5)], "feature_type": types}.items():
            group[f"features/{name}"] = [str(value).encode() for value in values]
        group["features/genome"] = [b"g"] * 5
    options = {"feature_types": ["Gene Expression"], "genes": genes}
    read = open_collection(tmp_path / "tenx.h5", row_sums=True, **options).read(np.arange(6))
    np.testing.assert_array_equal(read["total_counts"], counts[:, :4].sum(axis=1))
    np.testing.assert_array_equal(read["X"].toarray(), counts[:, [3, 1]] if genes else counts[:, :4])


@pytest.mark.filterwarnings("ignore:From 0.4:FutureWarning")
def test_each_modality_has_sums_of_its_own(tmp_path):
    one, other = cells("ABC", 9), cells("XYZW", 9)[3:].copy()
    del one.obs["total_counts"], other.obs["total_counts"]
    mudata.MuData({"rna": one, "prot": other}).write(tmp_path / "a.h5mu")
    cells_of = open_collection(tmp_path / "a.h5mu", missing_modality="mask", row_sums=True)
    read = cells_of.read(np.arange(9))
    np.testing.assert_array_equal(read["rna:total_counts"], sums_of([one]))
    np.testing.assert_array_equal(read["prot:total_counts"][read["prot:mask"]], sums_of([other]))
    assert not read["prot:total_counts"][~read["prot:mask"]].any()
    rna = open_collection(tmp_path / "a.h5mu", modality="rna", genes=["B"], row_sums=True)
    np.testing.assert_array_equal(rna.read(np.arange(9))["total_counts"], sums_of([one]))


def test_batches_of_chosen_genes_are_normalised_by_the_totals_of_all(tmp_path):
    parts = [cells("ABCDE", 40, seed=1), cells("EDCBA", 30, seed=2)]
    chosen = open_collection(written(tmp_path, parts), genes=["C", "A"], row_sums=True)
    whole = anndata.concat(parts)
    expected = NormalizeTotal()(whole.X.toarray())[:, [2, 0]]
    loop = scDataset(chosen, BlockShuffling(4), 16, fetch_factor=2, fetch_transform=NormalizeTotal(), seed=0)
    rows = scDataset(np.arange(70), BlockShuffling(4), 16, fetch_factor=2, seed=0)
    for batch, own in zip(loop, rows, strict=True):
        np.testing.assert_array_equal(batch["X"].toarray(), expected[own])


def test_statistics_take_the_totals_of_all_genes(tmp_path):
    made = cells("ABCDE", 40)
    paths = written(tmp_path, [made])
    chosen, whole = open_collection(paths, genes=["C", "A"], row_sums=True), open_collection(paths)
    assert library_sizes(chosen).equals(library_sizes(whole))
    assert nonzero_medians(chosen).equals(nonzero_medians(whole)[["C", "A"]])


def test_names_and_values_that_cannot_be_are_refused(tmp_path):
    paths = written(tmp_path, [cells("AB", 5)])
    with pytest.raises(ArgumentValueError, match=r"\['total_counts'\] more than once.*that of row_sums"):
        open_collection(paths, obs=["total_counts"], row_sums=True)
    with pytest.raises(ArgumentTypeError, match="row_sums='yes'"):
        open_collection(paths, row_sums="yes")
    assert list(open_collection(paths, obs=["total_counts"]).read(np.arange(2)).keys()) == ["X", "total_counts"]
