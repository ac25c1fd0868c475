"""Lists: one statement for each order that a list can have."""

from __future__ import annotations

import msgspec
import pytest

from shared.database.listing import Filter, by_itself, choice, in_each_choice_and_order, in_each_order, with_total

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


class Filters(msgspec.Struct):
    status: int | None = None
    name: str | None = None


PAGES = in_each_choice_and_order(
    "select count(*) from t where t.org_id = $1 and {where}",
    "select t.id from t where t.org_id = $1 and {where} {order} limit $4 offset $5",
    {
        "status": Filter("t.status = $2", "$2::int is null"),
        "name": Filter("t.name = $3", "$3::text is null"),
    },
    COLUMNS,
)


@pytest.mark.parametrize("filters", [Filters(), Filters(status=0), Filters(name=""), Filters(status=1, name="x")])
def test_each_choice_of_filters_has_its_own_statement(filters: Filters):
    sql = PAGES[choice(filters), ("name", "asc")]
    assert sql.count("t.status = $2") == (2 if filters.status is not None else 0)
    assert sql.count("$3::text is null") == (2 if filters.name is None else 0)
    assert "order by t.name asc, t.id" in sql


def test_there_is_a_page_for_each_choice_in_each_order():
    assert len(PAGES) == 4 * len(STATEMENTS)


def test_a_page_is_read_under_its_own_organisation():
    sql = with_total("select count(*) from t where org_id = $1", "select id, $10 from t where org_id = $1")
    assert sql.count("org_id = own.org") == 2
    assert "$10" in sql


def test_a_statement_that_names_no_organisation_is_not_read_by_itself():
    with pytest.raises(AssertionError, match="whose rows"):
        by_itself("select id from t")


def test_where_all_rows_have_the_value_that_a_list_is_sorted_by_the_primary_key_has_not_its_order():
    assert 'order by t.name desc, t.id::text collate "C" limit' in PAGES[frozenset({"name"}), ("name", "desc")]
    assert "order by t.name desc, t.id limit" in PAGES[frozenset({"status"}), ("name", "desc")]
