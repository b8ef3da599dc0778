"""Go through epochs for a long time in one process, and tell whether memory, descriptors and threads stay as they are.

Usage: python tests/soak/steady.py [minutes] [seconds between samples]

Epochs alternate between a gzipped h5ad file, a sharded zarr store and a dense h5ad file, most of them in the process
itself and every tenth through two DataLoader workers; every other epoch opens its file anew. Prints the first, middle,
last and largest sample and the slope of a line through the samples after the first tenth. Ends with an error where
descriptors, threads or shared memory grow, or memory by more than a few percent an hour.
"""

import gc
import os
import sys
import tempfile
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import anndata
import h5py
import numpy as np
import scipy.sparse
import zarr
from torch.utils.data import DataLoader

from scdataset import BlockShuffling, open_collection, scDataset

N_OBS, N_VARS = 20_000, 1_000
WITH_WORKERS = 10
"""One epoch in so many goes through workers."""
WARM_UP = 0.1
"""The part of all samples that the slope leaves out: pools of buffers fill and modules are imported."""


@dataclass(frozen=True)
class Sample:
    """What a process holds: megabytes of memory, its own and its share of what it shares, and numbers of the rest."""

    rss: float
    pss: float
    descriptors: int
    threads: int
    shared_files: int
    shared_mb: float
    machine_shm_mb: float

    @classmethod
    def now(cls):
        """Measure this process, and /dev/shm of the machine, which other processes use as well."""
        rollup = _fields("/proc/self/smaps_rollup")
        mapped = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if "/dev/shm/" in line]
        ranges = [[int(bound, 16) for bound in words[0].split("-")] for words in mapped]
        shm = os.statvfs("/dev/shm")
        return cls(
            rss=rollup["Rss"] / 1024,
            pss=rollup["Pss"] / 1024,
            descriptors=len(list(Path("/proc/self/fd").iterdir())),
            threads=_fields("/proc/self/status")["Threads"],
            shared_files=len(mapped),
            shared_mb=sum(stop - start for start, stop in ranges) / 1e6,
            machine_shm_mb=(shm.f_blocks - shm.f_bfree) * shm.f_frsize / 1e6,
        )


def _fields(path):
    pairs = (line.split(":") for line in Path(path).read_text().splitlines() if line.count(":") == 1)
    return {name: int(value.split()[0]) for name, value in pairs if value.split() and value.split()[0].isdigit()}


def write_files(folder, n_obs=N_OBS):
    """Write the three files; return their paths."""
    rng = np.random.default_rng(0)
    counts = scipy.sparse.random_array((n_obs, N_VARS), density=0.05, format="csr", rng=rng, dtype=np.float32)
    paths = [folder / "gzip.h5ad", folder / "sharded.zarr", folder / "dense.h5ad"]
    with warnings.catch_warnings(), anndata.settings.override(zarr_write_format=3):
        warnings.simplefilter("ignore")
        anndata.AnnData(counts).write_h5ad(paths[0])
        anndata.AnnData(counts).write_zarr(paths[1])
        anndata.AnnData(counts[:, :200].toarray()).write_h5ad(paths[2])
    with h5py.File(paths[0], "a") as h5:
        for name in ("data", "indices"):
            values = h5[f"X/{name}"][:]
            del h5[f"X/{name}"]
            h5["X"].create_dataset(name, data=values, chunks=(10_000,), compression="gzip")
    group = zarr.open_group(str(paths[1]), mode="a", use_consolidated=False)["X"]
    for name in ("data", "indices"):
        group.create_array(name, data=group[name][:], chunks=(5_000,), shards=(50_000,), overwrite=True)
    return paths


def epochs(paths):
    """Yield every batch of one epoch after another, without end."""
    opened, number = {}, 0
    while True:
        path = paths[number % len(paths)]
        if path not in opened or number // len(paths) % 2:
            opened[path] = open_collection(path, num_threads=2)
        dataset = scDataset(opened[path], BlockShuffling(16), 64, 16, seed=number)
        number += 1
        yield from DataLoader(dataset, batch_size=None, num_workers=2) if number % WITH_WORKERS == 0 else dataset


def samples_of(paths, seconds, interval):
    """Return samples, and how many batches were read, of a loop of so many seconds."""
    samples, n_batches = [], 0
    begun = due = time.monotonic()
    for batch in epochs(paths):
        assert batch["X"].shape[0] > 0
        n_batches += 1
        if time.monotonic() >= due:
            samples.append(Sample.now())
            due += interval
        if time.monotonic() >= begun + seconds:
            break
    gc.collect()
    samples.append(Sample.now())
    return samples, n_batches


def report(samples, interval):
    """Return lines of text about samples, and the names of what grew."""
    lines = [f"{'':>15} {'first':>9} {'middle':>9} {'last':>9} {'maximum':>9} {'slope/h':>9}"]
    grew = []
    settled = samples[int(len(samples) * WARM_UP) : -1]
    hours = np.arange(len(settled)) * interval / 3600
    for name in asdict(samples[0]):
        values = np.array([getattr(sample, name) for sample in samples], float)
        steady = np.array([getattr(sample, name) for sample in settled], float)
        slope = np.polyfit(hours, steady, 1)[0] if len(settled) > 2 else 0.0
        shown = values[0], values[len(values) // 2], values[-1], values.max()
        lines.append(f"{name:>15} " + " ".join(f"{value:9.1f}" for value in shown) + f" {slope:9.2f}")
        if _grows(name, steady, slope):
            grew.append(name)
    return lines, grew


def _grows(name, steady, slope):
    """Tell whether the second half of the samples lies above the first one; the machine's /dev/shm is others' too."""
    if len(steady) < 4 or name == "machine_shm_mb":
        return False
    first, second = steady[: len(steady) // 2], steady[len(steady) // 2 :]
    if name in {"rss", "pss"}:
        return bool(slope > 0.05 * first.max() and second.max() > first.max() + 10)
    return bool(np.median(second) > np.median(first) and second.max() > first.max())


def main():
    """Run from the command line."""
    minutes, interval = [*map(float, sys.argv[1:]), *(30.0, 10.0)[len(sys.argv) - 1 :]]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SCDATASET_CACHE_DIR"] = f"{folder}/cache"
        samples, n_batches = samples_of(write_files(Path(folder)), 60 * minutes, interval)
    lines, grew = report(samples, interval)
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.write(f"{len(samples)} samples and {n_batches} batches in {minutes:.1f} minutes; grew: {grew or 'no'}\n")
    return 1 if grew else 0


if __name__ == "__main__":
    sys.exit(main())
