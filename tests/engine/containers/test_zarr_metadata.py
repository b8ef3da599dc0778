"""Metadata of zarr arrays that cannot be right: an error, and no wrong value."""

import json
from pathlib import Path

import pytest
from tests.engine.zarr_files import ROWS, written

from scdataset import ScDatasetError, open_collection


def changed(path, key, **values):
    """Change the metadata of an array."""
    file = Path(path) / key
    metadata = json.loads(file.read_text())
    metadata.update(values)
    file.write_text(json.dumps(metadata))
    return path


SEPARATORS = ["NaN", "/../../../../other.zarr/X/data/c/", 7, None, ""]


@pytest.mark.parametrize("separator", SEPARATORS)
def test_a_separator_that_is_none_of_the_format_is_refused(tmp_path, separator):
    written(tmp_path / "other.zarr", value=2.0)
    path = written(tmp_path / "a.zarr")
    encoding = {"name": "default", "configuration": {"separator": separator}}
    changed(path, "X/data/zarr.json", chunk_key_encoding=encoding)
    with pytest.raises(ScDatasetError, match=r"a\.zarr"):
        open_collection(path).read(ROWS)
    old = written(tmp_path / "b.zarr", version=2)
    changed(old, "X/data/.zarray", dimension_separator=separator)
    with pytest.raises(ScDatasetError, match=r"b\.zarr"):
        open_collection(old).read(ROWS)


@pytest.mark.parametrize("size", [2**40, 2**62, -1, 0, 1.5, "60", True])
def test_a_size_of_chunks_that_cannot_be_is_refused(tmp_path, size):
    path = written(tmp_path / "a.zarr")
    grid = {"name": "regular", "configuration": {"chunk_shape": [size]}}
    changed(path, "X/data/zarr.json", chunk_grid=grid)
    with pytest.raises(ScDatasetError, match=r"a\.zarr"):
        open_collection(path).read(ROWS)
    old = changed(written(tmp_path / "b.zarr", version=2), "X/data/.zarray", chunks=[size])
    with pytest.raises(ScDatasetError, match=r"b\.zarr"):
        open_collection(old).read(ROWS)
