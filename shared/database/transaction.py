"""A transaction, as use cases and stores see it."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar, cast

import asyncpg
import msgspec
from msgspec.structs import fields

from shared.database.driver import Connection
from shared.database.errors import translated
from shared.database.group_commit import GroupCommit, Kind
from shared.database.listing import HOW_MANY, POSITION, Choice, Pages
from shared.database.windows import MOST_ROWS, After, Page, Window, not_of_this_list

S = TypeVar("S", bound=msgspec.Struct)

VALUE = "value"


class Tx:
    """One open transaction. Statements go in as constants with `$n` arguments, structs come out.

    `said` collects what must be published once the transaction has committed (see `shared.messaging.outbox`).

    Every method raises DatabaseAway, DatabaseBusy or UniqueViolated.
    """

    __slots__ = ("_connection", "said")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.said: list[Any] = []

    async def rows(self, shape: type[S], sql: str, *arguments: Any) -> list[S]:
        """All rows, each as a `shape` (columns named like its fields)."""
        with translated():
            return [_struct(shape, record) for record in await self._connection.fetch(sql, *arguments)]

    async def row(self, shape: type[S], sql: str, *arguments: Any) -> S | None:
        """The first row as a `shape`, or None."""
        with translated():
            record = await self._connection.fetchrow(sql, *arguments)
        return None if record is None else _struct(shape, record)

    async def page(self, shape: type[S], pages: Pages, given: Choice, window: Window, *arguments: Any) -> Page[S]:
        """The rows of a list that a window shows, each as a `shape`, by the statement for it and the filters `given`.

        Raises InvalidInput naming `after` when the window begins after what is no place in this list.
        """
        try:
            sql = pages[given, window.order, window.start]
            if not pages.begins_at(window):
                raise not_of_this_list()
            with translated():
                records = await self._connection.fetch(sql, *arguments, *_bounds(window))
        except (KeyError, asyncpg.DataError) as error:
            if window.after is None:
                raise
            raise not_of_this_list() from error
        rows = [record for record in records if record["id"] is not None]
        shown = rows[: window.limit]
        end = After(shown[-1][POSITION], shown[-1]["id"]) if len(rows) > window.limit else None
        return Page([_struct(shape, record) for record in shown], records[0][HOW_MANY], end)

    async def value(self, sql: str, *arguments: Any) -> Any:
        """The first column of the first row, or None."""
        with translated():
            return await self._connection.fetchval(sql, *arguments)

    async def run(self, sql: str, *arguments: Any) -> int:
        """Execute for its effect; returns how many rows it touched."""
        with translated():
            tag = await self._connection.execute(sql, *arguments)
        count = tag.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    async def run_each(self, sql: str, arguments: list[tuple[Any, ...]]) -> None:
        """Execute once for each tuple of arguments, pipelined in one round trip."""
        with translated():
            await self._connection.executemany(sql, arguments)


class Single(Tx):
    """A transaction of one statement, which commits by itself."""

    __slots__ = ("_is_used",)

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._is_used = False

    async def rows(self, shape: type[S], sql: str, *arguments: Any) -> list[S]:
        self._use()
        return await super().rows(shape, sql, *arguments)

    async def row(self, shape: type[S], sql: str, *arguments: Any) -> S | None:
        self._use()
        return await super().row(shape, sql, *arguments)

    async def records(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        """All rows as the driver has them."""
        self._use()
        with translated():
            return await self._connection.fetch(sql, *arguments)

    async def page(self, shape: type[S], pages: Pages, given: Choice, window: Window, *arguments: Any) -> Page[S]:
        self._use()
        return await super().page(shape, pages, given, window, *arguments)

    async def value(self, sql: str, *arguments: Any) -> Any:
        self._use()
        return await super().value(sql, *arguments)

    async def run(self, sql: str, *arguments: Any) -> int:
        self._use()
        return await super().run(sql, *arguments)

    async def run_each(self, sql: str, arguments: list[tuple[Any, ...]]) -> None:
        self._use()
        await super().run_each(sql, arguments)

    def _use(self) -> None:
        if self._is_used:
            raise AssertionError("a second statement in a transaction of one")
        self._is_used = True


class Joint(Single):
    """A transaction of one statement, a stored function's, that may be committed together with others of its kind.

    Only `row` and `value` go together.
    """

    __slots__ = ("_together",)

    def __init__(self, together: GroupCommit) -> None:
        super().__init__(cast("Connection", _NoConnection()))
        self._together = together

    async def row(self, shape: type[S], sql: str, *arguments: Any) -> S | None:
        self._use()
        records = await self._together.rows(Kind(sql, shape.__struct_fields__), *arguments)
        return _struct(shape, records[0]) if records else None

    async def value(self, sql: str, *arguments: Any) -> Any:
        self._use()
        records = await self._together.rows(Kind(sql, (VALUE,)), *arguments)
        return records[0][-1] if records else None


class _NoConnection:
    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError("only a row and a value go together with others")


def _bounds(window: Window) -> tuple[Any, ...]:
    """The last arguments of a page's statement; one row more than are shown tells whether the list goes on."""
    assert window.limit <= MOST_ROWS
    if window.after is not None:
        return window.limit + 1, window.after.value, window.after.id
    return (window.limit + 1, window.offset) if window.offset else (window.limit + 1,)


def _struct(shape: type[S], record: asyncpg.Record) -> S:
    values = dict(record)
    for name in _times_of(shape):
        time = values.get(name)
        if time is not None and time.tzinfo is None:
            # The first microsecond of all and the last, which asyncpg takes for infinity.
            values[name] = time.replace(tzinfo=UTC)
    return msgspec.convert(values, shape)


@cache
def _times_of(shape: type[msgspec.Struct]) -> tuple[str, ...]:
    """The fields that are times."""
    return tuple(field.name for field in fields(shape) if field.type in (datetime, datetime | None))
