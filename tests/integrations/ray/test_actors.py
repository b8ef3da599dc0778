"""Work of actors, of which some are lost."""

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from ray.exceptions import RayActorError
from tests.conversion.stores import content
from tests.elsewhere import Deadly, DeadlyEngine

from scdataset import ArgumentTypeError, ArgumentValueError, MissingFileError, convert, open_collection, pp
from scdataset._cores import usable_cores
from scdataset.integrations.ray import Actors
from scdataset.pp import streaming

PAIR = Actors(count=2)


def doubled(number):
    return 2 * number, usable_cores()


def refused(number):
    message = f"{number} is refused"
    raise ArgumentValueError(message)


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_each_item_is_done_once_by_the_threads_of_its_actor():
    assert sorted(PAIR.each(doubled, range(7))) == [(number, (2 * number, 1)) for number in range(7)]
    assert list(PAIR.each(doubled, [])) == []


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_an_error_of_the_work_is_that_of_this_process():
    with pytest.raises(ArgumentValueError, match=r"^3 is refused$"):
        list(PAIR.each(refused, [3]))


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_an_item_that_ends_every_process_is_given_up(tmp_path):
    with pytest.raises(RayActorError):
        list(PAIR.each(Deadly(doubled, tmp_path, item=1, times=99), range(3)))
    assert len(list(tmp_path.iterdir())) == 5


@pytest.mark.usefixtures("cluster")
def test_a_conversion_that_lost_an_actor_is_the_same_to_the_byte(tmp_path):
    counts = scipy.sparse.random(300, 40, 0.5, "csr", dtype=np.float32, random_state=0)
    anndata.AnnData(counts, obsm={"X_pca": counts[:, :2].toarray()}).write_h5ad(tmp_path / "a.h5ad")
    options = {"chunk_size": 1024, "shard_size": 1024, "progress": False, "shuffle": True, "obsm": ["X_pca"]}
    convert(tmp_path / "a.h5ad", tmp_path / "here.zarr", **options)
    engine = DeadlyEngine(PAIR, tmp_path / "died")
    convert(tmp_path / "a.h5ad", tmp_path / "there.zarr", engine=engine, **options)
    assert (tmp_path / "died" / "0").exists()
    assert content(tmp_path / "there.zarr") == content(tmp_path / "here.zarr")


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_statistics_that_lost_an_actor_are_those_of_one_process(three_files, tmp_path, monkeypatch):
    monkeypatch.setattr(streaming, "_PART_ROWS", 25)
    cells = open_collection(three_files)
    engine = DeadlyEngine(PAIR, tmp_path / "died")
    for found, expected in zip(pp.qc_metrics(cells, engine=engine), pp.qc_metrics(cells), strict=True):
        pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert (tmp_path / "died" / "0").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_a_file_that_actors_do_not_see_is_named(three_files, tmp_path):
    path = tmp_path / "a.h5ad"
    path.write_bytes(three_files[0].read_bytes())
    cells = open_collection(path)
    assert cells.n_vars == len(cells.var)  # which is not read later
    path.unlink()
    with pytest.raises(MissingFileError, match=r"On node .*a.h5ad"):
        pp.library_sizes(cells, engine=Actors(count=1))


@pytest.mark.parametrize("options", [{"count": 0}, {"num_cpus": 0}, {"memory": -1}])
def test_numbers_of_nothing_are_refused(options):
    with pytest.raises(ArgumentValueError, match=next(iter(options))):
        Actors(**options)
    with pytest.raises(ArgumentTypeError):
        Actors(count="two")
