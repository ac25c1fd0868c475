"""Signatures that come at the same time are begun and completed together, and each stays its own organisation's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest_asyncio

from shared.web.actor import Actor
from shared.web.idempotency import REPLAYED
from tests.support import actors
from tests.support.builders import sent_proposal
from tests.support.databases import Databases
from tests.support.interference import is_waiting_for_a_lock
from tests.support.neighbours import Neighbours
from tests.support.servers import Broker, until
from tests.support.services import Service, running


@pytest_asyncio.fixture(loop_scope="session")
async def dsn(databases: Databases) -> AsyncIterator[str]:
    async with databases.fresh("proposals") as fresh:
        yield fresh


@pytest_asyncio.fixture(loop_scope="session")
async def service(dsn: str, shared_broker: Broker) -> AsyncIterator[Service]:
    async with running("proposals", dsn, shared_broker) as running_service:
        yield running_service


@pytest_asyncio.fixture(loop_scope="session")
async def admin(databases: Databases, dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """Past row-level security."""
    connection = await asyncpg.connect(databases.as_administrator(dsn))
    yield connection
    await connection.close()


@asynccontextmanager
async def held(admin: asyncpg.Connection, proposal: str) -> AsyncIterator[None]:
    """Somebody else has the proposal for themselves."""
    async with admin.transaction():
        await admin.execute("select from proposals where id = $1::uuid for update", proposal)
        yield


def sign(service: Service, actor: Actor, proposal: str, **headers: str) -> Awaitable[Any]:
    return service.call(actor, "POST", f"/api/proposals/{proposal}/sign", headers=headers)


async def begun_by(admin: asyncpg.Connection, proposals: list[str]) -> set[str]:
    """The transactions that wrote their signatures, which nothing writes again."""
    rows = await admin.fetch(
        "select xmin::text as wrote from signatures where proposal_id = any($1::text[]::uuid[])", proposals
    )
    return {row["wrote"] for row in rows}


async def test_of_two_organisations_together_each_signs_its_own(
    service: Service, neighbours: Neighbours, databases: Databases, dsn: str, admin: asyncpg.Connection
):
    mine, theirs = actors.admin(), actors.admin()
    first = await sent_proposal(service, mine)
    own = [await sent_proposal(service, staff) for staff in (mine, theirs, mine, theirs)]
    async with held(admin, first):
        waiting = asyncio.ensure_future(sign(service, mine, first))
        await until(lambda: is_waiting_for_a_lock(databases, dsn))
        signed = [sign(service, staff, proposal) for staff, proposal in zip((mine, theirs) * 2, own, strict=True)]
        answers = await asyncio.gather(sign(service, theirs, first), *signed, sign(service, mine, own[1]))
        # Whoever stands before a lock is not waited for.
        assert not waiting.done()
    assert [answer.status_code for answer in answers] == [404, 200, 200, 200, 200, 404]
    assert [answer.json()["proposal"]["id"] for answer in answers[1:-1]] == own
    assert (await waiting).json()["proposal"]["id"] == first
    assert len(await begun_by(admin, own)) == 1
    for command in ("engagements.open", "orders.place"):
        asked = {(each["org_id"], each["proposal_id"]) for each in neighbours.commands(command)}
        whose = zip((mine, theirs) * 2, own, strict=True)
        assert asked == {(str(staff.org_id), proposal) for staff, proposal in [*whose, (mine, first)]}


async def test_one_proposal_that_many_sign_together_is_signed_once(
    service: Service, neighbours: Neighbours, databases: Databases, dsn: str, admin: asyncpg.Connection
):
    staff = actors.admin()
    first, wanted, other = [await sent_proposal(service, staff) for _ in range(3)]
    async with held(admin, first):
        waiting = asyncio.ensure_future(sign(service, staff, first))
        await until(lambda: is_waiting_for_a_lock(databases, dsn))
        answers = await asyncio.gather(*(sign(service, staff, each) for each in (wanted, wanted, other, wanted)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 409, 409]
    assert answers[2].status_code == 200
    assert len(await begun_by(admin, [wanted, other])) == 1
    assert (await waiting).status_code == 200
    assert len(neighbours.commands("engagements.open")) == 3


async def test_a_key_that_is_used_twice_together_signs_once_and_stops_nobody_else(
    service: Service, neighbours: Neighbours, databases: Databases, dsn: str, admin: asyncpg.Connection
):
    """The second gets the first one's answer, or a 409 while that is still on its way; nobody else waits for it."""
    staff = actors.admin()
    first, one, other = [await sent_proposal(service, staff) for _ in range(3)]
    async with held(admin, first):
        waiting = asyncio.ensure_future(sign(service, staff, first))
        await until(lambda: is_waiting_for_a_lock(databases, dsn))
        keyed = [sign(service, staff, one, **{"idempotency-key": "k"}) for _ in range(2)]
        answers = await asyncio.gather(*keyed, sign(service, staff, other))
    assert answers[2].status_code == 200
    first_answer, second = sorted(answers[:2], key=lambda answer: (answer.status_code, REPLAYED in answer.headers))
    assert (first_answer.status_code, REPLAYED in first_answer.headers) == (200, False)
    if second.status_code == 409:
        assert "still running" in second.json()["detail"]
    else:
        assert (second.status_code, second.headers[REPLAYED], second.content) == (200, "true", first_answer.content)
    assert (await waiting).status_code == 200
    assert await admin.fetchval("select count(*) from sagas") == 3
