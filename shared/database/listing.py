"""Lists: a statement for each order, choice of filters and kind of start that a list can have; none is built later.

So each has one plan, which is made once and is right for all values: a plan for any choice would not use the index of
the filter that is given, and to plan for the choice at hand costs more than to find twenty rows.

What is read by one statement needs no transaction around it: the statement itself names its organisation to row-level
security. That is one round trip to the server, in place of three or four, each of which costs either side more than
finding twenty rows does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import combinations, product
from typing import Final, NamedTuple

import msgspec

from shared.database.places import is_value
from shared.database.windows import MOST_ROWS, Order, Start, Window

HOW_MANY: Final = "how_many"
"""The column of a page that counts the whole list."""
POSITION: Final = "position"
"""The column of a page that says what its row is sorted by, as text."""

# The longest page, and the row behind it. Of a limit that is an argument PostgreSQL knows nothing, and takes it for a
# tenth of the list: of a long one, that is so much that it reads all of the tables which a page's rows refer to.
_MOST: Final = f"limit {MOST_ROWS + 1}"

# A lateral query that says `own.org` and cannot be merged with what is around it (`limit`, `offset` or an aggregate see
# to that) runs once this has its row; so the policies of its tables find the organisation set.
_OWN = "(select set_config('app.org', $1::uuid::text, true)::uuid as org) as own"
_ORGANISATION = re.compile(r"\$1(?!\d)")
_ARGUMENT = re.compile(r"\$(\d+)")


class Sort(NamedTuple):
    """What a list can be sorted by: an SQL expression and its type."""

    column: str
    type: str
    is_nullable: bool = False


class Filter(NamedTuple):
    """SQL: what holds of a row that the filter lets through, and what to say of its argument where it is not given.

    The latter names the argument's type to the server: `$3::smallint is null`.
    """

    given: str
    absent: str


Choice = frozenset[str]
"""The names of the filters that are given."""
NO_FILTERS: Final = Choice()


class Pages(dict[tuple[Choice, Order, Start], str]):
    """The statements of a list; read by `Tx.page`."""

    def __init__(self, sorts: Mapping[str, Sort]) -> None:
        super().__init__()
        self._types = {name: sort.type for name, sort in sorts.items()}

    def begins_at(self, window: Window) -> bool:
        """Whether the place after which the window begins can be one of a row of this list.

        Raises KeyError for a field that the list cannot be sorted by.
        """
        value = None if window.after is None else window.after.value
        return value is None or is_value(self._types[window.order[0]], value)


def choice(filters: msgspec.Struct) -> Choice:
    """The filters that are not None; its fields are named like those of `pages`."""
    return frozenset(name for name in filters.__struct_fields__ if getattr(filters, name) is not None)


def in_each_choice(filters: Mapping[str, Filter]) -> dict[Choice, str]:
    """The condition of a list, for each choice among its filters."""
    chosen = (frozenset(names) for size in range(len(filters) + 1) for names in combinations(filters, size))
    return {
        names: " and ".join(filter.given if name in names else filter.absent for name, filter in filters.items())
        or "true"
        for names in chosen
    }


def pages(
    count: str,
    rows: str,
    *,
    sorts: Mapping[str, Sort],
    filters: Mapping[str, Filter] | None = None,
    counts: Mapping[Choice, str] | None = None,
    shown: str = "select * from ({rows}) page {order}",
    id: str = "id",
    has_id_as_key: bool = True,
) -> Pages:
    """Every statement of a list: its page and how many there are in all, as a transaction of one statement.

    `rows` selects the rows that the filters let through: with `{sorting}` among its columns, one named `id`, and a
    condition at its end that has `{where}`. `count` counts the same, in a column `count`; `counts` says how to do that
    for choices of filters whose number is known without looking at the rows. `shown` is what to select of a page once
    it is known: from `({rows})`, ordered by `{order}`, with the column `sorting`. `$1` is the organisation, `id` the
    expression of the id.

    Nulls come last either way, ties by ascending id. `has_id_as_key`: the id alone is the table's primary key. That has
    the order of ids, and everybody's rows; where only the id is left to sort by, the server would walk all of it for an
    organisation's. There it is sorted as text.
    """
    given, known = filters or {}, counts or {}
    texts = (count, rows, *known.values(), *(text for filter in given.values() for text in filter))
    free = 1 + max(int(number) for text in texts for number in _ARGUMENT.findall(text))
    by_id = Sort(id, "uuid")
    as_text = Sort(f'{id}::text collate "C"', "text") if has_id_as_key else by_id
    found = Pages(sorts)
    for names, where in in_each_choice(given).items():
        counted = known.get(names, count).format(where=where)
        for field, direction in product(sorts, ("asc", "desc")):
            by = as_text if field == "id" else sorts[field]
            is_one_value = any(given[name].given.startswith(f"{by.column} = ") for name in names)
            keys = _Keys(by, as_text if is_one_value or field == "id" else by_id, as_text, direction)
            narrowed = rows.format(where=where, sorting=f"{by.column} as sorting")
            for start, page, place in _from_each_start(narrowed, keys, free):
                select = shown.format(rows=page, order=keys.order_of_page)
                found[names, (field, direction), start] = with_total(counted, select, place=place)
    return found


def with_total(count: str, select: str, *, place: str = "") -> str:
    """A page and how many there are in all. An empty page is a row of nulls, which has the count.

    `place` is an expression that has to be good, whether or not there is a row to compare with it.
    """
    return f"""
select counted.count as {HOW_MANY}, found.*, found.sorting::text as {POSITION} from {_OWN}
cross join lateral ({_of_own(count)}) as counted
left join lateral ({_of_own(select)}) as found on true
{f"where {place} is not null" if place else ""}
"""


def by_itself(select: str) -> str:
    """`select`, whose `$1` is the organisation, as a transaction of one statement (see `Database.single`)."""
    return f"""
select found.* from {_OWN}
cross join lateral ({_of_own(select)} offset 0) as found
"""


class _Keys(NamedTuple):
    """What rows are sorted by: `by`, then `tie`; where `by` is the same in all that are left, `only_tie`."""

    by: Sort
    tie: Sort
    only_tie: Sort
    direction: str

    @property
    def order(self) -> str:
        return self._order(self.by.column, self.tie.column)

    @property
    def order_of_page(self) -> str:
        return self._order("sorting", "id")

    @property
    def beyond(self) -> str:
        return ">" if self.direction == "asc" else "<"

    def _order(self, by: str, tie: str) -> str:
        """Only where there are nulls are they spoken of: an index on `(x desc, id)` has no order with `nulls last`."""
        if by == tie:
            return f"order by {tie} {self.direction}"
        return f"order by {by} {self.direction}{' nulls last' if self.by.is_nullable else ''}, {tie}"


def _from_each_start(rows: str, keys: _Keys, free: int) -> Iterator[tuple[Start, str, str]]:
    """The page from each start, and what it takes for granted of the place where it starts.

    Its arguments are a limit; a limit and an offset; or a limit, a value and an id.
    """
    by, tie, only_tie, _ = keys
    value, row = f"${free + 1}::text", f"${free + 2}::uuid"

    def page(parts: str) -> str:
        return f"select * from ({parts}) parts {keys.order_of_page} limit ${free}"

    yield Start.FIRST, page(f"{rows} {keys.order} {_MOST}"), ""
    skipped = f"{rows} {keys.order} limit ${free} offset ${free + 1}"
    yield Start.OFFSET, f"select * from ({skipped}) parts {keys.order_of_page} {_MOST}", ""
    if by == tie:
        behind = f"{value} is not null and {by.column} {keys.beyond} {row}::{by.type}"
        yield Start.VALUE, page(f"{rows} and {behind} {keys.order} {_MOST}"), ""
        return
    # In parts, each of which an index finds by its beginning: no row of the page before is looked at again.
    by_id = f"order by {only_tie.column} {_MOST}"
    behind = f"{only_tie.column} > {row}::{only_tie.type} {by_id}"
    parts = [
        f"({rows} and {by.column} = {value}::{by.type} and {behind})",
        f"({rows} and {by.column} {keys.beyond} {value}::{by.type} {keys.order} {_MOST})",
    ]
    if by.is_nullable:
        parts.append(f"({rows} and {by.column} is null {by_id})")
        yield Start.NULL, page(f"{rows} and {by.column} is null and {value} is null and {behind}"), ""
    yield Start.VALUE, page(" union all ".join(parts)), f"{value}::{by.type}"


def _of_own(select: str) -> str:
    named = _ORGANISATION.sub("own.org", select)
    assert named != select, "a statement that does not say whose rows it reads"
    return named
