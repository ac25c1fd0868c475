"""Outbox, consumer, parking and streams, in the engagement service, with a broker that can be lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
import nats
import nats.errors
import nats.js.errors
import pytest
import pytest_asyncio
from nats.js.api import StreamInfo

from shared.contracts.engagements import EngagementState
from shared.contracts.reply import Reply
from shared.database import Database
from shared.ids import new_id
from shared.messaging import consumer, outbox, topology
from shared.messaging.bus import end
from shared.messaging.outbox import Event
from shared.messaging.topology import COMMANDS, EVENTS
from shared.web.actor import Actor
from tests.support import actors
from tests.support.commands import Orchestrator, arrived, open_engagement, orchestrating
from tests.support.databases import Databases, opened
from tests.support.servers import NATS_URL, Broker, until
from tests.support.services import Service, running

NAME = "engagements"

of_our_own = pytest.mark.skipif(bool(NATS_URL), reason="needs a broker that it may kill, with a user for each process")


class Bystander(Exception):
    """Undoes a test's transaction."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def dsn(databases: Databases) -> AsyncIterator[str]:
    async with databases.fresh(NAME) as fresh:
        yield fresh


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(dsn: str, shared_broker: Broker) -> AsyncIterator[Service]:
    async with running(NAME, dsn, shared_broker) as running_service:
        yield running_service


@pytest_asyncio.fixture(loop_scope="session")
async def orchestrator(service: Service, shared_broker: Broker) -> AsyncIterator[Orchestrator]:
    await until(service.is_well)
    async with orchestrating(shared_broker) as player:
        yield player


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def silent(dsn: str) -> AsyncIterator[Database]:
    """The service's database without an outbox that publishes: a process that dies between commit and publish."""
    async with opened(dsn) as there:
        yield there


@pytest.fixture
def speaking(service: Service) -> Database:
    """The service's own database, whose commits are published."""
    return service.app.state.database


@pytest.fixture
def staff() -> Actor:
    return actors.admin()


def told_of(org: UUID, *, name: str = "Told") -> Event:
    state = EngagementState(
        org_id=org, id=new_id(), version=1, client_id=new_id(), proposal_id=None, name=name, status=1
    )
    subject = topology.event_subject(org, "engagement", "opened")
    return Event(new_id(), subject, "engagement.opened.v1", msgspec.json.encode(state))


async def is_marked(database: Database, told: Event) -> bool:
    async with database.transaction_across_organisations() as tx:
        return await tx.value("select published_at is not null from outbox where id = $1", told.id)


async def opens(orchestrator: Orchestrator, staff: Actor, *, traceparent: str = "") -> Reply:
    """A good command, to its end."""
    command = open_engagement(staff.org_id)
    key = f"{command.saga_id}.engagement"
    return await orchestrator.ask(NAME, "open", command, key=key, traceparent=traceparent)


@asynccontextmanager
async def listening(broker: Broker, process: str):
    """A connection as one of our processes, and the errors that it is told of."""
    errors: list[str] = []

    async def note(error: Exception) -> None:
        errors.append(str(error))

    connection = await broker.connection(process, error_cb=note)
    try:
        yield connection, errors
    finally:
        await connection.close()


async def stream(broker: Broker, name: str) -> StreamInfo:
    connection = await nats.connect(broker.operator)
    try:
        return await connection.jetstream().stream_info(name)
    finally:
        await connection.close()


@asynccontextmanager
async def without_its_store(broker: Broker):
    """The broker is killed, and comes back after the block with an empty store."""
    await broker.kill()
    broker.forget()
    try:
        yield
    finally:
        await broker.start()


async def test_an_event_is_published_after_its_transaction_has_committed_and_not_before(
    speaking: Database, orchestrator: Orchestrator, staff: Actor
):
    told = told_of(staff.org_id)
    async with speaking.transaction(staff.org_id) as tx:
        await outbox.put(tx, told)
        await opens(orchestrator, actors.admin())  # the service has published something else meanwhile
        assert orchestrator.events(staff.org_id) == []
    ((name, id, body),) = await orchestrator.hears(staff.org_id, 1)
    assert (name, id, body) == ("engagement.opened", str(told.id), msgspec.json.decode(told.body))


async def test_a_transaction_that_is_rolled_back_says_nothing(
    speaking: Database, orchestrator: Orchestrator, staff: Actor
):
    with suppress(Bystander):
        async with speaking.transaction(staff.org_id) as tx:
            await outbox.put(tx, told_of(staff.org_id, name="Never"))
            raise Bystander
    async with speaking.transaction(staff.org_id) as tx:
        await outbox.put(tx, told_of(staff.org_id, name="Later"))
    ((_, _, body),) = await orchestrator.hears(staff.org_id, 1)
    assert body["name"] == "Later"


async def test_what_was_published_is_marked(speaking: Database, orchestrator: Orchestrator, staff: Actor):
    told = told_of(staff.org_id)
    async with speaking.transaction(staff.org_id) as tx:
        await outbox.put(tx, told)
    await until(lambda: is_marked(speaking, told))
    assert len(orchestrator.events(staff.org_id)) == 1


async def test_events_of_a_process_that_died_before_it_published_are_swept(
    silent: Database, orchestrator: Orchestrator, staff: Actor
):
    told = [told_of(staff.org_id, name=str(number)) for number in range(5)]
    async with silent.transaction(staff.org_id) as tx:
        for each in told:
            await outbox.put(tx, each)
    heard = await orchestrator.hears(staff.org_id, 5)
    assert {id for _, id, _ in heard} == {str(each.id) for each in told}
    await until(lambda: is_marked(silent, told[0]))


async def test_more_events_than_a_sweep_takes_at_once_are_all_published(
    silent: Database, orchestrator: Orchestrator, staff: Actor
):
    async with silent.transaction(staff.org_id) as tx:
        told = [told_of(staff.org_id) for _ in range(450)]
        await tx.run_each(outbox.PUT, [(each.id, each.subject, each.type, each.body, "") for each in told])
    assert len(await orchestrator.hears(staff.org_id, 450)) == 450


async def test_events_that_wait_until_the_sweep_has_taken_them_are_published_once(
    dsn: str, shared_broker: Broker, orchestrator: Orchestrator, staff: Actor
) -> None:
    """A replica whose events wait for their turn, as behind a broker that keeps less than is written."""
    async with shared_broker.bus(NAME) as bus, opened(dsn) as database:
        behind = outbox.Outbox(NAME, database, bus)
        told = [told_of(staff.org_id) for _ in range(5)]
        async with database.transaction(staff.org_id) as tx:
            for each in told:
                await outbox.put(tx, each)
        await until(lambda: is_marked(database, told[-1]))  # by the sweep of the service
        publishing = asyncio.create_task(behind.publish_said())
        async with database.transaction(staff.org_id) as tx:
            await outbox.put(tx, told_of(staff.org_id, name="Last"))
        heard = await orchestrator.hears(staff.org_id, 6)
        assert [body["name"] for _, _, body in heard] == ["Told"] * 5 + ["Last"]
        await end([publishing])


async def test_events_that_are_late_are_published_and_marked_in_the_same_transaction(
    databases: Databases, shared_broker: Broker, orchestrator: Orchestrator, staff: Actor
) -> None:
    """Where nobody sweeps."""
    async with shared_broker.bus(NAME) as bus, databases.fresh(NAME) as dsn, opened(dsn) as database:
        behind = outbox.Outbox(NAME, database, bus)
        info = await bus.streams.stream_info(EVENTS)
        await behind.stream_created(EVENTS, msgspec.to_builtins(info.created))
        told = [told_of(staff.org_id) for _ in range(2 * outbox.AT_ONCE)]
        at = asyncio.get_running_loop().time()
        async with database.transaction(staff.org_id) as tx:
            for each in told:
                await outbox.put(tx, each)
        await until(lambda: asyncio.get_running_loop().time() > at + 2 * outbox.LATE_SECONDS)
        publishing = asyncio.create_task(behind.publish_said())
        heard = await orchestrator.hears(staff.org_id, len(told))
        assert {id for _, id, _ in heard} == {str(each.id) for each in told}
        for late in (told[0], told[-1]):  # of either group, whichever is marked first
            await until(partial(is_marked, database, late))
        await end([publishing])
        async with database.transaction_across_organisations() as tx:
            written = await tx.value("select count(distinct xmin::text) from outbox where published_at is not null")
        assert written == 2


async def test_an_event_keeps_the_trace_of_the_command_that_caused_it(orchestrator: Orchestrator, staff: Actor):
    trace = "0af7651916cd43dd8448eb211c80319c"
    assert (await opens(orchestrator, staff, traceparent=f"00-{trace}-b7ad6b7169203331-01")).outcome == "done"
    await orchestrator.hears(staff.org_id, 3)
    traces = [headers["traceparent"].split("-")[1] for headers in orchestrator.headers_of_events(staff.org_id)]
    assert traces == [trace] * 3


async def test_unknown_fields_of_a_command_are_ignored(orchestrator: Orchestrator, staff: Actor):
    command = open_engagement(staff.org_id)
    body = msgspec.json.encode(msgspec.to_builtins(command, builtin_types=()) | {"new_in_v1": [1, 2, 3]})
    key = f"{command.saga_id}.engagement"
    assert (await orchestrator.ask(NAME, "open", body, key=key)).outcome == "done"


POISON = {
    "bad JSON": (b"{", {}),
    "bytes that are no UTF-8": (b'{"name": "\xff"}', {}),
    "no body": (b"", {}),
    "a body without its fields": (b"{}", {}),
    "an unknown version": (None, {"ce_type": "engagements.open.v99"}),
    "an unknown type": (None, {"ce_type": "engagements.dance.v1"}),
    "no type": (None, {"ce_type": ""}),
    "no id": (None, {"ce_id": ""}),
    "no source": (None, {"ce_source": ""}),
    "no time": (None, {"ce_time": ""}),
}


async def test_a_command_to_whoever_is_there_is_done_and_in_no_stream(
    orchestrator: Orchestrator, shared_broker: Broker, staff: Actor
):
    command, before = open_engagement(staff.org_id), (await stream(shared_broker, COMMANDS)).state.last_seq
    key = f"{command.saga_id}.engagement"
    first = await orchestrator.ask(NAME, "open", command, key=key, directly=True)
    assert first.outcome == "done"
    assert (await stream(shared_broker, COMMANDS)).state.last_seq == before
    # A copy that comes by the stream is a copy.
    assert await orchestrator.ask(NAME, "open", command, key=key) == first


async def test_poison_that_no_stream_has_is_parked_as_if_one_had_it(
    orchestrator: Orchestrator, silent: Database, staff: Actor
):
    key = f"{new_id()}.engagement"
    assert (await orchestrator.ask(NAME, "open", b"{", key=key, directly=True)).outcome == "parked"
    parked = await parked_under(silent, key)
    assert (parked.subject, parked.body, parked.deliveries) == ("cmd.engagements.open", b"{", 1)


async def test_what_fails_and_no_stream_has_is_tried_as_often_as_what_one_has(
    orchestrator: Orchestrator, silent: Database, staff: Actor
):
    command = open_engagement(staff.org_id, names=())
    key = f"{command.saga_id}.engagement"
    assert (await orchestrator.ask(NAME, "open", command, key=key, directly=True)).outcome == "parked"
    assert (await parked_under(silent, key)).deliveries == 3


async def test_of_too_much_that_no_stream_has_some_is_dropped_and_the_rest_is_done(
    monkeypatch: pytest.MonkeyPatch, orchestrator: Orchestrator, staff: Actor
):
    monkeypatch.setattr(consumer, "MOST_AT_HAND", 3)
    keys: list[str] = []
    for _ in range(100):
        command = open_engagement(staff.org_id)
        keys.append(f"{command.saga_id}.engagement")
        await orchestrator.say(NAME, "open", command, key=keys[-1], directly=True)
    assert (await opens(orchestrator, staff)).outcome == "done"  # what a stream has is never too much

    async def is_quiet() -> bool:
        done = sum(bool(orchestrator.heard_so_far(key)) for key in keys)
        return done >= 3 and len(orchestrator.events(staff.org_id)) == 3 + 3 * done

    await until(is_quiet)
    assert not all(orchestrator.heard_so_far(key) for key in keys)


@pytest.mark.parametrize("kind", POISON)
async def test_poison_is_parked_and_answered_and_does_not_block_good_messages(
    orchestrator: Orchestrator, silent: Database, shared_broker: Broker, staff: Actor, kind: str
):
    body, headers = POISON[kind]
    command = open_engagement(staff.org_id)
    key = f"{command.saga_id}.engagement"
    reply = await orchestrator.ask(NAME, "open", command if body is None else body, key=key, **headers)
    assert reply.outcome == "parked"
    assert reply.cause
    parked = await parked_under(silent, key)
    assert parked.subject == "cmd.engagements.open"
    assert parked.body == (msgspec.json.encode(command) if body is None else body)
    assert parked.error == reply.cause
    assert parked.headers["serx-reply-to"] == f"rep.{NAME}.test.{key}"
    assert parked.deliveries == 1
    assert (await opens(orchestrator, staff)).outcome == "done"
    await until(lambda: _is_empty(shared_broker))


class Parked(msgspec.Struct, frozen=True):
    subject: str
    headers: dict[str, str]
    body: bytes
    error: str
    deliveries: int


async def parked_under(database: Database, key: str) -> Parked:
    async with database.transaction_across_organisations() as tx:
        sql = "select subject, headers, body, error, deliveries from parked_messages where key = $1"
        found = await tx.row(Parked, sql, key)
    assert found is not None
    return found


async def _is_empty(broker: Broker) -> bool:
    return (await stream(broker, COMMANDS)).state.messages == 0


async def test_a_command_that_fails_for_no_known_reason_is_tried_three_times_and_parked(
    orchestrator: Orchestrator, silent: Database, staff: Actor
):
    command = open_engagement(staff.org_id, names=())  # breaks what the flow never does: a proposal has an item
    key = f"{command.saga_id}.engagement"
    assert (await orchestrator.ask(NAME, "open", command, key=key)).outcome == "parked"
    assert (await parked_under(silent, key)).deliveries == 3
    async with silent.transaction(staff.org_id) as tx:
        assert await tx.value("select count(*) from inbox where key = $1", key) == 0


async def test_a_message_parked_again_counts_on_under_its_one_key(
    orchestrator: Orchestrator, silent: Database, staff: Actor
):
    key = f"{new_id()}.engagement"
    for _ in range(3):
        assert (await orchestrator.ask(NAME, "open", b"{", key=key)).outcome == "parked"
    assert (await parked_under(silent, key)).deliveries == 3


async def test_a_parked_command_that_is_mended_and_sent_again_is_done(orchestrator: Orchestrator, staff: Actor):
    command = open_engagement(staff.org_id)
    key = f"{command.saga_id}.engagement"
    assert (await orchestrator.ask(NAME, "open", b"{", key=key)).outcome == "parked"
    assert (await orchestrator.ask(NAME, "open", command, key=key)).outcome == "done"


async def test_text_that_postgresql_cannot_keep_is_parked_too(
    orchestrator: Orchestrator, silent: Database, staff: Actor
):
    command = open_engagement(staff.org_id, name="null \0 character")
    key = f"{command.saga_id}.engagement"
    assert (await orchestrator.ask(NAME, "open", command, key=key)).outcome == "parked"
    assert (await parked_under(silent, key)).body == msgspec.json.encode(command)


@pytest.mark.parametrize("type", ["null\0character", "t" * 5000])
async def test_headers_that_postgresql_cannot_keep_are_parked_too(orchestrator: Orchestrator, staff: Actor, type: str):
    command = open_engagement(staff.org_id)
    key = f"{command.saga_id}.engagement"
    assert (await orchestrator.ask(NAME, "open", command, key=key, ce_type=type)).outcome == "parked"
    assert (await opens(orchestrator, staff)).outcome == "done"


@pytest.mark.parametrize("key", ["null\0character", "".join(str(new_id()) for _ in range(300))])
async def test_a_key_that_cannot_be_one_is_parked_too(
    orchestrator: Orchestrator, silent: Database, staff: Actor, key: str
):
    command = open_engagement(staff.org_id)
    at = f"rep.{NAME}.test.{command.saga_id}.engagement"
    await orchestrator.say(NAME, "open", command, key=str(command.saga_id), serx_key=key, serx_reply_to=at)
    (reply,) = await orchestrator.replies(f"{command.saga_id}.engagement")
    assert msgspec.json.decode(reply, type=Reply).outcome == "parked"
    async with silent.transaction_across_organisations() as tx:
        assert await tx.value("select count(*) from parked_messages where body = $1", msgspec.json.encode(command)) == 1


async def test_an_event_that_is_poison_is_parked_without_a_reply(
    orchestrator: Orchestrator, silent: Database, staff: Actor
):
    told = new_id()
    nothing = open_engagement(staff.org_id).client
    await orchestrator.tell(f"evt.{staff.org_id}.client.changed", "client.changed.v99", nothing, id=told)

    async def is_parked() -> bool:
        async with silent.transaction_across_organisations() as tx:
            return await tx.value("select true from parked_messages where key = $1", str(told))

    await until(is_parked)


@of_our_own
async def test_a_service_goes_on_with_streams_that_were_made_again_after_a_loss(
    service: Service, orchestrator: Orchestrator, shared_broker: Broker, staff: Actor
):
    assert (await opens(orchestrator, staff)).outcome == "done"
    async with without_its_store(shared_broker):
        await until(lambda: _is_unwell(service))
    await until(service.is_well)
    async with orchestrating(shared_broker) as anew:
        assert (await opens(anew, staff)).outcome == "done"
    settings = (await stream(shared_broker, COMMANDS)).config
    assert (settings.retention, settings.subjects) == ("workqueue", ["cmd.>"])


async def _is_unwell(service: Service) -> bool:
    return not await service.is_well()


@of_our_own
async def test_events_that_were_lost_with_the_store_are_published_again_under_their_ids(
    service: Service, orchestrator: Orchestrator, silent: Database, shared_broker: Broker, staff: Actor
):
    command = open_engagement(staff.org_id)
    await orchestrator.ask(NAME, "open", command, key=f"{command.saga_id}.engagement")
    ids = {id for _, id, _ in await orchestrator.hears(staff.org_id, 3)}
    async with without_its_store(shared_broker):
        pass

    async def are_all_back() -> bool:
        return await ids_in_stream(shared_broker, staff.org_id) == ids

    await until(are_all_back, within_seconds=20)


async def ids_in_stream(broker: Broker, org: UUID) -> set[str]:
    """The ids of an organisation's events that the stream keeps; none while there is no stream."""
    connection = await nats.connect(broker.operator)
    ids: set[str] = set()
    try:
        subscription = await connection.jetstream().subscribe(f"evt.{org}.>", ordered_consumer=True)
        while True:
            message = await subscription.next_msg(timeout=0.2)
            ids.add((message.headers or {})["ce-id"])
    except (nats.errors.Error, nats.js.errors.Error):
        return ids
    finally:
        await connection.close()


@of_our_own
async def test_while_the_broker_is_away_reads_go_on_and_events_wait(
    service: Service, speaking: Database, orchestrator: Orchestrator, shared_broker: Broker, staff: Actor
):
    await shared_broker.kill()
    told = told_of(staff.org_id)
    try:
        await until(lambda: _is_unwell(service))
        assert (await service.call(None, "GET", "/health/live")).status_code == 200
        assert (await service.call(staff, "GET", "/api/engagements")).status_code == 200
        async with speaking.transaction(staff.org_id) as tx:
            await outbox.put(tx, told)
        assert await is_marked(speaking, told) is False
    finally:
        await shared_broker.start()
    await until(lambda: is_marked(speaking, told))


@of_our_own
@pytest.mark.parametrize(
    ("process", "subject"),
    [
        ("conversations", "cmd.orders.place"),
        ("orders", "cmd.engagements.open"),
        ("conversations", "now.orders.place"),
        ("orders", "now.engagements.open"),
        ("engagements", "evt.any.client.changed"),
        ("proposals", "evt.any.client.changed"),
        ("gateway", "cmd.orders.place"),
        ("orders", "saga.done.any"),
        ("conversations", "rep.any"),
        ("identity", "rep.orders.replica.saga.order"),
        ("orders", "_INBOX_proposals.answers.any.any"),
        ("gateway", "_INBOX_orders.acks.any.0"),
        ("orders", "$JS.API.STREAM.CREATE.EVENTS"),
        ("orders", "$JS.API.STREAM.UPDATE.EVENTS"),
        ("orders", "$JS.API.CONSUMER.CREATE.EVENTS.orders"),
        ("orders", "$JS.API.STREAM.DELETE.COMMANDS"),
        ("orders", "$JS.API.STREAM.PURGE.EVENTS"),
        ("orders", "$JS.API.STREAM.MSG.GET.COMMANDS"),
        ("orders", "$JS.API.CONSUMER.CREATE.COMMANDS.engagements"),
        ("orders", "$JS.API.CONSUMER.DELETE.COMMANDS.engagements"),
        ("orders", "$JS.ACK.COMMANDS.engagements.1.1.1.1.1"),
        ("gateway", "$JS.API.STREAM.CREATE.COMMANDS"),
    ],
)
async def test_a_process_may_not_say_what_is_anothers(
    service: Service, shared_broker: Broker, process: str, subject: str
):
    async with listening(shared_broker, process) as (connection, errors):
        await connection.publish(subject, b"{}")
        await connection.flush()
        await until(lambda: errors)
    assert "permissions violation for publish" in errors[0].lower()


@of_our_own
@pytest.mark.parametrize(
    ("process", "subject"),
    [
        ("orders", "rep.>"),
        ("orders", "cmd.orders.place"),
        ("orders", ">"),
        ("orders", "deliver.engagements.commands"),
        ("orders", "_INBOX_proposals.>"),
        ("conversations", "ask.identity.client"),
        ("gateway", "evt.*.client.*"),
        ("gateway", "rep.>"),
    ],
)
async def test_a_process_may_not_hear_what_is_anothers(
    service: Service, shared_broker: Broker, process: str, subject: str
):
    async with listening(shared_broker, process) as (connection, errors):
        await connection.subscribe(subject)
        await connection.flush()
        await until(lambda: errors)
    assert "permissions violation for subscription" in errors[0].lower()


@pytest.mark.parametrize(
    ("asker", "service_name", "question"),
    [
        ("engagements", "identity", "client"),
        ("orders", "proposals", "template"),
        ("conversations", "engagements", "project"),
    ],
)
async def test_a_question_reaches_its_owner_and_the_answer_its_asker(
    service: Service, shared_broker: Broker, asker: str, service_name: str, question: str
):
    async with (
        listening(shared_broker, asker) as (asking, asker_errors),
        listening(shared_broker, service_name) as (answering, errors),
    ):

        async def answer(message: Any) -> None:
            await message.respond(b"the answer")

        await answering.subscribe(f"ask.{service_name}.{question}", cb=answer)
        await arrived(answering)
        heard = await asking.request(f"ask.{service_name}.{question}", b"", timeout=5)
        assert (heard.data, asker_errors, errors) == (b"the answer", [], [])


async def test_two_replicas_share_the_work_and_each_command_is_done_once(
    service: Service, orchestrator: Orchestrator, dsn: str, shared_broker: Broker, silent: Database
):
    staff = actors.admin()
    commands = [open_engagement(staff.org_id) for _ in range(10)]
    async with running(NAME, dsn, shared_broker):
        copies = [each for each in commands for _ in range(4)]
        say = [orchestrator.say(NAME, "open", each, key=f"{each.saga_id}.engagement") for each in copies]
        await asyncio.gather(*say)
        for each in commands:
            assert len(set(await orchestrator.replies(f"{each.saga_id}.engagement", 4))) == 1
    async with silent.transaction(staff.org_id) as tx:
        assert await tx.value("select count(*) from engagements") == 10
        assert await tx.value("select count(*) from projects") == 20
