"""The outbox: an event is written with the change it tells of, and published once that has committed.

Published at once by the process that wrote it; a sweep publishes what was left behind. While the broker keeps less than
is written, events wait, and sweeps take those that have waited for long. So whoever publishes one that is late takes it
first, as a sweep would: else it would be published twice, and the broker would fall further behind.

Rows are kept for a day after they were published: when the stream's store was lost, everything kept is published again,
so that no replica stays stale.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic
from typing import NamedTuple
from uuid import UUID

import msgspec

from shared import clock, telemetry
from shared.contracts.events import spelled
from shared.database import Database, DatabaseAway, DatabaseBusy, Tx
from shared.failpoints import without
from shared.ids import new_id
from shared.messaging import topology
from shared.messaging.bus import Bus, Message
from shared.messaging.envelope import Envelope, spell_time
from shared.metrics import EVENTS_LEFT_BEHIND, EVENTS_PUBLISHED
from shared.telemetry import log

SWEEP_SECONDS = 0.5
MARK_SECONDS = 0.25
LATE_SECONDS = 0.4
"""An event that has waited so long for its turn is late. This, the time to publish AT_ONCE events and MARK_SECONDS are
together shorter than the age at which a sweep takes an event for left behind."""
AT_ONCE = 50
_BATCH = 200

PUT = """
insert into outbox (id, subject, type, body, traceparent) values ($1, $2, $3, $4, $5)
"""
# Fenced by the stream that they were published to: a late mark must not hide what a new stream has never had. The lock
# is what makes it a fence: else a mark could be under way, and not be seen by PUBLISH_AGAIN.
MARK = """
with the_same as (select name from streams_seen where name = $2 and created = $3 for share)
update outbox set published_at = now() from the_same where id = any($1::uuid[])
"""
TAKE_LEFT_BEHIND = """
select id, subject, type, body, traceparent from outbox
where published_at is null and created_at < now() - interval '1 second'
order by created_at limit $1 for update skip locked
"""
TAKE_LATE = """
select coalesce(array_agg(id), '{}') from (
  select id from outbox where id = any($1::uuid[]) and published_at is null for update skip locked
) as taken
"""
PUBLISH_AGAIN = """
update outbox set published_at = null where published_at is not null
"""
SEE_STREAM = """
insert into streams_seen (name, created) values ($1, $2)
on conflict (name) do update set created = excluded.created where streams_seen.created <> excluded.created
returning xmax <> 0
"""
# Before MARK and TAKE_LATE: an outbox that was short when PostgreSQL last looked is otherwise read from end to end.
BY_KEY = "set local enable_seqscan = off"
BY_KEY_AND_LAZILY = "set local enable_seqscan = off; set local synchronous_commit = off"
PRUNE_OUTBOX = """
delete from outbox where published_at < now() - interval '1 day'
"""

_log = log(__name__)


class Event(msgspec.Struct, frozen=True):
    """A fact on its way: its id is fixed when it is written, and never changes."""

    id: UUID
    subject: str
    type: str
    body: bytes
    traceparent: str = ""


def event(event_id: UUID, subject: str, type: str, body: msgspec.Struct) -> Event:
    """An event about to be written, in the trace that is under way.

    Raises KeyError for a type that the catalogue does not have, TypeError for another body than it says: what listeners
    read in docs/asyncapi.json is what is told.
    """
    if not isinstance(body, spelled(type).body):
        raise TypeError(f"{type} does not carry a {body.__class__.__name__}")
    return Event(event_id, subject, type, msgspec.json.encode(body), telemetry.traceparent.get())


async def put(tx: Tx, told: Event) -> None:
    """Write `told` with the change it tells of; it is published after commit."""
    await tx.run(PUT, told.id, told.subject, told.type, told.body, told.traceparent)
    tx.said.append(told)


class _Said(NamedTuple):
    """A committed event whose turn has not come."""

    event: Event
    late_at: float
    """By the loop's time."""


class Outbox:
    """Publishes what transactions have said."""

    def __init__(self, process: str, database: Database, bus: Bus) -> None:
        self._process = process
        self._database = database
        self._bus = bus
        self._said: asyncio.Queue[_Said] = asyncio.Queue()
        self._stream_created = ""
        self._swept_at = monotonic()
        self.on_published: Callable[[Sequence[UUID]], None] = _tell_nobody
        """Told which events the broker has."""
        database.on_commit = self._committed

    @property
    def sweep_age(self) -> float:
        """For how many seconds no sweep has gone through."""
        return monotonic() - self._swept_at

    async def publish_said(self) -> None:
        """Publish what was just committed, for ever; what fails is left to the sweep."""
        published: list[UUID] = []
        mark_at = 0.0
        stream = self._stream_created
        loop = asyncio.get_running_loop()
        while True:
            batch = await self._next_batch(until=mark_at if published else None)
            events = [each.event for each in batch]
            is_late = bool(batch) and loop.time() >= batch[0].late_at
            if events and not is_late:
                if not published:
                    mark_at = loop.time() + MARK_SECONDS
                    stream = self._stream_created
                published += await self._publish(events)
            if published and (is_late or loop.time() >= mark_at):
                await self._mark(published, stream)
                published = []
            if is_late:
                await self._publish_late(events)

    async def sweep(self) -> None:
        """Publish what was left behind, for ever."""
        while True:
            try:
                while self._bus.is_connected and await self._sweep_once() == _BATCH:
                    pass
                if self._bus.is_connected:
                    self._swept_at = monotonic()
            except (DatabaseAway, DatabaseBusy) as error:
                _log.info("outbox sweep put off", cause=repr(error))
            await asyncio.sleep(SWEEP_SECONDS)

    async def stream_created(self, name: str, created: str) -> None:
        """Told the creation time of the event stream: if it has changed, everything kept is published again."""
        self._stream_created = created
        async with self._database.transaction_across_organisations() as tx:
            if await tx.value(SEE_STREAM, name, created) and not without("republication"):
                count = await tx.run(PUBLISH_AGAIN)
                _log.warning("the event stream is a new one: publishing again what is kept", stream=name, count=count)

    def _committed(self, said: Sequence[Event]) -> None:
        """Whoever waits for what was committed goes first: events are taken up one turn of the loop later."""
        asyncio.get_running_loop().call_soon(self._take_up, said)

    def _take_up(self, said: Sequence[Event]) -> None:
        late_at = asyncio.get_running_loop().time() + LATE_SECONDS
        for told in said:
            self._said.put_nowait(_Said(told, late_at))

    async def _sweep_once(self) -> int:
        async with self._database.transaction_across_organisations() as tx:
            left = await tx.rows(Event, TAKE_LEFT_BEHIND, _BATCH)
            if left:
                await tx.run(BY_KEY)
            published = await self._publish_taken(tx, left)
        EVENTS_LEFT_BEHIND.inc(published)
        return published

    async def _publish_late(self, events: Sequence[Event]) -> None:
        """Those that no sweep has taken; none takes them meanwhile."""
        try:
            async with self._database.transaction_across_organisations() as tx:
                await tx.run(BY_KEY_AND_LAZILY)
                taken = set(await tx.value(TAKE_LATE, [told.id for told in events]))
                await self._publish_taken(tx, [told for told in events if told.id in taken])
        except (DatabaseAway, DatabaseBusy) as error:
            _log.info("late events are left to the sweep", count=len(events), cause=repr(error))

    async def _publish_taken(self, tx: Tx, events: Sequence[Event]) -> int:
        """Publish and mark events whose rows the transaction has locked; how many are kept."""
        stream = self._stream_created
        published = await self._publish(events, is_again=True)
        if published:
            await tx.run(MARK, published, topology.EVENTS, stream)
        return len(published)

    async def _publish(self, events: Sequence[Event], *, is_again: bool = False) -> list[UUID]:
        messages = [self._message(told, is_again=is_again) for told in events]
        kept = await self._bus.keep(messages) if messages else []
        published = [told.id for told, is_kept in zip(events, kept, strict=True) if is_kept]
        EVENTS_PUBLISHED.inc(len(published))
        self.on_published(published)
        return published

    def _message(self, told: Event, *, is_again: bool) -> Message:
        envelope = Envelope(
            id=str(told.id),
            type=told.type,
            source=self._process,
            time=spell_time(clock.now()),
            traceparent=told.traceparent,
        )
        # A stream that could not write a message (its disk was full) takes the next one with its id for a duplicate.
        message_id = f"{told.id}.{new_id()}" if is_again else str(told.id)
        return Message(told.subject, told.body, envelope.headers(message_id))

    async def _next_batch(self, *, until: float | None) -> list[_Said]:
        """What has been said and not yet published, oldest first: at least one unless `until` (the loop's time) comes
        first."""
        try:
            async with asyncio.timeout_at(until):
                batch = [await self._said.get()]
        except TimeoutError:
            return []
        while not self._said.empty() and len(batch) < AT_ONCE:
            batch.append(self._said.get_nowait())
        return batch

    async def _mark(self, published: list[UUID], stream: str) -> None:
        """Marks come a little later, many at once; one that is lost only publishes the same event id again."""
        try:
            async with self._database.transaction_across_organisations() as tx:
                await tx.run(BY_KEY_AND_LAZILY)
                await tx.run(MARK, published, topology.EVENTS, stream)
        except (DatabaseAway, DatabaseBusy) as error:
            _log.info("events will be marked as published by the sweep", count=len(published), cause=repr(error))


def _tell_nobody(_: Sequence[UUID]) -> None:
    pass
