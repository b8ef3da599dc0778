"""Strings of variable length in HDF5: damaged heaps end in an error, and sound ones are read wherever they lie."""

import gc
import os
import signal
import warnings
import zlib
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from tests.written import modalities

from scdataset import open_collection
from scdataset.cells.formats.nodes import Node
from scdataset.engine.containers.hdf5 import H5File, arrays_of
from scdataset.errors import DamagedFileError

LONG = "a" * 20_000
FREE_OF_NOTHING = bytes(16)
ENDLESS = b"\1\0\0\0\0\0\0\0" + b"\xf0" + b"\xff" * 7


def in_child(work, seconds=20):
    """Call a function in a forked process, which is killed if it hangs; return its exit status and peak memory (MB)."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(seconds)
        try:
            work()
        except DamagedFileError:
            os._exit(3)
        finally:
            os._exit(1)
    _, status, used = os.wait4(child, 0)
    return os.waitstatus_to_exitcode(status), used.ru_maxrss // 1024


def damage_heaps(path, header):
    """Give the first object of every collection of a file another header."""
    data = bytearray(path.read_bytes())
    at = data.find(b"GCOL\x01")
    while at >= 0:
        data[at + 16 : at + 32] = header
        at = data.find(b"GCOL\x01", at + 1)
    path.write_bytes(data)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as h5:
        h5.attrs["kind"] = "some text"
        h5["names"] = np.array(["b", "c" * 100, ""], object)
    return path


def root_of(path):
    return Node(str(path), "", H5File(str(path)).h5)


@pytest.mark.parametrize("header", [FREE_OF_NOTHING, ENDLESS])
def test_a_heap_without_an_end_is_refused(path, header):
    damage_heaps(path, header)
    assert in_child(lambda: root_of(path).attribute("kind"))[0] == 3
    assert in_child(lambda: root_of(path).child("names").values())[0] == 3


def test_a_heap_without_an_end_in_a_mudata_file(tmp_path):
    path = tmp_path / "m.h5mu"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        modalities().write_h5mu(path)
    damage_heaps(path, FREE_OF_NOTHING)
    assert in_child(lambda: open_collection(path))[0] == 3


def test_a_heap_that_is_damaged_behind_what_is_read_of_it_first(path):
    with h5py.File(path, "a") as h5:
        h5["many"] = np.array(["b" * 64] * 200 + ["e" * 64] + ["d" * 64] * 9, object)
    data = path.read_bytes()
    at = data.index(b"e" * 64)
    assert at - data.rindex(b"GCOL\x01", 0, at) > 4096
    assert root_of(path).child("many").values()[200] == b"e" * 64
    path.write_bytes(data[: at - 16] + FREE_OF_NOTHING + data[at:])
    assert in_child(lambda: root_of(path).child("many").values())[0] == 3


def test_a_heap_of_short_sizes_is_read(tmp_path):
    properties = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    properties.set_sizes(8, 4)
    path = tmp_path / "m.h5"
    with h5py.File(h5py.h5f.create(os.fsencode(path), h5py.h5f.ACC_TRUNC, properties)) as h5:
        h5["names"] = np.array(["b", LONG, ""], object)
    assert root_of(path).child("names").values().tolist() == [b"b", LONG.encode(), b""]


def test_a_file_that_cannot_be_read_on_is_named(path, monkeypatch):
    file = H5File(str(path))
    file.h5  # noqa: B018 it is opened
    monkeypatch.setattr("scdataset.engine.containers.heaps._Stream._copy", _failing)
    with pytest.raises(DamagedFileError, match=r"m\.h5: names"):
        Node(str(path), "", file.h5).child("names").values()


def _failing(stream, start, view):
    raise OSError(5, "Input/output error")


@pytest.fixture
def shared(tmp_path):
    """Write a file with links to another, and virtual datasets that are made of another and of the file itself."""
    with h5py.File(tmp_path / "other.h5", "w") as h5:
        h5["numbers"] = np.arange(10)
        anndata.io.write_elem(h5, "frame", pd.DataFrame({"a": [1, 2]}, index=["x", "y"]))
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as h5:
        h5["numbers"] = np.arange(10)[::-1]
        h5["linked"] = h5py.ExternalLink("other.h5", "/numbers")
        h5["group"] = h5py.ExternalLink("other.h5", "/")
        h5["none"] = h5py.ExternalLink("absent.h5", "/")
        anndata.io.write_elem(h5, "frame", pd.DataFrame({"a": [3, 4]}, index=["x", "y"]))
        for name, source in (("virtual", "other.h5"), ("own", "."), ("frame/a", "other.h5")):
            layout = h5py.VirtualLayout((2,), "i8")
            layout[:] = h5py.VirtualSource(source, "numbers", (10,))[4:6]
            attributes = dict(h5[name].attrs) if name in h5 else {}
            if name in h5:
                del h5[name]
            h5.create_virtual_dataset(name, layout).attrs.update(attributes)
    return path


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("linked", range(10)),
        ("group/numbers", range(10)),
        ("virtual", [4, 5]),
        ("own", [5, 4]),
        ("frame/a", [4, 5]),
        ("group/frame/a", [1, 2]),
    ],
)
def test_what_other_files_have_a_part_in_is_read_from_them(shared, name, values):
    (elements,) = arrays_of(H5File(str(shared)), name)
    node = root_of(shared)
    for part in name.split("/"):
        node = node.child(part)
    assert node.values().tolist() == list(values)
    assert elements._chunks.piece(0).tolist() == list(values) if name != "linked" else True


def test_a_frame_with_a_virtual_column_is_read_as_anndata_reads_it(shared):
    root = root_of(shared)
    assert root.child("frame").element()["a"].tolist() == [4, 5]
    assert root.child("group").child("frame").element()["a"].tolist() == [1, 2]
    with pytest.raises(DamagedFileError, match=r"m\.h5: /none lies in the file 'absent.h5', which is not there"):
        root.find("none")


def test_no_descriptor_stays_open(path):
    def n_open():
        return len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0

    gc.collect()  # files of other tests
    before = n_open()
    for _ in range(5):
        file = H5File(str(path))
        Node(str(path), "", file.h5).child("names").values()
        file.close()
        del file
    assert n_open() == before


def with_length(path, reference, length):
    """Give a reference to a string another length: its first four bytes."""
    data = bytearray(path.read_bytes())
    at = data.index(reference)
    data[at : at + 4] = length.to_bytes(4, "little")
    path.write_bytes(data)


@pytest.mark.parametrize("options", [{}, {"chunks": (2,), "compression": "gzip"}])
def test_a_string_longer_than_its_file_is_refused_before_it_takes_memory(tmp_path, options, monkeypatch):
    path = tmp_path / "m.h5"
    texts = [f"text{i}" for i in range(5)]
    with h5py.File(path, "w") as h5:
        h5.create_dataset("names", data=texts, dtype=h5py.string_dtype(), **options)
        if options:
            skipped, chunk = h5["names"].id.read_direct_chunk((2,))
            assert skipped == 0
            references = bytearray(zlib.decompress(chunk))
            references[16:20] = (2**32 - 1).to_bytes(4, "little")
            h5["names"].id.write_direct_chunk((2,), zlib.compress(references))
        else:
            offset = h5["names"].id.get_offset()
    if not options:
        with_length(path, path.read_bytes()[offset + 48 : offset + 64], 2**32 - 1)
    names = root_of(path).child("names")
    for read in (lambda: names.values(), names.element, lambda: names.part(slice(3, 4))):  # noqa: PLW0108
        status, megabytes = in_child(read)
        assert status == 3
        assert megabytes < 2000
    assert names.part(slice(0, 2)).tolist() == [b"text0", b"text1"]


@pytest.mark.parametrize("version", ["earliest", "latest"])
@pytest.mark.parametrize("text", ["a scalar", ["one", "of", "several"]])
def test_an_attribute_longer_than_its_file_is_refused_before_it_takes_memory(tmp_path, version, text):
    path = tmp_path / "m.h5"
    with h5py.File(path, "w", libver=version) as h5:
        h5["names"] = [1]
        h5["names"].attrs["said"] = text
        h5["names"].attrs["other"] = 7
    first = text if isinstance(text, str) else text[0]
    assert root_of(path).child("names").attribute("said") is not None
    with_length(path, len(first).to_bytes(4, "little") + h5_address(path), 2**32 - 1)
    status, megabytes = in_child(lambda: root_of(path).child("names").attribute("said"))
    assert status == 3
    assert megabytes < 2000


def h5_address(path):
    """Return the address of the only collection of strings, as references have it."""
    return path.read_bytes().index(b"GCOL\x01").to_bytes(8, "little")
