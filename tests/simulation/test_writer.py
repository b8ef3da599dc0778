"""Simulated cells are written as AnnData writes its own."""

from pathlib import Path

import anndata
import h5py
import numpy as np
import pytest
from tests.simulation.small import SMALL

from scdataset.simulation import atlas, simulate_atlas


def test_file_is_what_anndata_would_write(small_file: Path, tmp_path: Path) -> None:
    anndata.read_h5ad(small_file).write_h5ad(tmp_path / "again.h5ad")

    def layout(path: Path) -> dict[str, tuple[str, str]]:
        found = {}
        with h5py.File(path) as file:
            file.visititems(lambda name, item: found.update({name: item}))
            return {
                name: (str(sorted(item.attrs.items(), key=str)), str(getattr(item, "dtype", None)))
                for name, item in found.items()
            }

    assert layout(small_file) == layout(tmp_path / "again.h5ad")


def test_indices_are_sorted_within_a_row(small_file: Path) -> None:
    with h5py.File(small_file) as file:
        indices, pointers = file["X/indices"][:], file["X/indptr"][:]
    assert all(np.all(np.diff(row) > 0) for row in np.split(indices, pointers[1:-1]))


@pytest.mark.parametrize("compression", ["gzip", "lzf"])
def test_compression_changes_the_storage_and_not_the_values(small_file: Path, tmp_path: Path, compression: str) -> None:
    path = simulate_atlas(tmp_path / "c.h5ad", **SMALL, compression=compression, chunk_elements=1000)
    with h5py.File(path) as file:
        assert file["X/data"].compression == compression
        assert file["X/indices"].chunks == (1000,)
    assert (anndata.read_h5ad(path).X != anndata.read_h5ad(small_file).X).nnz == 0


def test_an_interrupted_run_leaves_nothing_and_keeps_what_was_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "a.h5ad"
    path.write_bytes(b"before")
    monkeypatch.setattr(atlas, "write_annotations", interrupt)
    with pytest.raises(KeyboardInterrupt):
        simulate_atlas(path, **SMALL)
    assert [file.name for file in tmp_path.iterdir()] == ["a.h5ad"]
    assert path.read_bytes() == b"before"
