"""Attributes that are checked whenever they are assigned."""

import pytest

from scdataset._attributes import CheckedAttribute


class Owner:
    number = CheckedAttribute(lambda name, value: int(value))

    def __set__(self, instance, value): ...


def test_the_attribute_is_found_on_the_class_and_missing_before_construction():
    assert isinstance(Owner.number, CheckedAttribute)
    with pytest.raises(AttributeError, match=r"'Owner' object has no attribute 'number'; call super\(\).__init__\(\)"):
        Owner().number  # noqa: B018 reading it raises


def test_a_stored_value_is_returned():
    owner = Owner()
    vars(owner)["number"] = 7
    assert owner.number == 7
