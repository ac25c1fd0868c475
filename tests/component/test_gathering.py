"""Facts that come at the same time are kept in one transaction, and one that is no good takes no other with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import nats
import pytest
import pytest_asyncio

from shared.contracts.engagements import EngagementState, ProjectState
from shared.database import Database
from shared.ids import new_id
from shared.messaging import topology
from shared.messaging.gathering import newest
from tests.support.commands import Orchestrator, orchestrating, place_order
from tests.support.databases import Databases, opened
from tests.support.interference import is_waiting_for_a_lock
from tests.support.servers import Broker, until
from tests.support.services import running

PROJECTS_IN_CONVERSATIONS, ENGAGEMENTS_IN_ORDERS = ("conversations", "project"), ("orders", "engagement")
AT_ONCE = 4
"""Messages that the service handles at a time."""


class Copy:
    """A service's copy of what the engagement service has, in the test's hands."""

    def __init__(self, service: str, resource: str, database: Database, orchestrator: Orchestrator, dsn: str) -> None:
        self.service, self.resource, self.table = service, resource, f"{resource}s"
        self.database, self.orchestrator, self.dsn = database, orchestrator, dsn

    def fact(self, org: UUID, id: UUID | None = None, version: int = 1, client: UUID | None = None) -> Any:
        common = {"org_id": org, "id": id or new_id(), "version": version, "client_id": client or new_id(), "name": "N"}
        if self.resource == "project":
            return ProjectState(**common, engagement_id=new_id())
        return EngagementState(**common, proposal_id=None, status=1)

    async def tell(self, *facts: Any) -> None:
        for fact in facts:
            subject = topology.event_subject(fact.org_id, self.resource, "changed")
            await self.orchestrator.tell(subject, f"{self.resource}.changed.v1", fact)

    async def kept(self, org: UUID) -> dict[UUID, tuple[int, str]]:
        """The version of each row of the organisation, and the transaction that wrote it."""
        connection = await asyncpg.connect(self.dsn, server_settings={"app.org": str(org)})
        try:
            rows = await connection.fetch(f"select id, version, xmin::text from {self.table}")
        finally:
            await connection.close()
        return {UUID(int=row["id"].int): (row["version"], row["xmin"]) for row in rows}

    async def held(self, fact: Any) -> asyncpg.Connection:
        """Somebody else is writing that very row; ends with the connection."""
        somebody = await asyncpg.connect(self.dsn, server_settings={"app.org": str(fact.org_id)})
        engagement = ("engagement_id, name,", "$1, 'x',") if self.resource == "project" else ("", "")
        await somebody.execute("begin")
        await somebody.execute(
            f"insert into {self.table} (id, org_id, version, {engagement[0]} client_id) "
            f"values ($1, $2, 0, {engagement[1]} $1)",
            fact.id,
            fact.org_id,
        )
        return somebody


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="session",
    params=[PROJECTS_IN_CONVERSATIONS, ENGAGEMENTS_IN_ORDERS],
    ids=lambda param: param[0],
)
async def copy(request: pytest.FixtureRequest, databases: Databases, shared_broker: Broker) -> AsyncIterator[Copy]:
    service, resource = request.param
    async with (
        databases.fresh(service) as dsn,
        running(service, dsn, shared_broker, SERX_CONCURRENT_MESSAGES=str(AT_ONCE)),
        orchestrating(shared_broker) as orchestrator,
        opened(dsn) as database,
    ):
        yield Copy(service, resource, database, orchestrator, dsn)


async def has_been_given(broker: Broker, service: str, count: int) -> bool:
    """Whether the service was given so many events that it has not acked."""
    connection = await nats.connect(broker.operator)
    try:
        info = await connection.jetstream().consumer_info(topology.EVENTS, service)
        return (info.num_ack_pending or 0) == count
    finally:
        await connection.close()


async def gathered(copy: Copy, databases: Databases, broker: Broker, first: Any, *others: Any) -> None:
    """Tell `others` while `first` is being kept; returns when all is acked or parked."""
    somebody = await copy.held(first)
    await copy.tell(first)
    await until(lambda: is_waiting_for_a_lock(databases, copy.dsn))
    await copy.tell(*others)
    await until(lambda: has_been_given(broker, copy.service, 1 + len(others)))
    await somebody.execute("rollback")
    await somebody.close()
    await until(lambda: has_been_given(broker, copy.service, 0))


async def test_what_comes_meanwhile_is_kept_in_one_transaction(copy: Copy, databases: Databases, shared_broker: Broker):
    org = new_id()
    first, others = copy.fact(org), [copy.fact(org) for _ in range(5)]
    await gathered(copy, databases, shared_broker, first, *others)
    kept = await copy.kept(org)
    assert kept.keys() == {first.id, *(fact.id for fact in others)}
    together = {kept[fact.id][1] for fact in others}
    assert len(together) == 1
    assert kept[first.id][1] not in together


async def test_of_several_words_on_one_thing_the_newest_is_kept(
    copy: Copy, databases: Databases, shared_broker: Broker
):
    org, id = new_id(), new_id()
    words = [copy.fact(org, id, version) for version in (3, 5, 2, 4)]
    await gathered(copy, databases, shared_broker, copy.fact(org), *words)
    assert (await copy.kept(org))[id][0] == 5
    await gathered(copy, databases, shared_broker, copy.fact(org), copy.fact(org, id, 4), copy.fact(org))
    assert (await copy.kept(org))[id][0] == 5


async def test_organisations_are_kept_apart(copy: Copy, databases: Databases, shared_broker: Broker):
    org, other = new_id(), new_id()
    first, mine, theirs = copy.fact(org), copy.fact(org), copy.fact(other)
    somebody = await copy.held(first)
    await copy.tell(first)
    await until(lambda: is_waiting_for_a_lock(databases, copy.dsn))
    await copy.tell(mine, theirs)

    async def theirs_is_kept() -> bool:
        return theirs.id in await copy.kept(other)

    await until(theirs_is_kept)
    assert await copy.kept(org) == {}
    await somebody.close()

    async def all_is_kept() -> bool:
        return (await copy.kept(org)).keys() == {first.id, mine.id}

    await until(all_is_kept)
    assert (await copy.kept(other)).keys() == {theirs.id}


@pytest.mark.parametrize("copy", [ENGAGEMENTS_IN_ORDERS], indirect=True, ids=lambda param: param[0])
async def test_a_command_does_not_wait_for_facts_that_are_being_kept(
    copy: Copy, databases: Databases, shared_broker: Broker
):
    org = new_id()
    first, others = copy.fact(org), [copy.fact(org) for _ in range(AT_ONCE)]
    somebody = await copy.held(first)
    await copy.tell(first)
    await until(lambda: is_waiting_for_a_lock(databases, copy.dsn))
    await copy.tell(*others)
    await until(lambda: has_been_given(shared_broker, copy.service, 1 + AT_ONCE))
    command = place_order(new_id())
    reply = await copy.orchestrator.ask(copy.service, "place", command, key=f"{command.saga_id}.order")
    assert reply.outcome == "done"
    assert await copy.kept(org) == {}
    await somebody.close()
    await until(lambda: has_been_given(shared_broker, copy.service, 0))
    assert (await copy.kept(org)).keys() == {first.id, *(fact.id for fact in others)}


async def test_one_that_is_no_good_is_parked_and_the_others_are_kept(
    copy: Copy, databases: Databases, shared_broker: Broker
):
    """A version that no row can have: the statement of all of them fails, and each is then tried alone."""
    org = new_id()
    first, good, bad = copy.fact(org), [copy.fact(org) for _ in range(3)], copy.fact(org, version=2**40)
    await gathered(copy, databases, shared_broker, first, good[0], bad, *good[1:])
    assert (await copy.kept(org)).keys() == {first.id, *(fact.id for fact in good)}
    async with copy.database.transaction_across_organisations() as tx:
        parked = await tx.value(
            "select count(*) from parked_messages where convert_from(body, 'UTF8') like $1", f"%{bad.id}%"
        )
    assert parked == 1


def test_the_newest_word_on_each_thing_counts():
    org, id = new_id(), new_id()
    words = [
        ProjectState(org_id=org, id=thing, version=version, engagement_id=id, client_id=id, name=str(version))
        for thing, version in ((id, 2), (org, 1), (id, 3), (id, 1))
    ]
    assert sorted((fact.id == id, fact.version) for fact in newest(words)) == [(False, 1), (True, 3)]
