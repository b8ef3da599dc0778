"""The stores that are measured, made once from one simulated atlas: CSR float32, about 1,650 non-zeros a row of 62,710.

    python benchmarks/data.py [--cells 300000] [--data DIR] [--stores plain gzip ...]

simulator ──► plain h5ad ──► zarr, zarr-plain (here), annbatch, cellstream (in the environments of those packages)
          └─► gzip h5ad

A store appears when it is complete. Beside each that was converted a JSON file keeps what the conversion took.
"""

import argparse
import json
import multiprocessing
import resource
import shutil
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import anndata
import results
import zarr
from peer_environments import Environments, run_script

from scdataset.simulation import simulate_atlas

HERE = ("plain", "gzip", "zarr", "zarr-plain")
"""Stores that take no other package: h5ad, and sharded zarr v3 with anndata's codecs and without any."""

CONVERTED = {"annbatch": "zarr", "cellstream": "csad"}
"""Stores in the own formats of other packages, and how their names end."""

N_GENES, GENES_PER_CELL = 62_710, 1_650


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the option that says how large the data are."""
    parser.add_argument("--cells", type=int, default=300_000, help="rows of the atlas")


def make_store(kind: str, folder: Path, n_cells: int, environments: Environments) -> Path:
    """Return a store, made now if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    ending = CONVERTED.get(kind, "zarr" if kind.startswith("zarr") else "h5ad")
    path = folder / f"{kind}-{n_cells}.{ending}"
    if path.exists():
        return path
    print(f"making {path}", flush=True)  # noqa: T201
    if ending == "h5ad":
        compression = None if kind == "plain" else kind
        return simulate_atlas(
            path, n_cells=n_cells, n_genes=N_GENES, genes_per_cell=GENES_PER_CELL, compression=compression
        )
    source = make_store("plain", folder, n_cells, environments)
    if kind in CONVERTED:
        convert = environments.python(kind)
        _complete(path, lambda partial: run_script(convert, f"convert_{kind}.py", source, partial))
    else:
        _complete(path, lambda partial: _in_own_process(source, partial, plain=kind == "zarr-plain"))
    return path


def conversion(path: Path) -> dict[str, Any]:
    """Return what converting to a store took: ``seconds``, and peak ``memory`` in MB; empty where nothing was noted."""
    note = path.with_name(f"{path.name}.conversion.json")
    return dict(json.loads(note.read_text())) if note.exists() else {}


def _complete(path: Path, make: Callable[[Path], dict[str, Any]]) -> None:
    """Make a store under another name, and give it its own with what was noted about making it."""
    partial = path.with_name(f"partial-{path.name}")
    if partial.is_dir():
        shutil.rmtree(partial)
    partial.unlink(missing_ok=True)
    noted(path, make(partial))
    partial.rename(path)


def noted(path: Path, took: dict[str, Any]) -> None:
    """Note what making a store took, for `conversion`."""
    path.with_name(f"{path.name}.conversion.json").write_text(json.dumps(took))


def _in_own_process(source: Path, target: Path, *, plain: bool) -> dict[str, Any]:
    """Write zarr in a process whose memory, which holds the whole atlas, ends with it."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(_write_zarr, source, target, plain=plain).result()


def _write_zarr(source: Path, target: Path, *, plain: bool) -> dict[str, Any]:
    warnings.simplefilter("ignore")
    start = time.perf_counter()

    def write(writer: Any, store: Any, name: str, element: Any, dataset_kwargs: Any, **_: Any) -> None:
        options = {**dataset_kwargs, "compressors": None} if plain and name == "X" else dataset_kwargs
        writer(store, name, element, dataset_kwargs=options)

    with anndata.settings.override(zarr_write_format=3, auto_shard_zarr_v3=True):
        group = zarr.open_group(target, mode="w", zarr_format=3)
        anndata.experimental.write_dispatched(group, "/", anndata.read_h5ad(source), callback=write)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return {"seconds": time.perf_counter() - start, "memory": memory}


def main() -> None:
    """Make stores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    results.add_folder(parser)
    parser.add_argument("--stores", nargs="+", default=list(HERE), choices=[*HERE, *CONVERTED])
    parser.add_argument("--python312", help="Python 3.12 for annbatch; python3.12 on PATH if not given")
    options = parser.parse_args()
    environments = Environments(options.data, options.python312)
    for kind in options.stores:
        path = make_store(kind, options.data, options.cells, environments)
        took = conversion(path)
        print(f"{path}" + (f": {took['seconds']:.0f} s, {took['memory']:,.0f} MB" if took else ""))  # noqa: T201


if __name__ == "__main__":
    main()
