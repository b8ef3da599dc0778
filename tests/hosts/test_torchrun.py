"""torchrun and DistributedDataParallel on gloo, in real processes."""

import signal
from collections import Counter
from pathlib import Path

import pytest
from tests.examples import rare
from tests.hosts.launching import torchrun

HERE = Path(__file__).parent


@pytest.fixture(params=["environment", *rare("torchrun")])
def started(request, launch):
    """Return what starts ranks: a process that gives them the environment of torchrun, or torchrun itself."""
    return launch if request.param == "environment" else torchrun


def test_an_epoch_goes_from_two_processes_to_one_to_three(started, launch, tmp_path):
    checkpoint = tmp_path / "checkpoint.pt"
    first = started(HERE / "bare_loop.py", tmp_path / "a", 2, checkpoint, 17, 2)
    second = launch(HERE / "bare_loop.py", tmp_path / "b", 1, checkpoint, 20, 0)
    third = launch(HERE / "bare_loop.py", tmp_path / "c", 3, checkpoint, -1, 1)
    assert [found["world"] for found in first] == [[0, 2], [1, 2]]
    ranks = [*first, *second, *third]
    assert len({found["seed"] for found in ranks}) == 1  # drawn once, and carried along by the state
    counts = Counter(row for found in ranks for row in found["rows"])
    assert set(counts) == set(range(1000))
    assert counts.total() - 1000 <= 2 * 8  # what pads the last round of three ranks


DIES = """
import os, signal, sys
import numpy as np, torch, torch.distributed
from torch.nn.parallel import DistributedDataParallel
from scdataset import Streaming, scDataset
torch.distributed.init_process_group("gloo")
dataset = scDataset(np.ones((400, 1), np.float32), Streaming(), batch_size=4)
model = DistributedDataParallel(torch.nn.Linear(1, 1))
for number, batch in enumerate(dataset):
    if number == 5 and dataset.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    model(torch.from_numpy(batch)).mean().backward()
"""


def test_a_rank_that_is_killed_ends_the_others_with_an_error(launch, tmp_path):
    script = tmp_path / "dies.py"
    script.write_text(DIES)
    _, statuses, errors = launch.run(script, tmp_path / "out", 2)
    assert statuses == [1, -signal.SIGKILL]
    assert "Connection" in errors[0]  # "closed by peer" or "reset by peer"


MESHED = """
import json, sys
from pathlib import Path
import numpy as np, torch.distributed
from torch.distributed.device_mesh import init_device_mesh
from scdataset import BlockShuffling, scDataset
mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("dp", "tp"))
dataset = scDataset(np.arange(100), BlockShuffling(4), 7, 2, mesh=mesh["dp"])
rows = [batch.tolist() for batch in dataset]
rank = torch.distributed.get_rank()
Path(sys.argv[1], f"{rank}.json").write_text(json.dumps([dataset.rank, dataset.world_size, dataset.seed, rows]))
torch.distributed.barrier()
torch.distributed.destroy_process_group()
"""


def test_ranks_of_one_place_in_the_data_parallel_mesh_see_the_same_batches(launch, tmp_path):
    script = tmp_path / "meshed.py"
    script.write_text(MESHED)
    found = launch(script, tmp_path / "out", 4)
    assert [one[:2] for one in found] == [[0, 2], [0, 2], [1, 2], [1, 2]]
    assert found[0] == found[1]
    assert found[2] == found[3]
    assert found[0][2] == found[2][2]
    assert {row for one in found for batch in one[3] for row in batch} == set(range(100))
