"""Service templates: how their prices read, and when they become another version."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from services.proposals.model.prices import SYMBOLS, spell_price
from services.proposals.model.templates import Recurring, Template
from shared.currency import Currency
from shared.ids import new_id

NOW = datetime(2026, 2, 8, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def template(**changes: Any) -> Template:
    fields: dict[str, Any] = {
        "id": new_id(),
        "org_id": new_id(),
        "version": 1,
        "name": "SEO",
        "description": None,
        "price": Decimal("10.00"),
        "currency": "USD",
        "recurring": Recurring.ONE_OFF,
        "is_public": True,
        "deadline_days": None,
        "sort_order": 0,
        "metadata": b'{"a":1}',
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Template(**(fields | changes))


@pytest.mark.parametrize(
    ("amount", "currency", "spelled"),
    [
        ("2500", "USD", "$2,500.00"),
        ("0", "EUR", "€0.00"),
        ("1234567.8", "GBP", "£1,234,567.80"),
        ("2500", "CHF", "CHF 2,500.00"),
        ("2500.00", "JPY", "¥2,500"),
        ("2500", "XAF", "XAF 2,500"),
        ("2500.50", "JPY", "¥2,500.50"),
        ("9999999999.99", "CAD", "CA$9,999,999,999.99"),
    ],
)
def test_a_price_reads_with_its_symbol_or_else_its_code(amount: str, currency: str, spelled: str):
    assert spell_price(Decimal(amount), currency) == spelled


def test_symbols_name_currencies_that_there_are_and_each_only_one():
    assert set(SYMBOLS) <= set(Currency)
    assert len(set(SYMBOLS.values())) == len(SYMBOLS)


def test_currencies_are_those_of_the_standard():
    assert {"USD", "EUR", "CHF", "JPY", "XAF", "ZWG"} <= set(Currency)
    assert set(Currency).isdisjoint({"XXX", "XTS", "DEM", "HRK", "XYZ", "usd"})
    assert all(len(code) == 3 and code.isupper() for code in Currency)


@pytest.mark.parametrize("same", [{}, {"price": Decimal("10.00"), "metadata": b'{"a":1}'}])
def test_a_change_to_what_is_there_already_is_none(same: dict[str, Any]):
    before = template()
    assert before.changed(same, LATER) is before


@pytest.mark.parametrize(
    "other", [{"name": "SEM"}, {"description": ""}, {"metadata": b'{"a":1.0}'}, {"metadata": b"{}"}]
)
def test_a_change_makes_the_next_version(other: dict[str, Any]):
    after = template().changed(other, LATER)
    assert (after.version, after.updated_at, after.created_at) == (2, LATER, NOW)


def test_a_deleted_template_is_a_version_of_its_own():
    gone = template().deleted(LATER)
    assert (gone.version, gone.is_deleted, gone.name) == (2, True, "SEO")
