"""Train SCVI on cells that stay on disk, then SCANVI, and label the cells whose type is not known.

    pip install scvi-tools scikit-learn
    python examples/scvi_scanvi.py

The file is a simulated atlas of 1,000 cells; an atlas of millions is read the same way, in the same memory.
"""

import tempfile
from pathlib import Path

import anndata
import scvi

from scdataset import open_collection
from scdataset.integrations.scvi import ScviDataModule
from scdataset.simulation import simulate_atlas

QUIET = {"accelerator": "cpu", "enable_progress_bar": False}


def write_atlas(path: Path) -> None:
    """Write a file of counts whose column ``label`` lacks the type of every third cell."""
    simulate_atlas(path, n_cells=1_000, n_genes=300, genes_per_cell=90, n_donors=3, n_types=4, progress=False)
    adata = anndata.read_h5ad(path)
    adata.obs["label"] = adata.obs["cell_type"].astype(str)
    adata.obs.loc[adata.obs_names[::3], "label"] = "Unknown"
    adata.write_h5ad(path)


def main(path: Path) -> None:
    """Train both models, and print how many hidden labels SCANVI finds."""
    scvi.settings.seed = 0
    cells = open_collection(path)
    known = cells.obs_frame(["cell_type", "label"])
    module = ScviDataModule(
        cells, batch_key="donor", labels_key="label", validation=range(0, cells.n_obs, 10), block_size=4
    )

    model = scvi.model.SCVI(registry=module.registry, n_hidden=64)
    model.train(max_epochs=4, datamodule=module, plan_kwargs={"lr": 5e-3}, **QUIET)
    elbo = model.get_elbo(dataloader=module.inference_dataloader(model.validation_indices))
    latent = model.get_latent_representation(dataloader=module.inference_dataloader())
    print(f"SCVI: validation ELBO {elbo:.0f}, latent representation {latent.shape}")

    labeller = scvi.model.SCANVI.from_scvi_model(model, "Unknown", datamodule=module)
    labeller.train(max_epochs=4, datamodule=module, plan_kwargs={"lr": 5e-3}, **QUIET)
    labels = labeller.predict(dataloader=module.inference_dataloader())
    hidden = (known["label"] == "Unknown").to_numpy()
    found = (labels == known["cell_type"].to_numpy())[hidden].mean()
    print(f"SCANVI: {found:.0%} of {hidden.sum()} hidden labels found")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        write_atlas(Path(folder) / "atlas.h5ad")
        main(Path(folder) / "atlas.h5ad")
