"""Lists: one statement for each order that a list can have; each can use its index, none is built at run time.

What is read by one statement needs no transaction around it: the statement itself names its organisation to row-level
security. That is one round trip to the server, in place of three or four, each of which costs either side more than
finding twenty rows does.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final, TypeVar

K = TypeVar("K")
Order = tuple[str, str]
"""A sort field and its direction, `asc` or `desc`."""
HOW_MANY: Final = "how_many"
"""The column of `with_total` that counts."""

# A lateral query that says `own.org` and cannot be merged with what is around it (`limit`, `offset` or an aggregate see
# to that) runs once this has its row; so the policies of its tables find the organisation set.
_OWN = "(select set_config('app.org', $1::uuid::text, true)::uuid as org) as own"
_ORGANISATION = re.compile(r"\$1(?!\d)")


def in_each_order(select: str, columns: Mapping[str, str], *, nullable: Collection[str] = ()) -> dict[Order, str]:
    """`select` with an `order by` for each sort field and direction; nulls last either way, ties by ascending id.

    Only `nullable` fields say `nulls last`: an index on `(… x desc, id)` serves `order by x desc, id` and not
    `order by x desc nulls last, id`. `columns` maps a sort field to its SQL expression; `select` has a `{order}` where
    the clause belongs.
    """
    return {
        (field, direction): select.format(order=_clause(expression, columns["id"], direction, nulls=field in nullable))
        for field, expression in columns.items()
        for direction in ("asc", "desc")
    }


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
