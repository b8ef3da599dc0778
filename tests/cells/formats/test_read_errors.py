"""Errors of libraries and of the system name the file."""

import pytest

from scdataset.cells.formats.read_errors import check_shape, naming, reading
from scdataset.errors import CollectionError, DamagedFileError, UnreadableFileError


@pytest.mark.parametrize(
    ("error", "expected", "said"),
    [
        (PermissionError(13, "Permission denied"), UnreadableFileError, "a.h5 cannot be read: Permission denied; ask"),
        (OSError(5, "Input/output error"), DamagedFileError, "a.h5 cannot be read: .*Input/output error"),
        (CollectionError("as it is"), CollectionError, "^as it is$"),
        (ZeroDivisionError("a mistake"), ZeroDivisionError, "^a mistake$"),
    ],
)
def test_errors_of_the_system_are_named(error, expected, said):
    with pytest.raises(expected, match=said), naming("a.h5"):
        raise error


@pytest.mark.parametrize(
    ("error", "said"),
    [(KeyError("X"), "a.h5: obs cannot be read: KeyError: 'X'"), (MemoryError(), "a.h5: obs takes more memory than")],
)
def test_anything_that_a_library_raises_is_damage(error, said):
    with pytest.raises(DamagedFileError, match=said), reading("a.h5", "obs"):
        raise error


def test_a_matrix_has_the_shape_of_obs_and_var():
    check_shape("a.h5", "X", (2, 3), (2, 3), "var")
    with pytest.raises(DamagedFileError, match=r"X has shape \(2, 3\), and there are 3 rows of obs and 2 of var"):
        check_shape("a.h5", "X", (2, 3), (3, 2), "var")
