"""Where a page begins, as a caller sends it back: what PostgreSQL could not have printed never reaches it."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from uuid import UUID

import pytest

from shared.database.listing import Pages, Sort
from shared.database.places import TYPES, is_value
from shared.database.windows import After, Start, Window

ROOT = Path(__file__).resolve().parents[2]
ID = UUID(int=1)

GOOD = {
    "text": ["", "Zoë", "O'Hara; drop table", "\U0001f600", " "],
    "uuid": [str(ID), "01a22fe4-8b6b-715c-96d0-0606f8e95cef"],
    "timestamptz": [
        "2026-12-01 04:57:50.123456+00",
        "2026-12-01 04:57:50+00",
        "2024-02-29 23:59:59.9+05:30",
        "0001-01-02 00:00:00+00",
        "9999-12-31 23:59:59.999999+00",
        "1850-01-01 00:00:00-07:52:58",
    ],
    "numeric": ["0", "-1", "9700.50", "999999999999.99"],
    "smallint": ["0", "-32768", "32767"],
    "int": ["0", "-2147483648", "2147483647"],
    "boolean": ["true", "false"],
}
BAD = {
    "text": ["\0", "a\0b"],
    "uuid": ["", "x", str(ID).upper().replace("0", "A"), f"{{{ID}}}", ID.hex, f"{ID} "],
    "timestamptz": [
        "",
        "now",
        "infinity",
        "yesterday",
        "2026-02-30 00:00:00+00",
        "2026-12-01 24:00:00+00",  # which Python 3.14 reads as the next day's midnight
        "2026-12-01 24:00:01+00",
        "2026-12-01 00:00:60+00",
        "2026-12-01",
        "2026-12-01T04:57:50Z",
        "2026-12-01 04:57:50",
        "2026-12-01 04:57:50+99",
        "2026-12-01 04:57:50.1234567+00",
        "0000-01-01 00:00:00+00",
        "10000-01-01 00:00:00+00",
        "٢٠٢٦-12-01 04:57:50+00",
        "2026-12-01 04:57:50+00\0",
    ],
    "numeric": ["", "x", "1e3", "NaN", "Infinity", "1.", ".5", "+1", "1 ", "٣", "9" * 31, "--1", "1,5"],
    "smallint": ["", "x", "32768", "-32769", "1.0", "1e1", "٣", " 1", "0x1", "9" * 11],
    "int": ["", "2147483648", "-2147483649", "1.0"],
    "boolean": ["", "t", "f", "TRUE", "1", "yes"],
}


@pytest.mark.parametrize("type", sorted(TYPES))
def test_what_postgresql_prints_is_a_value_and_nothing_else_is(type: str):
    assert [text for text in GOOD[type] if not is_value(type, text)] == []
    assert [text for text in BAD[type] if is_value(type, text)] == []


def every_list() -> dict[str, Pages]:
    """All that a service shows in pages, by module and name."""
    found: dict[str, Pages] = {}
    for path in sorted((ROOT / "services").glob("*/store/*.py")):
        module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for name, value in vars(module).items():
            many = value.values() if isinstance(value, dict) and not isinstance(value, Pages) else [value]
            found |= {f"{path.stem}.{name}.{n}": each for n, each in enumerate(many) if isinstance(each, Pages)}
    return found


@pytest.mark.parametrize("name", every_list())
def test_every_field_that_a_list_is_sorted_by_has_values_that_are_looked_at(name: str):
    pages = every_list()[name]
    orders = {order for _, order, start in pages if start is Start.VALUE}
    assert orders
    for order in orders:
        assert not pages.begins_at(Window(order, 20, 20, After("no \0 value", ID)))
        assert pages.begins_at(Window(order, 20))


def test_a_place_without_a_value_is_left_to_the_statement_for_it():
    pages = Pages({"name": Sort("name", "text")})
    assert pages.begins_at(Window(("name", "asc"), 20, 20, After(None, ID)))
    assert pages.begins_at(Window(("name", "asc"), 20, 20, After("x", ID)))
