"""Lines of entries: numbers as Python reads them, by pyarrow and without it."""

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from scdataset.engine.containers import entry_lines
from scdataset.engine.containers.entry_lines import NoEntryError, parse_lines

INTEGERS, REALS = np.dtype("i8"), np.dtype("f8")


@pytest.fixture(params=["pyarrow", "python"])
def reader(request, monkeypatch):
    """Parse with pyarrow and as if it were not installed."""
    if request.param == "python":
        monkeypatch.setattr(entry_lines, "_arrow", lambda: None)


def values(words, dtype):
    return parse_lines("".join(f"1 1 {word}\n" for word in words).encode(), dtype)[2]


NUMBERS = st.floats(allow_nan=False).map(repr) | st.from_regex(r"[+-]?[0-9]{1,25}\.[0-9]{0,25}", fullmatch=True)


@pytest.mark.usefixtures("reader")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(["0.1", "1e22", "9007199254740993", "1e-22", "1e-23", "4.35", "-.5", "+5.", "123456789012345678901234567890"])
@example(["4.9e-324", "2e-324", "1e400", "-inf", "1E5", "0.1234567890123456789", "5e-1"])
@given(st.lists(NUMBERS, max_size=9))
def test_numbers_are_rounded_as_python_rounds_them(words):
    found = values(words, REALS)
    assert found.view("i8").tolist() == np.array([float(word) for word in words]).view("i8").tolist()


@pytest.mark.usefixtures("reader")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=9))
def test_whole_numbers_are_parsed(numbers):
    assert values(numbers, INTEGERS).tolist() == numbers


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize(
    "text",
    [
        "1 2 3\n4 5 6\n",
        "1 2 3\r\n4 5 6\r\n",
        "1 2 3\n\n\n4 5 6\n\n",
        "  1  2\t3 \n\t4 5 +6\n",
        "1 2 3\n% a comment\n4 5 6\n   \n",
        "01 2 3\n4 5 6 \r\n",
        "1 2 3\n4 5\r6\n",
    ],
)
def test_blanks_comments_and_line_ends_do_not_matter(text):
    rows, columns, found = parse_lines(text.encode(), INTEGERS)
    assert (rows.tolist(), columns.tolist(), found.tolist()) == ([0, 3], [1, 4], [3, 6])


@pytest.mark.usefixtures("reader")
def test_there_may_be_no_values_and_no_lines():
    rows, columns, found = parse_lines(b"1 2\n3 4\n", None)
    assert (rows.tolist(), columns.tolist(), found) == ([0, 2], [1, 3], None)
    assert [part.size for part in parse_lines(b"\n", REALS)] == [0, 0, 0]


WRONG = ["1 1", "1 1 1 1", "0 1 1", "1 -1 1", "x 1 1", "1 1 x", "1 1 1.5", "1 1 0x10", "0X1 1 1", "1 1 1_0", "1.0 1 1"]


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("line", [*WRONG, "1 1 9223372036854775808", "9223372036854775808 1 1", "1 1 1\r2 2 2"])
def test_a_line_that_is_no_entry_is_named(line):
    with pytest.raises(NoEntryError) as caught:
        parse_lines(f"1 1 1\n{line}\n2 2 2\n".encode(), INTEGERS)
    assert caught.value.line == line.encode()
