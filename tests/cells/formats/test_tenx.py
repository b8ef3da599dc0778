"""10x .h5 files: rows are the columns of what Cell Ranger wrote."""

import h5py
import numpy as np
import pytest

from scdataset.cells import open_collection
from scdataset.cells.formats.tenx import TenxFile
from scdataset.engine.context import ReadContext
from scdataset.engine.threads import Threads
from scdataset.errors import ArgumentTypeError, ArgumentValueError, DamagedFileError

REAL = [
    "scanpy_v2_hg19chr21.h5",
    "scanpy_v3_GRCh38chr21.h5",
    "scanpy_visium_raw_probe_2.1.0.h5",
    "scanpy_visium_spaceranger1.0.0.h5",
    "scirpy_GSM4339772_C144_filtered_feature_bc_matrix.h5",
    "scirpy_GSM4339774_C146_filtered_feature_bc_matrix.h5",
    "scirpy_GSM4475052_C149_filtered_feature_bc_matrix.h5",
    "singlecellexperiment_tenx.sub.h5",
]


def write_v3(path, counts, **extra):
    """Write cells x genes as Cell Ranger 3 does, with some datasets replaced, or left out where they are None."""
    rows, columns = np.nonzero(counts)
    parts = {
        "data": counts[rows, columns],
        "indices": columns.astype(np.int64),
        "indptr": np.searchsorted(rows, np.arange(len(counts) + 1)),
        "shape": np.array(counts.shape[::-1], np.int32),
        "barcodes": np.array([f"cell{i}" for i in range(len(counts))], "S"),
        "features/name": np.array([f"gene{i // 2}" for i in range(counts.shape[1])], "S"),
        "features/id": np.array([f"id{i}" for i in range(counts.shape[1])], "S"),
        **extra,
    }
    with h5py.File(path, "w") as file:
        for name, values in parts.items():
            if values is not None:
                file[f"matrix/{name}"] = values
    return str(path)


COUNTS = np.random.default_rng(0).poisson(0.4, (40, 12))


def assert_same(found, data, indices, indptr):
    assert found.data.dtype == data.dtype
    assert found.data.tobytes() == data.tobytes()
    assert np.array_equal(found.indices, indices)
    assert np.array_equal(found.indptr, indptr)


@pytest.mark.parametrize("name", REAL)
def test_real_files_are_read_as_they_are_stored(real_data, name):
    path = str(real_data(f"tenx/{name}"))
    with h5py.File(path) as file:
        [group] = file.values()
        data, indices, indptr = (group[part][:] for part in ("data", "indices", "indptr"))
        shape = tuple(group["shape"][:])[::-1]
    rows = np.random.default_rng(1).integers(0, shape[0], 500)
    kept = np.concatenate([np.arange(indptr[row], indptr[row + 1], dtype=np.int64) for row in rows])
    pointers = np.concatenate([[0], np.cumsum([int(indptr[row + 1]) - int(indptr[row]) for row in rows])])
    for fallback in (False, True):
        file = TenxFile(path, None, fallback=fallback)
        assert file.matrix.shape == shape
        every = file.matrix.read(np.arange(file.n_obs), ReadContext(Threads(2)))
        assert_same(every, data, indices, indptr)
        assert_same(file.matrix.read(rows, ReadContext(Threads(1))), data[kept], indices[kept], pointers)
        file.close()


@pytest.mark.parametrize(
    ("name", "columns", "key"),
    [
        ("scanpy_v2_hg19chr21.h5", ["gene_ids"], "hg19_chr21/gene_names"),
        ("scanpy_v3_GRCh38chr21.h5", ["gene_ids", "feature_types", "genome"], "matrix/features/name"),
        ("singlecellexperiment_tenx.sub.h5", ["gene_ids"], "matrix/features/name"),
    ],
)
def test_genes_are_named_as_scanpy_names_them(real_data, name, columns, key):
    path = str(real_data(f"tenx/{name}"))
    collection = open_collection(path)
    assert list(collection.var.columns) == columns
    with h5py.File(path) as file:
        assert [text.encode() for text in collection.var_names] == file[key][:].tolist()


def test_files_of_one_gene_list_act_as_one_with_their_repeated_names(real_data):
    paths = sorted(real_data("tenx").glob("scirpy_*.h5"))
    collection = open_collection(paths, obs=["barcode"])
    with h5py.File(paths[2]) as file:
        names, barcodes = file["matrix/features/name"][:], file["matrix/barcodes"][:]
        barcode = barcodes[5].decode()
    assert collection.var_names.tolist() == names.astype(str).tolist()
    assert collection.var_names.has_duplicates
    batch = collection.read(np.array([len(collection) - len(barcodes) + 5]))
    assert collection.categories["barcode"][batch["barcode"]].tolist() == [barcode]


def test_barcodes_are_a_column_where_there_are_some(tmp_path):
    collection = open_collection(write_v3(tmp_path / "a.h5", COUNTS), obs=["barcode"])
    batch = collection.read(np.array([7, 3, 7]))
    assert collection.categories["barcode"][batch["barcode"]].tolist() == ["cell7", "cell3", "cell7"]
    assert np.array_equal(batch["X"].toarray(), COUNTS[[7, 3, 7]])
    without = write_v3(tmp_path / "b.h5", COUNTS, barcodes=None)
    assert np.array_equal(open_collection(without).read(np.arange(40))["X"].toarray(), COUNTS)
    with pytest.raises(ArgumentValueError, match=r"no column 'barcode'; it has \[\]"):
        open_collection(without, obs=["barcode"]).read(np.array([0]))


@pytest.mark.parametrize("dtype", ["uint16", "int32", "int64", "float64"])
@pytest.mark.parametrize("index_dtype", ["uint16", "int32", "int64", "uint64"])
def test_every_type_of_counts_and_indices_is_read(tmp_path, dtype, index_dtype):
    columns = np.nonzero(COUNTS)[1].astype(index_dtype)
    found = open_collection(write_v3(tmp_path / "a.h5", COUNTS.astype(dtype), indices=columns)).read(np.arange(40))["X"]
    assert found.dtype == dtype
    assert np.array_equal(found.toarray(), COUNTS)


def test_one_of_several_genomes_is_chosen_by_name(real_data):
    path = real_data("tenx/scanpy_v2_multiple_genomes.h5")
    with pytest.raises(ArgumentValueError, match=r"\['another_genome', 'hg19_chr21'\]; genome=None has"):
        open_collection(path)
    with pytest.raises(ArgumentValueError, match="genome='mm10' has to be one of them"):
        open_collection(path, genome="mm10")
    for genome in ("another_genome", "hg19_chr21"):
        collection = open_collection(path, genome=genome)
        with h5py.File(path) as file:
            parts = [file[genome][part][:] for part in ("data", "indices", "indptr")]
            assert collection.var["gene_ids"].tolist() == [text.decode() for text in file[genome]["genes"]]
        assert_same(collection.read(np.arange(12))["X"], *parts)


def test_the_genome_of_a_file_with_one_may_be_named(real_data):
    for name, genome in (("scanpy_v2_hg19chr21", "hg19_chr21"), ("scanpy_v3_GRCh38chr21", "GRCh38_chr21")):
        path = real_data(f"tenx/{name}.h5")
        assert open_collection(path, genome=genome).shape == open_collection(path).shape
        with pytest.raises(ArgumentValueError, match=genome):
            open_collection(path, genome="mm10")
    with pytest.raises(ArgumentValueError, match="no features of feature_types"):
        open_collection(real_data("tenx/scanpy_v2_hg19chr21.h5"), feature_types=["Gene Expression"])


@pytest.fixture
def mixed(tmp_path):
    """Return a file of two genomes, with antibodies between the genes, and its features."""
    kinds = np.array([b"Gene Expression", b"Antibody Capture", b"Gene Expression"] * 4)
    genomes = np.array([b"GRCh38", b"", b"mm10"] * 4)
    path = write_v3(tmp_path / "a.h5", COUNTS, **{"features/feature_type": kinds, "features/genome": genomes})
    return path, kinds.astype(str), genomes.astype(str)


@pytest.mark.parametrize("wanted", [["Antibody Capture"], ["Antibody Capture", "Gene Expression"], ["Gene Expression"]])
@pytest.mark.parametrize("genome", [None, "", "GRCh38"])
def test_features_are_chosen_by_type_and_genome(mixed, wanted, genome):
    path, kinds, genomes = mixed
    kept = np.isin(kinds, wanted) & ((genomes == genome) | (genome is None))
    if not kept.any():
        with pytest.raises(ArgumentValueError, match="none of both"):
            open_collection(path, feature_types=wanted, genome=genome)
        return
    collection = open_collection(path, feature_types=wanted, genome=genome)
    rows = np.array([7, 3, 39, 7, 0])
    found = collection.read(rows)["X"]
    assert np.array_equal(found.toarray(), COUNTS[rows][:, kept])
    assert found.nnz == np.count_nonzero(COUNTS[rows][:, kept])
    assert collection.var["gene_ids"].tolist() == [f"id{i}" for i in np.flatnonzero(kept)]
    assert "CSR" in repr(collection)
    assert f"{kept.sum()} genes" in repr(collection)


@pytest.mark.parametrize("options", [{"feature_types": ["CRISPR"]}, {"genome": "hg19"}])
def test_features_that_are_not_there_are_refused_with_those_there_are(mixed, options):
    with pytest.raises(ArgumentValueError, match=r"there are, with their numbers, {'(GRCh38|Gene Expression)': "):
        open_collection(mixed[0], **options)
    with pytest.raises(ArgumentTypeError, match=r"a string; give a list of names, \['Gene Expression'\]"):
        open_collection(mixed[0], feature_types="Gene Expression")


def test_choices_of_features_are_refused_for_other_files(real_data):
    with pytest.raises(ArgumentValueError, match=r"is h5ad, for which genome='mm10' has to be left out"):
        open_collection(real_data("cells/merfish_mouse.h5ad"), genome="mm10")


def test_layers_and_obsm_are_refused(tmp_path):
    path = write_v3(tmp_path / "a.h5", COUNTS)
    with pytest.raises(ArgumentValueError, match="layer='raw' has to be None"):
        open_collection(path, layer="raw")
    with pytest.raises(ArgumentValueError, match="obsm"):
        open_collection(path, obsm=["X_pca"])


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"shape": np.array([12])}, "matrix/shape"),
        ({"shape": np.array([12, 41])}, "contradict"),
        ({"data": np.ones(3)}, "contradict"),
        ({"indptr": np.arange(41)[::-1].copy()}, "matrix/indptr"),
    ],
)
def test_files_that_contradict_themselves_are_refused(tmp_path, extra, words):
    with pytest.raises(DamagedFileError, match=words):
        open_collection(write_v3(tmp_path / "a.h5", COUNTS, **extra))


def test_column_numbers_outside_the_genes_are_refused(tmp_path):
    columns = np.nonzero(COUNTS)[1]
    columns[5] = 12
    collection = open_collection(write_v3(tmp_path / "a.h5", COUNTS, indices=columns))
    with pytest.raises(DamagedFileError, match=r"outside \[0, 12\)"):
        collection.read(np.arange(40))


def test_names_that_are_too_few_or_many_are_refused(tmp_path):
    path = write_v3(
        tmp_path / "a.h5", COUNTS, **{"features/name": np.array(["a"], "S"), "barcodes": np.array(["a"], "S")}
    )
    with pytest.raises(DamagedFileError, match="1 name and"):
        open_collection(path).var  # noqa: B018 a property that reads
    with pytest.raises(DamagedFileError, match=r"barcode.* has shape \(1,\), and there are 40 cells"):
        open_collection(path, obs=["barcode"]).read(np.array([0]))
