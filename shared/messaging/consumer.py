"""In by NATS: decode, open the transaction, call the use case, commit, reply, ack.

Failures are three kinds. Later (the database is away or busy): delivered again after a while, without limit. Refused:
an ordinary reply. Poison (cannot be decoded, or fails for no known reason each time): parked, answered `parked`, and
never delivered again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter
from typing import Any, Final, Protocol
from uuid import UUID

import msgspec

from shared import telemetry
from shared.contracts.reply import Reply
from shared.database import Database, DatabaseAway, DatabaseBusy, Tx
from shared.failpoints import failpoint, without
from shared.ids import new_id
from shared.messaging import topology
from shared.messaging.bus import Bus
from shared.messaging.envelope import REPLY_TO, Envelope, Undecodable, read_envelope, told_key
from shared.messaging.gathering import Gathering, KeepAll
from shared.messaging.incoming import Incoming
from shared.messaging.parking import park
from shared.metrics import message_noted
from shared.telemetry import log

TRIES_BEFORE_PARKING: Final = 3
MOST_AT_HAND: Final = 1000
_LATER_SECONDS: Final = (0.1, 0.25, 0.5, 1.0, 2.0)

_log = log(__name__)


class OfOrganisation(Protocol):
    """Every message of ours says whose it is."""

    @property
    def org_id(self) -> UUID: ...


class Delivery(msgspec.Struct, frozen=True):
    """One arrival of a message: `key` is the same for every copy of it, `id` is this arrival's own."""

    id: UUID
    key: str


UseCase = Callable[[Tx, Any, Delivery], Awaitable[bytes | None]]


class Handler(msgspec.Struct, frozen=True):
    """The type of a message's body, and the use case that takes it. What it returns is the reply, if one was asked.

    A `is_single` use case runs one statement, a stored function, which is a transaction by itself, and may be committed
    together with others. `keep_all` does what it does for many messages of one organisation that come at the same time;
    they have no reply.
    """

    shape: type[Any]
    use_case: UseCase
    is_single: bool = False
    keep_all: KeepAll | None = None


Handlers = Mapping[str, Handler]
"""Message type (`engagements.open.v1`) → handler."""


class Consumer:
    """Handles the messages of one process, at most `at_once` at a time.

    Facts that are kept together are not among them: they wait for each other, and nobody for them.
    """

    def __init__(self, process: str, database: Database, bus: Bus, handlers: Handlers, *, at_once: int) -> None:
        self._process = process
        self._before_commit = f"{process}.before_commit"
        self._after_commit = f"{process}.after_commit"
        self._after_reply = f"{process}.after_reply"
        self._database = database
        self._bus = bus
        self._handlers = handlers
        self._gathering = Gathering(database)
        self._free = asyncio.Semaphore(at_once)
        self._failures: dict[str, int] = {}
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def hear(self, message: Incoming) -> None:
        """Handle one delivery to its end: acked, put off, or parked. Raises BrokerAway, after the commit if at all."""
        self._under_way += 1
        self._idle.clear()
        try:
            await self._watched(message)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def hear_directly(self, message: Incoming) -> None:
        """The same for what no stream keeps; dropped when there is too much of it: whoever sent it sends it again."""
        if message.is_kept:
            _log.error("a direct message that asks to be acknowledged to a stream is dropped", subject=message.subject)
        elif self._under_way < MOST_AT_HAND:
            await self.hear(message)
        else:
            _log.info("too much at hand, message dropped", subject=message.subject)

    async def drain(self) -> None:
        """Wait until nothing is under way."""
        await self._idle.wait()

    async def _watched(self, message: Incoming) -> None:
        """Handle it, counted, timed and in its trace."""
        told = message.headers.get("ce-type", "")
        type = told if told in self._handlers else "unknown"
        telemetry.take_over(message.headers, name=type)
        began, outcome = perf_counter(), "broken off"
        try:
            outcome = await self._handle(message)
        finally:
            time, count = message_noted(type, outcome)
            time(perf_counter() - began)
            count()
            telemetry.end_trace(error="" if outcome == "done" else outcome)

    async def _handle(self, message: Incoming) -> str:
        """Returns what became of it."""
        try:
            if without("ack_after_commit"):
                await message.ack()
            envelope = read_envelope(message.headers)
            handler, body = self._decode(envelope, message)
            reply = await self._run(handler, body, envelope)
        except (DatabaseAway, DatabaseBusy) as error:
            return await self._put_off(message, error)
        except (Undecodable, msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
            return await self._park(message, error)
        except Exception as error:  # noqa: BLE001  # the third kind: known by exclusion
            if self._failed_often(message):
                return await self._park(message, error)
            return await self._put_off(message, error)
        self._failures.pop(envelope.key, None)
        await self._settle(message, envelope, reply)
        return "done"

    def _decode(self, envelope: Envelope, message: Incoming) -> tuple[Handler, OfOrganisation]:
        handler = self._handlers.get(envelope.type)
        if handler is None:
            raise Undecodable(f"the type {envelope.type} is not known here")
        if not topology.carries(message.subject, envelope.type):
            raise Undecodable(f"a message of the type {envelope.type} does not belong on {message.subject}")
        fact: OfOrganisation = msgspec.json.decode(message.body, type=handler.shape)
        if (org := topology.organisation_in(message.subject)) not in (None, str(fact.org_id)):
            raise Undecodable(f"it was published for the organisation {org}, and is of {fact.org_id}")
        return handler, fact

    async def _run(self, handler: Handler, body: OfOrganisation, envelope: Envelope) -> bytes | None:
        if handler.keep_all is not None and await self._is_kept(handler.keep_all, body):
            return None
        async with self._free:
            return await self._commit(handler, body, envelope)

    async def _commit(self, handler: Handler, body: OfOrganisation, envelope: Envelope) -> bytes | None:
        delivery = Delivery(new_id(), str(new_id()) if without("inbox") else envelope.key)
        if handler.is_single:
            failpoint(self._before_commit)
            # What could not be kept with others is tried alone.
            async with self._database.single() if handler.keep_all else self._database.joint() as tx:
                reply = await handler.use_case(tx, body, delivery)
                if without("reply_to_duplicates") and not tx.said:
                    reply = None
        else:
            async with self._database.transaction(body.org_id) as tx:
                reply = await handler.use_case(tx, body, delivery)
                failpoint(self._before_commit)
        failpoint(self._after_commit)
        return reply

    async def _is_kept(self, keep_all: KeepAll, fact: OfOrganisation) -> bool:
        """Keep it together with others; False when one of them is no good: then each is tried alone."""
        failpoint(self._before_commit)
        try:
            await self._gathering.keep(keep_all, fact.org_id, fact)
        except (DatabaseAway, DatabaseBusy):
            raise
        except Exception as error:  # noqa: BLE001  # whose fault it is, is not known yet
            _log.info("facts could not be kept together", cause=repr(error))
            return False
        failpoint(self._after_commit)
        return True

    async def _settle(self, message: Incoming, envelope: Envelope, reply: bytes | None) -> None:
        if reply is not None:
            await self._reply(envelope.reply_to, reply)
        failpoint(self._after_reply)
        await message.ack()

    async def _reply(self, to: str | None, reply: bytes) -> None:
        """Reply where the message asks for it. What is no place for this service's replies is somebody's trick."""
        if not to:
            return
        if topology.is_reply_of(self._process, to):
            await self._bus.say(to, reply)
        else:
            _log.error("a reply is wanted where none of this service belongs", subject=to)

    def _failed_often(self, message: Incoming) -> bool:
        """Count one more failure of no known kind; what is put off because the database is away does not count."""
        key = told_key(message.headers) or ""
        failures = self._failures.pop(key, 0) + 1
        if failures < TRIES_BEFORE_PARKING:
            self._failures[key] = failures
        return failures >= TRIES_BEFORE_PARKING

    async def _put_off(self, message: Incoming, error: Exception) -> str:
        seconds = _LATER_SECONDS[min(message.deliveries, len(_LATER_SECONDS)) - 1]
        _log.warning("message put off", subject=message.subject, seconds=seconds, cause=repr(error), exc_info=error)
        await message.later(seconds)
        return "put off"

    async def _park(self, message: Incoming, error: Exception) -> str:
        key = told_key(message.headers) or f"unreadable.{new_id()}"
        cause = f"{type(error).__name__}: {error}"
        try:
            async with self._database.transaction_across_organisations() as tx:
                await park(tx, key, message, cause)
        except (DatabaseAway, DatabaseBusy) as away:
            return await self._put_off(message, away)
        _log.error("message parked", subject=message.subject, key=key, cause=cause)
        await self._reply(message.headers.get(REPLY_TO), msgspec.json.encode(Reply(outcome="parked", cause=cause)))
        await message.term()
        return "parked"
