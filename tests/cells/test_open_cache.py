"""Openings of many files are cached, and used again while the files are the same."""

import json
import os

import anndata
import numpy as np
import pytest
from tests.cells.few_files import LAST_YEAR, WISHES, assert_equal, tables, write

from scdataset import open_collection
from scdataset.cells import open_cache, open_many
from scdataset.engine import cache
from scdataset.errors import DamagedFileError

NEXT_CENTURY = 4_200_000_000 * 10**9
"""Has just passed, however long a test takes."""


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Cache the opening of the smallest list, and count how many files are opened from here on."""
    monkeypatch.setenv("SCDATASET_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(open_many, "_SLOW", -1)
    seen = []
    first = open_many.open_file
    monkeypatch.setattr(open_many, "open_file", lambda *given: seen.append(given[0].path) or first(*given))
    return seen


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
