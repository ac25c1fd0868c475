"""Drives sagas: sends what the stepper asks for, listens for replies, and sweeps up runs that nobody finished.

Any number of replicas may drive the same run: the journal's writes are fences, and every participant answers a
duplicate with its stored reply.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import monotonic
from typing import Any, Final, Generic, TypeVar, assert_never
from uuid import UUID

import msgspec
from prometheus_client.metrics_core import Metric

from shared import clock, metrics, telemetry
from shared.contracts.reply import Reply
from shared.database import DatabaseAway, DatabaseBusy
from shared.failpoints import failpoint, without
from shared.messaging import topology
from shared.messaging.bus import BrokerAway, Bus, Message
from shared.messaging.drive import Drive
from shared.messaging.envelope import Envelope, spell_time
from shared.messaging.incoming import Incoming
from shared.messaging.journal import Journal, Outcome, Run
from shared.messaging.saga import (
    CANCEL_SUFFIX,
    Command,
    Compensate,
    Complete,
    Do,
    Flow,
    Reject,
    Undo,
    is_stuck,
    moves,
)
from shared.messaging.waiting import Waiting
from shared.telemetry import log

P = TypeVar("P")

SWEEP_SECONDS: Final = 0.25
DRIVE_SECONDS: Final = 1.0
"""How long one drive listens before it leaves the run to the sweep; shorter than the lease."""
CLAIMED_AT_ONCE: Final = 100

_log = log(__name__)


class Orchestrator(Generic[P]):
    """Drives the runs of one flow, for one replica."""

    def __init__(self, process: str, replica: str, flow: Flow[P], journal: Journal[P], bus: Bus) -> None:
        self._process = process
        self._replica = replica
        self._flow = flow
        self._journal = journal
        self._bus = bus
        self._drives: dict[UUID, Drive[P]] = {}
        self._waiting = Waiting()
        self._tasks: set[asyncio.Task[None]] = set()
        self._sweep_now = asyncio.Event()
        self._swept_at = monotonic()

    async def listen(self) -> None:
        """Hear replies, and that other replicas have finished something; to be called before the bus is opened."""
        await self._bus.hear(f"rep.*.{self._replica}.>", self._hear_reply)
        await self._bus.hear("saga.done.*", self._hear_done)
        self._bus.on_reconnect(self._reconnected)

    def start(self, run: Run[P]) -> None:
        """Drive `run` in a task of its own: whoever asked may hang up, the flow goes on."""
        if run.id not in self._drives:
            drive = self._drives[run.id] = Drive(self._flow, run)
            task = asyncio.create_task(self._drive(drive))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def wait(self, saga: UUID, seconds: float) -> Outcome | None:
        """How the run ended, or None if that is not known within `seconds`."""
        return await self._waiting.wait(saga, seconds, self._look)

    async def sweep(self) -> None:
        """Take over runs that are due, for ever: at start, on reconnect, and every SWEEP_SECONDS."""
        while True:
            try:
                claimed = await self._journal.claim(CLAIMED_AT_ONCE)
                metrics.FLOWS_TAKEN_OVER.inc(len(claimed))
                for run in claimed:
                    self.start(run)
                self._swept_at = monotonic()
            except (DatabaseAway, DatabaseBusy) as error:
                _log.info("saga sweep put off", cause=repr(error))
            self._sweep_now.clear()
            try:
                async with asyncio.timeout(SWEEP_SECONDS):
                    await self._sweep_now.wait()
            except TimeoutError:
                continue

    async def gauges(self) -> Sequence[Metric]:
        """How the sweep does, for `/metrics`."""
        age = monotonic() - self._swept_at
        return [
            metrics.gauge(
                "serx_flow_sweep_age_seconds", "Since when no sweep for unfinished flows has gone through.", age
            )
        ]

    async def drain(self) -> None:
        """Wait until no drive is under way: each ends by itself within DRIVE_SECONDS."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _drive(self, drive: Drive[P]) -> None:
        telemetry.begin_trace(drive.run.traceparent, name=f"flow {self._flow.name}", role="internal")
        until = asyncio.get_running_loop().time() + DRIVE_SECONDS
        try:
            while await self._step(drive):
                if not await _news_until(drive.news, until):
                    await self._journal.record(drive.run, is_parked=False)
                    break
        except (DatabaseAway, DatabaseBusy) as error:
            _log.warning("a run is left to the sweep", saga=str(drive.run.id), cause=repr(error))
        except Exception:  # noqa: BLE001  # the run stays due, and others go on
            _log.exception("a drive failed; the sweep tries again", saga=str(drive.run.id))
        finally:
            drive.end()
            del self._drives[drive.run.id]

    async def _step(self, drive: Drive[P]) -> bool:
        """Do what the stepper asks for; False when this drive has nothing more to wait for."""
        drive.news.clear()
        if is_stuck(drive.flow, drive.run.progress):
            await self._journal.record(drive.run, is_parked=True)
            return False
        for move in moves(drive.flow, drive.run.progress):
            match move:
                case Do(step) | Undo(step):
                    await self._send(drive, step, is_cancel=isinstance(move, Undo))
                case Complete():
                    failpoint(f"{self._process}.before_t3")
                    await self._finished(drive, await self._journal.complete(drive.run))
                    return False
                case Compensate(cause):
                    return await self._turn_back(drive, cause)
                case Reject():
                    failpoint(f"{self._process}.before_tu")
                    await self._finished(drive, await self._journal.reject(drive.run))
                    return False
                case _:
                    assert_never(move)
        return True

    async def _turn_back(self, drive: Drive[P], cause: str) -> bool:
        failpoint(f"{self._process}.before_tc")
        if not await self._journal.compensate(drive.run, cause):
            return False
        failpoint(f"{self._process}.after_tc")
        drive.turn_back()
        return await self._step(drive)

    async def _send(self, drive: Drive[P], step: str, *, is_cancel: bool) -> None:
        name = step + CANCEL_SUFFIX if is_cancel else step
        if name in drive.sent:
            return
        drive.mark_sent(name, clock.now())
        if without("key_of_its_own"):
            name = step
        chosen = next(each for each in drive.flow.steps if each.name == step)
        command = _command(chosen, drive, is_cancel=is_cancel)
        envelope = self._envelope(drive, name, chosen.service, command.name)
        # The attempt is in the message id: the stream would swallow a re-send under the same one.
        attempt = f"{drive.run.attempt}-{drive.resends}-{self._replica}"
        if without("attempt_in_message_id"):
            attempt = "1"
        kept = Message(
            topology.command_subject(chosen.service, command.name),
            msgspec.json.encode(command.body),
            envelope.headers(f"{envelope.id}.{attempt}"),
        )
        try:
            if is_cancel or drive.run.attempt > 1 or drive.resends:
                await self._bus.say(*kept)
            else:
                drive.said[name] = kept
                await self._say_directly(kept, topology.direct_subject(chosen.service, command.name), envelope)
        except BrokerAway as error:
            drive.sent.discard(name)
            _log.info("command not sent; it will be", subject=kept.subject, cause=str(error))
        else:
            metrics.command_sent(f"{chosen.service}.{command.name}")()
        failpoint(f"{self._process}.after_send.{step}")

    async def _say_directly(self, kept: Message, subject: str, envelope: Envelope) -> None:
        """A first command need not wait in a stream for somebody who is there: that is half as long a way."""
        await self._bus.say(subject, kept.body, kept.headers, reply=envelope.reply_to)

    def _envelope(self, drive: Drive[P], name: str, service: str, does: str) -> Envelope:
        command = f"{service}.{does}"
        return Envelope(
            id=f"{drive.run.id}.{name}",
            type=f"{command}.v1",
            source=self._process,
            time=spell_time(clock.now()),
            traceparent=drive.traceparent_of(name, command),
            key=f"{drive.run.id}.{name}",
            reply_to=topology.reply_subject(service, self._replica, drive.run.id, name),
            request_id=telemetry.request_id.get(),
        )

    async def _finished(self, drive: Drive[P], outcome: Outcome | None) -> None:
        """Tell whoever waits, here and at other replicas. None: another driver was first; the row says how."""
        if outcome is not None:
            metrics.flow_ended(outcome.status.value)(monotonic() - drive.began)
        outcome = outcome or await self._journal.outcome(drive.run.id)
        if outcome is None:
            return
        self._waiting.wake(drive.run.id, outcome)
        if drive.run.attempt == 1:  # nobody has taken it over: whoever waits is here
            return
        task = asyncio.create_task(self._tell_done(drive.run.id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look(self, saga: UUID) -> Outcome | None:
        try:
            return await self._journal.outcome(saga)
        except (DatabaseAway, DatabaseBusy) as error:
            _log.info("the row cannot be looked at now", saga=str(saga), cause=repr(error))
            return None

    async def _tell_done(self, saga: UUID) -> None:
        try:
            await self._bus.say(topology.done_subject(saga), b"")
        except BrokerAway as error:
            _log.info("nobody told that a run is done; they will look", saga=str(saga), cause=str(error))

    async def _hear_reply(self, message: Incoming) -> None:
        _, service, _, saga, step = message.subject.split(".", 4)
        drive = self._drives.get(UUID(saga))
        if drive is None:
            return
        if service != drive.service_of(step):
            _log.error("a reply to a step of another service is not believed", step=step, service=service)
            return
        if message.is_unheard:
            await self._let_wait(drive, step)
        else:
            drive.hear(step, msgspec.json.decode(message.body, type=Reply), clock.now())

    async def _let_wait(self, drive: Drive[P], step: str) -> None:
        """Nobody of that service is there: in the stream, the command waits until somebody is."""
        kept = drive.said.pop(step, None)
        if kept is None:
            return
        try:
            await self._bus.say(*kept)
        except BrokerAway as error:
            _log.info("command not sent; it will be", subject=kept.subject, cause=str(error))

    async def _hear_done(self, message: Incoming) -> None:
        saga = UUID(message.subject.rpartition(".")[2])
        if saga in self._waiting and (outcome := await self._look(saga)):
            self._waiting.wake(saga, outcome)

    async def _reconnected(self) -> None:
        for drive in self._drives.values():
            drive.send_again()
        self._sweep_now.set()


async def _news_until(news: asyncio.Event, until: float) -> bool:
    try:
        async with asyncio.timeout_at(until):
            return await news.wait()
    except TimeoutError:
        return False


def _command(step: Any, drive: Drive[Any], *, is_cancel: bool) -> Command:
    return step.undo(drive.run.plan) if is_cancel else step.does(drive.run.plan, drive.run.progress.replies)
