"""The exceptions inherit the builtin types that callers catch."""

import inspect

import pytest

from scdataset import errors

TREE = [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, Exception)]


@pytest.mark.parametrize("error", TREE, ids=lambda error: error.__name__)
def test_every_error_is_one_of_this_package_and_documented(error):
    assert issubclass(error, errors.ScDatasetError)
    assert error.__doc__


def test_builtin_types_catch_them():
    assert issubclass(errors.MissingFileError, FileNotFoundError)
    assert issubclass(errors.UnreadableFileError, PermissionError)
    assert issubclass(errors.DamagedFileError, OSError)
    assert issubclass(errors.ArgumentValueError, ValueError)
    assert issubclass(errors.ArgumentTypeError, TypeError)


def test_all_are_drawn_in_the_tree():
    assert all(error.__name__ in errors.__doc__ for error in TREE)
