"""Shards that other processes write: the store is the same to the byte."""

import pytest
from tests.conversion.stores import SMALL, content
from tests.elsewhere import Elsewhere

from scdataset import OutputError, convert


def test_a_store_that_other_processes_write_is_the_same_to_the_byte(path, tmp_path, expected):
    cluster = Elsewhere()
    convert(path, tmp_path / "a.zarr", engine=cluster, **SMALL)
    assert cluster.n_items > 3
    assert content(tmp_path / "a.zarr") == expected


def test_all_matrices_of_several_files_are_the_same_to_the_byte(adata, tmp_path):
    for key, rows in {"b": slice(0, 250), "a": slice(250, 600)}.items():
        adata[rows].copy().write_h5ad(tmp_path / f"{key}.h5ad")
    options = {**SMALL, "layers": ["logged"], "obsm": ["X_pca"], "label": "part", "genes": ["gene7", "gene3", "gene30"]}
    source = {"first": tmp_path / "b.h5ad", "second": tmp_path / "a.h5ad"}
    convert(source, tmp_path / "here.zarr", **options)
    convert(source, tmp_path / "there.zarr", engine=Elsewhere(), **options)
    assert content(tmp_path / "there.zarr") == content(tmp_path / "here.zarr")


def test_what_one_process_began_others_go_on_with(path, interrupted, expected):
    convert(path, interrupted, engine=Elsewhere(), **SMALL)
    assert content(interrupted) == expected


def test_a_machine_that_does_not_see_the_store_is_named(path, tmp_path, monkeypatch):
    class Blind(Elsewhere):
        def each(self, work, items):
            (tmp_path / "a.zarr.conversion" / "plan.json").rename(tmp_path / "plan.json")
            yield from super().each(work, items)

    monkeypatch.setattr("platform.node", lambda: "worker-7")
    with pytest.raises(OutputError, match=r"machine 'worker-7' does not see .*a.zarr.conversion. Every machine that"):
        convert(path, tmp_path / "a.zarr", engine=Blind(), **SMALL)
