"""Work of actors, of which some are lost."""

import numpy as np
import pandas as pd
import pytest
from ray.exceptions import RayActorError
from tests.conversion.stores import content
from tests.elsewhere import Deadly, DeadlyEngine

from scdataset import ArgumentTypeError, ArgumentValueError, MissingFileError, convert, open_collection, pp
from scdataset.integrations.ray import Actors
from scdataset.pp import streaming

PAIR = Actors(count=2)


def doubled(number, num_threads):
    return 2 * number, num_threads


def refused(number, num_threads):
    message = f"{number} is refused"
    raise ArgumentValueError(message)


@pytest.mark.usefixtures("cluster")
def test_each_item_is_done_once_by_the_threads_of_its_actor():
    assert sorted(PAIR.each(doubled, range(7))) == [(number, (2 * number, 1)) for number in range(7)]
    assert list(Actors(num_cpus=2).each(doubled, [4])) == [(0, (8, 2))]
    assert list(PAIR.each(doubled, [])) == []


@pytest.mark.usefixtures("cluster")
def test_an_error_of_the_work_is_that_of_this_process():
    with pytest.raises(ArgumentValueError, match=r"^3 is refused$"):
        list(PAIR.each(refused, [3]))


@pytest.mark.usefixtures("cluster")
def test_an_item_that_ends_every_process_is_given_up(tmp_path):
    with pytest.raises(RayActorError):
        list(PAIR.each(Deadly(doubled, tmp_path, item=1, times=99), range(3)))
    assert len(list(tmp_path.iterdir())) == 5


@pytest.mark.usefixtures("cluster")
def test_a_conversion_that_lost_an_actor_is_the_same_to_the_byte(three_files, tmp_path):
    options = {"chunk_size": 1024, "shard_size": 1024, "progress": False, "shuffle": True, "obsm": ["X_pca"]}
    convert([*three_files, *three_files[::-1]], tmp_path / "here.zarr", label="part", keys="abcdef", **options)
    engine = DeadlyEngine(PAIR, tmp_path / "died", times=2)
    convert(
        [*three_files, *three_files[::-1]],
        tmp_path / "there.zarr",
        label="part",
        keys="abcdef",
        engine=engine,
        **options,
    )
    assert len(list((tmp_path / "died").iterdir())) == 2
    assert content(tmp_path / "there.zarr") == content(tmp_path / "here.zarr")


@pytest.mark.usefixtures("cluster")
def test_statistics_that_lost_an_actor_are_those_of_one_process(three_files, tmp_path, monkeypatch):
    monkeypatch.setattr(streaming, "_PART_ROWS", 25)
    cells = open_collection(three_files)
    engine = DeadlyEngine(PAIR, tmp_path / "died")
    for found, expected in zip(pp.qc_metrics(cells, engine=engine), pp.qc_metrics(cells), strict=True):
        pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert (tmp_path / "died" / "0").exists()
    pd.testing.assert_series_equal(pp.nonzero_medians(cells, engine=PAIR), pp.nonzero_medians(cells), check_exact=True)
    found = pp.highly_variable_genes(cells, 3, "cell_ranger", check_values=False, engine=PAIR)
    expected = pp.highly_variable_genes(cells, 3, "cell_ranger", check_values=False)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


@pytest.mark.usefixtures("cluster")
def test_a_file_that_actors_do_not_see_is_named(three_files, tmp_path):
    path = tmp_path / "a.h5ad"
    path.write_bytes(three_files[0].read_bytes())
    cells = open_collection(path)
    path.unlink()
    with pytest.raises(MissingFileError, match=r"On the machine .*a.h5ad"):
        pp.library_sizes(cells, engine="ray")


@pytest.mark.parametrize("options", [{"count": 0}, {"num_cpus": 0}, {"memory": -1}])
def test_numbers_of_nothing_are_refused(options):
    with pytest.raises(ArgumentValueError, match=next(iter(options))):
        Actors(**options)
    with pytest.raises(ArgumentTypeError):
        Actors(count="two")


def test_sums_need_no_cluster_to_be_exact():
    assert np.float64(2**53) + 1 == 2**53  # beyond which sums of whole numbers depend on their order
