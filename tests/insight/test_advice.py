"""Advice: each layout that reads slowly is named with its remedy, and one that does not is left alone."""

import h5py
import numpy as np
import pytest
import scipy.sparse as sp

from scdataset import describe
from scdataset.insight.advice import network_of


def write(path, store, shape=(600, 2000), **options):
    """Write X as anndata does, with any chunks."""
    import anndata

    anndata.AnnData(sp.csr_matrix(shape, dtype="f4")).write_h5ad(path)
    with h5py.File(path, "a") as file:
        attributes = dict(file["X"].attrs)
        del file["X"]
        store(file, attributes, shape, **options)


def dense(file, _, shape, density=1.0, **options):
    values = np.ones(shape, options.pop("dtype", "f4"))
    values[:, round(density * shape[1]) :] = 0
    file.create_dataset("X", data=values, **options)
    file["X"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})


def sparse(file, attributes, shape, **options):
    group, matrix = file.create_group("X"), sp.random(*shape, 0.5, "csr", "f4", random_state=0)
    group.attrs.update(attributes)
    for name in ("data", "indices", "indptr"):
        group.create_dataset(name, data=getattr(matrix, name), **(options if name != "indptr" else {}))


CASES = {
    "tiles": (dense, {"chunks": (50, 100)}, "A row lies in 20 tiles of 50 x 100"),
    "zeros": (dense, {"density": 0.1}, "dense, and 90% of its values are zero"),
    "wide numbers": (dense, {"dtype": "f8"}, "Its values are float64"),
    "large chunks": (sparse, {"chunks": (600_000,), "compression": "gzip"}, "A gzip chunk holds about 600 cells"),
    "library": (dense, {"chunks": (10, 2000), "scaleoffset": 2}, "read through the library alone"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_slow_layout_is_named(tmp_path, case):
    store, options, said = CASES[case]
    write(tmp_path / "a.h5ad", store, **options)
    advice = [str(one) for one in describe(tmp_path / "a.h5ad")[0].advice]
    assert len(advice) == 1
    assert said in advice[0]


@pytest.mark.parametrize("options", [{}, {"chunks": (20_000,), "compression": "gzip"}])
def test_a_fast_layout_is_left_alone(tmp_path, options):
    write(tmp_path / "a.h5ad", sparse, **options)
    assert describe(tmp_path / "a.h5ad")[0].advice == ()


def test_counts_in_a_layer_are_pointed_to(tmp_path):
    import anndata

    counts = sp.csr_matrix(np.random.default_rng(0).poisson(0.5, (40, 10)).astype("f4"))
    logs = counts.copy()
    logs.data = np.log1p(logs.data * 1.3)
    anndata.AnnData(logs, layers={"counts": counts}).write_h5ad(tmp_path / "a.h5ad")
    [advice] = describe(tmp_path / "a.h5ad")[0].advice
    assert "open_collection(path, layer='counts')" in str(advice)


def test_a_network_file_system_is_told_by_the_table_of_mounts(tmp_path):
    (tmp_path / "mounts").write_text(f"/dev/sda / ext4 rw 0 0\nserver:/x {tmp_path}/net nfs4 rw 0 0\n")
    (tmp_path / "net").mkdir()
    mounts = str(tmp_path / "mounts")
    assert network_of(str(tmp_path / "net/a.h5ad"), mounts) == "nfs4"
    assert network_of(str(tmp_path / "a.h5ad"), mounts) is None
    assert network_of("/a.h5ad", str(tmp_path / "none")) is None
