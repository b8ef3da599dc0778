"""open_collection: from paths to one collection of cells."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, TypeVar

import pandas as pd
from numpy.typing import DTypeLike

from scdataset._arguments import flag, optional_names, optional_text, optional_whole
from scdataset._tables import counted
from scdataset.cells.collection import CellCollection, Opened
from scdataset.cells.formats.cell_file import CellFile
from scdataset.cells.formats.mudata import MuDataFile, modalities_of
from scdataset.cells.formats.probe import Probe, probing
from scdataset.cells.formats.registry import Options, format_of
from scdataset.cells.join.gene_ids import check_numbers
from scdataset.cells.join.genes import GeneKey, Genes, Join, join_genes
from scdataset.cells.join.origin import Origin
from scdataset.cells.modalities import ModalityCollection, joined_modalities
from scdataset.cells.open_many import OpenSpec, open_each, open_many
from scdataset.cells.opening import Opening
from scdataset.cells.sources import Source, paths_of, warn_of_repeated
from scdataset.engine.bytes.object_store import using_options
from scdataset.engine.containers.handles import handles_open
from scdataset.errors import ArgumentTypeError, ArgumentValueError

__all__ = ["open_collection"]

T = TypeVar("T")


def open_collection(
    source: Source | Iterable[Source] | Mapping[str, Source],
    *,
    layer: str | Mapping[str, str] | None = None,
    obs: Sequence[str] = (),
    obsm: Sequence[str] = (),
    dtype: DTypeLike | None = None,
    num_threads: int | None = None,
    genome: str | None = None,
    feature_types: Sequence[str] | None = None,
    modality: str | Sequence[str] | None = None,
    missing_modality: str | None = None,
    gene_table: object = None,
    gene_lists: Sequence[str] | None = None,
    unknown_genes: str | None = None,
    join: Join = "exact",
    gene_key: GeneKey | None = None,
    genes: Sequence[str] | None = None,
    missing_obs: Literal["fill"] | None = None,
    unique_names: bool = False,
    label: str | None = None,
    keys: Sequence[str] | None = None,
    index_unique: str | None = None,
    row_sums: bool = False,
    storage_options: Mapping[str, object] | None = None,
    memory_map: bool = False,
) -> CellCollection | ModalityCollection:
    """Open files of cells as one collection, without reading them.

    Parameters
    ----------
    source
        A path or URL, a list of them, a glob pattern, or a folder of files or folders of one format, found by their
        content: h5ad, AnnData or MuData in a zarr store (a folder or a .zarr.zip), h5mu, 10x .h5, a folder of Cell
        Ranger's text, Arrow or Parquet of lists of genes, an SCDL folder, loom, or an archive of cellstream. A folder
        of ``dataset_0``, ``dataset_1``, ... as annbatch writes it is many. Files with the same genes in the same order
        act as one, in the order given; a folder's and a pattern's in the order of their names. Or a mapping from keys
        to such sources, for ``label`` and ``index_unique``.
    layer
        None for X, ``"raw"`` for raw/X with its own genes, or the name of a layer. A layer that is itself called "raw"
        is taken rather than raw/X, which is ``"raw/X"`` in any case. Of several modalities also a dict
        of the layer of each, X where it has none.
    obs
        Columns of obs to have in every batch, labels as integer codes (-1 for missing).
    obsm
        Arrays of obsm to have in every batch, dense or row-sparse.
    dtype
        Type that values are converted to; None for the stored one, or float32 where row-sparse values are stored as
        float16, of which scipy has no sparse matrices.
    num_threads
        Threads that read and decode; None for one a core that this process may use.
    genome
        Of 10x files: the genome whose genes to take. It may be left out where there is one; None takes the genes of all
        in files of Cell Ranger 3 and later.
    feature_types
        Of 10x files: the types of features to take, such as ``["Gene Expression"]`` or ``["Antibody Capture"]``; None
        for all.
    modality
        Of MuData: the name of one, for a collection of its cells; or a list of names, for a `ModalityCollection` of
        them; None for one of all. Its columns of obs and arrays of obsm are called ``"modality:name"``.
    missing_modality
        Of several modalities: None to refuse cells that lack one, ``"mask"`` for zeros and a mask in their place.
    gene_table
        Of Arrow and Parquet, where genes are ids: a dict, a Series or a frame from ids to genes, in the order of the
        columns; the path or URL of a Parquet or csv file with one column of integers, the ids; or the number of genes,
        if ids are column numbers.
    gene_lists
        Of Arrow and Parquet: the columns of ids and of values; None for ``("genes", "expressions")``.
    unknown_genes
        Of Arrow and Parquet: None to refuse ids that the table lacks when they are read, ``"drop"`` to leave them out.
    join
        Of files with different genes: ``"exact"`` refuses them, ``"inner"`` takes the genes that all have, ``"outer"``
        those that any has, with zeros where a file lacks one; in the order of `anndata.concat`.
    gene_key
        The column of var by which genes are matched and chosen, such as Ensembl ids, or a function of var that returns
        a name a gene; None for the index of var.
    genes
        Take these genes, in this order, and those of a set sorted. Every file has to have them, unless
        ``join="outer"``.
    missing_obs
        How to treat a column of obs that some files lack, or have as numbers where others have labels: None refuses
        it, ``"fill"`` has missing values there.
    unique_names
        Whether to read the names of all cells, refuse two cells of one name, and have them as the index of ``obs``.
    label
        Name of a column of obs, in every batch, that has the file of origin of each cell, as in `anndata.concat`.
    keys
        Names of the files for ``label`` and ``index_unique``, in their order; None for the keys of a mapping, or names
        of files without their endings, or of folders where those repeat.
    index_unique
        Put between the name of a cell and the key of its file, such as ``"-"``, so that cells of several files differ
        in their names; the names are the index of ``obs`` then. None leaves names as they are.
    row_sums
        Whether batches have ``"total_counts"``, float64: the sum over all genes of each cell, also over those that
        ``genes`` and ``join`` leave out. It comes with the read of the chosen genes, and `NormalizeTotal` takes it. Of
        several modalities it is called ``"modality:total_counts"``.
    storage_options
        Of URLs (``s3://``, ``gs://``, ``az://``, ``https://``), which may be given wherever a path may, also as
        patterns and folders: how their stores are reached. ``{"anonymous": True}`` for public data, any setting of the
        store by its name in obstore, such as ``endpoint``, ``region``, ``access_key_id`` and ``secret_access_key``, and
        ``client_options`` and ``retry_config`` as obstore has them. None takes settings and credentials from the
        environment. Formats: h5ad, 10x .h5, h5mu, loom, zarr, Arrow and Parquet.
    memory_map
        Whether rows that a file of this machine holds as they are, without compression, are copied from a memory map
        of it, faster than they can be read. Only for files on local disks that nobody writes to: one that is cut short
        at the very moment, or a disk that fails, ends the process, where without a map there is a DamagedFileError.

    Raises
    ------
    ArgumentValueError
        If there is no such column, layer or array; it names those there are. A MissingFileError, which is also a
        FileNotFoundError, if a path leads nowhere; an UnreadableFileError, also a PermissionError, if it may not be
        read. An UnreachableStoreError, also a ConnectionError, if a store does not answer.
    CollectionError
        If a file is of an unknown format, files differ in their genes, or ``unique_names`` finds a name twice.
    DamagedFileError
        If a file contradicts itself.

    Of several files that cannot be opened, the first ones and their number are in one error, of the type that all
    share, or a CollectionError.
    """
    obs, obsm = optional_names("obs", obs) or [], optional_names("obsm", obsm) or []
    feature_types, gene_lists = optional_names("feature_types", feature_types), optional_names("gene_lists", gene_lists)
    genes = optional_names("genes", genes)
    if not isinstance(modality, str):
        modality = optional_names("modality", modality)
    arguments = dict(locals())
    threads, row_sums = optional_whole("num_threads", num_threads, minimum=1), flag("row_sums", row_sums)
    memory_map = flag("memory_map", memory_map)
    unique_names, genome = flag("unique_names", unique_names), optional_text("genome", genome)
    _check_choices(join, missing_obs, missing_modality)
    if not callable(gene_key):
        gene_key = optional_text("gene_key", gene_key, "a column of var, a function of var, or None")
    with using_options(storage_options, memory_map=memory_map):
        paths, origin = Origin.from_source(source, paths_of, keys, label, index_unique)
        warn_of_repeated(paths)
        options = Options(layer, genome, feature_types, modality, gene_table, gene_lists, unknown_genes)
        with probing(paths[0]) as first:
            several = not isinstance(modality, str) and _all_mudata(first, paths[1:])
            _refuse_unfit(layer, missing_modality, several=several)
            if several:
                _refuse_joins(join, gene_key, genes, unique_names=unique_names)
                opened = _open_modalities(first, paths, options)
                files = [MuDataFile.from_path(path) for path in paths]
                with handles_open():
                    return joined_modalities(
                        files, opened, obs, obsm, dtype, threads,
                        masked=missing_modality is not None, fill=missing_obs is not None, origin=origin,
                        row_sums=row_sums,
                    )  # fmt: skip
            matched = len(paths) > 1 or join != "exact" or gene_key is not None or genes is not None
            spec = OpenSpec(options, tuple(obs), tuple(obsm), matched, gene_key, unique_names, label)
            cells = open_many(paths, spec, first)
        joined = _joined(cells, join, genes, gene_key) if matched else None
        collection = CellCollection(
            cells, obs, obsm, dtype, threads, genes=joined, missing_obs=missing_obs, origin=origin, row_sums=row_sums
        )
        collection.opening = Opening.from_call(arguments, paths, origin, collection.sizes)
        return collection


def _check_choices(join: object, missing_obs: object, missing_modality: object) -> None:
    """Raise for names of ways to treat files that are not known, those of ``missing_modality`` apart."""
    optional_text("join", join, '"exact", "inner" or "outer"')
    optional_text("missing_modality", missing_modality, '"mask", or None')
    if optional_text("missing_obs", missing_obs, '"fill", or None') not in {None, "fill"}:
        message = f'missing_obs={missing_obs!r}; give None, or "fill" for missing values where files lack a column.'
        raise ArgumentValueError(message)


def _refuse_unfit(layer: object, missing_modality: object, *, several: bool) -> None:
    """Raise if an option for several modalities is given and there are not several."""
    if missing_modality not in ((None, "mask") if several else (None,)):
        message = f'missing_modality={missing_modality!r}; give None, or "mask" for MuData of several modalities.'
        raise ArgumentValueError(message)
    if isinstance(layer, Mapping) and not several:
        message = f"layer={layer!r} is a dict, which is for several modalities of MuData; give the name of a layer."
        raise ArgumentTypeError(message)


def _all_mudata(first: Probe, others: Sequence[str]) -> bool:
    """Tell whether all are MuData; the others are looked into only if the first is."""
    if format_of(first).name != "MuData":
        return False
    return all(one.name == "MuData" for one in open_each(others, lambda path: _asked(path, format_of)))


def _asked(path: str, question: Callable[[Probe], T]) -> T:
    with probing(path) as probe:
        return question(probe)


def _open_modalities(first: Probe, paths: Sequence[str], options: Options) -> dict[str, list[CellFile]]:
    """Open every file once a modality: those asked for, or those of the first file."""
    there = {first.path: modalities_of(first)} | {path: _asked(path, modalities_of) for path in paths[1:]}
    names = next(iter(there.values())) if options.modality is None else list(options.modality)
    lacking = {path: found for path, found in there.items() if not set(names) <= set(found)}
    if lacking or not names:
        message = f"The modalities {names} are not all in {len(lacking):,} of {counted(len(paths), 'file')}: {lacking}."
        raise ArgumentValueError(message)
    opened = {}
    for name in names:
        layer = options.layer.get(name) if isinstance(options.layer, Mapping) else options.layer
        matched = len(paths) > 1
        files = open_many(paths, OpenSpec(replace(options, modality=name, layer=layer), genes=matched), first)
        if matched:
            _joined(files, "exact", None, None)
        opened[name] = [one.file for one in files]
    return opened


def _joined(opened: Sequence[Opened], join: Join, genes: Sequence[str] | None, gene_key: GeneKey | None) -> Genes:
    """Return the genes of all files."""
    names = [one.genes for one in opened if one.genes is not None]
    paths = [one.file.path for one in opened]

    def var_of(number: int) -> pd.DataFrame:
        return opened[number].file.var

    with handles_open():
        if gene_key is None:
            check_numbers(names, paths, [one.gene_ids for one in opened], var_of)
        return join_genes(names, paths, join, genes, var_of)


def _refuse_joins(join: Join, gene_key: GeneKey | None, genes: Sequence[str] | None, *, unique_names: bool) -> None:
    """Raise if genes are to be joined or chosen while several modalities are open, each with genes of its own."""
    given: dict[str, object] = {"join": join if join != "exact" else None, "gene_key": gene_key, "genes": genes}
    given["unique_names"] = unique_names or None
    wrong = {name: value for name, value in given.items() if value is not None}
    if wrong:
        message = f"{wrong} with several modalities, of which each has genes of its own; open one with modality=...."
        raise ArgumentValueError(message)
