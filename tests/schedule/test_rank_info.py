"""RankInfo: what arguments or the process group say about this process."""

import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from scdataset.errors import ArgumentTypeError, ArgumentValueError, WorldError
from scdataset.schedule.rank_info import RankInfo


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch):
    """Unset what a launcher sets."""
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def process_group(monkeypatch):
    """Return a function that lets torch.distributed look initialised or not."""

    def look(rank, size, *, available=True, initialized=True):
        fake = SimpleNamespace(
            is_available=lambda: available,
            is_initialized=lambda: initialized,
            get_rank=lambda: rank,
            get_world_size=lambda: size,
        )
        monkeypatch.setitem(sys.modules, "torch.distributed", fake)

    return look


def test_a_process_alone_is_rank_0_of_1(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch.distributed", raising=False)
    assert RankInfo.from_arguments(None, None) == RankInfo(0, 1, has_group=False)


@pytest.mark.parametrize(("available", "initialized"), [(True, False), (False, True)])
def test_without_a_process_group_a_process_is_alone(process_group, available, initialized):
    process_group(3, 5, available=available, initialized=initialized)
    assert RankInfo.from_arguments(None, None) == RankInfo(0, 1, has_group=False)


def test_a_process_group_is_asked(process_group):
    process_group(3, 5)
    assert RankInfo.from_arguments(None, None) == RankInfo(3, 5, has_group=True)


def test_a_real_process_group_is_found():
    distributed = pytest.importorskip("torch.distributed")
    if not distributed.is_available() or not distributed.is_gloo_available():
        pytest.skip("torch was built without gloo")
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        assert RankInfo.from_arguments(None, None) == RankInfo(0, 1, has_group=True)
    finally:
        distributed.destroy_process_group()


@pytest.mark.parametrize(("rank", "size"), [(0, 1), (2, 3), (np.int64(1), np.uint8(4))])
def test_arguments_decide_also_where_there_is_a_process_group(process_group, rank, size):
    process_group(3, 5)
    assert RankInfo.from_arguments(rank, size) == RankInfo(int(rank), int(size), is_given=True)


def test_a_world_size_of_1_alone_is_a_process_that_shares_with_no_other(process_group):
    assert RankInfo.from_arguments(None, np.int64(1)) == RankInfo(0, 1, is_given=True)
    process_group(3, 5)
    alone = RankInfo.from_arguments(None, 1)
    assert (alone.rank, alone.size, alone.now()) == (0, 1, alone)


def test_the_other_of_rank_and_world_size_is_detected(process_group):
    assert RankInfo.from_arguments(0, None) == RankInfo(0, 1)
    process_group(3, 5)
    assert RankInfo.from_arguments(3, None) == RankInfo.from_arguments(None, 5) == RankInfo(3, 5, has_group=True)
    assert RankInfo.from_arguments(1, None) == RankInfo(1, 5, has_group=True, is_given=True)


def test_one_that_does_not_fit_what_is_detected_is_refused():
    for rank, size, message in [(None, 2, "world_size=2 without a rank, and 1"), (1, None, "rank=1 is out of bounds")]:
        with pytest.raises(WorldError, match=message) as caught:
            RankInfo.from_arguments(rank, size)
        assert isinstance(caught.value, RuntimeError)


@pytest.mark.parametrize(
    ("rank", "size", "error", "message"),
    [
        (
            4,
            4,
            ArgumentValueError,
            r"rank=4 is out of bounds for world_size=4; give .* at most 3",
        ),
        (9, 4, ArgumentValueError, r"rank=9 "),
        (-1, 4, ArgumentValueError, r"rank=-1 "),
        (0, 0, ArgumentValueError, r"world_size=0 is out of bounds; give an integer of at least 1"),
        (0, -2, ArgumentValueError, r"world_size=-2 "),
        (0.0, 2, ArgumentTypeError, r"rank=0.0 is of type float"),
        (0, "2", ArgumentTypeError, r"world_size='2' is of type str"),
        (True, 2, ArgumentTypeError, r"rank=True is of type bool"),
    ],
)
def test_a_rank_outside_the_world_is_refused(rank, size, error, message):
    with pytest.raises(error, match=message):
        RankInfo.from_arguments(rank, size)


def test_a_launcher_is_asked_where_there_is_no_process_group(monkeypatch, process_group):
    monkeypatch.setenv("RANK", "2")
    process_group(0, 1, initialized=False)
    assert RankInfo.from_arguments(None, None) == RankInfo(0, 1)  # one of the two names says nothing
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert RankInfo.from_arguments(None, None) == RankInfo(2, 4)
    process_group(3, 5)
    assert RankInfo.from_arguments(None, None) == RankInfo(3, 5, has_group=True)


@pytest.mark.parametrize(("rank", "size"), [("4", "4"), ("-1", "2"), ("one", "2"), ("0", "")])
def test_an_environment_that_is_no_world_is_refused(monkeypatch, rank, size):
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", size)
    with pytest.raises(ArgumentValueError, match=f"RANK='{rank}' and WORLD_SIZE='{size}'"):
        RankInfo.from_arguments(None, None)


def test_a_process_group_that_comes_later_is_found_unless_arguments_decided(process_group):
    alone, given = RankInfo.from_arguments(None, None), RankInfo.from_arguments(0, 2)
    process_group(3, 5)
    assert alone.now() == RankInfo(3, 5, has_group=True)
    assert given.now() == given


def mesh(*sizes):
    return SimpleNamespace(
        ndim=len(sizes),
        mesh_dim_names=("dp", "tp")[: len(sizes)],
        size=lambda: math.prod(sizes),
        get_local_rank=lambda: 1,
    )


def test_a_mesh_of_one_dimension_says_who_shares_the_data():
    assert RankInfo.from_arguments(None, None, mesh(3)) == RankInfo(1, 3, True, True, along_mesh=True)


def test_other_meshes_are_refused():
    with pytest.raises(ArgumentValueError, match=r"2 dimensions, \('dp', 'tp'\); .* mesh\[\"dp\"\]"):
        RankInfo.from_arguments(None, None, mesh(2, 2))
    with pytest.raises(ArgumentValueError, match=r"rank=0, world_size=2 and a mesh"):
        RankInfo.from_arguments(0, 2, mesh(2))
    with pytest.raises(ArgumentTypeError, match=r"mesh='dp' is of type str"):
        RankInfo.from_arguments(None, None, "dp")
