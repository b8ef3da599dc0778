"""Damage small files of cells in many ways and read them: an error of ours, or what can be read, and nothing else.

Usage: python -m tests.soak.damage [count] [seed] [kinds] [files] [harms] [processes]

Kinds, files and harms are parts of their names, with commas between them; all by default. The kinds are

- damaged: files and stores of every format with bytes flipped, overwritten, cut off or doubled, and folders with a
  pipe, a folder, a circle of links or nothing in the place of a file;
- cached: the same done to copies and tables in the cache, and sources that were made anew with their times set back;
- failing: reads that fail, are interrupted or return less than they were asked for (takes a C compiler and LD_PRELOAD);
- state: saved states with changed fields;
- changing: files and stores that are overwritten, cut, deleted or replaced between two windows of an epoch.

Each case but a state is tried in a forked child, which may end with the right values or an error of this package.
Values that are wrong are a failure too, but where nothing protects them: there they have the right shape, and column
numbers inside the matrix. A child that dies, hangs, takes a gigabyte or raises anything else is a failure, printed with
what brings it back; unless h5py, zarr or cellstream alone, asked for all that is in the file, dies or hangs as well,
which is counted apart.
``SCDATASET_HANG_SECONDS`` says how long a child may take, 10 seconds by default.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

from tests.soak.damage.failing import with_shim
from tests.soak.damage.running import run_in_processes, table


def main():
    """Run from the command line."""
    count, seed, kinds, files, harms, processes = [*sys.argv[1:], *("1000", "0", "", "", "", "1")[len(sys.argv) - 1 :]]
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        with_shim(folder)
        os.environ["SCDATASET_CACHE_DIR"] = f"{folder}/cache"
        outcomes, failures = run_in_processes(
            int(count), int(seed), Path(folder), (kinds, files, harms), int(processes)
        )
    sys.stdout.write(table(outcomes))
    for case, word in failures:
        sys.stdout.write(f"FAILED {case}: {word}\n")
    sys.stdout.write(f"{outcomes.total()} cases in {time.monotonic() - begin:.0f} s, {len(failures)} failures\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
