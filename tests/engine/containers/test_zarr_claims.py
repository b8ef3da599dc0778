"""zarr stores that are damaged, changed while they are read, or lead elsewhere: an error, and no wrong value."""

import bz2
import gzip
import json
import lzma
import os
import struct
import zipfile
from pathlib import Path

import numcodecs
import numpy as np
import pyarrow as pa
import pytest
import zarr
from tests.children import with_little_memory
from tests.engine.zarr_files import ROWS, index_of, written, zipped
from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec

from scdataset import DamagedFileError, open_collection
from scdataset.engine.codecs import unpacking
from scdataset.engine.containers.zarr_keys import Keys
from scdataset.engine.containers.zarr_library import checked_store


def test_a_chunk_of_a_deflated_zip_file_that_unpacks_to_gigabytes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "FREE", 1 << 16)
    key = f"{index_of(written(tmp_path / 'a.zarr'))}/c/0"
    (tmp_path / "a.zarr" / key).write_bytes(bytes(1 << 20))
    archive = zipped(tmp_path / "a.zarr", tmp_path / "a.zarr.zip", zipfile.ZIP_DEFLATED)
    with pytest.raises(DamagedFileError, match=f"{key} unpacks to 1,048,576 bytes"):
        _ = open_collection(archive).var


def with_names(path, version, compressor):
    """Write the names of genes again, with a compressor; return their key and the names."""
    group, key = zarr.open_group(path, mode="a", zarr_format=version, use_consolidated=False), index_of(path)
    values, attributes = group[key][:], dict(group[key].attrs)
    group.create_array(key, data=values, compressors=compressor, overwrite=True).attrs.update(attributes)
    return key, values


@pytest.mark.parametrize("version", [2, 3])
def test_a_chunk_that_says_it_holds_gigabytes_is_refused_before_zarr_decodes_it(tmp_path, version):
    path = written(tmp_path / "a.zarr", version)
    compressor = numcodecs.Blosc() if version == 2 else BloscCodec()
    key, _ = with_names(path, version, compressor)
    cells = open_collection(path)
    assert len(cells.var) == 30
    file = Path(path) / key / ("0" if version == 2 else "c/0")
    stored = bytearray(file.read_bytes())
    stored[4:8] = (1 << 31).to_bytes(4, "little")
    for content, said in ((stored, "unpacks to 2,147,483,648 bytes"), (stored[:9], "not as many as its blosc header")):
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
    key, values = with_names(path, version, made)
    assert len(open_collection(path).var) == 30
    file = Path(path) / key / ("0" if version == 2 else "c/0")
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
    monkeypatch.setattr(unpacking, "FREE", 1 << 12)
    path = with_column(tmp_path / "a.zarr", version, numcodecs.GZip() if version == 2 else GzipCodec())
    file = Path(path) / ("obs/size/0" if version == 2 else "obs/size/c/0")
    file.write_bytes(gzip.compress(bytes((1 << 19) // n_members)) * n_members)
    with pytest.raises(DamagedFileError, match=r"obs/size.* unpacks to [\d,]+ bytes or more from \d+, where at most"):
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
        with pytest.raises(DamagedFileError, match=rf"obs/size/c/0 cannot be decoded: it unpacks to {1 << 30:,} bytes"):
            checked(path)["obs/size"][rows]


def checked(path):
    """Return a store as this package has zarr open it."""
    return zarr.open_group(checked_store(Keys(str(path))), mode="r", use_consolidated=False)


def with_array(folder, codecs, content, **changes):
    """Write a store with an array of 20 numbers, or as the changes have it, in one chunk of some content."""
    metadata = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [20],
        "data_type": "int8",
        "fill_value": 0,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [20]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "codecs": [{"name": name, "configuration": options} for name, options in codecs],
    }
    (folder / "a/c").mkdir(parents=True)
    (folder / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}')
    (folder / "a/zarr.json").write_text(json.dumps({**metadata, **changes}))
    (folder / "a/c/0").write_bytes(content)
    return folder


def zstd_without_size(content):
    with pa.BufferOutputStream() as sink, pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
        stream.close()
        return sink.getvalue().to_pybytes()


def sharded(chunk_shape, codecs):
    index = {"index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}], "index_location": "end"}
    codecs = [{"name": name, "configuration": options} for name, options in codecs]
    return "sharding_indexed", {"chunk_shape": [chunk_shape], "codecs": codecs, **index}


def in_shard(chunk):
    """Return a shard of two chunks, of which the second is there."""
    return chunk + b"\xff" * 16 + struct.pack("<QQ", 0, len(chunk))


NUMBERS, STRINGS = ("bytes", {"endian": "little"}), ("vlen-utf8", {})
ZSTD, GZIP = ("zstd", {"level": 0, "checksum": False}), ("gzip", {"level": 5})
SHARDS = sharded(10, [sharded(5, [NUMBERS, GZIP])])
BOMBS = {
    "bz2": ([NUMBERS, ("numcodecs.bz2", {"level": 1})], bz2.compress, {}),
    "lzma": ([NUMBERS, ("numcodecs.lzma", {"format": 1})], lzma.compress, {}),
    "zstd, and its size in no frame": ([NUMBERS, ZSTD], zstd_without_size, {}),
    "strings under zstd": ([STRINGS, ZSTD], zstd_without_size, {"data_type": "string", "fill_value": ""}),
    "two compressors": ([NUMBERS, GZIP, ZSTD], gzip.compress, {}),
    "shards in shards": ([SHARDS], gzip.compress, {}),
    "a compressed shard": ([sharded(10, [NUMBERS]), GZIP], gzip.compress, {}),
}
"""Codecs of an array, how the streams are made whose content is far larger, and other metadata."""


@pytest.mark.parametrize("name", BOMBS)
def test_what_a_library_would_unpack_to_gigabytes_is_refused_within_the_memory_of_its_chunk(tmp_path, name):
    codecs, pack, changes = BOMBS[name]
    content = pack(bytes(1 << 22)) * 1024
    if name == "two compressors":
        content = numcodecs.Zstd().encode(content)
    if name == "shards in shards":
        content = in_shard(in_shard(content))
    if name.startswith("strings"):  # their limit is that of all strings
        content = zstd_without_size(np.uint32([20]).tobytes()) + content
    assert len(content) < 5 << 20
    with_array(tmp_path / "a.zarr", codecs, content, **changes)
    assert "a/c/0 cannot be decoded: it " in with_little_memory(READ, tmp_path / "a.zarr")


READ = """
import sys
import zarr
from scdataset import DamagedFileError
from scdataset.engine.containers.zarr_keys import Keys
from scdataset.engine.containers.zarr_library import checked_store
store = zarr.open_group(checked_store(Keys(sys.argv[1])), mode="r", use_consolidated=False)
for rows in (slice(0, 20), slice(11, 12)):
    try:
        store["a"][rows]
    except DamagedFileError as error:
        print(error)
    else:
        raise SystemExit("it was read")
"""


@pytest.mark.filterwarnings("ignore:Numcodecs codecs are not in")
@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress, zstd_without_size])
def test_sound_chunks_of_streams_are_read_also_in_shards_of_shards(tmp_path, pack):
    codec = {bz2.compress: "numcodecs.bz2", lzma.compress: "numcodecs.lzma", zstd_without_size: "zstd"}[pack]
    codecs = [NUMBERS, (codec, {}), ZSTD]
    content = numcodecs.Zstd().encode(pack(bytes(range(20))))
    assert checked(with_array(tmp_path / "a.zarr", codecs, content))["a"][:].tolist() == list(range(20))
    content = in_shard(in_shard(numcodecs.Zstd().encode(pack(bytes(range(5))))))
    nested = [sharded(10, [sharded(5, codecs)])]
    assert checked(with_array(tmp_path / "b.zarr", nested, content))["a"][:].tolist() == [0] * 15 + list(range(5))


def test_a_chunk_far_larger_than_its_array_is_refused_before_it_is_read(tmp_path):
    grid = {"name": "regular", "configuration": {"chunk_shape": [1 << 32]}}
    path = with_array(tmp_path / "a.zarr", [NUMBERS, GZIP], gzip.compress(bytes(100)), chunk_grid=grid)
    with pytest.raises(DamagedFileError, match="it is a chunk of 4,294,967,296 bytes, in an array of 20"):
        _ = checked(path)["a"][:]


def test_a_key_with_more_bytes_than_its_chunk_can_take_up_is_not_read(tmp_path, monkeypatch):
    path = with_array(tmp_path / "a.zarr", [NUMBERS], b"")
    os.truncate(path / "a/c/0", 1 << 40)  # takes no space
    with pytest.raises(DamagedFileError, match=f"a/c/0 cannot be decoded: it has {1 << 40:,} bytes"):
        _ = checked(path)["a"][:]


def test_a_chunk_in_the_bytes_of_the_index_of_its_shard_is_refused(tmp_path):
    name, options = sharded(10, [NUMBERS])
    codecs = [(name, {**options, "index_location": "start"})]
    path = with_array(tmp_path / "a.zarr", codecs, struct.pack("<QQQQ", 8, 10, 32, 10) + bytes(10))
    for rows in (slice(0, 20), slice(11, 12)):
        with pytest.raises(DamagedFileError, match="it has a chunk in the bytes of its index"):
            _ = checked(path)["a"][rows]
