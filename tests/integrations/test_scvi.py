"""SCVI and SCANVI of scvi-tools train from disk, as they do from memory."""

import importlib
import logging
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.integrations.labelled_cells import labelled_cells

from scdataset import ArgumentTypeError, ArgumentValueError, MissingDependencyError, open_collection

pytestmark = [
    pytest.mark.slow,  # importing scvi-tools takes ten seconds
    pytest.mark.filterwarnings("ignore"),  # of the hosts about themselves
]

KEYS = {"batch_key": "donor", "labels_key": "label"}
COVARIATES = {"categorical_covariate_keys": ["truth", "plate"], "continuous_covariate_keys": ["age"]}
QUIET = {"accelerator": "cpu", "enable_progress_bar": False}
HELD_OUT = np.arange(0, 321, 10)


@pytest.fixture(scope="module")
def scvi():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        host = pytest.importorskip("scvi")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    return host


@pytest.fixture(scope="module")
def made():
    return labelled_cells()


@pytest.fixture(scope="module")
def cells(made, tmp_path_factory):
    path = tmp_path_factory.mktemp("scvi") / "cells.h5ad"
    made.write_h5ad(path)
    return open_collection(path)


@pytest.fixture
def module_of(scvi, cells):
    from scdataset.integrations.scvi import ScviDataModule

    return lambda **options: ScviDataModule(cells, **{"seed": 0, **KEYS, **options})


@pytest.fixture
def trains_scanvi(scvi):
    """Return a function that has a module think that SCANVI is trained with it."""
    plan = scvi.train.SemiSupervisedTrainingPlan

    def attach(module):
        module.trainer = SimpleNamespace(lightning_module=plan.__new__(plan))
        return module

    return attach


@pytest.fixture(scope="module")
def trained(scvi, cells):
    """Return a module, SCVI trained with it, and SCANVI that went on from there."""
    from scdataset.integrations.scvi import ScviDataModule

    scvi.settings.seed = 0
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # tests beside this one have the other cores
    module = ScviDataModule(cells, **KEYS, validation=HELD_OUT, batch_size=64, seed=0)
    first = scvi.model.SCVI(registry=module.registry, n_hidden=32)
    first.train(max_epochs=2, datamodule=module, check_val_every_n_epoch=1, **QUIET)
    second = scvi.model.SCANVI.from_scvi_model(first, "Unknown", datamodule=module)
    second.train(max_epochs=6, datamodule=module, check_val_every_n_epoch=1, plan_kwargs={"lr": 5e-3}, **QUIET)
    torch.set_num_threads(threads)
    return module, first, second


@pytest.mark.parametrize("covariates", [{}, COVARIATES], ids=["plain", "covariates"])
def test_batches_and_registry_are_those_of_memory(scvi, made, module_of, covariates):
    adata = made.copy()
    scvi.model.SCANVI.setup_anndata(adata, unlabeled_category="Unknown", **KEYS, **covariates)
    model = scvi.model.SCANVI(adata)
    module = module_of(**covariates)
    expected = list(model._make_data_loader(adata=adata, batch_size=100))
    batches = list(module.inference_dataloader(batch_size=100))
    assert len(batches) == len(expected) == 4
    for batch, other in zip(batches, expected, strict=True):
        assert list(batch) == list(other)
        for name, value in other.items():
            torch.testing.assert_close(batch[name], value.to_dense(), rtol=0, atol=0)
    fields, others = (source["field_registries"] for source in (module.registry, model.registry_))
    for name in ("X", "batch", "labels", "extra_categorical_covs", "extra_continuous_covs"):
        assert fields[name]["summary_stats"] == others[name]["summary_stats"]
        for key, value in others[name]["state_registry"].items():
            assert str(fields[name]["state_registry"][key]) == str(value)


def test_scvi_trains_and_gives_what_the_same_weights_give_in_memory(scvi, made, trained):
    module, model, _ = trained
    assert np.isfinite(model.history_["elbo_validation"].astype(float)).to_numpy().all()
    assert model.train_indices.size + model.validation_indices.size == 321
    adata = made.copy()
    scvi.model.SCVI.setup_anndata(adata, batch_key="donor", labels_key="label")
    other = scvi.model.SCVI(adata, n_hidden=32)
    other.module.load_state_dict(model.module.state_dict())
    other.module.eval()
    other.is_trained_ = True
    latent = model.get_latent_representation(dataloader=module.inference_dataloader(batch_size=128))
    np.testing.assert_array_equal(latent, other.get_latent_representation(batch_size=128))
    torch.manual_seed(0)
    elbo = model.get_elbo(dataloader=module.inference_dataloader(model.validation_indices, 128))
    torch.manual_seed(0)
    assert elbo == other.get_elbo(indices=HELD_OUT, batch_size=128)


def test_scanvi_learns_labels_and_gives_them_to_unlabelled_cells(made, trained):
    module, _, model = trained
    labels = model.predict(dataloader=module.inference_dataloader())
    is_right = labels == made.obs["truth"].to_numpy()
    assert is_right[::3].mean() > 0.9
    assert model.n_labels == model.module.n_labels == module.n_labels == 4
    assert model.history_["validation_accuracy"].iloc[-1].item() > 0.9


def test_models_are_saved_without_the_labels_of_all_cells_and_loaded(scvi, trained, tmp_path):
    module, first, second = trained
    first.save(tmp_path / "scvi", datamodule=module)
    second.save(tmp_path / "scanvi", datamodule=module)
    assert second.labels_.tolist() == ["T", "none", "NK", "B", "Unknown"]
    again = scvi.model.SCVI.load(tmp_path / "scvi", adata=False, accelerator="cpu")
    np.testing.assert_array_equal(
        again.get_latent_representation(dataloader=module.inference_dataloader()),
        first.get_latent_representation(dataloader=module.inference_dataloader()),
    )
    again = scvi.model.SCANVI.load(tmp_path / "scanvi", datamodule=module, accelerator="cpu")
    np.testing.assert_array_equal(
        again.predict(dataloader=module.inference_dataloader()),
        second.predict(dataloader=module.inference_dataloader()),
    )


def test_scanvi_from_disk_needs_the_number_of_epochs(trained):
    with pytest.raises(AttributeError, match="n_obs"):
        trained[2].train(datamodule=trained[0], **QUIET)


def test_a_module_splits_by_its_own_rows_alone(module_of):
    module = module_of(validation=HELD_OUT)
    assert not hasattr(module, "set_split")
    assert (module.n_obs, module.n_train, module.n_val) == (321, 288, 33)
    assert module.val_idx.tolist() == HELD_OUT.tolist()
    assert not set(module.train_idx) & set(HELD_OUT)
    assert sum(len(batch["X"]) for batch in module.train_dataloader()) == 288
    assert sum(len(batch["X"]) for batch in module.val_dataloader()) == 33
    assert module_of().val_dataloader() == []


def test_scanvi_gets_pairs_of_all_cells_and_of_labelled_ones(made, module_of, trains_scanvi):
    module = trains_scanvi(module_of(batch_size=50, validation=HELD_OUT, continuous_covariate_keys=["age"]))
    for loader, rows in ((module.train_dataloader(), module.train_idx), (module.val_dataloader(), module.val_idx)):
        pairs = [pair for pair, _, _ in loader]
        assert sorted(row for whole, _ in pairs for row in rows_of(made, whole)) == rows.tolist()
        labelled = [row for _, batch in pairs for row in rows_of(made, batch)]
        assert set(labelled) <= set(rows)
        assert not any(row % 3 == 0 for row in labelled)


def rows_of(made, batch):
    """Return the rows of a batch by their ages, once all else in it was seen to be theirs."""
    ages = made.obs["age"].to_numpy(np.float32)
    rows = [int(np.flatnonzero(ages == age)[0]) for age in batch["extra_continuous_covs"][:, 0].numpy()]
    assert np.array_equal(batch["X"], made.X[rows].toarray())
    assert np.array_equal(
        np.array(["T", "none", "NK", "B", "Unknown"])[batch["labels"][:, 0]], made.obs["label"].iloc[rows]
    )
    return rows


def test_there_are_no_pairs_where_no_cell_has_a_label(module_of, trains_scanvi):
    module = trains_scanvi(module_of(train=slice(0, 321, 3), **COVARIATES))
    names = [list(batch) for batch in module.train_dataloader()]
    # a dict with these names in front is taken for labelled cells
    assert names[0][:5] != ["X", "batch", "labels", "extra_categorical_covs", "extra_continuous_covs"]


@pytest.mark.parametrize("n_train", [80, 81, 82])
def test_the_last_batch_of_training_never_has_one_cell(module_of, n_train):
    module = module_of(train=np.arange(n_train), batch_size=16)
    loader = module.train_dataloader()
    for _ in range(2):
        sizes = [len(batch["X"]) for batch in loader]
        assert min(sizes) > 1
        assert sum(sizes) == n_train - (n_train == 81)
    assert sum(len(batch["X"]) for batch in module_of(validation=np.arange(81), batch_size=16).val_dataloader()) == 81


def test_labelled_batches_never_have_one_cell(module_of, trains_scanvi):
    module = trains_scanvi(module_of(train=np.arange(50), batch_size=16))
    assert int(module._labelled[:50].sum()) == 33
    assert min(len(labelled["X"]) for (_, labelled), _, _ in module.train_dataloader()) > 1


def test_the_order_of_training_is_that_of_the_seed(module_of):
    def first(seed):
        return next(iter(module_of(seed=seed).train_dataloader()))["X"]

    assert torch.equal(first(5), first(5))
    assert not torch.equal(first(5), first(6))


def test_workers_give_the_same_batches(module_of):
    alone, worker = (module_of(num_workers=number, batch_size=128).inference_dataloader() for number in (0, 1))
    assert len(worker) == len(alone) == 3
    for batch, other in zip(alone, worker, strict=True):
        assert all(torch.equal(batch[name], other[name]) for name in batch)


def test_values_that_are_no_counts_are_refused(scvi, made, tmp_path):
    from scdataset.integrations.scvi import ScviDataModule

    logged = made.copy()
    logged.layers["counts"] = made.X
    logged.X = logged.X.log1p()
    logged.write_h5ad(tmp_path / "logged.h5ad")
    cells = open_collection(tmp_path / "logged.h5ad")
    with pytest.raises(ArgumentValueError, match=r'needs counts, and the values are .*layer="raw"'):
        ScviDataModule(cells)
    assert ScviDataModule(cells, check_values=False).n_obs == 321
    assert ScviDataModule(open_collection(tmp_path / "logged.h5ad", layer="counts")).n_batch == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_key": "dono"}, "Did you mean 'donor'"),
        ({"batch_key": ["donor"]}, "give the name of a column of obs"),
        ({"unlabeled_category": None}, "give a label"),
        ({"batch_size": 1}, "at least 2"),
        ({"train": [5]}, "train has 1 cell,"),
        ({"train": [0, 1, 3]}, "of which 1 with a label"),
        ({"validation": slice(None)}, "train has 0 cells"),
        ({"unlabeled_category": "unknown"}, "give unlabeled_category='Unknown'"),
        ({"categorical_covariate_keys": "truth"}, "give a list of names"),
        ({"block_size": 0}, "block_size"),
        ({"check_values": "no"}, "give True or False"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(module_of, options, message):
    with pytest.raises((ArgumentValueError, ArgumentTypeError), match=message):
        module_of(**options)


def test_splits_that_share_cells_are_warned_of(module_of):
    with pytest.warns(UserWarning, match="share 3 cells"):
        module_of(train=np.arange(100), validation=np.arange(97, 150))


def test_rows_of_inference_have_to_ascend(module_of):
    with pytest.raises(ArgumentValueError, match="do not ascend"):
        module_of().inference_dataloader([3, 1])


def test_scanvi_without_labels_is_refused(scvi, module_of):
    module = module_of(labels_key=None)
    with pytest.raises(ArgumentValueError, match="SCANVI needs labels"):
        scvi.model.SCANVI(registry=module.registry, datamodule=module)


def test_collections_of_another_kind_are_refused(scvi, made):
    from scdataset.integrations.scvi import ScviDataModule

    with pytest.raises(ArgumentTypeError, match="cells is of type AnnData"):
        ScviDataModule(made)


@pytest.mark.parametrize("installed", [None, "1.3.0"])
def test_a_host_that_is_absent_or_too_old_is_named(monkeypatch, installed):
    monkeypatch.delitem(sys.modules, "scdataset.integrations.scvi", raising=False)
    if installed is None:
        monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
    else:
        pytest.importorskip("lightning")
        monkeypatch.setattr("importlib.metadata.version", lambda _: installed)
    with pytest.raises(MissingDependencyError, match=r"needs scvi-tools>=1\.4\.2"):
        importlib.import_module("scdataset.integrations.scvi")
