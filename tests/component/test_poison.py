"""Messages that nobody can handle, and those beside them, which wait for nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import nats
import nats.errors
import nats.js.errors
import pytest
import pytest_asyncio
from msgspec.structs import replace

from shared.contracts.reply import Reply
from shared.database import Database
from shared.ids import new_id
from shared.messaging.topology import EVENTS
from shared.web.actor import Actor
from tests.support import actors
from tests.support.commands import Orchestrator, client_state, open_engagement, orchestrating
from tests.support.databases import Databases, opened
from tests.support.interference import is_waiting_for_a_lock
from tests.support.servers import Broker, until
from tests.support.services import Service, running

NAME = "engagements"
GOOD = 30
MOST_ITEMS = 100
LARGEST_BODY = 1024 * 1024
LARGE_BYTES = 1_900_000
"""More than any body that the gateway takes (1 MiB), less than the broker's limit (2 MiB)."""


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


async def opens(orchestrator: Orchestrator, staff: Actor) -> Reply:
    """A good command, to its end."""
    command = open_engagement(staff.org_id)
    return await orchestrator.ask(NAME, "open", command, key=f"{command.saga_id}.engagement")


async def deliveries(database: Database, key: str) -> int:
    async with database.transaction_across_organisations() as tx:
        return await tx.value("select deliveries from parked_messages where key = $1", key)


async def test_good_messages_are_done_while_a_bad_one_is_still_between_its_deliveries(
    orchestrator: Orchestrator, database: Database, databases: Databases, dsn: str, staff: Actor
):
    client = client_state(staff.org_id)
    first = open_engagement(staff.org_id, client=client)
    assert (await orchestrator.ask(NAME, "open", first, key=f"{first.saga_id}.engagement")).outcome == "done"
    # Fails each time, after it has locked its client: the engagement is there, by another flow.
    bad = open_engagement(staff.org_id, client=client, engagement_id=first.engagement_id)
    key = f"{bad.saga_id}.engagement"
    async with database.transaction(staff.org_id) as tx:
        await tx.run("select from clients where id = $1 for update", client.id)
        await orchestrator.say(NAME, "open", bad, key=key)
        await until(lambda: is_waiting_for_a_lock(databases, dsn))
        done = await asyncio.gather(*(opens(orchestrator, staff) for _ in range(GOOD)))
        assert [reply.outcome for reply in done] == ["done"] * GOOD
        assert orchestrator.heard_so_far(key) == [], "the bad one is still being tried"
    (reply,) = await orchestrator.replies(key)
    assert msgspec.json.decode(reply, type=Reply).outcome == "parked"
    assert await deliveries(database, key) >= 3


async def test_good_messages_are_done_among_as_many_bad_ones(
    orchestrator: Orchestrator, database: Database, staff: Actor
):
    async def bad() -> str:
        command = open_engagement(staff.org_id, names=())
        return (await orchestrator.ask(NAME, "open", command, key=f"{command.saga_id}.engagement")).outcome

    async def good() -> str:
        return (await opens(orchestrator, staff)).outcome

    outcomes = await asyncio.gather(*(each() for _ in range(GOOD) for each in (bad, good)))
    assert outcomes == ["parked", "done"] * GOOD


async def test_a_message_of_almost_two_megabytes_that_is_no_command_is_parked_whole(
    orchestrator: Orchestrator, database: Database, staff: Actor
):
    body, key = b'"' + b"x" * LARGE_BYTES + b'"', f"{new_id()}.engagement"
    assert (await orchestrator.ask(NAME, "open", body, key=key)).outcome == "parked"
    async with database.transaction_across_organisations() as tx:
        assert await tx.value("select body from parked_messages where key = $1", key) == body
    assert (await opens(orchestrator, staff)).outcome == "done"


async def test_a_command_as_large_as_a_proposal_can_make_it_is_done(orchestrator: Orchestrator, staff: Actor):
    small = open_engagement(staff.org_id, names=tuple(f"Item {number}" for number in range(MOST_ITEMS)))
    projects = [replace(project, description="x" * (LARGEST_BODY // MOST_ITEMS)) for project in small.projects]
    command = replace(small, projects=projects)
    assert len(msgspec.json.encode(command)) > LARGEST_BODY
    assert (await orchestrator.ask(NAME, "open", command, key=f"{command.saga_id}.engagement")).outcome == "done"


async def test_what_the_broker_does_not_take_never_comes_between_a_service_and_its_messages(
    orchestrator: Orchestrator, staff: Actor
):
    with pytest.raises(nats.errors.MaxPayloadError):
        await orchestrator.say(NAME, "open", b"x" * (2 * 1024 * 1024 + 1), key=str(new_id()))
    assert (await opens(orchestrator, staff)).outcome == "done"


async def test_an_event_gets_into_a_stream_that_takes_its_id_for_seen(
    orchestrator: Orchestrator, shared_broker: Broker, staff: Actor
):
    """As a stream does after it could not write the message: its disk was full."""
    command = open_engagement(staff.org_id)
    async with await nats.connect(shared_broker.operator) as connection:
        streams = connection.jetstream()
        seen = {"Nats-Msg-Id": str(command.event_id)}
        await streams.publish(f"evt.{staff.org_id}.nothing.said", b"", headers=seen)
        assert (await orchestrator.ask(NAME, "open", command, key=f"{command.saga_id}.engagement")).outcome == "done"

        async def is_there() -> bool:
            try:
                message = await streams.get_last_msg(EVENTS, f"evt.{staff.org_id}.engagement.opened")
            except nats.js.errors.NotFoundError:
                return False
            return (message.headers or {})["ce-id"] == str(command.event_id)

        await until(is_there)
