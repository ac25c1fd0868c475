"""Connections to the server that takes writes, among the hosts of a DSN.

Hosts are tried side by side, each a head start after the one before (as RFC 8305 does): a silent one costs little. The
one that was right is tried first the next time.

What is read from a server counts as done, so a connection is used only when all that is visible there has reached the
server's synchronous standby. While a server runs, a row becomes visible after that. After a start or a crash, recovery
shows what was committed without it as well: one commit of ours that has waited says that everything before has, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import asyncpg

from shared.database.driver import ANY_SERVER, CHECK_CLIENT, Connection, places
from shared.database.errors import LINK_ERRORS
from shared.telemetry import log

HEAD_START_SECONDS: Final = 0.3
LOOK_SECONDS: Final = 1.0
LOOK = """
select pg_is_in_recovery() or current_setting('transaction_read_only')::boolean as is_read_only,
    -- Statistics are reset by recovery from a crash, in which the postmaster may go on.
    concat_ws(' ', pg_postmaster_start_time(), pg_stat_get_bgwriter_stat_reset_time()) as life,
    pg_postmaster_start_time()::text as server,
    current_setting('synchronous_commit') in ('off', 'local') as is_lazy,
    case when not pg_is_in_recovery() then left(pg_walfile_name(pg_current_wal_lsn()), 8) end as timeline
"""
WRITE_AND_WAIT = """
select pg_logical_emit_message(true, 'serx', '')
"""
_NO_LIMIT: Final = 86400.0
_NONE: Final[Mapping[str, str]] = MappingProxyType({})

_log = log(__name__)


class NotPrimary(ConnectionError):
    """The server answers, but takes no writes: a standby, or read-only."""


class Seen(NamedTuple):
    """A server that takes writes."""

    timeline: str
    """Eight digits; each promotion begins a later one."""
    server: str
    place: tuple[str, int]


class Primary:
    """Makes connections to the primary, with these settings of the session; `options` are `asyncpg.connect`'s."""

    def __init__(self, dsn: str, *, wait_seconds: float, settings: Mapping[str, str] = _NONE, **options: Any) -> None:
        self._dsn = dsn
        self._wait_seconds = wait_seconds
        self._settings = {**CHECK_CLIENT, **settings}
        self._options = options
        self.order: list[tuple[str, int]] = []
        """Hosts and ports, in the order in which they are tried; empty before the first connection."""
        self._confirmed: set[str] = set()
        self._confirming: dict[str, asyncio.Task[None]] = {}

    async def connect(self) -> Connection:
        """A connection to the primary, within `wait_seconds`.

        Raises TimeoutError, NotPrimary, and what `asyncpg.connect` raises.
        """
        async with asyncio.timeout(self._wait_seconds):
            if not self.order:
                self.order = places(self._dsn)
            connection = await first([partial(self._reach, place) for place in self.order])
        self._prefer(connection.place)
        return connection

    async def look(self) -> str | None:
        """The server that was promoted last (`Connection.server`); None when none that takes writes answers.

        It is the one to connect to from now on, whatever another that takes itself for the primary says.
        """
        answers = await asyncio.gather(*(self._see(place) for place in self.order), return_exceptions=True)
        if strange := [
            each for each in answers if isinstance(each, BaseException) and not isinstance(each, LINK_ERRORS)
        ]:
            raise strange[0]
        if not (seen := [each for each in answers if isinstance(each, Seen)]):
            return None
        last = max(seen, key=lambda each: each.timeline)
        self._prefer(last.place)
        return last.server

    async def close(self) -> None:
        """Give up what is still waiting for a standby."""
        tasks = list(self._confirming.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _prefer(self, place: tuple[str, int]) -> None:
        if len(self.order) > 1:
            self.order.sort(key=lambda each: each != place)

    async def _see(self, place: tuple[str, int]) -> Seen:
        async with asyncio.timeout(LOOK_SECONDS):
            connection, seen = await self._asked(place)
        connection.terminate()
        return Seen(seen["timeline"], seen["server"], place)

    async def _asked(self, place: tuple[str, int]) -> tuple[Connection, asyncpg.Record]:
        """A connection, and what its server says of itself. Raises NotPrimary when it takes no writes."""
        connection = await self._open(place)
        try:
            seen = await connection.fetchrow(LOOK)
            assert seen is not None
            if seen["is_read_only"]:
                raise NotPrimary(f"{place[0]}:{place[1]} takes no writes")
        except BaseException:
            connection.terminate()
            raise
        connection.server = seen["server"]
        return connection, seen

    async def _reach(self, place: tuple[str, int]) -> Connection:
        connection, seen = await self._asked(place)
        if seen["is_lazy"]:
            connection.terminate()
            self._insist()
            return await self._reach(place)
        if seen["life"] not in self._confirmed:
            await self._confirm(connection, seen["life"])
        return connection

    async def _open(self, place: tuple[str, int]) -> Connection:
        host, port = place
        return await asyncpg.connect(
            self._dsn,
            host=host,
            port=port,
            timeout=self._wait_seconds,
            connection_class=Connection,
            target_session_attrs=ANY_SERVER,  # whatever the DSN says: what is looked at next tells more
            server_settings=self._settings,
            **self._options,
        )

    def _insist(self) -> None:
        """Have our commits wait, whatever the server, the database or the role says; what waits longer stays so."""
        self._settings |= {"synchronous_commit": "on"}
        _log.warning("the server's synchronous_commit waits for no disk or no standby; this process sets it to on")

    async def _confirm(self, connection: Connection, life: str) -> None:
        """Return when everything that is visible there has reached the standby; hang up if that is not awaited.

        One connection writes, and goes on waiting when whoever brought it has gone: each that is given up would wait on
        the server until the standby is back, and take the place of one that can be used.
        """
        writing = self._confirming.get(life)
        is_mine = writing is None
        if writing is None:
            writing = self._confirming[life] = asyncio.create_task(self._write(connection, life))
        try:
            await asyncio.shield(writing)
        except BaseException:
            if is_mine and not writing.done():
                writing.add_done_callback(partial(_hang_up, connection))
            else:
                connection.terminate()
            raise

    async def _write(self, connection: Connection, life: str) -> None:
        try:
            await connection.execute(WRITE_AND_WAIT, timeout=_NO_LIMIT)
            self._confirmed.add(life)
        finally:
            del self._confirming[life]


async def first(attempts: Sequence[Callable[[], Awaitable[Connection]]]) -> Connection:
    """The connection that is made first; each attempt begins when those before failed, or had their head start.

    The other connections are terminated. When all fail, raises what a server said, if one did, else the last error.
    """
    if len(attempts) == 1:
        return await attempts[0]()
    running: set[asyncio.Task[Connection]] = set()
    errors: list[BaseException] = []
    waiting = list(attempts)
    try:
        while running or waiting:
            if waiting:
                running.add(asyncio.ensure_future(waiting.pop(0)()))
            done, running = await asyncio.wait(
                running, timeout=HEAD_START_SECONDS if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            won = [task.result() for task in done if task.exception() is None]
            errors += [error for task in done if (error := task.exception()) is not None]
            for other in won[1:]:
                other.terminate()
            if won:
                return won[0]
    finally:
        for task in running:
            task.cancel()
            task.add_done_callback(_hang_up_on)
    raise next((error for error in errors if isinstance(error, asyncpg.PostgresError)), errors[-1])


def _hang_up_on(task: asyncio.Task[Connection]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().terminate()


def _hang_up(connection: Connection, writing: asyncio.Task[None]) -> None:
    connection.terminate()
    if not writing.cancelled() and (error := writing.exception()) is not None:
        _log.info("the server went away before its standby came back", cause=repr(error))
