"""`serx replicas rebuild`: copies that are wrong, missing or unknown are made equal to the truth; events are heeded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from importlib import import_module
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from deploy.operators.replicas import REPLICAS, Rebuilt, Replica, rebuild
from deploy.operators.site import Site
from shared.contracts.identity import ClientState
from shared.ids import new_id
from shared.messaging import topology
from tests.support.commands import Orchestrator, client_state, orchestrating
from tests.support.databases import Databases
from tests.support.interference import is_waiting_for_a_lock
from tests.support.servers import Broker, until
from tests.support.services import Service


def replica(service: str, name: str) -> Replica:
    return next(each for each in REPLICAS if (each.service, each.name) == (service, name))


@pytest_asyncio.fixture(loop_scope="session")
async def orchestrator(orders: Service, shared_broker: Broker) -> AsyncIterator[Orchestrator]:
    async with orchestrating(shared_broker) as player:
        yield player


class Owner:
    """Identity's rows, written by the test as the owner of the truth."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.org = new_id()

    async def found(self) -> None:
        sql = "insert into organisations (org_id, name, created_at, updated_at) values ($1, 'Agency', now(), now())"
        await self._run(sql, self.org)

    async def has(self, client: ClientState) -> None:
        sql = """
            insert into clients (org_id, id, version, name_f, name_l, email, company, stage, created_at, updated_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8, now(), now())
            on conflict (org_id, id) do update set version = excluded.version, name_f = excluded.name_f
        """
        stage = "deleted" if client.is_deleted else "open"
        fields = (client.org_id, client.id, client.version, client.name_f, client.name_l, client.email)
        await self._run(sql, *fields, client.company, stage)

    async def _run(self, sql: str, *arguments: Any) -> None:
        async with self._site.database("identity") as database, database.transaction(self.org) as tx:
            await tx.run(sql, *arguments)


@pytest_asyncio.fixture(loop_scope="session")
async def owner(site: Site) -> Owner:
    identity = Owner(site)
    await identity.found()
    return identity


def a_client(owner: Owner, **changes: Any) -> ClientState:
    return client_state(owner.org, **{"email": f"{new_id()}@roe.example", **changes})


async def kept(site: Site, service: str, org: UUID, table: str = "clients") -> dict[UUID, dict[str, Any]]:
    """The copies of an organisation, by id."""
    async with site.database(service) as database, database.transaction(org) as tx:
        rows = await tx.value(f"select coalesce(jsonb_agg(row_to_json(t)), '[]') from {table} t")
    return {UUID(row["id"]): row for row in rows}


async def write(site: Site, service: str, org: UUID, sql: str, *arguments: Any) -> None:
    async with site.database(service) as database, database.transaction(org) as tx:
        await tx.run(sql, *arguments)


async def rebuilt(site: Site, service: str = "orders", name: str = "clients", **options: bool) -> Rebuilt:
    return await rebuild(site, replica(service, name), **options)


async def test_copies_that_are_missing_or_wrong_are_equal_to_the_truth_again(site: Site, owner: Owner):
    clients = [a_client(owner, version=version, is_deleted=version == 4) for version in (1, 2, 3, 4)]
    for client in clients:
        await owner.has(client)
    assert (await rebuilt(site)).mended >= len(clients)
    truth = await kept(site, "orders", owner.org)
    assert {row["version"] for row in truth.values()} == {1, 2, 3, 4}
    assert truth[clients[3].id]["is_deleted"]
    missing, same_version, ahead, behind = (client.id for client in clients)
    await write(site, "orders", owner.org, "delete from clients where id = $1", missing)
    await write(site, "orders", owner.org, "update clients set email = 'wrong' where id = $1", same_version)
    await write(site, "orders", owner.org, "update clients set version = 99, name_f = 'Wrong' where id = $1", ahead)
    await write(site, "orders", owner.org, "update clients set version = 1, is_deleted = false where id = $1", behind)
    assert (await rebuilt(site)).mended == 4
    assert await kept(site, "orders", owner.org) == truth
    assert (await rebuilt(site)).mended == 0


async def test_every_copy_of_an_emptied_table_comes_back_in_each_service(site: Site, owner: Owner):
    clients = [a_client(owner) for _ in range(3)]
    for client in clients:
        await owner.has(client)
    for service, table in (("proposals", "clients"), ("engagements", "clients"), ("conversations", "senders")):
        await write(site, service, owner.org, f"delete from {table}")
        await rebuilt(site, service, table)
        copies = await kept(site, service, owner.org, table)
        assert set(copies) == {client.id for client in clients}
        assert {row["email"] for row in copies.values()} == {client.email for client in clients}


async def test_late_events_change_nothing_and_newer_ones_are_heard(
    site: Site, owner: Owner, orchestrator: Orchestrator
):
    client = a_client(owner, version=3, name_f="Third")
    await owner.has(client)
    await rebuilt(site)
    for version, name in ((2, "Second"), (4, "Fourth")):
        told = client_state(owner.org, id=client.id, version=version, name_f=name, email=client.email)
        subject = topology.event_subject(owner.org, "client", "changed")
        await orchestrator.tell(subject, "client.changed.v1", told)

    async def is_fourth() -> bool:
        return (await kept(site, "orders", owner.org))[client.id]["name_f"] == "Fourth"

    await until(is_fourth)
    assert (await kept(site, "orders", owner.org))[client.id]["version"] == 4


async def test_what_an_event_tells_while_a_copy_is_made_anew_stays(
    site: Site, owner: Owner, databases: Databases, dsns: dict[str, str]
):
    client = a_client(owner, version=3)
    await owner.has(client)
    await rebuilt(site)
    await write(site, "orders", owner.org, "update clients set name_f = 'Wrong'")
    hearing = await asyncpg.connect(dsns["orders"])
    try:
        async with hearing.transaction():
            await hearing.execute("set local app.across = 'on'")
            await hearing.execute("update clients set version = 4, name_f = 'Newer' where id = $1", client.id)
            rebuilding = asyncio.create_task(rebuilt(site))
            await until(lambda: is_waiting_for_a_lock(databases, dsns["orders"]))
    finally:
        await hearing.close()
    await rebuilding
    assert (await kept(site, "orders", owner.org))[client.id]["name_f"] == "Newer"


async def test_copies_of_what_no_owner_knows_are_counted_and_taken_out_only_when_asked(site: Site, owner: Owner):
    ghost = new_id()
    sql = "insert into clients (id, org_id, version, name_f, name_l, email) values ($1, $2, 1, 'No', 'Body', 'n@b')"
    await write(site, "orders", owner.org, sql, ghost, owner.org)
    assert (await rebuilt(site)).unknown == 1
    assert ghost in await kept(site, "orders", owner.org)
    done = await rebuilt(site, remove_unknown=True)
    assert (done.unknown, done.removed) == (1, 1)
    assert await kept(site, "orders", owner.org) == {}


@pytest.mark.parametrize("chosen", REPLICAS, ids=lambda each: f"{each.service}-{each.name}")
async def test_every_replica_can_be_made_anew(site: Site, chosen: Replica):
    done = await rebuild(site, chosen)
    assert (done.service, done.replica) == (chosen.service, chosen.name)
    assert (await rebuild(site, chosen)).mended == 0


@pytest.mark.parametrize("service", ["proposals", "engagements", "orders", "conversations"])
def test_there_is_a_rebuild_for_everything_that_a_service_hears_of(service: str):
    """Whoever consumes events of a resource keeps copies of it: none may be forgotten."""
    filters = import_module(f"services.{service}.messages").FILTERS[topology.EVENTS]
    heard = {subject.split(".")[2] + "s" for subject in filters}
    assert {source.of for each in REPLICAS if each.service == service for source in each.sources} == heard
