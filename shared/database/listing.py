"""Lists: one statement for each order that a list can have and for each choice of filters; none is built at run time.

So each has one plan, which is made once and is right for all values: a plan for any choice would not use the index of
the filter that is given, and to plan for the choice at hand costs more than to find twenty rows.

What is read by one statement needs no transaction around it: the statement itself names its organisation to row-level
security. That is one round trip to the server, in place of three or four, each of which costs either side more than
finding twenty rows does.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from itertools import combinations
from typing import Final, NamedTuple, TypeVar

import msgspec

K = TypeVar("K")
Order = tuple[str, str]
"""A sort field and its direction, `asc` or `desc`."""
HOW_MANY: Final = "how_many"
"""The column of `with_total` that counts."""

# A lateral query that says `own.org` and cannot be merged with what is around it (`limit`, `offset` or an aggregate see
# to that) runs once this has its row; so the policies of its tables find the organisation set.
_OWN = "(select set_config('app.org', $1::uuid::text, true)::uuid as org) as own"
_ORGANISATION = re.compile(r"\$1(?!\d)")


def in_each_order(
    select: str, columns: Mapping[str, str], *, tie: str | None = None, nullable: Collection[str] = ()
) -> dict[Order, str]:
    """`select` with an `order by` for each sort field and direction; nulls last either way, ties by ascending id.

    Only `nullable` fields say `nulls last`: an index on `(… x desc, id)` serves `order by x desc, id` and not
    `order by x desc nulls last, id`. `columns` maps a sort field to its SQL expression; `select` has a `{order}` where
    the clause belongs. `tie` is the id's expression where the list is not sorted by that itself.
    """
    by_id = tie or columns["id"]
    return {
        (field, direction): select.format(order=_clause(expression, by_id, direction, nulls=field in nullable))
        for field, expression in columns.items()
        for direction in ("asc", "desc")
    }


class Filter(NamedTuple):
    """SQL: what holds of a row that the filter lets through, and what to say of its argument where it is not given.

    The latter names the argument's type to the server: `$3::smallint is null`.
    """

    given: str
    absent: str


Choice = frozenset[str]
"""The names of the filters that are given."""


def choice(filters: msgspec.Struct) -> Choice:
    """The filters that are not None; its fields are named like those of `in_each_choice`."""
    return frozenset(name for name in filters.__struct_fields__ if getattr(filters, name) is not None)


def in_each_choice(filters: Mapping[str, Filter]) -> dict[Choice, str]:
    """The condition of a list, for each choice among its filters."""
    chosen = (frozenset(names) for size in range(len(filters) + 1) for names in combinations(filters, size))
    return {
        names: " and ".join(filter.given if name in names else filter.absent for name, filter in filters.items())
        for names in chosen
    }


def in_each_choice_and_order(
    count: str,
    select: str,
    filters: Mapping[str, Filter],
    columns: Mapping[str, str],
    *,
    nullable: Collection[str] = (),
) -> dict[tuple[Choice, Order], str]:
    """Pages with their totals (see `with_total`); `count` and `select` have a `{where}` where the filters belong.

    For tables whose primary key is the id alone. Where only the id is left to sort by, it is sorted as text: the
    primary key would have that order, and everybody's rows; the server would walk all of it for an organisation's.
    """
    by_id = columns["id"]
    as_text = f'{by_id}::text collate "C"'
    pages: dict[tuple[Choice, Order], str] = {}
    for names, where in in_each_choice(filters).items():
        counted, narrowed = count.format(where=where), select.format(where=where, order="{order}")
        fixed = {field for field, column in columns.items() if _is_one_value(column, (filters[name] for name in names))}
        for fields, tie in ((columns.keys() - fixed, by_id), (fixed, as_text)):
            sorted_by = {field: as_text if field == "id" else columns[field] for field in fields}
            listed = in_each_order(narrowed, sorted_by, tie=tie, nullable=nullable)
            pages |= {(names, order): with_total(counted, page) for order, page in listed.items()}
    return pages


def _is_one_value(column: str, given: Iterable[Filter]) -> bool:
    """Whether all rows that are let through have the same value there."""
    return any(filter.given.startswith(f"{column} = ") for filter in given)


def by_itself(select: str) -> str:
    """`select`, whose `$1` is the organisation, as a transaction of one statement (see `Database.single`)."""
    return f"""
select found.* from {_OWN}
cross join lateral ({_of_own(select)} offset 0) as found
"""


def with_total(count: str, select: str) -> str:
    """A page and how many there are in all, as a transaction of one statement; read by `Tx.page`.

    `select` ends in `limit` and `offset`; `count` takes the same arguments but these two. Of both, `$1` is the
    organisation. An empty page is a row of nulls, which has the count.
    """
    return f"""
select counted.count as {HOW_MANY}, found.* from {_OWN}
cross join lateral ({_of_own(count)}) as counted
left join lateral ({_of_own(select)}) as found on true
"""


def paged(count: str, lists: Mapping[K, str]) -> dict[K, str]:
    """`with_total` of every one of `lists`."""
    return {order: with_total(count, select) for order, select in lists.items()}


def _of_own(select: str) -> str:
    named = _ORGANISATION.sub("own.org", select)
    assert named != select, "a statement that does not say whose rows it reads"
    return named


def _clause(expression: str, tie: str, direction: str, *, nulls: bool) -> str:
    if expression == tie:
        return f"order by {tie} {direction}"
    return f"order by {expression} {direction}{' nulls last' if nulls else ''}, {tie}"
