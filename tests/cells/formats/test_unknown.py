"""Files of no format that is read are described."""

import gzip
import zipfile

import pytest

from scdataset import open_collection
from scdataset.errors import CollectionError

UNKNOWN = {
    "a.h5ad": (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
    "b.h5ad": (b"some text\n", "it is text"),
    "c.h5ad": (b"", "an empty file"),
    "d.h5ad": (bytes(600), "begins with zeros"),
    "e.h5ad": (b"<!DOCTYPE html><html>", "a page of HTML"),
    "f.h5ad.gz": (gzip.compress(b"\x89HDF\r\n\x1a\n"), "gunzip"),
    "g.rds": (gzip.compress(b"RDX3"), "in R"),
    "h.csv": (b"a,b\n1,2\n", "read_csv"),
    "i.tsv.gz": (gzip.compress(b"a\tb\n"), "read_csv"),
    "j.loom": (b"no loom", "it is text"),
    "k.pkl": (b"\x80\x05\x95", "a pickle"),
    "l.bin": (bytes(range(1, 255)) * 3, r"of no known format\."),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_file_of_no_known_kind_is_described(tmp_path, name):
    content, said = UNKNOWN[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CollectionError, match=rf"{name} is of no known format.*{said}|{said}"):
        open_collection(tmp_path / name)


def test_a_zip_file_that_is_no_store_says_what_is_in_it(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("cells.zarr/zarr.json", "{}")
    with pytest.raises(CollectionError, match=r"without zarr.json .* but \['cells.zarr/zarr.json'\]"):
        open_collection(tmp_path / "a.zip")
