"""Folders: the same files and stores by the same rules, on disk and in a bucket."""

import json

import pytest
from tests.cells.remote_files import opened, plates, upload

pytest.importorskip("obstore")
from scdataset.cells.sources import paths_of
from scdataset.engine.bytes.object_store import using_options
from scdataset.errors import ArgumentValueError, CollectionError, MissingFileError, ScDatasetError

STORE, SCDL = ("zarr.json",), ("data.npy", "col_ptr.npy", "row_ptr.npy", "metadata.json")
STATE = json.dumps({"_data_files": [{"filename": "b.arrow"}, {"filename": "a.arrow"}]})
SELECTION = json.dumps({"_data_files": [{"filename": "a.arrow"}], "_indices_data_files": [{"filename": "i.arrow"}]})

FOLDERS = {
    "files": (["x/b.h5ad", "x/a.h5ad", "x/.c.h5ad", "x/notes.txt", "x/y/z.txt"], ["x/a.h5ad", "x/b.h5ad"]),
    "stores": (["x/b.zarr/zarr.json", "x/a.zarr/.zgroup"], ["x/a.zarr", "x/b.zarr"]),
    "a store": (["x/zarr.json", "x/X/zarr.json"], ["x"]),
    "an SCDL": ([f"x/{name}" for name in SCDL], ["x"]),
    "several SCDL": ([f"x/{one}/{name}" for one in "ba" for name in SCDL], ["x/a", "x/b"]),
    "numbered stores": ([f"x/dataset_{k}/zarr.json" for k in (0, 2, 10)], [f"x/dataset_{k}" for k in (0, 2, 10)]),
    "texts": (["x/a/matrix.mtx", "x/b/matrix.mtx.gz"], ["x/a/matrix.mtx", "x/b/matrix.mtx.gz"]),
    "a folder called as a file": (["x/a.h5ad/b.h5ad"], ["x/a.h5ad/b.h5ad"]),
    "Arrow beside a cache": (["x/a.arrow", "x/cache-1.arrow"], ["x/a.arrow"]),
    "a data set": ([("x/state.json", STATE), "x/a.arrow", "x/b.arrow"], ["x/b.arrow", "x/a.arrow"]),
    "a selection": ([("x/state.json", SELECTION), "x/a.arrow", "x/i.arrow"], "a selection of rows"),
    "splits": (["x/dataset_dict.json", "x/test/a.arrow", "x/train/a.arrow"], r"the splits \['test', 'train'\]"),
    "text twice": (["x/matrix.mtx", "x/matrix.mtx.gz"], "both gzipped and not"),
    "several kinds": (["x/a.h5ad", "x/b/matrix.mtx"], r"several kinds \(1 \.h5ad, 1 folders of matrix\.mtx\)"),
    "raw and filtered": (["x/raw_y/matrix.mtx", "x/filtered_y/matrix.mtx"], "the same cells twice"),
    "none": (["x/notes.txt"], r"none of \['\.h5ad'"),
}


STORES = [
    f"s/{store}/{name}"
    for store in ("a.zarr", "b/c.zarr", "b/c.zarr-d.zarr")
    for name in ("zarr.json", "X/zarr.json", "X/c/0")
]


def fill(server, folder, files):
    for file in files:
        name, text = (file, "") if isinstance(file, str) else file
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    upload(server, folder, "in")


def listed(server, place, source):
    """Return the paths below a place that a source stands for."""
    with using_options(server.options):
        return [path.removeprefix(f"{place}/").rstrip("/") for path in paths_of(f"{place}/{source}")]


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_stands_for_the_same_on_disk_and_in_a_bucket(server, tmp_path, name):
    files, expected = FOLDERS[name]
    fill(server, tmp_path, files)
    for place in (tmp_path, server.s3("in")):
        if isinstance(expected, list):
            assert listed(server, place, "x") == expected
        else:
            with pytest.raises(ScDatasetError, match=expected):
                listed(server, place, "x")


PATTERNS = {
    "x/**/*.h5ad": ["x/a.h5ad", "x/y/b.h5ad", "x/y/z/c.h5ad"],
    "x/**": ["x/a.h5ad", "x/y/b.h5ad"],
    "**/z": ["x/y/z/c.h5ad"],
    "x/**/*": ["x/a.h5ad", "x/y/b.h5ad", "x/y/z/c.h5ad"],
    "s/**/*": ["s/a.zarr", "s/b/c.zarr", "s/b/c.zarr-d.zarr"],
    "s/*/*.zarr": ["s/b/c.zarr", "s/b/c.zarr-d.zarr"],
    "s/**/*.zarr": ["s/a.zarr", "s/b/c.zarr", "s/b/c.zarr-d.zarr"],
    "x/*/*.h5ad": ["x/y/b.h5ad"],
    "odd/b[1].h5ad": ["odd/b[1].h5ad"],
    "odd/b[[]*": ["odd/b[1].h5ad"],
    "odd/c*.h5ad": ["odd/c*.h5ad"],
    "odd/d?/*.h5ad": ["odd/d?/e.h5ad"],
    "odd/?1.h5ad": ["odd/b1.h5ad", "odd/c1.h5ad", "odd/d1.h5ad"],
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_stands_for_the_same_on_disk_and_in_a_bucket(server, tmp_path, pattern):
    odd = ["b[1].h5ad", "b1.h5ad", "c*.h5ad", "c1.h5ad", "d?/e.h5ad", "d1.h5ad"]
    fill(server, tmp_path, ["x/a.h5ad", "x/y/b.h5ad", "x/y/z/c.h5ad", *(f"odd/{name}" for name in odd), *STORES])
    for place in (tmp_path, server.s3("in")):
        assert listed(server, place, pattern) == PATTERNS[pattern]


def test_a_key_of_an_object_and_of_a_folder_is_the_folder_with_a_slash_alone(server, tmp_path):
    plates(server, tmp_path, 2)
    server.objects |= {"both": server.objects["plates/plate0.h5ad"], "both/a.h5ad": b"", "plates": b""}
    assert opened(server, "both").files == [server.s3("both")]
    assert len(opened(server, "plates").files) == len(opened(server, "plates/").files) == 2
    with pytest.raises(CollectionError, match=r"both/a\.h5ad"):
        opened(server, "both/")


def test_brackets_of_a_host_are_those_of_a_pattern_unless_they_are_encoded(server, tmp_path):
    plates(server, tmp_path, 1)
    server.objects["a[1].h5ad"] = server.objects["plates/plate0.h5ad"]
    assert len(opened(server, "a%5B1%5D.h5ad", server.http)) == 60
    with pytest.raises(ArgumentValueError, match=r"is a pattern, .*%5B for a bracket"):
        opened(server, "a[1].h5ad", server.http)


def test_a_folder_that_is_called_as_an_object_is_told(server):
    server.objects["a.h5ad/b.h5ad"] = b""
    with pytest.raises(MissingFileError, match=r"as an object. There is a folder of this name: s3://bucket/a\.h5ad/"):
        opened(server, "a.h5ad")
    with pytest.raises(MissingFileError, match=r"s3://bucket/c does not exist"):
        opened(server, "c/")
