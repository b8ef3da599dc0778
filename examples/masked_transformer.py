"""Train a small transformer to predict masked expression values of genes, as scGPT does.

    python examples/masked_transformer.py

`GeneSentence` makes each cell a list of gene ids and bins of their values, `MaskValues` hides some. Chance depends on
the seed, the epoch and the row, so that a resumed run sees the same masks. The file is a simulated atlas of 600 cells.
"""

import tempfile
from pathlib import Path

import torch
from torch import nn

from scdataset import BlockShuffling, open_collection, scDataset
from scdataset.simulation import simulate_atlas
from scdataset.transforms import BinValues, Compose, GeneSentence, MaskValues, ToTorch

PAD, CLS, FIRST_GENE, N_BINS, HIDDEN = 0, 1, 2, 21, -1


class MaskedTransformer(nn.Module):
    """An encoder over genes and their values, and a head for the bin of each value."""

    def __init__(self, n_genes: int, width: int = 32) -> None:
        super().__init__()
        self.genes = nn.Embedding(n_genes + FIRST_GENE, width, padding_idx=PAD)
        self.values = nn.Linear(1, width)
        layer = nn.TransformerEncoderLayer(width, nhead=4, dim_feedforward=64, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False)
        self.head = nn.Linear(width, 1)

    def forward(self, gene_ids: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """Return a prediction for each value; all have shape ``(n_cells, length)``."""
        tokens = self.genes(gene_ids) + self.values(values[..., None])
        return self.head(self.encoder(tokens, src_key_padding_mask=gene_ids == PAD))[..., 0]


def main(path: Path) -> None:
    """Train for three epochs, and print the error of masked values."""
    torch.manual_seed(0)
    cells = open_collection(path)
    gene_ids = range(FIRST_GENE, FIRST_GENE + cells.shape[1])
    to_model = Compose(
        BinValues(N_BINS), GeneSentence(gene_ids, max_length=65, cls=CLS), MaskValues(0.3, mask_value=HIDDEN), ToTorch()
    )
    batches = scDataset(cells, BlockShuffling(4), batch_size=32, fetch_factor=8, seed=0, batch_transform=to_model)
    model = MaskedTransformer(cells.shape[1])
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(3):
        errors = []
        for batch in batches:
            masked = batch["masked_values"] == HIDDEN
            predicted = model(batch["gene_ids"], batch["masked_values"])
            loss = nn.functional.mse_loss(predicted[masked], batch["values"][masked])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            errors.append(loss.detach())
        print(f"epoch {epoch}: squared error {torch.stack(errors).mean():.1f} bins")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        atlas = Path(folder) / "atlas.h5ad"
        main(simulate_atlas(atlas, n_cells=600, n_genes=400, genes_per_cell=100, progress=False))
