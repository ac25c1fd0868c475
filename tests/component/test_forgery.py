"""A service that was taken over, with its own login at the broker: what it forges is taken by nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import msgspec
import nats
import pytest
import pytest_asyncio

from shared import clock
from shared.contracts.identity import ClientState
from shared.database import Database
from shared.ids import new_id
from shared.messaging import topology
from shared.messaging.bus import BrokerAway
from shared.messaging.envelope import Envelope, spell_time
from shared.web.actor import Actor
from tests.support import actors
from tests.support.commands import Orchestrator, arrived, open_engagement, orchestrating
from tests.support.databases import Databases, opened
from tests.support.servers import NATS_URL, Broker, until
from tests.support.services import Service, running

NAME = "engagements"

pytestmark = pytest.mark.skipif(bool(NATS_URL), reason="needs a broker with a user for each process")


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
async def database(dsn: str) -> AsyncIterator[Database]:
    async with opened(dsn) as there:
        yield there


@pytest.fixture
def staff() -> Actor:
    return actors.admin()


def headers(type: str, *, key: str = "", reply_to: str = "") -> dict[str, str]:
    envelope = Envelope(
        id=str(new_id()), type=type, source="identity", time=spell_time(clock.now()), key=key, reply_to=reply_to
    )
    return envelope.headers()


def client(org: UUID, version: int = 1) -> ClientState:
    return ClientState(
        org_id=org, id=new_id(), version=version, name_f="For", name_l="Ged", email="forged@evil.example"
    )


async def is_parked(database: Database, message: dict[str, str], words: str) -> bool:
    """Whether the message waits for an operator, for a cause with these words."""
    key = message.get("serx-key") or message["ce-id"]
    async with database.transaction_across_organisations() as tx:
        error = await tx.value("select error from parked_messages where key = $1", key)
    return error is not None and words in error


async def publish(broker: Broker, process: str, subject: str, body: msgspec.Struct, head: dict[str, str]) -> None:
    async with await broker.connection(process) as connection:
        await connection.jetstream().publish(subject, msgspec.json.encode(body), headers=head)


async def kept_clients(database: Database, org: UUID) -> int:
    async with database.transaction(org) as tx:
        return await tx.value("select count(*) from clients")


@pytest.mark.parametrize("happened", ["changed", "opened", "anything"])
async def test_a_type_on_a_subject_of_another_resource_is_parked_and_changes_nothing(
    service: Service, shared_broker: Broker, database: Database, staff: Actor, happened: str
):
    """Templates are the proposal service's to tell of, clients are not."""
    forged = headers("client.changed.v1")
    subject = topology.event_subject(staff.org_id, "template", happened)
    await publish(shared_broker, "proposals", subject, client(staff.org_id, 1000), forged)
    await until(lambda: is_parked(database, forged, "does not belong on evt."))
    assert await kept_clients(database, staff.org_id) == 0


async def test_a_command_among_the_events_is_parked_and_opens_nothing(
    service: Service, shared_broker: Broker, database: Database, staff: Actor
):
    forged = headers("engagements.open.v1", reply_to=topology.reply_subject(NAME, "test", new_id(), "engagement"))
    subject = topology.event_subject(staff.org_id, "template", "changed")
    await publish(shared_broker, "proposals", subject, open_engagement(staff.org_id), forged)
    await until(lambda: is_parked(database, forged, "does not belong on evt."))
    async with database.transaction(staff.org_id) as tx:
        assert await tx.value("select count(*) from engagements") == 0


async def test_an_event_of_another_organisation_than_its_subject_names_is_parked(
    service: Service, orchestrator: Orchestrator, shared_broker: Broker, database: Database, staff: Actor
):
    other = actors.admin()
    forged = headers("client.changed.v1")
    subject = topology.event_subject(other.org_id, "client", "changed")
    await publish(shared_broker, "identity", subject, client(staff.org_id), forged)
    await until(lambda: is_parked(database, forged, "was published for the organisation"))
    assert await kept_clients(database, staff.org_id) == 0


async def test_the_same_event_on_its_own_subject_is_taken(
    service: Service, shared_broker: Broker, database: Database, staff: Actor
):
    subject = topology.event_subject(staff.org_id, "client", "changed")
    await publish(shared_broker, "identity", subject, client(staff.org_id), headers("client.changed.v1"))

    async def is_kept() -> bool:
        return await kept_clients(database, staff.org_id) == 1

    await until(is_kept)


async def test_a_parked_message_is_not_replaced_by_one_on_another_subject_under_its_key(
    service: Service, orchestrator: Orchestrator, shared_broker: Broker, database: Database, staff: Actor
):
    command = open_engagement(staff.org_id, name="null \0 character")
    key = f"{command.saga_id}.engagement"
    assert (await orchestrator.ask(NAME, "open", command, key=key)).outcome == "parked"
    forged = headers("engagements.open.v1", key=key)
    subject = topology.event_subject(staff.org_id, "template", "changed")
    await publish(shared_broker, "proposals", subject, open_engagement(staff.org_id), forged)

    async def bodies() -> list[tuple[str, bytes]]:
        async with database.transaction_across_organisations() as tx:
            sql = "select array_agg(body) from parked_messages where key = $1 or headers ->> 'serx-key' = $1"
            found = await tx.value(sql, key)
        return found if len(found) == 2 else []

    found = await until(bodies)
    async with database.transaction_across_organisations() as tx:
        kept = await tx.value("select body from parked_messages where key = $1", key)
    assert kept == msgspec.json.encode(command)
    assert len(found) == 2


@pytest.mark.parametrize("place", ["evt.any.client.changed", "rep.orders.test.saga.order", "now.engagements.open", "x"])
async def test_a_service_replies_only_where_its_own_replies_belong(
    service: Service, orchestrator: Orchestrator, shared_broker: Broker, staff: Actor, place: str
):
    async with await nats.connect(shared_broker.operator) as listener:
        heard: list[Any] = []

        async def note(message: Any) -> None:
            heard.append(message)

        await listener.subscribe(place, cb=note)
        await arrived(listener)
        command = open_engagement(staff.org_id)
        await orchestrator.say(NAME, "open", command, key=f"{command.saga_id}.engagement", serx_reply_to=place)
        await orchestrator.hears(staff.org_id, 3)
        assert (await orchestrator.ask(NAME, "open", command, key=f"{command.saga_id}.engagement")).outcome == "done"
        assert heard == []


async def test_a_direct_message_cannot_have_the_receiver_acknowledge_a_message_of_a_stream(
    service: Service, orchestrator: Orchestrator, shared_broker: Broker, staff: Actor
):
    async with (
        await nats.connect(shared_broker.operator) as listener,
        await shared_broker.connection("proposals") as connection,
    ):
        heard: list[Any] = []

        async def note(message: Any) -> None:
            heard.append(message)

        ack = f"$JS.ACK.COMMANDS.{NAME}.1.999.999.1.0"
        await listener.subscribe(ack, cb=note)
        await arrived(listener)
        command = open_engagement(staff.org_id)
        subject = topology.direct_subject(NAME, "open")
        await connection.publish(
            subject, msgspec.json.encode(command), reply=ack, headers=headers("engagements.open.v1")
        )
        await arrived(connection)
        other = open_engagement(staff.org_id)
        reply = await orchestrator.ask(NAME, "open", other, key=f"{other.saga_id}.engagement", directly=True)
        assert reply.outcome == "done"
        assert heard == []


async def test_where_one_question_is_answered_does_not_tell_where_the_next_is(shared_broker: Broker):
    """Otherwise whoever is asked one thing could answer what another is asked."""
    places: list[str] = []

    async def answer(message: Any) -> None:
        places.append(message.reply)
        await message.respond(b"answer")

    async with shared_broker.bus("orders") as bus, await shared_broker.connection("identity") as owner:
        await owner.subscribe("ask.identity.*", cb=answer)
        await arrived(owner)
        for _ in range(20):
            assert await bus.ask("ask.identity.client", b"") == b"answer"
    below = {place.rpartition(".")[0] for place in places}
    tokens = {place.rpartition(".")[2] for place in places}
    assert below == {f"{topology.answers_prefix('orders')}.{below.copy().pop().rpartition('.')[2]}"}
    assert len(tokens) == len({token[:8] for token in tokens}) == len({token[-8:] for token in tokens}) == 20
    assert {len(token) for token in tokens} == {32}


async def test_a_question_that_nobody_hears_is_not_waited_for(shared_broker: Broker):
    async with shared_broker.bus("orders") as bus:
        with pytest.raises(BrokerAway, match="nobody hears"):
            await bus.ask("ask.proposals.template", b"", timeout_seconds=600)


@pytest.mark.parametrize("process", topology.PROCESSES)
async def test_nobody_acknowledges_an_event_in_the_streams_place(shared_broker: Broker, process: str):
    """Not even one who knows the inbox."""
    errors: list[str] = []

    async def note(error: Exception) -> None:
        errors.append(str(error))

    async with await shared_broker.connection(process, error_cb=note) as connection:
        for other in topology.PROCESSES:
            await connection.publish(f"{topology.acks_prefix(other)}.known.0", b'{"stream":"EVENTS","seq":1}')
        await until(lambda: len(errors) == len(topology.PROCESSES))
        assert all("permissions violation for publish" in each.lower() for each in errors)
