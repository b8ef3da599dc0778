"""The command ``scdataset bench``."""

import json

import pytest

from scdataset.cli import main
from scdataset.insight import benching
from scdataset.insight.benching import BenchResult


@pytest.fixture
def measured(monkeypatch):
    """Let the measurement have a result at once, and return the arguments that it was given."""
    given = {}

    def bench(source, **options):
        given.update(options, source=source)
        return BenchResult(5000.0, 10_000.0, True, None, 0, 10, 0.5, 8, 2, 4, 1)

    monkeypatch.setattr(benching, "bench", bench)
    return given


def test_the_rate_is_shown_against_the_limit(measured, capsys):
    assert main(["bench", "a.h5ad", "--block-size", "2", "--seconds", "0.5", "--layer", "raw"]) == 0
    printed = capsys.readouterr().out
    assert f"[{'#' * 20}{'.' * 20}] 50% of the limit" in printed
    assert "5,000 rows a second" in printed
    assert "10,000 rows a second, reading and decoding alone" in printed
    assert (measured["block_size"], measured["seconds"], measured["layer"]) == (2, 0.5, "raw")


def test_a_program_gets_json(measured, capsys):
    assert main(["bench", "--json", "a.h5ad"]) == 0
    assert json.loads(capsys.readouterr().out)["share"] == 0.5


@pytest.mark.parametrize("arguments", [["--seconds", "0"], ["--seconds", "x"], ["--block-size", "0"], ["b.h5ad"]])
def test_wrong_arguments_leave_with_code_2(arguments):
    with pytest.raises(SystemExit) as left:
        main(["bench", "a.h5ad", *arguments])
    assert left.value.code == 2


def test_a_missing_file_is_one_line(tmp_path, capsys):
    assert main(["bench", str(tmp_path / "none.h5ad")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_ctrl_c_is_code_130(monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(benching, "bench", interrupt)
    assert main(["bench", "a.h5ad"]) == 130
