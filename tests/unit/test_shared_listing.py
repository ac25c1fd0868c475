"""Lists: one statement for each order that a list can have."""

from __future__ import annotations

from shared.database.listing import in_each_order

COLUMNS = {"id": "t.id", "name": "t.name", "sent_at": "t.sent_at"}
STATEMENTS = in_each_order("select 1 from t {order} limit $1", COLUMNS, nullable=("sent_at",))


def test_there_is_a_statement_for_each_field_and_direction():
    assert set(STATEMENTS) == {(field, way) for field in COLUMNS for way in ("asc", "desc")}


def test_ties_are_broken_by_ascending_id_either_way():
    assert STATEMENTS["name", "asc"] == "select 1 from t order by t.name asc, t.id limit $1"
    assert STATEMENTS["name", "desc"] == "select 1 from t order by t.name desc, t.id limit $1"


def test_nulls_are_last_either_way_where_there_can_be_some():
    assert STATEMENTS["sent_at", "asc"] == "select 1 from t order by t.sent_at asc nulls last, t.id limit $1"
    assert STATEMENTS["sent_at", "desc"] == "select 1 from t order by t.sent_at desc nulls last, t.id limit $1"


def test_an_order_by_id_needs_no_tie_breaker():
    assert STATEMENTS["id", "desc"] == "select 1 from t order by t.id desc limit $1"
