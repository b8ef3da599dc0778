"""Keys of zarr stores that change while they are read, lead elsewhere or are no regular files: an error."""

import os
import shutil
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tests.engine.zarr_files import ROWS, index_of, written, zipped

from scdataset import DamagedFileError, ScDatasetError, open_collection
from scdataset.engine.containers.zarr import ZarrStore, csr_matrix


def chunk_file(path):
    """Return a chunk of X/data."""
    return next(file for file in sorted((Path(path) / "X/data").rglob("*")) if file.name == "2")


def replace_store(path):
    written(f"{path}.other", value=2.0)
    Path(path).rename(f"{path}.gone")
    Path(f"{path}.other").rename(path)


def overwrite_chunk(path):
    file = chunk_file(path)
    file.write_bytes(file.read_bytes())


def delete_chunk(path):
    chunk_file(path).unlink()


def swap_chunks(path):
    file = chunk_file(path)
    other = file.with_name("1")
    file.rename(file.with_name("kept"))
    other.rename(file)
    file.with_name("kept").rename(other)


@pytest.mark.parametrize("change", [replace_store, overwrite_chunk, delete_chunk, swap_chunks])
@pytest.mark.parametrize("version", [2, 3])
def test_a_store_that_changes_while_it_is_read_is_noticed(tmp_path, version, change):
    path = written(tmp_path / "a.zarr", version)
    cells = open_collection(path)
    assert np.unique(cells.read(ROWS)["X"].data).tolist() == [1.0]
    change(path)
    with pytest.raises(DamagedFileError, match=r"a\.zarr"):
        cells.read(ROWS)


def make_folder(file):
    file.mkdir()


def make_loop(file):
    file.symlink_to(file)


def make_pipe(file):
    os.mkfifo(file)


def make_device(file):
    file.symlink_to("/dev/null")  # and not /dev/zero, which has no end


def read_with_genes(path):
    cells = open_collection(path)
    return cells.read(ROWS), cells.var


@pytest.mark.parametrize("make", [make_folder, make_loop, make_pipe, make_device])
@pytest.mark.parametrize("name", ["X/data/c/2", "X/data/zarr.json", "var/_index/zarr.json", "names/c/0"])
def test_what_is_no_regular_file_is_refused(tmp_path, name, make):
    path = written(tmp_path / "a.zarr")
    file = Path(path) / name.replace("names", index_of(path))
    assert file.is_file()
    file.unlink()
    make(file)
    with pytest.raises(ScDatasetError, match=r"a\.zarr"):
        read_with_genes(path)


@pytest.mark.parametrize("make", [Path.unlink, lambda file: file.write_bytes(file.read_bytes())])
def test_names_and_labels_that_change_after_opening_are_noticed(tmp_path, make):
    path = written(tmp_path / "a.zarr")
    cells = open_collection(path)
    time.sleep(0.05)  # times of files go in steps of milliseconds, and one may begin before the opening
    make(Path(path) / index_of(path) / "c/0")
    with pytest.raises(DamagedFileError, match=r"a\.zarr.*was changed after"):
        _ = cells.var


def test_flipped_bytes_of_an_entry_of_a_zip_file_are_noticed(tmp_path):
    path = zipped(written(tmp_path / "a.zarr"), tmp_path / "a.zarr.zip")
    assert np.unique(open_collection(path).read(ROWS)["X"].data).tolist() == [1.0]
    content = bytearray(Path(path).read_bytes())
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo("X/data/c/2")
    content[member.header_offset + 30 + len(member.filename) + 12] ^= 1
    Path(path).write_bytes(content)
    with pytest.raises(DamagedFileError, match="CRC-32"):
        open_collection(path).read(ROWS)


def test_metadata_that_inflate_to_gigabytes_are_refused(tmp_path):
    path = written(tmp_path / "a.zarr", version=2)
    file = Path(path) / "X/data/.zarray"
    file.write_text(file.read_text() + " " * (1 << 27))
    archive = zipped(path, tmp_path / "a.zarr.zip", zipfile.ZIP_DEFLATED)
    with pytest.raises(ScDatasetError, match="metadata at most"):
        open_collection(archive)
    with pytest.raises(ScDatasetError, match="metadata at most"):
        open_collection(path)


def with_member(path, name, content, method):
    """Add an entry to a zip file, which says that it has ten bytes, as whatever it has."""
    with zipfile.ZipFile(path, "a", method) as archive:
        archive.writestr(name, content)
    stored = bytearray(Path(path).read_bytes())
    entry = stored.rindex(b"PK\x01\x02")
    stored[entry + 24 : entry + 28] = (10).to_bytes(4, "little")
    Path(path).write_bytes(stored)
    return path


@pytest.mark.parametrize(
    ("method", "said"),
    [(zipfile.ZIP_DEFLATED, "cannot be read as a zip file: Bad CRC"), (zipfile.ZIP_BZIP2, "compressed by method 12")],
)
def test_metadata_that_are_larger_than_the_zip_file_says_are_not_unpacked(tmp_path, method, said):
    archive = zipped(written(tmp_path / "a.zarr", 2), tmp_path / "a.zarr.zip")
    with_member(archive, "obs/extra/.zattrs", b" " * (80 << 20), method)
    with pytest.raises(DamagedFileError, match=said):
        open_collection(archive)


def test_a_sound_store_in_a_deflated_zip_file_is_read(tmp_path):
    path = zipped(written(tmp_path / "a.zarr"), tmp_path / "a.zarr.zip", zipfile.ZIP_DEFLATED)
    shutil.rmtree(tmp_path / "a.zarr")
    assert np.unique(open_collection(path).read(ROWS)["X"].data).tolist() == [1.0]


def test_entries_of_a_zip_file_that_have_other_names_than_its_directory_says_are_refused(tmp_path):
    path = Path(zipped(written(tmp_path / "a.zarr"), tmp_path / "a.zarr.zip"))
    content = path.read_bytes()
    directory = content.index(b"PK\x01\x02")
    path.write_bytes(content[:directory] + _swapped(content[directory:], b"X/data/c/1", b"X/data/c/2"))
    with pytest.raises(DamagedFileError, match="no member where its directory says"):
        open_collection(path).read(ROWS)


def _swapped(text, one, other):
    return text.replace(one, b"?" * len(one)).replace(other, one).replace(b"?" * len(one), other)


def test_a_thread_looks_at_the_files_that_it_read_whoever_else_looks_meanwhile(tmp_path):
    path = str(tmp_path / "a.zarr")
    written(path)
    chunks = csr_matrix(ZarrStore(path), "X", open_collection(path).shape).data.chunks
    chunks.piece(2)
    overwrite_chunk(path)
    with ThreadPoolExecutor(1) as other:
        other.submit(chunks.check).exception()
    with pytest.raises(DamagedFileError, match="X/data"):
        chunks.check()
