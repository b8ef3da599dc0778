"""Train a variational autoencoder in bare torch, with bfloat16, on a GPU if there is one.

    python examples/vae.py

The loss is that of a negative binomial over counts. `to_device` sends the next batch while the model works on this one.
The file is a simulated atlas of 2,000 cells.
"""

import tempfile
from pathlib import Path

import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from scdataset import BlockShuffling, open_collection, scDataset
from scdataset.simulation import simulate_atlas
from scdataset.transforms import to_device


class VAE(nn.Module):
    """An encoder to ``n_latent`` numbers a cell, and a decoder to the mean of its counts."""

    def __init__(self, n_genes: int, n_hidden: int = 64, n_latent: int = 10) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(n_genes, n_hidden), nn.ReLU(), nn.Linear(n_hidden, 2 * n_latent))
        self.decoder = nn.Sequential(nn.Linear(n_latent, n_hidden), nn.ReLU(), nn.Linear(n_hidden, n_genes))
        self.log_dispersion = nn.Parameter(torch.zeros(n_genes))

    def loss(self, counts: torch.Tensor) -> torch.Tensor:
        """Return the negative evidence lower bound a cell, shape ``()``."""
        with torch.autocast(counts.device.type, torch.bfloat16):
            mean, log_std = self.encoder(counts.log1p()).chunk(2, dim=1)
            latent = Normal(mean.float(), log_std.float().exp())
            proportions = self.decoder(latent.rsample()).float().softmax(1)
        expected = counts.sum(1, keepdim=True) * proportions + 1e-6
        dispersion = self.log_dispersion.exp()
        logits = expected.log() - self.log_dispersion
        likelihood = torch.distributions.NegativeBinomial(dispersion, logits=logits, validate_args=False)
        divergence = kl_divergence(latent, Normal(0.0, 1.0)).sum(1)
        return (divergence - likelihood.log_prob(counts).sum(1)).mean()


def main(path: Path) -> None:
    """Train for three epochs, and print the loss of each."""
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    cells = open_collection(path)
    batches = to_device(scDataset(cells, BlockShuffling(4), batch_size=64, fetch_factor=16), device)
    model = VAE(cells.shape[1]).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for epoch in range(3):
        total = 0.0
        for batch in batches:
            loss = model.loss(batch["X"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"epoch {epoch}: {total / len(batches):.1f} nats a cell, on {device}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        atlas = Path(folder) / "atlas.h5ad"
        main(simulate_atlas(atlas, n_cells=2_000, n_genes=500, genes_per_cell=120, progress=False))
