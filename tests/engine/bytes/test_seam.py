"""Bytes of cells are read through `scdataset.engine.bytes`: no other module opens a path or asks what lies there."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import scdataset

SOURCES = Path(scdataset.__file__).parent

OPENS = {
    *("open", "os.open", "io.open", "os.fdopen", "mmap.mmap", "np.memmap", "np.fromfile", "np.load", "np.loadtxt"),
    *("np.lib.format.open_memmap", "pa.memory_map", "pa.OSFile", "h5py.File", "zipfile.ZipFile", "zipfile.is_zipfile"),
    *("zarr.open", "zarr.open_group", "pd.read_csv", "pd.read_parquet", "pyarrow.parquet.ParquetFile"),
    *("cellstream.open", "anndata.read_h5ad"),
}
"""Functions that take a path and open it; some take a stream as well."""

LOOKS = {
    *("os.stat", "os.path.exists", "os.path.isfile", "os.path.isdir", "os.listdir", "os.scandir", "os.walk"),
    *("glob.glob", "glob.iglob"),
}

METHODS = {
    *("open", "read_text", "read_bytes", "stat", "lstat", "exists", "is_file", "is_dir", "is_symlink", "iterdir"),
    *("glob", "rglob", "readlink"),
}
"""Methods of `pathlib.Path`."""

STREAMS = {
    "cells/formats/gene_lists.py": {"pd.read_csv"},
    "cells/formats/mtx.py": {"pd.read_csv"},
    "engine/containers/by_cell.py": {"np.load"},
    "engine/containers/parquet.py": {"pyarrow.parquet.ParquetFile"},
    "engine/containers/zip_members.py": {"zipfile.ZipFile", "zipfile.is_zipfile"},
}
"""Modules that give these a stream over a `ByteSource`, and no path."""

ROOMS = {
    "engine/bytes/": "where bytes come from",
    "engine/cache": "the cache's own files",
    "cells/formats/probe.py": "the probe of formats",
    "cells/sources.py": "from what a user gives to paths",
    "_paths.py": "the same",
    "cells/formats/writing.py": "writes obsm to files",
    "conversion/": "writes stores",
    "simulation/": "writes files",
    "cli/": "writes what it shows",
    "testing/": "makes files for tests",
    "collections/": "opens again the files that containers of the user's hold",
    "dataset/epoch_counter.py": "shares a state with other processes",
    "dataset/monitor.py": "the same",
    "engine/containers/user_block.py": "asks the HDF5 library about a file of its own",
    "engine/containers/by_cell.py": "writes arrays to the cache",
    "engine/buffers.py": "maps memory, and no file",
    "integrations/ray/training.py": "checkpoints, which Ray keeps in folders",
    "insight/advice.py": "the table of mounts",
    "insight/benching.py": "counters of the system",
    "experimental/_memory.py": "the same",
    "_cores.py": "the same",
    "_processes.py": "the same",
    "_compiled.py": "the code of this package",
}
"""Modules that may open what they like, with the reason."""

LIBRARIES = {
    "cells/formats/cellstream.py": {"cellstream.open"},
    "engine/containers/hdf5.py": {"h5py.File"},  # links to other files are followed from its folder
    "engine/containers/heaps.py": {"h5py.File"},
    "engine/containers/hdf5_links.py": {"h5py.File"},
    "engine/containers/zarr.py": {"zarr.open_group"},  # a store of ours
    "engine/containers/arrow.py": {"fetched.open"},  # written, beside a copy
}
"""Modules that leave it to a library, which reads by itself."""


@cache
def calls(path: Path) -> set[str]:
    """Return the calls in a module that open a path or look at it, by the names that they are called by."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    named = set(_named_paths(nodes))
    called = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
    return {call for call in called if call in OPENS | LOOKS or _is_of_a_path(call, named)}


def _is_of_a_path(call: str, named: set[str]) -> bool:
    owner, _, method = call.rpartition(".")
    return method in METHODS and ("Path" in owner or owner.rpartition(".")[2] in named)


def _named_paths(nodes: list[ast.AST]) -> Iterator[str]:
    """Yield the names of arguments and variables that are said, or made, to be paths."""
    for node in nodes:
        if isinstance(node, ast.arg) and node.annotation is not None and "Path" in ast.unparse(node.annotation):
            yield node.arg
        if isinstance(node, ast.Assign) and re.search(r"Path\(|\.with_", ast.unparse(node.value)):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def test_no_module_outside_the_room_of_bytes_opens_a_path() -> None:
    found = {}
    for path in sorted(SOURCES.rglob("*.py")):
        name = path.relative_to(SOURCES).as_posix()
        if not name.startswith(tuple(ROOMS)):
            allowed = STREAMS.get(name, set()) | LIBRARIES.get(name, set())
            others = calls(path) - allowed
            found |= {name: others} if others else {}
    assert found == {}


def test_every_module_that_may_do_so_is_there_and_does() -> None:
    names = {path.relative_to(SOURCES).as_posix(): path for path in SOURCES.rglob("*.py")}
    for room in ROOMS:
        assert [name for name in names if name.startswith(room)], room
    for name, those in [*STREAMS.items(), *LIBRARIES.items()]:
        assert those <= calls(names[name]), name
