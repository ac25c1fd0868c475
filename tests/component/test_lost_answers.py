"""The database commits, and its answer never comes: of T1 and of T3, the sign flow's deciding writes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest_asyncio

from deploy.proof.relay import Relay
from tests.support import actors
from tests.support.builders import sent_proposal
from tests.support.databases import Databases
from tests.support.neighbours import Neighbours, is_silent, places, played
from tests.support.servers import Broker, until
from tests.support.services import Service, running


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
    async with running("proposals", behind, shared_broker) as running_service:
        yield running_service


@pytest_asyncio.fixture(loop_scope="session")
async def neighbours(service: Service, shared_broker: Broker) -> AsyncIterator[Neighbours]:
    async with played(shared_broker) as players:
        yield players


async def sagas(databases: Databases, dsn: str) -> list[str]:
    """The statuses of all runs, past the relay and past row-level security."""
    admin = await asyncpg.connect(f"{databases.admin_dsn.rpartition('/')[0]}/{dsn.rpartition('/')[2]}")
    try:
        return [row["status"] for row in await admin.fetch("select status from sagas")]
    finally:
        await admin.close()


async def is_signed_once(service: Service, staff: Any, proposal: str, neighbours: Neighbours) -> None:
    assert (await service.call(staff, "GET", f"/api/proposals/{proposal}")).json()["status"] == "Signed"
    assert len({command["saga_id"] for command in neighbours.commands("orders.place")}) == 1


async def test_t1_is_found_again_when_its_answer_was_lost(
    service: Service, neighbours: Neighbours, relay: Relay, databases: Databases, dsn: str
):
    staff = actors.admin()
    proposal = await sent_proposal(service, staff)
    assert (await service.call(staff, "GET", f"/api/proposals/{proposal}/sign")).status_code == 404
    # The proposal is looked at before T1; only what is said from T1 on is to be lost.
    neighbours.answers["orders.place"] = is_silent
    lost = asyncio.create_task(_lose_answers_until(relay, lambda: sagas(databases, dsn)))
    signing = asyncio.create_task(_insist(service, staff, proposal))
    await lost
    assert await sagas(databases, dsn) == ["running"]
    neighbours.answers["orders.place"] = places
    relay.weather.swallows_answers = False
    relay.reset()
    assert await signing in (200, 409)

    async def is_completed() -> bool:
        return await sagas(databases, dsn) == ["completed"]

    await until(is_completed)
    await is_signed_once(service, staff, proposal, neighbours)


async def test_t3_is_found_done_when_its_answer_was_lost(
    service: Service, neighbours: Neighbours, relay: Relay, databases: Databases, dsn: str
):
    staff = actors.admin()
    proposal = await sent_proposal(service, staff)
    neighbours.answers["orders.place"] = is_silent
    signing = asyncio.create_task(_insist(service, staff, proposal))
    await neighbours.hears("orders.place")
    neighbours.answers["orders.place"] = places
    await neighbours.hears("orders.place", times=2)

    async def is_completed() -> bool:
        relay.weather.swallows_answers = True
        return await sagas(databases, dsn) == ["completed"]

    await until(is_completed)
    relay.weather.swallows_answers = False
    relay.reset()
    assert await signing == 200
    await is_signed_once(service, staff, proposal, neighbours)
