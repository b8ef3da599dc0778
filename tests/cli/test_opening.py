"""Options of `open_collection` that commands take."""

import argparse
import inspect

import anndata
import numpy as np
import pytest

from scdataset import check, describe, open_collection
from scdataset.cli import _entry, main
from scdataset.cli._opening import add_file_options, add_opening, opening
from scdataset.errors import ArgumentValueError, MissingFileError
from scdataset.insight import benching, checking
from scdataset.testing.object_server import ObjectServer

GIVEN = {
    "layer": ["raw"],
    "modality": ["rna"],
    "join": ["inner"],
    "gene_key": ["gene_ids"],
    "missing_obs": ["fill"],
    "genome": ["hg19"],
    "feature_types": ["Gene Expression", "Antibody Capture"],
    "gene_table": ["genes.csv"],
    "gene_lists": ["ids", "values"],
    "unknown_genes": ["drop"],
}
LISTS = ("feature_types", "gene_lists")


def option(name):
    return f"--{name.replace('_', '-')}"


def parsed(add, *arguments):
    parser = argparse.ArgumentParser()
    add(parser)
    return opening(parser.parse_args(arguments))


@pytest.mark.parametrize("command", ["bench", "tune", "diversity", "convert"])
def test_commands_that_open_files_take_the_same_options(command):
    options = _entry.parser()._subparsers._group_actions[0].choices[command].format_help()
    assert [name for name in GIVEN if option(name) not in options] == []


def test_options_are_given_as_open_collection_takes_them(tmp_path):
    (tmp_path / "panel.txt").write_text("CD3E\n\nCD4\n")
    arguments = [word for name, words in GIVEN.items() for word in (option(name), *words)]
    found = parsed(add_opening, *arguments, "--genes", str(tmp_path / "panel.txt"))
    expected = {name: words if name in LISTS else words[0] for name, words in GIVEN.items()}
    assert found == {**expected, "genes": ["CD3E", "CD4"]}
    assert found.keys() <= inspect.signature(open_collection).parameters.keys()
    assert parsed(add_opening) == {}


def test_settings_of_a_store_are_texts_flags_and_dicts(capsys):
    given = ["region=us-east-1", "anonymous=true", 'retry_config={"max_retries": 0}', "access_key_id=12=3"]
    found = parsed(add_file_options, *(word for one in given for word in ("--storage-option", one)))
    settings = {
        "region": "us-east-1", "anonymous": True, "retry_config": {"max_retries": 0}, "access_key_id": "12=3",
    }  # fmt: skip
    assert found == {"storage_options": settings}
    for wrong, told in [("region", "give NAME=VALUE"), ("retry_config={", "is no JSON")]:
        with pytest.raises(SystemExit):
            parsed(add_opening, "--storage-option", wrong)
        assert told in capsys.readouterr().err


def test_a_bucket_is_described_checked_and_converted_by_options_alone(tmp_path, capsys):
    pytest.importorskip("obstore")
    anndata.AnnData(np.eye(4, 3, dtype="f4")).write_h5ad(tmp_path / "a.h5ad")
    with ObjectServer({"a.h5ad": (tmp_path / "a.h5ad").read_bytes()}) as server:
        settings = {**server.options, "anonymous": "true", "retry_config": '{"max_retries": 0}'}
        given = [word for name, value in settings.items() for word in ("--storage-option", f"{name}={value}")]
        for command in (["info", server.s3("a.h5ad")], ["check", server.s3("")]):
            assert main([*command, *given]) == 0
        assert main(["convert", server.s3("a.h5ad"), str(tmp_path / "a.zarr"), *given]) == 0
        assert describe(server.s3("a.h5ad"), storage_options=server.options)[0].cells[0].n_obs == 4
        assert check(server.s3("a.h5ad"), storage_options=server.options).ok
        assert benching.bench(server.s3("a.h5ad"), seconds=0.01, storage_options=server.options).rows_per_second
    assert anndata.read_zarr(tmp_path / "a.zarr").shape == (4, 3)


def test_options_of_files_are_those_that_check_takes():
    found = parsed(add_file_options, "--genome", "hg19", "--gene-table", "5")
    assert found == {"genome": "hg19", "gene_table": 5}
    assert found.keys() <= inspect.signature(check).parameters.keys()


def test_a_list_without_genes_is_refused(tmp_path):
    (tmp_path / "panel.txt").write_text("\n")
    with pytest.raises(ArgumentValueError, match="has no genes"):
        parsed(add_opening, "--genes", str(tmp_path / "panel.txt"))


def test_a_list_that_is_missing_or_no_text_is_refused_with_its_option(tmp_path):
    with pytest.raises(MissingFileError, match=r"--genes='.*panel\.txt' does not exist"):
        parsed(add_opening, "--genes", str(tmp_path / "panel.txt"))
    (tmp_path / "panel.txt").write_bytes(b"\x89HDF")
    with pytest.raises(ArgumentValueError, match=r"--genes .*panel\.txt is no text"):
        parsed(add_opening, "--genes", str(tmp_path / "panel.txt"))


@pytest.mark.parametrize(("command", "module"), [("bench", benching), ("check", checking)])
def test_commands_hand_them_on(monkeypatch, command, module):
    class HandedError(Exception):
        pass

    def hand(_, **options):
        raise HandedError(options["gene_table"])

    monkeypatch.setattr(module, command, hand)
    with pytest.raises(HandedError, match="7"):
        main([command, "a.parquet", "--gene-table", "7"])
