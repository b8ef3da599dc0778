"""Whole files or values held out, and splits of scikit-learn over the columns of obs."""

import anndata
import mudata
import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GroupShuffleSplit, StratifiedGroupKFold, StratifiedKFold, train_test_split

from scdataset import (
    ArgumentTypeError,
    ArgumentValueError,
    BlockShuffling,
    CollectionError,
    Streaming,
    open_collection,
    scDataset,
)

N = 120


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "donor": pd.Categorical(rng.choice(["D1", "D2", "D3", "D4"], N)),
            "cell_type": pd.Categorical(rng.choice(["B", "T"], N)),
            "drug": pd.Categorical(np.where(np.arange(N) % 10 == 0, None, rng.choice(["DMSO", "A", "B", "C"], N))),
            "plate": rng.integers(1, 4, N),
            "good": rng.random(N) < 0.5,
        },
        index=[f"cell{i}" for i in range(N)],
    )


@pytest.fixture(scope="module")
def cells(frame, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells")
    X = np.arange(N * 2, dtype=np.float32).reshape(N, 2)  # noqa: N806
    for number, rows in enumerate(np.split(np.arange(N), [50, 90])):
        anndata.AnnData(X[rows], frame.iloc[rows]).write_h5ad(folder / f"plate_{number}.h5ad")
    return open_collection(folder)


@pytest.mark.parametrize("values", [["D2", "D4"], "D3", pd.Index(["D1"]), {"D1", "D2"}])
def test_values_are_held_out(cells, frame, values):
    rest, held_out = cells.holdout(donor=values)
    is_held_out = frame["donor"].isin([values] if isinstance(values, str) else list(values)).to_numpy()
    assert rest.dtype == held_out.dtype == np.int64
    assert np.array_equal(held_out, np.flatnonzero(is_held_out))
    assert np.array_equal(rest, np.flatnonzero(~is_held_out))


def test_columns_of_numbers_have_values_too(cells, frame):
    assert np.array_equal(cells.holdout(plate=2).held_out, np.flatnonzero(frame["plate"] == 2))
    assert np.array_equal(cells.holdout(plate=np.array([1, 3])).held_out, np.flatnonzero(frame["plate"] != 2))
    assert np.array_equal(cells.holdout(good=True).rest, np.flatnonzero(~frame["good"]))


def test_of_several_conditions_all_have_to_be_fulfilled(cells, frame):
    held_out = cells.holdout(drug="A", cell_type="B", files="plate_0.h5ad").held_out
    expected = (frame["drug"] == "A") & (frame["cell_type"] == "B") & (np.arange(N) < 50)
    assert np.array_equal(held_out, np.flatnonzero(expected))


def test_cells_without_a_value_stay_in_the_rest(cells, frame):
    rest = cells.holdout(drug=["DMSO", "A", "B"]).rest
    assert np.array_equal(rest, np.flatnonzero(frame["drug"].isna() | (frame["drug"] == "C")))


def test_files_go_by_path_or_name(cells, monkeypatch):
    expected = np.arange(50, 90)
    folder = cells.files[1].rpartition("/")[0]
    for files in (cells.files[1], [cells.files[1]], "plate_1.h5ad"):
        assert np.array_equal(cells.holdout(files=files).held_out, expected)
    monkeypatch.chdir(folder)
    assert np.array_equal(cells.holdout(files="./plate_1.h5ad").held_out, expected)
    assert np.array_equal(cells.holdout(files=["plate_0.h5ad", "plate_2.h5ad"]).rest, expected)


@pytest.mark.filterwarnings("ignore:From 0.4:FutureWarning")
def test_cells_of_several_modalities_are_held_out_too(frame, tmp_path):
    parts = {name: anndata.AnnData(np.ones((N, 2)), obs=frame[[]], var={"id": [1, 2]}) for name in ("a", "b")}
    for name, part in parts.items():
        part.var_names = [f"{name}{i}" for i in range(2)]
    made = mudata.MuData(parts)
    made.obs["donor"] = frame["donor"]
    made.write(tmp_path / "a.h5mu")
    held_out = open_collection(tmp_path / "a.h5mu").holdout(donor="D3").held_out
    assert np.array_equal(held_out, np.flatnonzero(frame["donor"] == "D3"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"donor": ["D1", "D9"]}, "1 of 2 values is not in that column of obs, such as 'D9'; it has 'D1', 'D2'"),
        ({"drug": "DMSo"}, "Did you mean 'DMSO'"),
        ({"plate": 7}, "such as 7; it has 1, 2, 3"),
        ({"doner": "D1"}, "Did you mean 'donor'"),
        ({"files": "plate_7.h5ad"}, "'plate_7.h5ad' is not one of the 3 files.*Did you mean 'plate_"),
        ({"donor": ["D1", "D2", "D3", "D4"]}, "holds out all 120 cells"),
        ({"donor": []}, "holds out no cell"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(cells, given, message):
    with pytest.raises((ArgumentValueError, CollectionError), match=message):
        cells.holdout(**given)


def test_a_holdout_of_nothing_is_refused(cells):
    with pytest.raises(ArgumentTypeError, match=r"takes files=\.\.\., or a column"):
        cells.holdout()
    with pytest.raises(ArgumentTypeError, match="is a dict"):
        cells.holdout(donor={"D1": 1})
    with pytest.raises(ArgumentTypeError, match=r"donor is a boolean for each cell; .* take cells.where"):
        cells.holdout(donor=pd.Series(np.arange(N) < 9))


# The recipes of the documentation.


def seen(cells, strategy):
    """Return the donors of the cells that a loop reads."""
    return {int(row // 2) for batch in scDataset(cells, strategy, 16, seed=0) for row in batch["X"][:, 0]}


def test_a_stratified_split_gives_just_its_rows(cells, frame):
    labels = cells.obs_frame(["cell_type"])["cell_type"]
    train, test = train_test_split(np.arange(len(cells)), test_size=0.2, stratify=labels, random_state=0)
    assert abs((frame["cell_type"].iloc[test] == "B").mean() - (frame["cell_type"] == "B").mean()) < 0.03
    assert seen(cells, BlockShuffling(4, indices=np.sort(train))) == set(train.tolist())
    assert seen(cells, Streaming(indices=np.sort(test))) == set(test.tolist())


def test_a_split_by_donor_gives_just_its_rows(cells, frame):
    donors = cells.obs_frame(["donor"])["donor"]
    splitter = GroupShuffleSplit(n_splits=1, test_size=0.25, random_state=0)
    train, test = next(splitter.split(np.arange(len(cells)), groups=donors))
    assert not set(frame["donor"].iloc[train]) & set(frame["donor"].iloc[test])
    assert seen(cells, BlockShuffling(4, indices=train)) == set(train.tolist())


@pytest.mark.parametrize("splitter", [StratifiedKFold, StratifiedGroupKFold])
def test_folds_test_every_cell_once(cells, splitter):
    frame = cells.obs_frame(["cell_type", "donor"])
    groups = {"groups": frame["donor"]} if splitter is StratifiedGroupKFold else {}
    folds = splitter(4, shuffle=True, random_state=0).split(frame, frame["cell_type"], **groups)
    tested = []
    for train, test in folds:
        assert seen(cells, Streaming(indices=test)).isdisjoint(train.tolist())
        tested += test.tolist()
    assert sorted(tested) == list(range(N))


def test_a_perturbation_that_training_never_sees(cells, frame):
    train, test = cells.holdout(drug=["C"])
    controls = cells.where(lambda obs: obs["drug"] == "DMSO")
    evaluated = np.union1d(test, controls)
    assert "C" not in set(frame["drug"].iloc[train])
    assert seen(cells, Streaming(indices=evaluated)) == set(evaluated.tolist())
