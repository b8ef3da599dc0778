"""zarr stores that are damaged, changed while they are read, or lead elsewhere: an error, and no wrong value."""

import gzip
import zipfile
from pathlib import Path

import numcodecs
import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec
from zarr_files import ROWS, written, zipped

from scdataset import DamagedFileError, open_collection
from scdataset.engine.containers import zarr_claims
from scdataset.engine.containers.zarr_keys import Keys
from scdataset.engine.containers.zarr_library import checked_store


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
