"""Money: exact decimals with two places, in every spelling that a request may try."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidInput
from shared.money import LIMIT, Money, parse_money, spell_money
from shared.web.bodies import decode


class Priced(msgspec.Struct, forbid_unknown_fields=True):
    price: Money


def price_in(spelled: str) -> Money:
    """The price in a body in which it is spelled so."""
    return decode(f'{{"price": {spelled}}}'.encode(), Priced).price


AMOUNTS = st.decimals(min_value=0, max_value=LIMIT, places=2, allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("spelled", "amount"),
    [
        ("0", "0.00"),
        ("0.1", "0.10"),
        ("0.10", "0.10"),
        ("8500", "8500.00"),
        ("1200.5", "1200.50"),
        ('"0"', "0.00"),
        ('"8.5"', "8.50"),
        ('"08.5"', "8.50"),
        ('"0000000001"', "1.00"),
        ("9999999999.99", "9999999999.99"),
        ('"9999999999.99"', "9999999999.99"),
    ],
)
def test_a_number_or_a_string_with_at_most_two_decimals_is_money(spelled: str, amount: str):
    assert price_in(spelled) == Decimal(amount)
    assert spell_money(price_in(spelled)) == amount


@pytest.mark.parametrize(
    "spelled",
    [
        *("1e3", "1E3", "1e0", "1.0e1", "1.5e-1", '"1e3"'),
        *("1.234", "0.001", "1.000", '"1.234"', '"1.000"'),
        *("-1", "-0.01", '"-1"', '"+1"', "-0.0"),
        *("10000000000", "100000000000", "999999999999", '"100000000000"', "10000000000.00"),
        *('""', '" "', '" 1"', '"1 "', '"1\\n"', '"1,5"', '"1,000.00"', '".5"', '"1."', '"$1"'),
        *('"NaN"', '"Infinity"', '"0x10"', '"1_000"', '"١"', '"１"', '"²"'),
        *("true", "false", "null", "[]", "[1]", "{}"),
        "1" * 400,
        "1e400",
    ],
)
def test_anything_else_is_refused_by_name(spelled: str):
    with pytest.raises(InvalidInput) as refused:
        price_in(spelled)
    assert list(refused.value.errors) == ["price"]


@pytest.mark.parametrize("value", [1.5, True, None, b"1", Decimal(1), [], {}])
def test_only_an_int_or_a_spelling_is_parsed(value: Any):
    with pytest.raises(ValueError, match="Expected an amount"):
        parse_money(value)


def test_ten_cents_three_times_are_thirty_cents():
    assert sum([price_in("0.10")] * 3, Decimal(0)) == Decimal("0.30")
    assert sum([price_in("0.1")] * 3, Decimal(0)) == price_in("0.3")


@given(AMOUNTS)
def test_what_is_spelled_is_read_back_the_same_as_a_number_and_as_a_string(amount: Decimal):
    spelled = spell_money(amount)
    assert price_in(spelled) == price_in(f'"{spelled}"') == amount
    assert spell_money(price_in(spelled)) == spelled


@given(st.lists(AMOUNTS, max_size=100))
def test_sums_are_exact(amounts: list[Decimal]):
    cents = sum(int(amount * 100) for amount in amounts)
    assert sum((price_in(spell_money(amount)) for amount in amounts), Decimal(0)) * 100 == cents


@given(st.text())
def test_a_string_is_money_or_refused_and_never_anything_else(text: str):
    try:
        amount = parse_money(text)
    except ValueError:
        return
    assert 0 <= amount <= LIMIT
    assert amount == amount.quantize(Decimal("0.01"))
