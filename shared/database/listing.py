"""Lists: one statement for each order that a list can have; each can use its index, none is built at run time."""

from __future__ import annotations

from collections.abc import Collection, Mapping

Order = tuple[str, str]
"""A sort field and its direction, `asc` or `desc`."""


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


def _clause(expression: str, tie: str, direction: str, *, nulls: bool) -> str:
    if expression == tie:
        return f"order by {tie} {direction}"
    return f"order by {expression} {direction}{' nulls last' if nulls else ''}, {tie}"
