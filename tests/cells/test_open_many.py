"""Hundreds of files: opened once each, with few descriptors, told of together, and kept for the next time."""

import json
import os
import shutil
import signal
import sys
import time

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from tests.children import CONTEXT, output_of

from scdataset import open_collection
from scdataset.cells import open_cache, open_many
from scdataset.cells.formats.registry import open_file
from scdataset.engine import cache
from scdataset.errors import CollectionError, DamagedFileError

N_FILES = 100
LAST_YEAR = 1_700_000_000 * 10**9
NEXT_CENTURY = 4_200_000_000 * 10**9
"""Has just passed, however long a test takes."""


def adata(number, *, n_obs=7, names=None):
    rng = np.random.default_rng(number)
    counts = scipy.sparse.random(n_obs, 12, 0.4, "csr", np.float32, rng=rng)
    labels = pd.Categorical(rng.choice(["b", "a", "c"], n_obs), ["c", "b", "a"])
    obs = pd.DataFrame({"type": labels, "depth": rng.random(n_obs)}, names or [f"{number}-{i}" for i in range(n_obs)])
    return anndata.AnnData(
        counts, obs, pd.DataFrame({"id": [f"E{i}" for i in range(12)]}, [f"g{i}" for i in range(12)])
    )


def write(path, number, *, compression=None, **options):
    data = adata(number, **options)
    data.obsm["pca"] = np.random.default_rng(number).random((data.n_obs, 3))
    if number % 2:
        data.obsm["pca"] = data.obsm["pca"].astype(np.float32)
    data.write_h5ad(path, compression=compression)
    os.utime(path, ns=(LAST_YEAR, LAST_YEAR))
    return path


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    return [write(folder / f"{n}.h5ad", n, compression="gzip" if n % 3 else None) for n in range(5)]


@pytest.fixture
def few(sources, tmp_path):
    return [str(shutil.copy2(path, tmp_path / path.name)) for path in sources]


@pytest.fixture
def many(sources, tmp_path):
    (tmp_path / "many").mkdir()
    return [str(shutil.copy2(sources[n % 5], tmp_path / "many" / f"{n:03}.h5ad")) for n in range(N_FILES)]


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Cache the opening of the smallest list, and count how many files are opened from here on."""
    monkeypatch.setenv("SCDATASET_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(open_many, "_SLOW", -1)
    seen = []
    first = open_many.open_file
    monkeypatch.setattr(open_many, "open_file", lambda *given: seen.append(given[0].path) or first(*given))
    return seen


def tables(tmp_path):
    return sorted((tmp_path / "cache" / "tables").glob("*")) if (tmp_path / "cache" / "tables").exists() else []


def assert_equal(one, other):
    assert one.shape == other.shape
    assert one.files == other.files
    pd.testing.assert_index_equal(one.var_names, other.var_names)
    pd.testing.assert_frame_equal(one.var, other.var)
    pd.testing.assert_frame_equal(one.obs, other.obs)
    rows = np.random.default_rng(0).integers(0, one.n_obs, 40)
    read, expected = one.read(rows), other.read(rows)
    for name in expected.keys():  # noqa: SIM118 it is no dict
        stored = [part.toarray() if scipy.sparse.issparse(part) else part for part in (read[name], expected[name])]
        assert stored[0].dtype == stored[1].dtype
        np.testing.assert_array_equal(*stored)


WISHES = [
    {},
    {"obs": ["type", "depth"]},
    {"obs": ["type"], "obsm": ["pca"], "unique_names": True},
    {"gene_key": "id", "join": "outer"},
    {"genes": ["g7", "g1"], "dtype": "f8"},
]


@pytest.mark.parametrize("wishes", WISHES)
def test_a_second_opening_opens_nothing_and_equals_the_first(few, kept, tmp_path, wishes):
    with open_collection(few, **wishes) as first:
        assert len(kept) == len(few)
        with open_collection(few, **wishes) as second:
            assert len(kept) == len(few)
            assert_equal(second, first)
    assert len(tables(tmp_path)) == 1


def test_rows_of_a_kept_list_are_those_of_anndata(few, kept):
    open_collection(few, obs=["type"])
    expected = anndata.concat([anndata.read_h5ad(path) for path in few])
    second = open_collection(few, obs=["type"])
    np.testing.assert_array_equal(second[:]["X"].toarray(), expected.X.toarray())
    assert second.obs["type"].astype(str).tolist() == expected.obs["type"].astype(str).tolist()
    assert len(kept) == len(few)


def test_other_wishes_other_orders_and_functions_are_opened_anew(few, kept):
    open_collection(few)
    for number, (paths, wishes) in enumerate(
        [(few, {"obs": ["type"]}), (few[::-1], {}), (few[1:], {}), (few, {"gene_key": lambda var: var["id"]})], 1
    ):
        kept.clear()
        open_collection(paths, **wishes)
        assert len(kept) == len(paths), number


def test_it_can_be_switched_off(few, kept, tmp_path, monkeypatch):
    monkeypatch.setenv("SCDATASET_CACHE", "0")
    open_collection(few)
    open_collection(few)
    assert len(kept) == 2 * len(few)
    assert tables(tmp_path) == []


def test_quick_openings_files_just_written_and_single_files_are_not_kept(few, kept, tmp_path, monkeypatch):
    open_collection(few[0])
    os.utime(few[1], ns=(NEXT_CENTURY, NEXT_CENTURY))
    open_collection(few)
    monkeypatch.setattr(open_many, "_SLOW", 1000)
    open_collection(few[2:])
    assert tables(tmp_path) == []


@pytest.mark.parametrize("how", ["time", "replaced"])
def test_a_changed_file_makes_the_list_anew_in_place_of_the_old(few, kept, tmp_path, how):
    open_collection(few)
    kept.clear()
    if how == "time":
        os.utime(few[2], ns=(LAST_YEAR, LAST_YEAR + 1))
    else:
        write(tmp_path / "other", 77, n_obs=9).replace(few[2])
    collection = open_collection(few)
    assert len(kept) == len(few)
    expected = anndata.concat([anndata.read_h5ad(path) for path in few])
    np.testing.assert_array_equal(collection[:]["X"].toarray(), expected.X.toarray())
    assert len(tables(tmp_path)) == 1


def test_a_file_replaced_after_a_kept_list_was_used_is_noticed_when_it_is_read(few, kept, tmp_path):
    open_collection(few)
    second = open_collection(few)
    write(tmp_path / "other", 3).replace(few[3])
    with pytest.raises(DamagedFileError, match=r"3\.h5ad was replaced or changed"):
        second[:]


@pytest.mark.parametrize("how", ["cut", "flipped", "noise", "empty"])
def test_a_damaged_list_is_made_again_without_a_word(few, kept, tmp_path, how):
    first = open_collection(few, obs=["type"])
    [table] = tables(tmp_path)
    good = table.read_bytes()
    middle = len(good) // 2
    spoilt = {
        "cut": good[:middle],
        "flipped": good[:middle] + bytes([good[middle] ^ 8]) + good[middle + 1 :],
        "noise": np.random.default_rng(0).bytes(len(good)),
        "empty": b"",
    }
    table.write_bytes(spoilt[how])
    assert_equal(open_collection(few, obs=["type"]), first)
    assert len(kept) == 2 * len(few)
    assert table.read_bytes() == good


def of_first(header):
    """Name, dtype, length, filters, fill and tables of the values of the first file, to be changed."""
    return header["files"][0][3]["X"][2][0]


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header["files"].pop(),
        lambda header: header["lists"].clear(),
        lambda header: header["files"][0].__setitem__(2, 8),
        lambda header: header["files"][0][3]["X"].__setitem__(1, [8, 12]),
        lambda header: header["files"][0][3]["X"].__setitem__(3, 10**9),
        lambda header: of_first(header).__setitem__(1, "|O"),
        lambda header: of_first(header).__setitem__(2, 1),
        lambda header: of_first(header).__setitem__(2, 0),
        lambda header: of_first(header)[5][0].__setitem__(1, 2**40),
        lambda header: of_first(header)[5][0].__setitem__(2, -1),
        lambda header: header.__setitem__("lists", [[[1, 2], None]]),
    ],
)
def test_a_forged_list_is_not_used(few, kept, change, monkeypatch):
    first = open_collection(few, obs=["type"])
    place = open_cache.place_of(few, open_many.OpenSpec(open_many.Options(), ("type",)).as_json)
    key = open_cache._key([one.parts[0] for one in first._files])
    text, *numbers = cache.load_under(place, key)
    header = json.loads(text.tobytes())
    change(header)
    cache.store_under(place, key, [np.frombuffer(json.dumps(header).encode(), np.uint8), *numbers])
    assert open_cache.load(place, few) is None
    assert_equal(open_collection(few, obs=["type"]), first)


def test_kept_columns_do_not_share_memory_with_what_stays(few, kept):
    open_collection(few, obs=["type"])
    loaded = open_cache.load(open_cache.place_of(few, open_many.OpenSpec(open_many.Options(), ("type",)).as_json), few)
    tables = {id(memory_of(one.file.parts[-1].table.lengths)) for one in loaded}
    assert not tables & {id(memory_of(one.columns["type"].codes)) for one in loaded}


def memory_of(array):
    while isinstance(array, np.ndarray) and array.base is not None:
        array = array.base
    return array


@pytest.mark.parametrize("offset", [2**40, -(2**40), 2**62])
@pytest.mark.parametrize("number", [0, 1])
def test_chunks_that_do_not_lie_in_the_file_are_not_used(few, kept, number, offset):
    first = open_collection(few)
    place = open_cache.place_of(few, open_many.OpenSpec(open_many.Options()).as_json)
    key = open_cache._key([one.parts[0] for one in first._files])
    text, numbers, values = cache.load_under(place, key)
    _, start, _ = json.loads(text.tobytes())["files"][number][3]["X"][2][0][5][0]
    numbers[start : start + 8].view("i8")[0] = offset
    cache.store_under(place, key, [text, numbers, values])
    assert open_cache.load(place, few) is None
    assert_equal(open_collection(few), first)


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
    with pytest.raises(CollectionError, match=r"1 names .* the first is in \S*alone.h5ad alone"):
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
