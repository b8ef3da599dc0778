"""CellDataModule: loaders for Lightning's Trainer, and going on from its checkpoints."""

import pickle
import shutil
import sys
from collections import Counter
from functools import partial
from importlib.util import find_spec

import anndata
import numpy as np
import pytest
import scipy.sparse as sp
import torch

from scdataset import (
    ArgumentValueError,
    BlockShuffling,
    ClassBalancedSampling,
    CollectionError,
    HookError,
    StateError,
    open_collection,
)
from scdataset.transforms import Log1p, ToTorch, keyed

HOSTS = [name for name in ("lightning.pytorch", "pytorch_lightning") if find_spec(name.partition(".")[0])]
pytestmark = [
    pytest.mark.skipif(not HOSTS, reason="neither lightning nor pytorch_lightning is installed"),
    pytest.mark.filterwarnings("ignore::FutureWarning:(lightning|pytorch_lightning)"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:(lightning|pytorch_lightning)"),
    pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`"),
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no"),
]

N, GENES = 200, 12


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Keep torch to one thread: the model is so small that more of them wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(params=HOSTS)
def host(request):
    return pytest.importorskip(request.param)


@pytest.fixture
def lightning():
    """Return the package that is installed."""
    return pytest.importorskip(HOSTS[0])


def model_of(pl):
    """Return a model that remembers the cells it was given."""

    class Model(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(GENES, 3)
            self.trained, self.validated, self.tested = [], [], []

        def training_step(self, batch, batch_idx):
            self.trained.append(batch["number"].tolist())
            return torch.nn.functional.cross_entropy(self.layer(batch["X"]), batch["kind"])

        def validation_step(self, batch, batch_idx):
            self.validated += batch["number"].tolist()

        def test_step(self, batch, batch_idx):
            self.tested += batch["number"].tolist()

        def predict_step(self, batch, batch_idx):
            return batch["row"], batch["number"]

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.01)

    return Model()


def trainer_of(pl, callbacks=(), **options):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    usual = {"accelerator": "cpu", "devices": 1, "max_epochs": 2, "enable_checkpointing": False}
    return pl.Trainer(callbacks=list(callbacks), **{**quiet, **usual, **options})


def fit(pl, data, checkpoint=None, **options):
    model = model_of(pl)
    trainer = trainer_of(pl, **options)
    trainer.fit(model, datamodule=data, ckpt_path=checkpoint)
    return model, trainer


def fit_and_save(pl, data, folder, every=5, **options):
    """Fit with a checkpoint each few steps; return the model and the paths by step."""
    checkpoints = sys.modules[pl.__name__].callbacks.ModelCheckpoint(
        folder, filename="{step}", every_n_train_steps=every, save_top_k=-1
    )
    model, _ = fit(pl, data, callbacks=[checkpoints], enable_checkpointing=True, **options)
    return model, {int(file.stem.removeprefix("step=")): file for file in folder.glob("*.ckpt")}


def counted(batches):
    return Counter(row for batch in batches for row in batch)


def test_fit_validate_test_and_predict(host, module):
    data = module()
    model, trainer = fit(host, data)
    assert [len(batch) for batch in model.trained] == 2 * [*[8] * 12, 4]
    assert counted(model.trained[:13]) == counted(model.trained[13:]) == Counter(range(100))
    assert model.trained[:13] != model.trained[13:]
    assert Counter(model.validated[-100:]) == Counter([*range(100, 150)] * 2)
    trainer.test(model, datamodule=data, verbose=False)
    assert model.tested == [*range(150, 200)]
    rows, numbers = zip(*trainer.predict(model, datamodule=data), strict=True)
    assert torch.cat(rows).tolist() == torch.cat(numbers).tolist() == [*range(200)]
    assert torch.cat(rows).dtype == torch.int64


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_checkpoint_goes_on_batch_for_batch(lightning, module, tmp_path, num_workers):
    options = {"persistent_workers": True} if num_workers else None
    whole, files = fit_and_save(lightning, module(seed=None), tmp_path, every=6, max_epochs=3)
    for step in (6, 12, 24) if num_workers == 0 else (6,):
        resumed, trainer = fit(
            lightning,
            module(seed=None, num_workers=num_workers, loader_options=options),
            files[step],
            max_epochs=3,
        )
        expected = whole.trained[step:]
        assert counted(resumed.trained) == counted(expected)
        assert (trainer.global_step, trainer.current_epoch) == (39, 3)
        if num_workers == 0:
            assert resumed.trained == expected


@pytest.mark.parametrize(
    "how",
    [
        {"every_n_epochs": 1, "save_on_train_epoch_end": True},
        {"every_n_epochs": 1, "save_on_train_epoch_end": False},
        {"every_n_train_steps": 13},
    ],
    ids=["end of epoch", "after validation", "last step"],
)
def test_a_checkpoint_at_the_end_of_an_epoch_goes_on_with_the_next(lightning, module, tmp_path, how):
    saver = sys.modules[lightning.__name__].callbacks.ModelCheckpoint(tmp_path, "{step}", save_top_k=-1, **how)
    whole, _ = fit(lightning, module(), callbacks=[saver], enable_checkpointing=True)
    resumed, trainer = fit(lightning, module(), tmp_path / "step=13.ckpt")
    assert resumed.trained == whole.trained[13:]
    assert trainer.current_epoch == 2


def test_an_epoch_that_was_limited_is_not_gone_on_with_in_the_next(lightning, module, tmp_path):
    limited = {"limit_train_batches": 5, "max_epochs": 3}
    whole, files = fit_and_save(lightning, module(), tmp_path, every=5, **limited)
    resumed, _ = fit(lightning, module(), files[5], **limited)
    assert resumed.trained == whole.trained[5:]


def test_a_batch_that_is_in_the_model_when_a_checkpoint_is_saved_comes_again(lightning, module, tmp_path):
    model = model_of(lightning)
    train = model.training_step

    def interrupted(batch, batch_idx):  # as by a signal, or an exception
        if batch_idx == 4:
            model.trainer.save_checkpoint(tmp_path / "now.ckpt")
            raise KeyError
        return train(batch, batch_idx)

    model.training_step = interrupted
    with pytest.raises(KeyError):
        trainer_of(lightning).fit(model, datamodule=module())
    whole, _ = fit(lightning, module())
    resumed, _ = fit(lightning, module(), tmp_path / "now.ckpt")
    assert model.trained + resumed.trained == whole.trained


def test_loaders_that_are_passed_by_hand_go_on_too(lightning, module, tmp_path):
    whole, files = fit_and_save(lightning, module(), tmp_path, every=4)
    data = module()
    model = model_of(lightning)
    trainer_of(lightning).fit(model, data.train_dataloader(), ckpt_path=files[4])
    assert model.trained == whole.trained[4:]


def test_a_fit_without_a_checkpoint_begins_anew(lightning, module):
    data = module()
    first, trainer = fit(lightning, data)
    again, _ = fit(lightning, data)
    assert first.trained == again.trained
    trainer.fit_loop.max_epochs = 3
    trainer.fit(first, datamodule=data)
    assert first.trained[26:] not in (first.trained[:13], first.trained[13:26])


def test_overfitted_batches_are_the_same_in_every_epoch(lightning, module):
    model, _ = fit(lightning, module(), overfit_batches=3, max_epochs=3)
    assert len(model.trained) == 9
    assert model.trained[:3] == model.trained[3:6] == model.trained[6:]


def test_validation_has_the_same_random_numbers_each_time(module):
    @keyed
    def jittered(batch, keys):
        return {"jitter": keys.floats("jitter")}

    data = module(batch_transform=jittered)
    first, again = ([batch["jitter"] for batch in data.val_dataloader()] for _ in range(2))
    assert all(map(np.array_equal, first, again))


def test_a_learning_rate_is_found_before_training(lightning, module, tmp_path):
    tuning = pytest.importorskip(f"{lightning.__name__}.tuner.tuning")
    model, data = model_of(lightning), module()
    model.lr = 0.01
    trainer = trainer_of(lightning, default_root_dir=tmp_path)
    tuning.Tuner(trainer).lr_find(model, datamodule=data, num_training=5)
    model.trained.clear()
    trainer.fit(model, datamodule=data)
    assert model.trained == fit(lightning, module())[0].trained


def test_a_batch_size_that_a_tuner_assigns_holds(module):
    data = module()
    assert len(data.train_dataloader()) == 13
    data.batch_size = 50
    assert len(data.train_dataloader()) == 2


def test_files_are_opened_once_and_no_values_are_read(module, monkeypatch):
    from scdataset.cells.collection import CellCollection

    opened = []
    monkeypatch.setattr(
        "scdataset.open_collection", lambda *a, **k: opened.append(open_collection(*a, **k)) or opened[0]
    )
    monkeypatch.setattr(CellCollection, "read", None)
    data = module()
    assert not opened
    for stage in ("fit", "validate", "test", "predict"):
        data.setup(stage)
        data.setup(stage)
    loaders = data.train_dataloader(), data.val_dataloader(), data.test_dataloader(), data.predict_dataloader()
    assert [len(loader) for loader in loaders] == [13, 7, 7, 25]
    assert len(opened) == 1


def test_an_open_collection_is_taken_as_it_is(path, module):
    cells = open_collection(path, obs=["kind", "number"])
    data = module(cells, open_options=None)
    assert data.collection is cells
    assert counted(batch["number"].tolist() for batch in data.train_dataloader()) == Counter(range(100))


def test_splits_are_told_in_many_ways(path, module):
    def rows(**options):
        data = module(**{"train": None, "val": None, "test": None, "predict": None, **options})
        (name,) = (name for name in options if name in ("train", "val", "test", "predict"))
        return data.split(name).tolist()

    assert rows(val=range(3, 9, 2)) == [3, 5, 7]
    assert rows(val=np.arange(N) < 4) == [0, 1, 2, 3]
    assert rows(test=lambda obs: obs["donor"] == "D2") == [*range(50, 100)]
    assert rows(predict={"files": path.name, "donor": ["D1", "D2"]}) == [*range(100)]
    assert rows(predict=["cell7", "cell3"]) == [3, 7]
    assert rows(train="all") == rows(train="rest") == [*range(N)]
    assert module(predict=None).split("train").tolist() == [*range(100)]


def test_cells_of_two_splits_are_warned_of(module):
    with pytest.warns(UserWarning, match="train and val share 50 cells"):
        module(train="all", test=None).setup("fit")


def test_classes_and_their_weights(module, path):
    data = module()
    assert (data.classes, data.n_classes) == (["B", "NK", "T"], 3)
    assert [*data.var_names] == [f"gene{i}" for i in range(GENES)]
    kinds = anndata.read_h5ad(path).obs["kind"].to_numpy()[:100]
    expected = [100 / 3 / (kinds == kind).sum() for kind in data.classes]
    assert data.class_weights.dtype == torch.float32
    assert np.allclose(data.class_weights, expected)


def test_a_class_without_training_cells_weighs_nothing(module):
    data = module(train=lambda obs: obs["kind"] != "T", val=None, test=None)
    weights = data.class_weights.tolist()
    assert weights[2] == 0
    assert min(weights[:2]) > 0


def test_strategies_get_the_cells_of_the_split(module, path):
    labels = anndata.read_h5ad(path).obs["kind"].to_numpy()
    strategies = BlockShuffling(4), partial(ClassBalancedSampling, labels, 4), ClassBalancedSampling(labels)
    for strategy in strategies:
        batches = [batch["number"] for batch in module(strategy=strategy).train_dataloader()]
        assert 0 <= int(torch.cat(batches).min()) <= int(torch.cat(batches).max()) < 100
    assert strategies[0].indices is None


def test_transforms_are_called_and_none_leaves_batches_as_they_are_read(module):
    raw = next(iter(module(batch_transform=None).val_dataloader()))
    assert sp.issparse(raw["X"])
    logged = next(iter(module(fetch_transform=Log1p()).val_dataloader()))
    assert np.allclose(logged["X"], np.log1p(raw["X"].toarray()))
    predicted = next(iter(module(batch_transform=None).predict_dataloader()))
    assert predicted["row"].tolist() == [*range(8)]
    assert "row" not in next(iter(module(row_key=None).predict_dataloader()))


def test_missing_labels_are_refused_at_setup_and_predicted(module):
    with pytest.raises(ArgumentValueError, match="10 cells of test have no 'maybe'"):
        module(label="maybe").setup("fit")
    data = module(label="maybe", test=None, train=range(100))
    last = list(data.predict_dataloader())[-1]
    assert last["maybe"].tolist() == [-1] * 8
    ignored = module(label="maybe", batch_transform=ToTorch(missing_label=-100))
    assert list(ignored.test_dataloader())[-1]["maybe"].tolist() == [-100] * 2


def test_hyperparameters_make_the_module_again(lightning, module, tmp_path):
    from scdataset.integrations.lightning import CellDataModule

    whole, files = fit_and_save(lightning, module(fetch_transform=Log1p()), tmp_path)
    saved = torch.load(files[5], weights_only=True)["datamodule_hyper_parameters"]
    assert saved["val"] == {"donor": ["D3"]}
    with pytest.raises(ArgumentValueError, match=r"fetch_transform was of type Log1p.*load_from_checkpoint"):
        CellDataModule.load_from_checkpoint(files[5])
    again = CellDataModule.load_from_checkpoint(files[5], fetch_transform=Log1p())
    assert fit(lightning, again)[0].trained == whole.trained


def test_a_subclass_saves_its_own_hyperparameters(lightning, path, tmp_path):
    from scdataset.integrations.lightning import CellDataModule

    class Ours(CellDataModule):
        def __init__(self, folder, batch_size=4, before=True):
            if before:
                self.save_hyperparameters()
            super().__init__(
                folder, val={"donor": "D3"}, label="kind", batch_size=2 * batch_size, open_options={"obs": ["number"]}
            )
            self.save_hyperparameters()

    _, files = fit_and_save(lightning, Ours(str(path), 5), tmp_path)
    again = Ours.load_from_checkpoint(files[5])
    assert (again.batch_size, again.hparams["batch_size"]) == (10, 5)


def test_a_module_can_be_sent_to_another_process(module):
    data = module()
    data.setup("fit")
    batches = [batch["number"].tolist() for batch in data.train_dataloader()]
    sent = pickle.loads(pickle.dumps(data))
    assert [batch["number"].tolist() for batch in sent.train_dataloader()] == batches


def test_the_module_shows_itself_without_opening_or_reading(module):
    data = module("absent.h5ad", val=np.arange(3), predict=None)
    shown = "collection='absent.h5ad', train='rest', val=<ndarray>, test={'donor': ['D4']}, predict=None, label='kind'"
    assert str(data) == repr(data) == f"CellDataModule({shown}, batch_size=8)"


def test_weights_are_taken_from_a_checkpoint_of_other_splits(lightning, module, tmp_path):
    _, files = fit_and_save(lightning, module(), tmp_path)
    other, model = module(train=None, val="all", test=None), model_of(lightning)
    trainer = trainer_of(lightning)
    trainer.validate(model, datamodule=other, ckpt_path=files[5], verbose=False)
    assert model.validated == [*range(N)]
    assert trainer.predict(model, datamodule=other, ckpt_path=files[5], return_predictions=False) is None


@pytest.mark.parametrize("how", [{"val_check_interval": 5}, {"reload_dataloaders_every_n_epochs": 1}], ids=str)
def test_validation_in_mid_epoch_and_reloading_change_nothing(lightning, module, tmp_path, how):
    whole, files = fit_and_save(lightning, module(), tmp_path, **how)
    assert whole.trained == fit(lightning, module())[0].trained
    assert fit(lightning, module(), files[20], **how)[0].trained == whole.trained[20:]


def test_files_that_have_moved_are_gone_on_with_where_that_is_said(lightning, module, path, tmp_path):
    whole, files = fit_and_save(lightning, module(), tmp_path / "checkpoints")
    moved = shutil.copy(path, tmp_path / "moved.h5ad")
    with pytest.raises(StateError, match="collection was"):
        fit(lightning, module(moved), files[5])
    resumed, _ = fit(lightning, module(moved, resume_ignore=["collection"]), files[5])
    assert resumed.trained == whole.trained[5:]


def test_a_split_that_is_not_there_is_named(lightning, module):
    data = module(test=None)
    with pytest.raises(ArgumentValueError, match="no cells for test; it was made with test=None"):
        data.test_dataloader()
    with pytest.raises(ArgumentValueError, match="split='vall' is not known"):
        data.split("vall")
    with pytest.raises(ArgumentValueError, match="stage='fitting' is not known"):
        data.setup("fitting")
    with pytest.raises(ArgumentValueError, match="no cells for test"):
        trainer_of(lightning).test(model_of(lightning), datamodule=data, verbose=False)
    with pytest.raises(ArgumentValueError, match="without a label"):
        _ = module(label=None).classes
    with pytest.warns(UserWarning, match="across ranks is zero"):
        model, _ = fit(lightning, module(val=None), max_epochs=1)
    assert not model.validated


def test_other_collections_take_row_numbers_alone(module):
    numbers = np.arange(40.0).reshape(20, 2)
    plain = {"label": None, "open_options": None, "test": None}
    data = module(numbers, val=[3, 4], predict=None, **plain)
    assert sum(len(batch) for batch in data.train_dataloader()) == 18
    with pytest.raises(CollectionError, match="no collection of cells in files"):
        module(numbers, val={"donor": "D3"}, **plain).setup("fit")
    with pytest.raises(HookError, match="no place for row numbers"):
        next(iter(module(numbers, val=None, **plain).predict_dataloader()))


def test_a_list_of_adata_is_split_by_cells(path, module):
    parts = [anndata.read_h5ad(path)[rows].copy() for rows in (slice(0, 120), slice(120, 200))]
    data = module(parts, train=range(0, 200, 2), val=None, test=None, label=None, open_options=None)
    assert data.split("train").tolist() == [*range(0, 200, 2)]
    assert sum(len(batch["X"]) for batch in data.train_dataloader()) == 100


def test_what_is_no_collection_is_refused(module):
    with pytest.raises(CollectionError, match="object"):
        module(object(), open_options=None).setup("fit")
    with pytest.raises(CollectionError, match="no names of genes"):
        _ = module(np.eye(3), open_options=None).var_names


def test_a_member_of_the_name_of_row_numbers_is_refused(module):
    with pytest.raises(HookError, match="'number' already"):
        next(iter(module(row_key="number").predict_dataloader()))
