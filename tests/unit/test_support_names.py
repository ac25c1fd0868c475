"""The key by which the tests expect names to be sorted, against the order that was written by hand."""

from __future__ import annotations

from tests.support.names import IN_ORDER, name_key


def test_the_tests_key_has_names_in_the_order_in_which_people_look_for_them():
    by_code_point = sorted(IN_ORDER)
    assert by_code_point != IN_ORDER
    assert sorted(by_code_point, key=name_key) == IN_ORDER
