"""Lists: a statement for each order, choice of filters and start that a list can have."""

from __future__ import annotations

import msgspec
import pytest

from shared.database.listing import NO_FILTERS, Filter, Sort, by_itself, choice, pages, with_total
from shared.database.windows import Start

TEXT = 't.id::text collate "C"'
SORTS = {
    "id": Sort("t.id", "uuid"),
    "name": Sort("t.name", "text"),
    "sent_at": Sort("t.sent_at", "timestamptz", is_nullable=True),
}


class Filters(msgspec.Struct):
    status: int | None = None
    name: str | None = None


PAGES = pages(
    "select count(*) from t where t.org_id = $1 and {where}",
    "select t.*, {sorting} from t where t.org_id = $1 and {where}",
    sorts=SORTS,
    filters={
        "status": Filter("t.status = $2", "$2::int is null"),
        "name": Filter("t.name = $3", "$3::text is null"),
    },
    counts={frozenset({"status"}): "select number as count from kept where org_id = $1"},
    id="t.id",
)


@pytest.mark.parametrize("filters", [Filters(), Filters(name=""), Filters(status=1, name="x")])
def test_each_choice_of_filters_has_its_own_statement(filters: Filters):
    sql = PAGES[choice(filters), ("name", "asc"), Start.FIRST]
    assert sql.count("t.status = $2") == (2 if filters.status is not None else 0)
    assert sql.count("$3::text is null") == (2 if filters.name is None else 0)


def test_there_is_a_page_for_each_choice_in_each_order_from_each_start():
    starts = {"id": 3, "name": 3, "sent_at": 4}
    assert len(PAGES) == 4 * 2 * sum(starts.values())
    assert {order for _, order, _ in PAGES} == {(field, way) for field in SORTS for way in ("asc", "desc")}


def test_ties_are_broken_by_ascending_id_either_way():
    for way in ("asc", "desc"):
        assert f"order by t.name {way}, t.id limit 101" in PAGES[NO_FILTERS, ("name", way), Start.FIRST]


def test_nulls_are_last_either_way_where_there_can_be_some():
    for way in ("asc", "desc"):
        sql = PAGES[NO_FILTERS, ("sent_at", way), Start.FIRST]
        assert f"order by t.sent_at {way} nulls last, t.id limit 101" in sql


def test_a_list_by_id_is_sorted_as_text_where_the_primary_key_has_everybodys_ids():
    assert 'order by t.id::text collate "C" desc limit' in PAGES[NO_FILTERS, ("id", "desc"), Start.FIRST]
    own = pages(
        "select 1 as count where $1 = $1", "select id, {sorting} from t where id = $1", sorts={"id": SORTS["id"]}
    )
    assert all("collate" in sql for sql in own.values())
    walled = pages(
        "select 1 as count where $1 = $1",
        "select id, {sorting} from t where id = $1",
        sorts={"id": SORTS["id"]},
        has_id_as_key=False,
    )
    assert not any("collate" in sql for sql in walled.values())


def test_where_all_rows_have_the_value_that_a_list_is_sorted_by_the_primary_key_has_not_its_order():
    by_name = PAGES[frozenset({"name"}), ("name", "desc"), Start.FIRST]
    assert 'order by t.name desc, t.id::text collate "C" limit' in by_name
    assert "order by t.name desc, t.id limit" in PAGES[frozenset({"status"}), ("name", "desc"), Start.FIRST]


def test_a_page_goes_on_behind_a_row_in_parts_that_an_index_finds():
    sql = PAGES[NO_FILTERS, ("sent_at", "desc"), Start.VALUE]
    assert f"t.sent_at = $5::text::timestamptz and {TEXT} > $6::uuid::text order by {TEXT} limit 101" in sql
    assert "t.sent_at < $5::text::timestamptz order by t.sent_at desc nulls last, t.id limit 101" in sql
    assert f"t.sent_at is null order by {TEXT} limit 101" in sql
    assert (
        f"t.sent_at is null and $5::text is null and {TEXT} > $6" in PAGES[NO_FILTERS, ("sent_at", "asc"), Start.NULL]
    )


def test_a_total_that_is_known_is_not_counted():
    sql = PAGES[frozenset({"status"}), ("name", "asc"), Start.FIRST]
    assert "count(*)" not in sql
    assert "from kept where org_id = own.org" in sql


def test_a_page_is_read_under_its_own_organisation():
    sql = with_total("select count(*) from t where org_id = $1", "select id, $10 from t where org_id = $1")
    assert sql.count("org_id = own.org") == 2
    assert "$10" in sql


def test_a_statement_that_names_no_organisation_is_not_read_by_itself():
    with pytest.raises(AssertionError, match="whose rows"):
        by_itself("select id from t")
