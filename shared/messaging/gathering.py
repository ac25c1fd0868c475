"""Facts that come at about the same time are kept together: one transaction, and one wait for the disk, for many.

What belongs together, as the projects of one signature do, is told fact by fact, so the first of a group waits
LINGER_SECONDS for the others; those that arrive while a transaction is under way are kept by the next. Nobody waits
for these facts: what needs one that is not here yet asks its owner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol, TypeVar
from uuid import UUID

from shared.database import Database, Tx

LINGER_SECONDS: Final = 0.01

KeepAll = Callable[[Tx, UUID, Sequence[Any]], Awaitable[None]]
"""Keeps facts of one organisation, in one statement that is a transaction by itself; none twice in one call."""

_Group = tuple[KeepAll, UUID]


class Versioned(Protocol):
    """What an owner says of one of its things."""

    @property
    def id(self) -> UUID: ...

    @property
    def version(self) -> int: ...


V = TypeVar("V", bound=Versioned)


def newest(facts: Sequence[V]) -> list[V]:
    """The newest word on each thing: one statement cannot write a row twice."""
    return list({fact.id: fact for fact in sorted(facts, key=lambda fact: fact.version)}.values())


class Gathering:
    """Facts of one kind and one organisation that wait while others like them are being kept."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[_Group, list[tuple[Any, asyncio.Future[None]]]] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    async def keep(self, keep_all: KeepAll, org: UUID, fact: Any) -> None:
        """Return once the fact is committed; raises what the transaction did that it was in, alone or with others."""
        kept = asyncio.get_running_loop().create_future()
        group = (keep_all, org)
        if group in self._waiting:
            self._waiting[group].append((fact, kept))
        else:
            self._waiting[group] = [(fact, kept)]
            task = asyncio.create_task(self._keep_waiting(group))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        await kept

    async def _keep_waiting(self, group: _Group) -> None:
        """Until nobody waits. Those who do are told, whatever happens."""
        keep_all, org = group
        await asyncio.sleep(LINGER_SECONDS)
        while together := self._waiting[group]:
            self._waiting[group] = []
            facts = [fact for fact, _ in together]
            try:
                async with self._database.single() as tx:
                    await keep_all(tx, org, facts)
            except Exception as error:  # noqa: BLE001  # each of them raises it
                for _, kept in together:
                    if not kept.done():
                        kept.set_exception(error)
            else:
                for _, kept in together:
                    if not kept.done():
                        kept.set_result(None)
        del self._waiting[group]
