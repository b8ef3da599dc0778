"""Hundreds of files: opened once each, with few descriptors, and told of together."""

import os
import shutil
import signal
import sys
import time

import h5py
import pandas as pd
import pytest
from tests.cells.few_files import WISHES, assert_equal, tables, write
from tests.children import CONTEXT, output_of

from scdataset import open_collection
from scdataset.cells import open_many
from scdataset.cells.formats.registry import open_file
from scdataset.errors import CollectionError, DamagedFileError

N_FILES = 100


@pytest.fixture
def many(sources, tmp_path):
    (tmp_path / "many").mkdir()
    return [str(shutil.copy2(sources[n % 5], tmp_path / "many" / f"{n:03}.h5ad")) for n in range(N_FILES)]


def test_files_that_cannot_be_opened_are_told_of_together(few, tmp_path):
    for number in range(7):
        (tmp_path / f"bad{number}.h5ad").write_bytes(b"\x89HDF\r\n\x1a\nand nothing")
    bad = [tmp_path / f"bad{number}.h5ad" for number in range(7)]
    with pytest.raises(DamagedFileError) as caught:
        open_collection([few[0], *bad, *few[1:]])
    message = str(caught.value)
    assert message.startswith("7 of 12 files cannot be opened:\n- ")
    assert message.endswith("\n- and 2 more")
    assert all(f"bad{number}.h5ad" in message for number in range(5))
    with pytest.raises(DamagedFileError, match=r"^\S*bad0.h5ad"):
        open_collection([*few, bad[0]])


def test_errors_of_several_kinds_are_a_collection_error(few, tmp_path):
    (tmp_path / "damaged.h5ad").write_bytes(b"\x89HDF\r\n\x1a\nand nothing")
    (tmp_path / "text").write_text("cells")
    with h5py.File(few[1], "a") as h5:
        del h5["X"]
    with pytest.raises(CollectionError, match="3 of 7 files cannot be opened") as caught:
        open_collection([*few, tmp_path / "damaged.h5ad", tmp_path / "text"])
    assert all(part in str(caught.value) for part in ("has no X", "damaged.h5ad", "is of no known format"))


def test_unique_names_are_the_index_of_obs(few):
    collection = open_collection(few, obs=["type"], unique_names=True)
    assert collection.obs.index.tolist() == [f"{file}-{cell}" for file in range(5) for cell in range(7)]
    assert isinstance(open_collection(few, obs=["type"]).obs.index, pd.RangeIndex)


def test_cells_of_one_name_are_refused_with_the_files_they_are_in(few, tmp_path):
    write(tmp_path / "again.h5ad", 9, names=["new", "3-1", "3-2", *"abcd"])
    with pytest.raises(CollectionError, match=r"2 names .* '3-2'\]; the first is in \S*3.h5ad and \S*again.h5ad"):
        open_collection([*few, tmp_path / "again.h5ad"], unique_names=True)
    with pytest.warns(UserWarning, match="not unique"):
        write(tmp_path / "alone.h5ad", 9, names=["x", "x", *"abcde"])
    with pytest.raises(CollectionError, match=r"1 name more than once.* the first is in \S*alone.h5ad alone"):
        open_collection(tmp_path / "alone.h5ad", unique_names=True)


DESCRIPTORS = """
import resource, sys
import numpy as np
from scdataset import open_collection
from scdataset.engine.bytes import descriptors
descriptors.most_open = lambda: 16
paths = sys.stdin.read().split()
import os
resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 40,) * 2)
for join in ("exact", "outer"):
    collection = open_collection(paths, obs=["type", "depth"], obsm=["pca"], join=join, genes=["g1", "g2"])
    before = len(os.listdir("/proc/self/fd"))
    collection[:]
    collection.var
    assert len(os.listdir("/proc/self/fd")) <= before + 16
print(before, collection.n_obs)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are counted in /proc")
def test_many_files_take_few_descriptors(many):
    printed = output_of(DESCRIPTORS, stdin="\n".join(many))
    assert int(printed.split()[1]) == 7 * N_FILES


def open_until_interrupted(paths, cache_folder, connection):
    """Open files, say at the twentieth that they are being opened, and how it ended."""
    os.environ["SCDATASET_CACHE_DIR"] = cache_folder
    seen = []

    def tell(*given):
        seen.append(given)
        if len(seen) == 20:
            connection.send("begun")
            time.sleep(3600)  # until the signal comes
        return open_file(*given)

    open_many.open_file, open_many._SLOW = tell, -1
    try:
        open_collection(paths)
    except BaseException as error:
        connection.send(type(error))
        raise


def test_an_interrupt_ends_it_and_keeps_nothing(many, tmp_path):
    here, there = CONTEXT.Pipe()
    child = CONTEXT.Process(target=open_until_interrupted, args=(many, str(tmp_path / "cache"), there))
    child.start()
    there.close()
    assert here.recv() == "begun"
    os.kill(child.pid, signal.SIGINT)
    assert here.recv() is KeyboardInterrupt
    child.join()
    assert child.exitcode != 0
    assert tables(tmp_path) == []


def test_progress_is_shown_after_a_second_and_not_before(many, monkeypatch, caplog):
    caplog.set_level("INFO", "scdataset")
    monkeypatch.setattr("scdataset._progress._PATIENCE", 1000)
    open_collection(many[:3])
    assert caplog.messages == []
    monkeypatch.setattr("scdataset._progress._PATIENCE", -1)
    open_collection(many[:3])
    assert "Opening 3 files" in caplog.messages


@pytest.fixture
def side_by_side(monkeypatch):
    """Open the shortest lists in two processes."""
    monkeypatch.setattr(open_many, "_SHARED_OUT", 2)
    monkeypatch.setattr(open_many, "_PART", 2)
    monkeypatch.setattr(open_many, "usable_cores", lambda: 2)


@pytest.mark.parametrize("wishes", WISHES)
def test_several_processes_open_what_one_does(few, wishes, monkeypatch):
    alone = open_collection(few, **wishes)
    seen = []
    monkeypatch.setattr(open_many, "open_file", lambda *given: seen.append(given) or open_file(*given))
    for name, value in {"_SHARED_OUT": 2, "_PART": 2, "usable_cores": lambda: 2}.items():
        monkeypatch.setattr(open_many, name, value)
    assert_equal(open_collection(few, **wishes), alone)
    assert seen == []  # here, that is: it was in the others


@pytest.mark.usefixtures("side_by_side")
def test_errors_of_several_processes_come_together_in_the_order_of_the_files(few, tmp_path):
    bad = [tmp_path / f"bad{number}.h5ad" for number in range(7)]
    for path in bad:
        path.write_bytes(b"\x89HDF\r\n\x1a\nand nothing")
    with pytest.raises(DamagedFileError) as caught:
        open_collection([few[0], *bad, *few[1:]])
    message = str(caught.value)
    assert message.startswith("7 of 12 files cannot be opened:\n- ")
    places = [message.index(f"bad{number}.h5ad") for number in range(5)]
    assert places == sorted(places)
    with pytest.raises(DamagedFileError, match=r"^\S*bad0.h5ad"):
        open_collection([*few, bad[0]])


@pytest.mark.usefixtures("side_by_side")
def test_genes_matched_by_a_function_are_read_here(few):
    key = lambda var: var.index.str.upper()  # noqa: E731 a function that cannot go to another process
    assert open_collection(few, gene_key=key).var_names.tolist() == [
        name.upper() for name in open_collection(few).var_names
    ]
