"""Checks of arguments: what passes, and what the message says of the rest."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scdataset import BlockShuffling, BlockWeightedSampling, Streaming, scDataset
from scdataset._arguments import flag, hook, names, nearest, optional_whole, ordered_names, warn, whole
from scdataset.errors import ArgumentTypeError, ArgumentValueError, ScDatasetError
from scdataset.transforms import DownsampleCounts


@pytest.mark.parametrize(
    "make",
    [
        lambda: BlockShuffling(2**70),
        lambda: BlockWeightedSampling(4, weights=np.ones(9), total_size=2**70),
        lambda: scDataset(np.arange(9), Streaming(), 2**70),
        lambda: scDataset(np.arange(9), Streaming(), 4, fetch_factor=2**70),
        lambda: DownsampleCounts(2**70),
    ],
)
def test_numbers_beyond_64_bits_are_refused(make):
    with pytest.raises(ArgumentValueError, match=rf"={2**70} is out of bounds; .* at most {2**63 - 1}"):
        make()


@given(value=st.integers(-(2**70), 2**70), minimum=st.integers(-5, 5), width=st.none() | st.integers(0, 2**65))
def test_whole_numbers_pass_inside_their_inclusive_bounds_only(value, minimum, width):
    maximum = None if width is None else minimum + width
    if minimum <= value <= (2**63 - 1 if maximum is None else maximum):
        assert whole("n", value, minimum=minimum, maximum=maximum) == value
    else:
        with pytest.raises(ArgumentValueError, match=rf"n={value} is out of bounds; give an integer of at least"):
            whole("n", value, minimum=minimum, maximum=maximum)


@pytest.mark.parametrize("value", [np.int8(3), np.uint64(3), np.array(3)])
def test_what_is_an_integer_elsewhere_becomes_an_int(value):
    assert type(whole("n", value, minimum=1)) is int
    assert whole("n", value, minimum=3, maximum=3) == 3


def test_a_tensor_of_one_integer_is_an_integer():
    torch = pytest.importorskip("torch")
    assert whole("n", torch.tensor(3), minimum=1) == 3


@pytest.mark.parametrize("value", [True, np.True_, 2.0, np.float64(2), "2", None, [2], np.array([1, 2]), np.array(2.0)])
def test_what_is_no_integer_is_refused_with_its_type(value):
    with pytest.raises(
        ArgumentTypeError, match=r"^n=.* is of type \w+; give an integer of at least 1 and at most 9\.$"
    ):
        whole("n", value, minimum=1, maximum=9)


def test_a_tensor_of_a_fraction_is_no_integer():
    torch = pytest.importorskip("torch")
    with pytest.raises(ArgumentTypeError, match=r"^n="):
        whole("n", torch.tensor(2.5), minimum=1)


def test_an_optional_number_may_be_left_out():
    assert optional_whole("n", None, minimum=1) is None
    assert optional_whole("n", 4, minimum=1) == 4
    with pytest.raises(ArgumentValueError, match="n=0 "):
        optional_whole("n", 0, minimum=1)
    with pytest.raises(ArgumentValueError, match=r"n=9 .* at most 8"):
        optional_whole("n", 9, minimum=1, maximum=8)


@pytest.mark.parametrize("value", [True, 1, np.True_, np.int64(1), np.uint8(1)])
def test_what_can_only_mean_true_or_false_is_a_flag(value):
    assert flag("f", value) is True
    assert flag("f", type(value)(0)) is False


@pytest.mark.parametrize("value", [2, -1, None, "True", 1.0])
def test_anything_else_is_no_flag(value):
    with pytest.raises(ArgumentTypeError, match=rf"^f={value!r} is of type \w+; give True or False\.$"):
        flag("f", value)


def test_functions_classes_and_none_are_hooks():
    for value in (None, len, dict, lambda: None):
        assert hook("h", value) is value


@pytest.mark.parametrize("value", [0, "len", [len]])
def test_what_cannot_be_called_is_no_hook(value):
    with pytest.raises(ArgumentTypeError, match=r"^h=.* is of type \w+; give a function, or None for the default\.$"):
        hook("h", value)


def test_a_class_whose_objects_are_hooks_is_no_hook():
    class Doubled:
        def __call__(self, value):
            return 2 * value

    assert hook("h", tuple) is tuple
    with pytest.raises(ArgumentTypeError, match=r"h is the class Doubled; give an object of it, such as Doubled\("):
        hook("h", Doubled)


def test_errors_are_what_callers_already_catch():
    assert issubclass(ArgumentTypeError, TypeError)
    assert issubclass(ArgumentValueError, ValueError)
    assert issubclass(ArgumentTypeError, ScDatasetError)
    assert issubclass(ArgumentValueError, ScDatasetError)


@pytest.mark.parametrize("namespace", [{}, {"__name__": "a_script"}])
def test_a_warning_reaches_code_that_is_executed_without_a_module_name(namespace):
    with pytest.warns(UserWarning, match="sorted"):
        exec("from scdataset import Streaming\nStreaming(indices=[3, 1])", namespace)


def test_a_warning_points_at_the_line_that_led_to_it():
    with pytest.warns(UserWarning, match="careful") as caught:
        warn("careful")
    assert caught[0].filename == __file__


def test_names_of_a_set_are_sorted_and_refused_where_they_go_by_position():
    assert names("genes", {"b", "c", "a"}) == ["a", "b", "c"]
    assert ordered_names("var_names", ["b", "a"]) == ["b", "a"]
    with pytest.raises(ArgumentTypeError, match="var_names is of type set, which has no order; give a list"):
        ordered_names("var_names", {"a", "b"})


def test_none_is_no_name_that_is_meant():
    assert nearest("nope", [None, "raw"]) == "."
