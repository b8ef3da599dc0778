"""Sources: what is accepted, what is refused and how, whatever way it is spelled."""

import errno
import os
import re
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import zarr
from tests.children import run

import scdataset
from scdataset import BlockShuffling, open_collection, scDataset
from scdataset.errors import ArgumentTypeError, ArgumentValueError, MissingFileError, UnreadableFileError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in a folder with one file."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.h5ad")
    return tmp_path


def write(path, n_obs=6):
    anndata.AnnData(np.eye(n_obs, 3, dtype="f4")).write_h5ad(path)


def state_of(source):
    dataset = scDataset(open_collection(source), BlockShuffling(2), 2, seed=0)
    next(iter(dataset))
    return dataset.state_dict()


class NeverIteratedOver(anndata.AnnData):
    def __getitem__(self, index):
        raise AssertionError


SEVERAL = {
    "Path": Path,
    "list": lambda path: [path],
    "tuple": lambda path: (Path(path),),
    "generator": lambda path: (one for one in [path]),
    "array": lambda path: np.array([path]),
    "Series": lambda path: pd.Series([path]),
    "Index": lambda path: pd.Index([path]),
    "dict": lambda path: {"key": path},
    "values of a dict": lambda path: {"a": path}.values(),
}


@pytest.mark.parametrize("kind", SEVERAL)
def test_paths_come_in_many_ways(folder, kind):
    assert open_collection(SEVERAL[kind]("a.h5ad")).shape == (6, 3)


WRONG = {
    "None": lambda: None,
    "bytes": lambda: b"a.h5ad",
    "number": lambda: 5,
    "set": lambda: {"a.h5ad"},
    "AnnData": lambda: NeverIteratedOver(np.eye(4, 3, dtype="f4")),
    "frame": lambda: pd.DataFrame({"a": ["a.h5ad"]}),
    "zarr": zarr.group,
    "numbers": lambda: np.eye(3),
    "list of None": lambda: ["a.h5ad", None],
    "list of AnnData": lambda: [NeverIteratedOver(np.eye(4, 3, dtype="f4"))],
}


@pytest.mark.parametrize("kind", WRONG)
def test_other_types_are_refused_before_anything_is_read(folder, kind):
    with pytest.raises(ArgumentTypeError, match=r"is of type .*; give a path"):
        open_collection(WRONG[kind]())


def test_open_files_are_refused_with_the_way_to_read_them(folder):
    with h5py.File("a.h5ad") as file, open("a.h5ad", "rb") as stream:  # noqa: PTH123
        for source in (file, file["obs"], file["X"], stream):
            with pytest.raises(ArgumentTypeError, match="scDataset"):
                open_collection(source)


@pytest.mark.parametrize(("source", "said"), [("", "is empty"), ([""], "is empty"), ([], "empty"), ("a\0b", "null")])
def test_what_is_no_path_is_refused(source, said):
    with pytest.raises(ArgumentValueError, match=said):
        open_collection(source)


@pytest.mark.parametrize("url", ["ftp://bucket/a.h5ad", "hdfs://host/a.zarr"])
def test_a_url_of_no_store_is_called_one(url):
    with pytest.raises(ArgumentValueError, match="is a URL"):
        open_collection(url)


def test_names_come_as_lists_arrays_and_indexes_or_not_at_all(folder):
    assert open_collection("a.h5ad", obs=None, obsm=None).shape == (6, 3)
    for genes in (["2", "0"], np.array(["2", "0"]), pd.Index(["2", "0"]), pd.Series(["2", "0"])):
        assert open_collection("a.h5ad", genes=genes).var_names.tolist() == ["2", "0"]
    for obs in ("ct", {"ct": 1}, 5, [5], pd.DataFrame()):
        with pytest.raises(ArgumentTypeError, match="give a list of names"):
            open_collection("a.h5ad", obs=obs)


def test_a_path_stays_what_it_was_when_the_process_goes_elsewhere(folder, monkeypatch):
    cells = open_collection("a.h5ad")
    monkeypatch.chdir("/")
    assert cells[[0, 1]]["X"].shape == (2, 3)
    assert cells.files == [str(folder / "a.h5ad")]


def test_a_home_is_expanded(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir("/")
    assert open_collection("~/a.h5ad").shape == (6, 3)
    assert open_collection("~/*.h5ad").shape == (6, 3)


def test_a_file_has_one_state_however_it_is_spelled(folder):
    (folder / "in").mkdir()
    (folder / "link").symlink_to(folder)
    saved = state_of("a.h5ad")
    for spelling in ("./a.h5ad", "in/../a.h5ad", folder / "a.h5ad", "link/a.h5ad", "a.*", ["a.h5ad"]):
        scDataset(open_collection(spelling), BlockShuffling(2), 2, seed=0).load_state_dict(saved)


def test_a_folder_is_listed_as_its_pattern_is(folder):
    for name in (".b.h5ad", "._a.h5ad", ".DS_Store"):
        (folder / name).write_bytes(b"\0\5\26\7")
    write(folder / "b.h5ad", 4)
    assert open_collection(folder).shape == open_collection("*.h5ad").shape == (10, 3)


def test_hidden_folders_are_left_out(folder):
    (folder / ".hidden.zarr").mkdir()
    assert open_collection(folder).shape == (6, 3)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/nowhere/deep/x.h5ad", r"there is no 'nowhere' in /"),
        ("A.h5ad", r"Did you mean 'a.h5ad'\?"),
        ("a.h5ad/b.h5ad", "is a file and no folder"),
    ],
)
def test_a_missing_path_is_a_file_not_found_error_and_says_how_far_it_leads(folder, path, said):
    with pytest.raises(FileNotFoundError, match=said) as caught:
        open_collection(path)
    assert isinstance(caught.value, (scdataset.ScDatasetError, ValueError))


def test_of_several_the_missing_one_is_named(folder):
    with pytest.raises(FileNotFoundError, match=r"gone\.h5ad"):
        open_collection(["a.h5ad", "gone.h5ad"])


@pytest.mark.parametrize("source", ["b.h5ad", "*.h5ad", "."])
def test_a_link_that_leads_nowhere_is_named_with_its_target(folder, source):
    (folder / "b.h5ad").symlink_to(folder / "gone")
    with pytest.raises(MissingFileError, match=re.escape(f"b.h5ad is a link to '{folder}/gone', which is not there")):
        open_collection(source)


@pytest.mark.parametrize("source", ["one", "one/a.h5ad", "one*"])
def test_links_in_a_circle_are_named(folder, source):
    (folder / "one").symlink_to("two")
    (folder / "two").symlink_to("one")
    with pytest.raises(MissingFileError, match="circle"):
        open_collection(source)


def test_a_folder_that_links_to_itself_is_refused(folder):
    (folder / "in").mkdir()
    (folder / "in" / "a.zarr").symlink_to(folder / "in")
    with pytest.raises(ArgumentValueError, match="a folder that it lies in"):
        open_collection("in")


def test_what_may_not_be_read_is_a_permission_error(folder):
    write(folder / "closed.h5ad")
    (folder / "closed.h5ad").chmod(0)
    (folder / "shut").mkdir()
    (folder / "shut").chmod(0)
    for above in (folder, *folder.parents[:-2]):
        above.chmod(0o755)
    program = (
        "import os, sys\nfrom scdataset import open_collection\n"
        "if os.geteuid() == 0:\n    os.setegid(65534); os.seteuid(65534)\n"
        "for path in sys.argv[1:]:\n    try:\n        open_collection(path)\n"
        "    except PermissionError as error:\n        print(type(error).__name__, error)"
    )
    sources = ["shut", "shut/a.h5ad", "closed.h5ad"]
    child = run(program, *(folder / source for source in sources))
    assert child.out.count(UnreadableFileError.__name__) == 3, child.error
    assert child.out.count(os.strerror(errno.EACCES)) == 3


@pytest.mark.parametrize("again", ["a.h5ad", "link.h5ad", "hard.h5ad"])
def test_a_file_given_twice_is_warned_of(folder, again):
    (folder / "link.h5ad").symlink_to("a.h5ad")
    (folder / "hard.h5ad").hardlink_to("a.h5ad")
    with pytest.warns(UserWarning, match="more than once"):
        assert open_collection(["./a.h5ad", again]).shape == (12, 3)


@pytest.mark.parametrize("source", ["outs", "outs/*.h5", "outs/*_matrix", "outs/*/matrix.mtx"])
def test_filtered_and_raw_cells_side_by_side_are_refused(folder, source):
    for name in ("outs/filtered_feature_bc_matrix", "outs/raw_feature_bc_matrix"):
        (folder / name).mkdir(parents=True)
        (folder / name / "matrix.mtx").write_text("%%MatrixMarket")
        write(folder / f"{name}.h5")
    with pytest.raises(ArgumentValueError, match=r"the same cells twice.*filtered_.*raw_.*empty droplets"):
        open_collection(source)


def test_a_table_of_genes_is_a_path_as_any(folder):
    pytest.importorskip("pyarrow")
    from scdataset.cells.formats.gene_lists import GeneTable

    (folder / "genes.csv").write_text("id,name\n3,a\n5,b\n")
    assert GeneTable.from_source("genes.csv").ids.tolist() == [3, 5]
    with pytest.raises(FileNotFoundError, match=r"gene_table=.*Did you mean 'genes.csv'"):
        GeneTable.from_source("gene.csv")


def test_a_condition_that_is_a_string_is_answered_with_a_function(folder):
    with pytest.raises(ArgumentValueError, match=r"a function that makes them of obs, such as lambda obs: obs\["):
        open_collection("a.h5ad").where("tissue == 'heart'")
