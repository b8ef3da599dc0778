"""Parts of an HDF5 file that lie in others: external links, virtual datasets and external storage.

The library gives fill values where a file of a virtual dataset is not there, and zeros where external storage ends too
early. Therefore all of these files are found, looked at and noted before it reads from any.
"""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import h5py

from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.containers.hdf5_expansion import check_expansion
from scdataset.engine.containers.hdf5_groups import datasets_within
from scdataset.engine.containers.hdf5_sources import OtherFiles, is_remote, others_of
from scdataset.engine.containers.heaps import open_checked, tried
from scdataset.engine.containers.string_lengths import check_lengths
from scdataset.errors import CollectionError, DamagedFileError

__all__ = ["by_path", "check_parts", "child_of", "found_in", "whole_of"]

_LINKS = 16
"""Links and virtual datasets that lead to others, followed at most; the library follows as many."""

_UNLIMITED = 1 << 62
"""Where a selection ends, at least, that grows with its dataset."""


def child_of(group: h5py.Group, name: str) -> h5py.HLObject | None:
    """Return the object in a group under a name, also in another file, or None if there is none.

    Raises
    ------
    DamagedFileError
        If a file that has a part in it is not there, lacks that part, or is not the one that was there at first.
    CollectionError
        If the file is remote, and others have parts in it.
    """
    found, alone = tried(lambda: found_in(group, name))
    if not alone:
        found = _followed(group, name, _LINKS)
    if isinstance(found, h5py.Dataset) and check_parts(found, others_of(found)):
        return by_path(found)
    return found


def whole_of(group: h5py.Group, depth: int) -> h5py.Group:
    """Return a group for a library that reads all of it down to some depth, parts in other files included."""
    _, alone = tried(lambda: [dataset.shape for dataset in datasets_within(group, depth)])
    if alone and not any(dataset.is_virtual or dataset.external for dataset in datasets_within(group, depth)):
        return group
    takes_others = not alone
    for dataset in _datasets_followed(group, depth):
        takes_others |= check_parts(dataset, others_of(group)) or dataset.file.filename != group.file.filename
    return by_path(group) if takes_others else group


def found_in(group: h5py.Group, name: str) -> h5py.HLObject | None:
    """Return the object in a group under a name, or None without one; `get` returns None for unreadable ones too."""
    if name not in group:
        return None
    return group[name]


def by_path(stored: h5py.HLObject) -> h5py.HLObject:
    """Return a group or dataset of the file that h5py opens by its path.

    The library opens other files in the way that it opened the first one, and would find this again in place of each.
    """
    return h5py.File(stored.file.filename, "r")[stored.name]


def check_parts(dataset: h5py.Dataset, others: OtherFiles, left: int = _LINKS) -> bool:
    """Look at the files that a dataset has its values from, and tell whether it is virtual and others are among them.

    Raises
    ------
    DamagedFileError
        If one is not there, is too short, lacks its dataset, or is another one than at first.
    CollectionError
        If sources are named by a pattern, or the file is remote.
    """
    if dataset.external:
        _check_storage(dataset, others)
    if not dataset.is_virtual:
        return False
    sources = {(source.file_name, source.dset_name) for source in dataset.virtual_sources()}
    pattern = next((file for file, name in sources if "%b" in file + name), None)
    if pattern is not None:
        message = (
            f"{_called(dataset)} has its values from a pattern, {pattern!r}, which stands for as many arrays as there "
            "are; save it with each of them by name."
        )
        raise CollectionError(message)
    elsewhere = {file for file, _ in sources if file != "."}
    if elsewhere:
        _refuse_remote(dataset)
    for file in elsewhere:
        others.source(_called(dataset), file, partial(_beside, dataset, file))
    key = dataset.file.filename, dataset.name
    if key not in others.checked:
        _check_sources(dataset, others, left)
        others.checked.add(key)
    return bool(elsewhere)


def _check_sources(dataset: h5py.Dataset, others: OtherFiles, left: int) -> None:
    """Look at each source of a virtual dataset, and theirs."""
    if left == 0:
        message = f"{_called(dataset)} has its values from virtual arrays that lead in a circle."
        raise DamagedFileError(message)
    for source in dataset.virtual_sources():
        file, name = source.file_name, source.dset_name
        whole = dataset.file
        if file != ".":
            whole = _opened(others.source(_called(dataset), file, partial(_beside, dataset, file)), others)
        found = _followed(whole["/"], name, left)
        if not isinstance(found, h5py.Dataset):
            message = f"{_called(dataset)} has values from {name!r} of {file!r}, where there is no such array."
            raise DamagedFileError(message)
        if not _covers(source.src_space, source.vspace, dataset, found):
            message = (
                f"{_called(dataset)} has values from {name!r} of {file!r}, which has shape {found.shape} and not all "
                "elements that are taken from it; the two do not belong together, or one is damaged."
            )
            raise DamagedFileError(message)
        check_parts(found, others, left - 1)
        _look_into(found)


def _covers(chosen: h5py.h5s.SpaceID, to: h5py.h5s.SpaceID, dataset: h5py.Dataset, found: h5py.Dataset) -> bool:
    """Tell whether a source of a virtual dataset has all elements that are to come from it."""
    if chosen.get_select_type() == h5py.h5s.SEL_ALL:  # which has no extent of its own
        wanted = dataset.size if to.get_select_type() == h5py.h5s.SEL_ALL else to.get_select_npoints()
        return bool(found.size == wanted)
    _, last = chosen.get_select_bounds()
    pairs = zip(last, found.shape, strict=False)
    return len(last) == found.ndim and all(end < size or end >= _UNLIMITED for end, size in pairs)


def _look_into(dataset: h5py.Dataset) -> None:
    """Raise if the library must not read a dataset of another file, which it opens by path."""
    check_expansion(dataset)
    check_lengths(dataset)
    kind = h5py.check_string_dtype(dataset.dtype)
    if kind is not None and kind.length is None:
        _ = dataset[()]  # by reads of our own, which keep damaged heaps from it


def _datasets_followed(group: h5py.Group, depth: int) -> Iterator[h5py.Dataset]:
    """Yield the datasets of a group down to some depth, those in other files too, which are looked into."""
    for name in group if depth else ():
        found = child_of(group, name)
        if isinstance(found, h5py.Group):
            yield from _datasets_followed(found, depth - 1)
        elif isinstance(found, h5py.Dataset):
            if found.file.filename != group.file.filename:
                _look_into(found)
            yield found


def _check_storage(dataset: h5py.Dataset, others: OtherFiles) -> None:
    """Raise if the files of external storage do not hold the bytes that they should."""
    _refuse_remote(dataset)
    left = dataset.nbytes
    for stored_name, offset, size in dataset.external:
        name, here = os.fsdecode(stored_name), min(size, left)
        file = others.source(_called(dataset), name, partial(_from_here, name))
        if file.size < offset + here:
            message = (
                f"{_called(dataset)} is stored in {file.path} up to byte {offset + here:,}, and that has "
                f"{file.size:,}; it is cut short, so copy it again."
            )
            raise DamagedFileError(message)
        left -= here


def _followed(group: h5py.Group, name: str, left: int) -> h5py.HLObject | None:
    """Return the object in a group under a name, following links one by one, or None if there is none."""
    if left == 0:
        message = f"{group.file.filename}: links to {name!r} lead in a circle."
        raise DamagedFileError(message)
    found: h5py.HLObject | None = group.file["/"] if name.startswith("/") else group
    for part in name.split("/"):
        if part in ("", "."):
            continue
        if not isinstance(found, h5py.Group) or not found.id.links.exists(part.encode()):
            return None
        link = found.get(part, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            found = _linked(found, part, link, left - 1)
        elif isinstance(link, h5py.SoftLink):
            found = _followed(found, link.path, left - 1)
        else:
            found = found[part]
    return found


def _linked(group: h5py.Group, name: str, link: h5py.ExternalLink, left: int) -> h5py.HLObject:
    _refuse_remote(group)
    called, others = f"{group.file.filename}: {group.name.rstrip('/')}/{name}", others_of(group)
    file = others.source(called, link.filename, partial(_beside, group, link.filename))
    found = _followed(_opened(file, others)["/"], link.path, left)
    if found is None:
        message = f"{called} is a link to {link.path!r} of {file.path}, where there is none; it leads nowhere."
        raise DamagedFileError(message)
    return found


def _opened(file: LocalFile, others: OtherFiles) -> h5py.File:
    try:
        return open_checked(file, others, holds=False)
    except OSError as error:
        message = f"{file.path} cannot be opened as HDF5: {error}"
        raise DamagedFileError(message) from error


def _beside(stored: h5py.HLObject, name: str) -> Iterator[Path]:
    """Yield where a file may be that another one names, but for places that depend on the working directory."""
    path, file = Path(name), Path(stored.file.filename)
    if path.is_absolute():
        yield path
        path = Path(path.name)
    yield file.parent / path
    yield file.resolve().parent / path


def _from_here(name: str) -> Iterator[Path]:
    """Yield where external storage is: the library looks for it from the working directory."""
    yield Path(name).absolute()


def _refuse_remote(stored: h5py.HLObject) -> None:
    if is_remote(stored.file.filename):
        path = stored.file.filename
        message = f"{path} has parts in other files, which are found on disks alone; copy all of them to one."
        raise CollectionError(message)


def _called(dataset: h5py.Dataset) -> str:
    return f"{dataset.file.filename}: {dataset.name}"
