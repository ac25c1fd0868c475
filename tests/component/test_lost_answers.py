"""The connection to the database breaks at T1 and at T3, the sign flow's deciding writes, and nobody can tell when.

Either the database has committed and its answer never comes, or it has never heard of the write.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import pytest_asyncio

from deploy.proof.relay import Relay
from services.proposals.store import signing as store
from shared.database import Database
from shared.ids import new_id
from shared.web.actor import Actor
from tests.support import actors
from tests.support.builders import sent_proposal
from tests.support.databases import Databases
from tests.support.interference import away
from tests.support.neighbours import Neighbours, is_silent, places
from tests.support.servers import Broker, until
from tests.support.services import Service, running

POOL_SIZE = 3


@pytest_asyncio.fixture(loop_scope="session")
async def dsn(databases: Databases) -> AsyncIterator[str]:
    async with databases.fresh("proposals") as fresh:
        yield fresh


@pytest_asyncio.fixture(loop_scope="session")
async def relay(dsn: str) -> AsyncIterator[Relay]:
    """Between the service and its database."""
    there = Relay([urlsplit(dsn).port or 5432], random.Random(0))
    await there.open()
    yield there
    await there.close()


@pytest_asyncio.fixture(loop_scope="session")
async def service(dsn: str, relay: Relay, shared_broker: Broker) -> AsyncIterator[Service]:
    behind = dsn.replace(f":{urlsplit(dsn).port}/", f":{relay.port}/")
    async with running("proposals", behind, shared_broker, SERX_DATABASE_POOL_SIZE=str(POOL_SIZE)) as running_service:
        yield running_service


async def has_become(databases: Databases, dsn: str, proposal: str, status: str) -> bool:
    """Whether the proposal has one run, with that status; past the relay and past row-level security."""
    admin = await asyncpg.connect(databases.as_administrator(dsn))
    try:
        rows = await admin.fetch("select status from sagas where proposal_id = $1::uuid", proposal)
        return [row["status"] for row in rows] == [status]
    finally:
        await admin.close()


@asynccontextmanager
async def lost_answers(relay: Relay) -> AsyncIterator[None]:
    """The database hears, does what it is told, and nobody hears of it; at the end the connections break."""
    relay.weather.swallows_answers = True
    try:
        yield
    finally:
        relay.weather.swallows_answers = False
        relay.reset()


async def sent(service: Service, staff: Actor, neighbours: Neighbours) -> str:
    """A proposal that can be signed, while nothing is left to be prepared on any connection."""
    await service.call(staff, "POST", f"/api/proposals/{await sent_proposal(service, staff)}/sign")
    await _prepare(service.app.state.database, store.BEGIN, store.COMPLETE)
    neighbours.heard.clear()
    return await sent_proposal(service, staff)


async def _prepare(database: Database, *statements: str) -> None:
    """Run each statement on every connection, for a proposal that there is not."""
    for sql in statements:
        count = max(int(number) for number in re.findall(r"\$(\d+)", sql))
        async with AsyncExitStack() as stack:
            for connection in [await stack.enter_async_context(database.single()) for _ in range(POOL_SIZE)]:
                assert await connection.value(sql, new_id(), new_id(), *[None] * (count - 2)) is None


async def is_signed_once(service: Service, staff: Actor, proposal: str, neighbours: Neighbours) -> None:
    assert (await service.call(staff, "GET", f"/api/proposals/{proposal}")).json()["status"] == "Signed"
    assert len({command["saga_id"] for command in neighbours.commands("orders.place")}) == 1


async def test_t1_is_found_again_when_its_answer_was_lost(
    service: Service, neighbours: Neighbours, relay: Relay, databases: Databases, dsn: str
):
    staff = actors.admin()
    proposal = await sent(service, staff, neighbours)
    async with lost_answers(relay):
        signing = asyncio.create_task(service.call(staff, "POST", f"/api/proposals/{proposal}/sign"))
        await until(lambda: has_become(databases, dsn, proposal, "running"))
        assert neighbours.heard == []  # it does not know yet, so nothing has been sent
    assert (await signing).status_code == 200
    assert await has_become(databases, dsn, proposal, "completed")
    await is_signed_once(service, staff, proposal, neighbours)


async def test_t1_is_said_again_when_it_was_never_heard(
    service: Service, neighbours: Neighbours, relay: Relay, databases: Databases, dsn: str
):
    staff = actors.admin()
    proposal = await sent(service, staff, neighbours)
    relay.weather.cuts_off_at = UUID(proposal).bytes  # as T1 names it
    assert (await service.call(staff, "POST", f"/api/proposals/{proposal}/sign")).status_code == 200
    assert relay.weather.cuts_off_at == b""  # it was cut off
    assert await has_become(databases, dsn, proposal, "completed")
    await is_signed_once(service, staff, proposal, neighbours)


async def test_t1_whose_answer_was_lost_goes_on_by_itself_though_the_database_stayed_away_too_long_to_tell(
    service: Service, neighbours: Neighbours, relay: Relay, databases: Databases, dsn: str
):
    staff = actors.admin()
    proposal = await sent(service, staff, neighbours)
    relay.weather.swallows_answers = True
    signing = asyncio.create_task(service.call(staff, "POST", f"/api/proposals/{proposal}/sign"))
    await until(lambda: has_become(databases, dsn, proposal, "running"))
    async with away(databases, dsn):
        relay.weather.swallows_answers = False
        relay.reset()
        answer = await signing
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
        assert neighbours.heard == []
    await until(lambda: has_become(databases, dsn, proposal, "completed"))
    await is_signed_once(service, staff, proposal, neighbours)
    report = (await service.call(staff, "GET", f"/api/proposals/{proposal}/sign")).json()
    assert (report["status"], {step["status"] for step in report["steps"]}) == ("completed", {"done"})
    assert (await service.call(staff, "POST", f"/api/proposals/{proposal}/sign")).status_code == 409


async def test_t3_is_found_done_when_its_answer_was_lost(
    service: Service, neighbours: Neighbours, relay: Relay, databases: Databases, dsn: str
):
    staff = actors.admin()
    proposal = await sent(service, staff, neighbours)
    neighbours.answers["orders.place"] = is_silent
    signing = asyncio.create_task(service.call(staff, "POST", f"/api/proposals/{proposal}/sign"))
    await neighbours.hears("orders.place")
    _, command, headers = next(each for each in neighbours.heard if each[0] == "orders.place")
    async with lost_answers(relay):
        await neighbours.answer(headers, places(command))
        await until(lambda: has_become(databases, dsn, proposal, "completed"))
    assert (await signing).status_code == 200
    await is_signed_once(service, staff, proposal, neighbours)


async def test_t3_is_said_again_by_the_sweep_when_it_was_never_heard(
    service: Service, neighbours: Neighbours, relay: Relay, databases: Databases, dsn: str
):
    staff = actors.admin()
    proposal = await sent(service, staff, neighbours)
    neighbours.answers["orders.place"] = is_silent
    signing = asyncio.create_task(service.call(staff, "POST", f"/api/proposals/{proposal}/sign"))
    await neighbours.hears("orders.place")
    opened = neighbours.commands("engagements.open")[0]
    relay.weather.cuts_off_at = UUID(opened["engagement_id"]).bytes  # only T3 names it
    _, command, headers = next(each for each in neighbours.heard if each[0] == "orders.place")
    neighbours.answers["orders.place"] = places
    await neighbours.answer(headers, places(command))
    assert (await signing).status_code == 200
    assert relay.weather.cuts_off_at == b""  # it was cut off
    assert await has_become(databases, dsn, proposal, "completed")
    await is_signed_once(service, staff, proposal, neighbours)
