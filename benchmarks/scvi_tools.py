"""SCVI and SCANVI of scvi-tools trained from disk and from memory: how alike the models are.

    python benchmarks/scvi_tools.py [--pythons PYTHON...] [--cells 3000] [--epochs 12] [--seeds 3]

Both train on the same cells of a simulated atlas and validate on the same others, with the same first weights; only the
order of batches differs, so that the means over seeds are compared. Every fourth label is hidden from SCANVI. Each
training is a process of its own. ``--pythons`` are interpreters that have scvi-tools, one a release.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import results

from scdataset.simulation import simulate_atlas

SOURCE = Path(__file__).parents[1] / "src"

PROGRAM = """
    import json, logging, sys, time, warnings
    warnings.simplefilter("ignore")
    import anndata, numpy as np, scvi, torch
    logging.disable(logging.WARNING)
    from scdataset import open_collection
    from scdataset.integrations.scvi import ScviDataModule

    path, place, seed, epochs = sys.argv[1:]
    epochs, KEYS = int(epochs), {"batch_key": "donor", "labels_key": "label"}
    options = {"accelerator": "cpu", "enable_progress_bar": False, "plan_kwargs": {"lr": 3e-3}}

    def peak():
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1e3

    rows = np.random.default_rng(0).permutation(open_collection(path).n_obs)
    held_out, train = np.sort(rows[: rows.size // 10]), np.sort(rows[rows.size // 10 :])
    scvi.settings.seed = int(seed)
    if place == "disk":
        module = ScviDataModule(open_collection(path), **KEYS, train=train, validation=held_out, seed=int(seed))
        model = scvi.model.SCVI(registry=module.registry)
        more = {"datamodule": module}
        data = lambda indices=None: {"dataloader": module.inference_dataloader(indices)}
    else:
        adata = anndata.read_h5ad(path)
        scvi.model.SCVI.setup_anndata(adata, **KEYS)
        model = scvi.model.SCVI(adata)
        more = {"datasplitter_kwargs": {"external_indexing": [train, held_out, np.empty(0, int)]}, "batch_size": 128}
        data = lambda indices=None: {"indices": indices, "batch_size": 128}
    start = time.perf_counter()
    model.train(max_epochs=epochs, **more, **options)
    found = {"version": scvi.__version__, "SCVI seconds an epoch": (time.perf_counter() - start) / epochs}
    found["peak memory"] = peak()
    torch.manual_seed(0)
    found["ELBO"] = float(model.get_elbo(**data(held_out)))
    if place == "disk":
        latent = model.get_latent_representation(**data())
        adata = anndata.read_h5ad(path)
        scvi.model.SCVI.setup_anndata(adata, **KEYS)
        other = scvi.model.SCVI(adata)
        other.module.load_state_dict(model.module.state_dict())
        other.module.eval()
        other.is_trained_ = True
        same = other.get_latent_representation(batch_size=128)
        found["latent apart"] = float(np.abs(latent - same).max())
    scanvi = scvi.model.SCANVI.from_scvi_model(model, "Unknown", **({"datamodule": module} if place == "disk" else {}))
    start = time.perf_counter()
    scanvi.train(max_epochs=epochs, **more, **options)
    found["SCANVI seconds an epoch"] = (time.perf_counter() - start) / epochs
    obs = anndata.read_h5ad(path, backed="r").obs
    hidden = np.flatnonzero(obs["label"] == "Unknown")
    found["accuracy"] = float(np.mean(scanvi.predict(**data(hidden)) == obs["cell_type"].to_numpy()[hidden]))
    print(json.dumps(found))
"""


def hidden(path: Path, n_cells: int) -> Path:
    """Return a simulated atlas with a column of labels of which every fourth is hidden, made now if it is missing."""
    if not path.exists():
        import anndata  # noqa: PLC0415 only where the file is made

        partial = path.with_name(f"partial-{path.name}")
        simulate_atlas(partial, n_cells=n_cells, n_genes=2_000, genes_per_cell=300, n_donors=4, n_types=8)
        adata = anndata.read_h5ad(partial)
        adata.obs["label"] = adata.obs["cell_type"].astype(str)
        adata.obs.loc[adata.obs_names[::4], "label"] = "Unknown"
        adata.write_h5ad(partial)
        partial.rename(path)
    return path


def measure(python: str, path: Path, place: str, seed: int, epochs: int, threads: int) -> dict[str, Any]:
    """Train and score both models in a process of its own."""
    command = [python, "-c", textwrap.dedent(PROGRAM), str(path), place, str(seed), str(epochs)]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def compared(disk: list[dict[str, Any]], memory: list[dict[str, Any]]) -> str:
    """Return a line on each number, the mean over seeds of scores and the median of costs.

    Raises if the latents of the same weights differ.
    """
    apart = max(one["latent apart"] for one in disk)
    assert apart < 1e-4
    lines = []
    for name in ("ELBO", "accuracy", "SCVI seconds an epoch", "SCANVI seconds an epoch", "peak memory"):
        middle = statistics.mean if name in ("ELBO", "accuracy") else statistics.median
        ours, theirs = (middle(one[name] for one in found) for found in (disk, memory))
        lines.append(f"  {name:24} disk {ours:10.4f}  memory {theirs:10.4f}  apart {100 * (ours / theirs - 1):+.3f} %")
    return "\n".join([*lines, f"  latents of the same weights are apart by {apart:.1g}"])


def main() -> None:
    """Train all, and print disk beside memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    results.add_options(parser)
    parser.add_argument("--pythons", nargs="+", default=[sys.executable], help="interpreters that have scvi-tools")
    parser.add_argument("--cells", type=int, default=3_000)
    parser.add_argument("--epochs", type=int, default=12, help="of SCVI, and then of SCANVI")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of torch; more are slower on cores that are shared")
    options = parser.parse_args()
    kept = results.Results("scvi", options)
    path = hidden(options.data / f"scvi-{options.cells}.h5ad", options.cells)
    for python in options.pythons:
        found: dict[str, list[dict[str, Any]]] = {"disk": [], "memory": []}
        for seed in range(options.seeds):
            for place, measured in found.items():
                measured.append(measure(python, path, place, seed, options.epochs, options.threads))
                kept.add(f"scvi-tools {measured[-1]['version']}", f"seed {seed}", place, found=measured[-1])
        kept.note(f"scvi-tools {found['disk'][0]['version']}, {options.seeds} seeds:\n{compared(**found)}")


if __name__ == "__main__":
    main()
