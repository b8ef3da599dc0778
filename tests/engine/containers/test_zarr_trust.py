"""zarr stores that are damaged, changed while they are read, or lead elsewhere: an error, and no wrong value."""

import gzip
import json
import os
import shutil
import warnings
import zipfile
from pathlib import Path

import anndata
import numcodecs
import numpy as np
import pytest
import scipy.sparse
import zarr
from tests.written import once
from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec

from scdataset import DamagedFileError, ScDatasetError, open_collection
from scdataset.engine.containers import zarr_claims
from scdataset.engine.containers.zarr_keys import Keys
from scdataset.engine.containers.zarr_library import checked_store

ROWS = np.arange(40)


@once
def written(path, version=3, value=1.0):
    """Write a store with several chunks an array."""
    matrix = scipy.sparse.random(40, 30, 0.4, format="csr", dtype=np.float32, random_state=0)
    matrix.data[:] = value
    with warnings.catch_warnings(), anndata.settings.override(zarr_write_format=version):
        warnings.simplefilter("ignore")
        anndata.AnnData(matrix).write_zarr(path)
    group = zarr.open_group(path, mode="a", zarr_format=version)["X"]
    for name in ("data", "indices"):
        group.create_array(name, data=group[name][:], chunks=(60,), overwrite=True)
    (Path(path) / ".zmetadata").unlink(missing_ok=True)
    return str(path)


def changed(path, key, **values):
    """Change the metadata of an array."""
    file = Path(path) / key
    metadata = json.loads(file.read_text())
    metadata.update(values)
    file.write_text(json.dumps(metadata))
    return path


def zipped(path, target, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(target, "w", compression) as archive:
        for file in sorted(Path(path).rglob("*")):
            if file.is_file():
                archive.write(file, str(file.relative_to(path)))
    return str(target)


def chunk_file(path):
    """Return a chunk of X/data."""
    return next(file for file in sorted((Path(path) / "X/data").rglob("*")) if file.name == "2")


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
@pytest.mark.parametrize("name", ["X/data/c/2", "X/data/zarr.json", "var/_index/zarr.json", "var/_index/c/0"])
def test_what_is_no_regular_file_is_refused(tmp_path, name, make):
    path = written(tmp_path / "a.zarr")
    file = Path(path) / name
    assert file.is_file()
    file.unlink()
    make(file)
    with pytest.raises(ScDatasetError, match=r"a\.zarr"):
        read_with_genes(path)


@pytest.mark.parametrize("make", [Path.unlink, lambda file: file.write_bytes(file.read_bytes())])
def test_names_and_labels_that_change_after_opening_are_noticed(tmp_path, make):
    path = written(tmp_path / "a.zarr")
    cells = open_collection(path)
    make(Path(path) / "var/_index/c/0")
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


def test_a_chunk_of_a_deflated_zip_file_that_unpacks_to_gigabytes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(zarr_claims, "_FREE", 1 << 16)
    file = Path(written(tmp_path / "a.zarr")) / "var/_index/c/0"
    file.write_bytes(bytes(1 << 20))
    archive = zipped(tmp_path / "a.zarr", tmp_path / "a.zarr.zip", zipfile.ZIP_DEFLATED)
    with pytest.raises(DamagedFileError, match="var/_index/c/0 unpacks to 1048576 bytes"):
        _ = open_collection(archive).var


@pytest.mark.parametrize("version", [2, 3])
def test_a_chunk_that_says_it_holds_gigabytes_is_refused_before_zarr_decodes_it(tmp_path, version):
    path = written(tmp_path / "a.zarr", version)
    compressor = numcodecs.Blosc() if version == 2 else BloscCodec()
    group = zarr.open_group(path, mode="a", zarr_format=version, use_consolidated=False)["var"]
    values, attributes = group["_index"][:], dict(group["_index"].attrs)
    group.create_array("_index", data=values, compressors=compressor, overwrite=True).attrs.update(attributes)
    cells = open_collection(path)
    assert len(cells.var) == 30
    file = Path(path) / ("var/_index/0" if version == 2 else "var/_index/c/0")
    stored = bytearray(file.read_bytes())
    stored[4:8] = (1 << 31).to_bytes(4, "little")
    for content, said in ((stored, "unpacks to 2147483648 bytes"), (stored[:9], "not as many as its blosc header")):
        file.write_bytes(content)
        with pytest.raises(DamagedFileError, match=rf"{file.name}.* {said}"):
            _ = open_collection(path).var


@pytest.mark.parametrize("compressor", ["none", "zstd", "gzip", "blosc"])
@pytest.mark.parametrize("version", [2, 3])
def test_a_chunk_that_says_it_has_a_thousand_million_strings_is_refused(tmp_path, version, compressor):
    path = written(tmp_path / "a.zarr", version)
    made = {"none": None, "zstd": ZstdCodec(), "gzip": GzipCodec(), "blosc": BloscCodec()}[compressor]
    if version == 2:
        made = {"none": None, "zstd": numcodecs.Zstd(), "gzip": numcodecs.GZip(), "blosc": numcodecs.Blosc()}[
            compressor
        ]
    group = zarr.open_group(path, mode="a", zarr_format=version, use_consolidated=False)["var"]
    values, attributes = group["_index"][:], dict(group["_index"].attrs)
    group.create_array("_index", data=values, compressors=made, overwrite=True).attrs.update(attributes)
    assert len(open_collection(path).var) == 30
    file = Path(path) / ("var/_index/0" if version == 2 else "var/_index/c/0")
    strings = bytearray(numcodecs.VLenUTF8().encode(values.astype(object)))
    strings[:4] = (1 << 30).to_bytes(4, "little")
    packed = {"none": bytes, "zstd": numcodecs.Zstd().encode, "gzip": numcodecs.GZip().encode}
    file.write_bytes({**packed, "blosc": numcodecs.Blosc().encode}[compressor](bytes(strings)))
    with pytest.raises(DamagedFileError, match=rf"_index.* it has {1 << 30} strings, where a chunk has 30"):
        _ = open_collection(path).var


def with_column(path, version, compressors, chunks=None, shards=None):
    """Write a store whose obs has a column of zeros."""
    path = written(path, version)
    group = zarr.open_group(path, mode="a", zarr_format=version, use_consolidated=False)["obs"]
    options = {} if chunks is None else {"chunks": chunks}
    options |= {} if shards is None else {"shards": shards}
    column = group.create_array("size", data=np.ones(len(ROWS)), compressors=compressors, **options)
    column.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    group.attrs["column-order"] = [*group.attrs["column-order"], "size"]
    assert open_collection(path, obs=["size"]).obs["size"].tolist() == [1.0] * len(ROWS)
    return path


@pytest.mark.parametrize("n_members", [1, 4])
@pytest.mark.parametrize("version", [2, 3])
def test_a_chunk_that_inflates_to_far_more_than_it_holds_is_refused_before_zarr_decodes_it(
    tmp_path, monkeypatch, version, n_members
):
    monkeypatch.setattr(zarr_claims, "_FREE", 1 << 20)
    path = with_column(tmp_path / "a.zarr", version, numcodecs.GZip() if version == 2 else GzipCodec())
    file = Path(path) / ("obs/size/0" if version == 2 else "obs/size/c/0")
    file.write_bytes(gzip.compress(bytes((1 << 23) // n_members)) * n_members)
    with pytest.raises(DamagedFileError, match=r"obs/size.* unpacks to \d+ bytes from \d+, where at most \d+ can be"):
        open_collection(path, obs=["size"])


@pytest.mark.parametrize("at_end", [True, False])
def test_a_chunk_in_a_shard_that_says_it_holds_more_than_it_can_is_refused_before_zarr_decodes_it(tmp_path, at_end):
    path = with_column(tmp_path / "a.zarr", 3, BloscCodec(), (10,), (40,))
    if not at_end:
        file = Path(path) / "obs/size/zarr.json"
        changed_text = file.read_text().replace('"index_location": "end"', '"index_location": "start"')
        assert changed_text != file.read_text()
        file.write_text(changed_text)
        (Path(path) / "obs/size/c/0").unlink()
        zarr.open_group(path, mode="a", zarr_format=3, use_consolidated=False)["obs/size"][:] = np.arange(40.0)
    for rows in (slice(0, 40), slice(12, 15)):  # all of a shard, and a part
        assert checked(path)["obs/size"][rows].size == rows.stop - rows.start
    shard = Path(path) / "obs/size/c/0"
    content = bytearray(shard.read_bytes())
    index = content[-68:-4] if at_end else content[:64]
    first = np.frombuffer(index, "<u8").reshape(-1, 2)[1, 0]
    content[int(first) + 4 : int(first) + 8] = (1 << 30).to_bytes(4, "little")
    shard.write_bytes(content)
    for rows in (slice(0, 40), slice(12, 15)):
        with pytest.raises(DamagedFileError, match=rf"obs/size/c/0 cannot be decoded: it unpacks to {1 << 30} bytes"):
            checked(path)["obs/size"][rows]


def checked(path):
    """Return a store as this package has zarr open it."""
    return zarr.open_group(checked_store(Keys(path)), mode="r", use_consolidated=False)
