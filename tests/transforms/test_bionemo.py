"""bionemo_to_tensor: sparse cells of BioNeMo, collated by BioNeMo, as a dense tensor."""

import sys
from types import ModuleType

import numpy as np
import pytest
import torch

from scdataset import BlockShuffling, MissingDependencyError, ScDatasetError, scDataset
from scdataset.transforms import bionemo_to_tensor

DENSE = torch.arange(40.0).reshape(10, 4) % 3
DENSE[7] = 0
DENSE[3:6, 3] = 0


class Cells:
    """What stands in for a SingleCellMemMapDataset: a cell is its values and their columns."""

    def __len__(self):
        return len(DENSE)

    def number_of_variables(self):
        return [3, 4]

    def __getitem__(self, row):
        assert isinstance(row, int)
        columns = DENSE[row].nonzero()[:, 0]
        return torch.stack([DENSE[row, columns], columns.float()])


def collate(cells):
    """Stand in for BioNeMo's collation: a sparse tensor as wide as the last gene that the cells express."""
    rows = torch.cat([torch.full((cell.shape[1],), row) for row, cell in enumerate(cells)])
    values, columns = torch.cat(list(cells), dim=1)
    width = int(columns.max()) + 1 if len(columns) else 0
    places = torch.stack([rows, columns.long()])
    return torch.sparse_coo_tensor(places, values, (len(cells), width), check_invariants=True)


@pytest.fixture
def bionemo(monkeypatch):
    """Put a stand-in for the module where BioNeMo has its collation."""
    path = "bionemo.scdl.util.torch_dataloader_utils"
    for depth in range(1, 5):
        monkeypatch.setitem(sys.modules, ".".join(path.split(".")[:depth]), ModuleType(path))
    sys.modules[path].collate_sparse_matrix_batch = collate


def test_without_bionemo_the_answer_is_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "bionemo.scdl.util.torch_dataloader_utils", None)
    with pytest.raises(MissingDependencyError, match="pip install bionemo-scdl") as caught:
        bionemo_to_tensor(Cells(), [0])
    assert isinstance(caught.value, ImportError)
    assert isinstance(caught.value, ScDatasetError)


@pytest.mark.usefixtures("bionemo")
@pytest.mark.parametrize(
    ("idx", "rows"),
    [
        (3, [3]),
        (np.int64(3), [3]),
        (slice(2, 5), [2, 3, 4]),
        (slice(None, None, -4), [9, 5, 1]),
        ([7, 0, 7], [7, 0, 7]),
        (range(2), [0, 1]),
        (np.array([9, 1]), [9, 1]),
        (torch.tensor([4, 2]), [4, 2]),
        (torch.tensor(4), [4]),
    ],
)
def test_cells_are_collated_and_made_dense(idx, rows):
    assert torch.equal(bionemo_to_tensor(Cells(), idx), DENSE[rows])


@pytest.mark.usefixtures("bionemo")
def test_every_fetch_is_as_wide_as_the_genes_whatever_is_expressed():
    assert [bionemo_to_tensor(Cells(), row).shape for row in range(10)] == [(1, 4)] * 10


@pytest.mark.usefixtures("bionemo")
def test_it_is_a_fetch_callback():
    dataset = scDataset(Cells(), BlockShuffling(2), 3, 2, seed=0, fetch_callback=bionemo_to_tensor)
    rows = np.concatenate(list(scDataset(range(10), BlockShuffling(2), 3, 2, seed=0)))
    assert torch.equal(torch.cat(list(dataset)), DENSE[torch.from_numpy(rows)])
