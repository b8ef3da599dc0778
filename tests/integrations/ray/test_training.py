"""Ranks, threads and checkpoints of Ray Train: in this process, and on a cluster whose workers are killed."""

import json
import os
import random
import signal
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.examples import EVERYTHING
from torch.nn.parallel import DistributedDataParallel

from scdataset import ArgumentTypeError, BlockShuffling, MissingFileError, StateError, open_collection, scDataset
from scdataset.integrations.ray import prepare, report, restore

ROWS = 180
BATCHES = 36


def _dataset(path, **options):
    cells = open_collection(path, obs=["number"])
    return scDataset(cells, BlockShuffling(2, np.arange(ROWS)), ROWS // BATCHES, 2, **{"seed": 3, **options})


def _numbers(batches):
    return [batch["number"].tolist() for batch in batches]


@pytest.fixture
def folder(tmp_path):
    """Make a folder for the files of a checkpoint, which Ray leaves where they are in a process without a cluster."""
    made = tmp_path / "checkpoint"
    made.mkdir()
    return made


@pytest.mark.parametrize("seed", [3, None])
def test_training_goes_on_from_a_checkpoint_with_the_batches_that_are_left(fit, path, folder, seed):
    def train():
        dataset, model = prepare(lambda: _dataset(path, seed=seed)), torch.nn.Linear(2, 1)
        assert restore(dataset, model=model) == 0
        batches = iter(dataset)
        for _ in range(4):
            next(batches)
        report({"loss": 1.0}, dataset, folder=folder, model=model)
        again, other = prepare(_dataset(path, seed=seed)), torch.nn.Linear(2, 1)
        assert restore(again, model=other) == 0
        assert torch.equal(other.weight, model.weight)
        return _numbers(batches), _numbers(again)

    left, found = fit(train)
    assert found == left
    assert len(left) == BATCHES - 4
    assert (folder / "scdataset.json").stat().st_size < 4096


def test_batches_of_a_loader_with_workers_are_those_that_were_taken_from_it(fit, path, folder):
    def train():
        dataset = prepare(lambda: _dataset(path))
        loader = torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=2)
        for taken, _ in enumerate(loader, start=1):
            if taken == 5:
                report({}, dataset, taken, folder=folder)
                break
        restore(dataset)
        return dataset.remaining

    assert fit(train) == BATCHES - 5


def test_without_a_folder_files_are_written_and_removed(fit, path):
    def train():
        dataset = prepare(lambda: _dataset(path))
        report({"loss": 1.0}, dataset)
        import ray.train

        return Path(ray.train.get_checkpoint().path)

    assert not fit(train).exists()


def test_the_model_inside_of_a_distributed_one_is_saved_and_restored(fit, path, folder):
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)

    def train():
        dataset, model = prepare(lambda: _dataset(path)), DistributedDataParallel(torch.nn.Linear(2, 1))
        report({}, dataset, folder=folder, model=model)
        alone = torch.nn.Linear(2, 1)
        restore(dataset, model=alone)
        assert torch.equal(alone.weight, model.module.weight)
        return restore(dataset, model=model)

    try:
        assert fit(train) == 0
    finally:
        if torch.distributed.is_initialized():  # Ray ends it
            torch.distributed.destroy_process_group()


def test_a_checkpoint_without_a_state_is_told_from_one_that_has_it(fit, path, folder):
    def train():
        import ray.train

        dataset, model = prepare(lambda: _dataset(path)), torch.nn.Linear(2, 1)
        ray.train.report({}, checkpoint=ray.train.Checkpoint.from_directory(folder))
        with pytest.raises(StateError, match=r"checkpoint .* has no scdataset\.json, which report writes"):
            restore(dataset)
        report({}, dataset, folder=folder, model=model)
        with pytest.raises(StateError, match=r"has no modell\.pt, which report writes. Did you mean 'model\.pt'"):
            restore(dataset, modell=model)

    fit(train)


def test_what_is_no_dataset_and_has_no_state_is_refused(fit, path):
    def train():
        with pytest.raises(ArgumentTypeError, match=r"type DataLoader; give an scDataset, or a function"):
            prepare(torch.utils.data.DataLoader(_dataset(path), batch_size=None))
        with pytest.raises(ArgumentTypeError, match="returned None; it has to return an scDataset"):
            prepare(lambda: None)
        with pytest.raises(ArgumentTypeError, match=r"loss=1\.5 is of type float, which has no state_dict"):
            report({}, prepare(_dataset(path)), loss=1.5)

    fit(train)


def test_a_path_that_a_worker_does_not_see_is_named_with_the_node(fit, path, tmp_path):
    moved = tmp_path / "here.h5ad"
    moved.write_bytes(path.read_bytes())

    def train():
        dataset = _dataset(moved)
        moved.unlink()
        for given in (dataset, lambda: _dataset(moved)):
            with pytest.raises(MissingFileError, match=r"^On node .*here\.h5ad.* does not exist.* Every node needs"):
                prepare(given)

    fit(train)


class _Steps:
    """Steps of each run that a checkpoint knows of, saved as models are."""

    def __init__(self):
        self.taken = {}

    def add(self, run):
        self.taken[run] = self.taken.get(run, 0) + 1
        return self.taken[run]

    def state_dict(self):
        return self.taken

    def load_state_dict(self, state):
        self.taken = state


def _train(config):
    """Train and report after each step, record the rows of each, and be killed after a chosen one."""
    dataset, steps, model = prepare(lambda: _dataset(config["path"], seed=None)), _Steps(), torch.nn.Linear(2, 1)
    run, folder = config["run"], Path(config["folder"])
    for epoch in range(restore(dataset, steps=steps, model=model), 2):
        for batch in dataset:
            number = steps.add(run)
            record = {"epoch": epoch, "workers": dataset.world_size, "rows": batch["number"].tolist()}
            (folder / f"{run}-{number}-{dataset.rank}.json").write_text(json.dumps(record))
            report({"state": len(json.dumps(dataset.state_dict()))}, dataset, steps=steps, model=model)
            if number == config["steps"]:
                os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_run_that_is_killed_goes_on_with_fewer_and_with_more_workers_and_yields_every_row_once(
    cluster, path, tmp_path
):
    import ray.train
    from ray.train.torch import TorchTrainer

    draw = random.Random(None if EVERYTHING else 0)
    sizes = {"first": (2, draw.randrange(2, BATCHES // 2 - 3)), "second": (1, draw.randrange(2, 6)), "third": (3, None)}
    records = tmp_path / "records"
    records.mkdir()

    def fitted(run):
        workers, steps = sizes[run]
        trainer = TorchTrainer(
            _train,
            train_loop_config={"path": str(path), "folder": str(records), "run": run, "steps": steps},
            scaling_config=ray.train.ScalingConfig(num_workers=workers, resources_per_worker={"CPU": 0.5}),
            run_config=ray.train.RunConfig(name="run", storage_path=str(tmp_path / "storage")),
        )
        return trainer.fit()

    for run in ("first", "second"):
        with pytest.raises(ray.train.TrainingFailedError):
            fitted(run)
    with fitted("third").checkpoint.as_directory() as folder:
        taken = torch.load(Path(folder, "steps.pt"), weights_only=True)
        assert Path(folder, "scdataset.json").stat().st_size < 4096
    _check_rows(records, taken, sizes)


def _check_rows(records, taken, sizes):
    """Raise unless every row came once in each of two epochs, but for the batches that fill the last round."""
    counts = Counter()
    for file in records.iterdir():
        run, number, _ = file.stem.split("-")
        if int(number) <= taken.get(run, 0):  # what came after the last checkpoint comes again
            record = json.loads(file.read_text())
            assert record["workers"] == sizes[run][0]
            counts.update((record["epoch"], row) for row in record["rows"])
    assert counts.keys() == {(epoch, row) for epoch in range(2) for row in range(ROWS)}
    left = BATCHES - sum(sizes[run][0] * taken.get(run, 0) for run in ("first", "second"))
    repeated = -left % sizes["third"][0]
    assert counts.total() == 2 * ROWS + repeated * ROWS // BATCHES, (sizes, taken)
