"""Files that hold no cells, recognised by their first bytes, with their kind and the remedy."""

from scdataset.engine.bytes.folders import is_file, is_folder
from scdataset.engine.bytes.opening import open_bytes
from scdataset.engine.bytes.source import ByteSource
from scdataset.engine.containers.zip_members import is_zip, names_in

__all__ = ["description"]

_LOOKED_AT = 512
"""Bytes."""

_GZIP = b"\x1f\x8b"

_STARTS: tuple[tuple[bytes, str, str], ...] = (
    (b"version https://git-lfs", "a pointer of git-lfs, not the file", "fetch the file: git lfs pull"),
    (b"/annex/objects/", "a pointer of git-annex, not the file", "fetch the file: git annex get"),
    (b"<!doctype html", "a page of HTML, as servers answer instead of a file", "download the file again"),
    (b"<html", "a page of HTML, as servers answer instead of a file", "download the file again"),
    (b"<?xml", "XML, as servers answer instead of a file", "download the file again"),
    (b"rdx", "an R object", "write it as h5ad in R: anndataR::write_h5ad(...) or zellkonverter::writeH5AD(...)"),
    (b"bzh", "compressed by bzip2", "unpack it: bunzip2"),
    (b"\xfd7zxz\0", "compressed by xz", "unpack it: unxz"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "unpack it: unzstd"),
    (b"\x93numpy", "an array of numpy", "give it to scDataset: numpy.load(path, mmap_mode='r')"),
    (b"\x80\x04", "a pickle, which is never opened since it may run code", "write its AnnData: adata.write_h5ad(...)"),
    (b"\x80\x05", "a pickle, which is never opened since it may run code", "write its AnnData: adata.write_h5ad(...)"),
)
"""First bytes of files, in lower case; their kind; the remedy."""

_R = (".rds", ".rda", ".rdata", ".qs", ".h5seurat")

_TABLES = (".csv", ".tsv", ".txt", ".tab")


def description(path: str) -> str | None:
    """Return the kind of a file and the remedy, as an end of a sentence; None if nothing is known of it.

    Parameters
    ----------
    path
        A file, or a folder.
    """
    if not is_file(path):
        folder = "a folder that is no store; give the path of a file, or of a folder of files of one kind"
        return folder if is_folder(path) else "a pipe, socket or device, and no regular file"
    source = open_bytes(path)
    start = source.read(0, _LOOKED_AT)
    if not start:
        return "an empty file; it may not have been written to its end"
    if not any(start):
        return "a file that begins with zeros alone; it may not have been downloaded to its end"
    lowered = start.lower().lstrip()
    for beginning, is_a, to_do in _STARTS:
        if lowered.startswith(beginning):
            return f"{is_a}; {to_do}"
    if is_zip(source):
        return _zipped(source)
    return _named(path.lower(), start)


def _named(path: str, start: bytes) -> str | None:
    """Describe a file by its name, and by its compression."""
    packed = start.startswith(_GZIP)
    name = path.removesuffix(".gz")
    if name.endswith(_R):
        return "an R object; write it as h5ad in R: anndataR::write_h5ad(...) or zellkonverter::writeH5AD(...)"
    if name.endswith(_TABLES):
        return "a table of text; write it as h5ad once: anndata.io.read_csv(path).write_h5ad(...), cells as rows"
    if packed:
        return "compressed as a whole by gzip, so that no row can be found in it; unpack it: gunzip"
    return "text" if _is_text(start) else None


def _zipped(source: ByteSource) -> str:
    names = names_in(source)[:3]
    return (
        f"a zip file without zarr.json or .zgroup at its top, but {names}; unpack it, or zip the content of the store "
        "and not its folder"
    )


def _is_text(start: bytes) -> bool:
    try:
        return start.decode().isprintable() or b"\n" in start
    except UnicodeDecodeError:
        return False
