"""Group commit: statements of one kind that come at the same time go to the server together, as one transaction.

While one is under way, those that come wait for its end, and then go in one statement: one round trip, one transaction
and one wait for the disk for all of them. Nobody waits while none is under way.

A group is committed as a whole, or not at all. One that fails because of one of its members is taken apart, and each of
them tries alone. Nobody waits long for another's lock: a group gives up on one after LOCK_MILLISECONDS, and is taken
apart; and whatever takes longer than PATIENCE_SECONDS is no longer waited for.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Sequence
from contextvars import Context
from functools import lru_cache
from typing import Any, Final, NamedTuple, Protocol

import asyncpg

from shared.database.errors import DatabaseAway
from shared.telemetry import log

MOST: Final = 16
"""Members of one group; each number of them is a statement of its own to the server."""
PATIENCE_SECONDS: Final = 0.1
LOCK_MILLISECONDS: Final = 20
_AT: Final = "at"

_log = log(__name__)


class Send(Protocol):
    """Runs one statement that is a transaction by itself. Raises as `Single` does."""

    def __call__(self, sql: str, *arguments: Any) -> Awaitable[Sequence[asyncpg.Record]]: ...


class Kind(NamedTuple):
    """What may go together: calls of one statement, which calls a stored function and gives these columns."""

    sql: str
    columns: tuple[str, ...]


class Counts(NamedTuple):
    """Since the start: statements that went with others, how many went alone, and groups that were taken apart."""

    together: int
    alone: int
    groups: int
    taken_apart: int


class _Member(NamedTuple):
    arguments: Sequence[Any]
    answer: asyncio.Future[Sequence[asyncpg.Record]]


class _Queue:
    """The calls of one kind: who waits, and for whom."""

    __slots__ = ("ahead", "kind", "patience", "waiting")

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.waiting: list[_Member] = []
        self.ahead: object | None = None
        self.patience: asyncio.TimerHandle | None = None

    def next_group(self) -> list[_Member]:
        """Those whose turn it is, without those who have gone away."""
        members = [member for member in self.waiting if not member.answer.done()]
        group, self.waiting = members[:MOST], members[MOST:]
        return group


class GroupCommit:
    """The calls that are under way at one database, or wait to go together."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._queues: dict[Kind, _Queue] = {}
        self._under_way: set[asyncio.Task[None]] = set()
        self._together = self._alone = self._groups = self._taken_apart = 0

    @property
    def counts(self) -> Counts:
        return Counts(self._together, self._alone, self._groups, self._taken_apart)

    async def rows(self, kind: Kind, *arguments: Any) -> Sequence[asyncpg.Record]:
        """The rows of one call, once it is committed. Raises as it would alone."""
        queue = self._queues.get(kind) or self._queues.setdefault(kind, _Queue(kind))
        member = _Member(arguments, asyncio.get_running_loop().create_future())
        queue.waiting.append(member)
        if queue.ahead is None:
            self._begin(queue)
        else:
            self._wait(queue)
        return await member.answer

    async def close(self) -> None:
        """Wait for the groups that are under way."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    def _wait(self, queue: _Queue) -> None:
        if queue.patience is None:
            loop = asyncio.get_running_loop()
            queue.patience = loop.call_later(PATIENCE_SECONDS, self._begin, queue)

    def _begin(self, queue: _Queue) -> None:
        """Whoever waits goes in the next turn of the loop, with those who come in this one."""
        if queue.patience is not None:
            queue.patience.cancel()
            queue.patience = None
        queue.ahead = mine = object()
        # In nobody's context: a group is no part of the request that happens to be at hand.
        task = asyncio.get_running_loop().create_task(self._commit(queue, mine), context=Context())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _commit(self, queue: _Queue, mine: object) -> None:
        group = queue.next_group()
        if queue.waiting:
            self._wait(queue)
        try:
            is_settled = await self._settle(queue.kind, group)
        finally:
            if queue.ahead is mine:  # else somebody has lost patience and gone already
                queue.ahead = None
                if queue.waiting:
                    self._begin(queue)
        if not is_settled:
            self._taken_apart += 1
            there = [member for member in group if not member.answer.done()]
            await asyncio.gather(*(self._settle_alone(queue.kind, member) for member in there))

    async def _settle(self, kind: Kind, group: list[_Member]) -> bool:
        """Answer each of them; False when they failed together, and each may do better alone."""
        if len(group) < 2:
            for member in group:
                await self._settle_alone(kind, member)
            return True
        arguments = [each for member in group for each in member.arguments]
        try:
            rows = await self._send(joined(kind, len(group), len(group[0].arguments)), *arguments)
        except DatabaseAway as error:
            for member in group:
                _raise_in(member, type(error)(str(error)))
            return True
        except Exception as error:  # noqa: BLE001  # whose fault it is shows when each is alone
            _log.info("a group is taken apart", members=len(group), cause=repr(error))
            return False
        self._together += len(group)
        self._groups += 1
        answers: list[list[asyncpg.Record]] = [[] for _ in group]
        for row in rows:
            if row[_AT] >= 0:
                answers[row[_AT]].append(row)
        for member, answer in zip(group, answers, strict=True):
            if not member.answer.done():
                member.answer.set_result(answer)
        return True

    async def _settle_alone(self, kind: Kind, member: _Member) -> None:
        self._alone += 1
        try:
            rows = await self._send(kind.sql, *member.arguments)
        except Exception as error:  # noqa: BLE001  # it is the member's
            _raise_in(member, error)
        else:
            if not member.answer.done():
                member.answer.set_result(rows)


def _raise_in(member: _Member, error: Exception) -> None:
    if not member.answer.done():
        member.answer.set_exception(error)


@lru_cache
def joined(kind: Kind, calls: int, arguments: int) -> str:
    """One statement that makes that many calls, one after another, and tells in `at` whose a row is.

    A row with a negative `at` is nobody's. Making the first limits the wait for locks, in this transaction only; making
    those between takes back the organisation that the call before named, so that a call that names none sees nothing.
    """
    parts = [_setting(kind, "lock_timeout", f"{LOCK_MILLISECONDS}ms"), _call(kind, 0, arguments)]
    for at in range(1, calls):
        parts += [_setting(kind, "app.org", ""), _call(kind, at, arguments)]
    return "\nunion all\n".join(parts)


def _setting(kind: Kind, name: str, value: str) -> str:
    nulls = ", ".join(f"null as {column}" for column in kind.columns)
    return f"select -1 as {_AT}, {nulls} from set_config('{name}', '{value}', true)"


def _call(kind: Kind, at: int, arguments: int) -> str:
    first = at * arguments
    renumbered = re.sub(r"\$(\d+)", lambda found: f"${int(found[1]) + first}", kind.sql)
    return f"select {at} as {_AT}, call.* from ({renumbered}) as call"
