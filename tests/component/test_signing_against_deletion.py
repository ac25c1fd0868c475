"""A signature against the deletion of its client: one of the two wins, and each is told the true cause."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
import pytest_asyncio
from msgspec.structs import replace

from services.engagements.store import replicas as engagements
from services.orders.store import replicas as orders
from shared.contracts.identity import ClientState
from shared.web.actor import Actor
from tests.support.databases import Databases
from tests.support.house import House, spelled, standing
from tests.support.servers import Broker, until

ROUNDS = 30


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(databases: Databases, shared_broker: Broker, tmp_path_factory) -> AsyncIterator[House]:
    async with standing(databases, shared_broker, tmp_path_factory.mktemp("failpoints")) as built:
        yield built


async def deleted(house: House, staff: Actor, client: str) -> int:
    return (await house["identity"].call(staff, "DELETE", f"/api/clients/{client}")).status_code


async def count_of(house: House, staff: Actor, service: str, table: str, proposal: str) -> int:
    async with house.database(service).transaction(staff.org_id) as tx:
        query = f"select count(*) from {table} where proposal_id = $1::uuid and cancelled_at is null"
        return await tx.value(query, proposal)


async def test_of_a_signature_and_a_deletion_exactly_one_wins(house: House) -> None:
    staff, won = await house.agency(), {"signature": 0, "deletion": 0}
    for number in range(ROUNDS):
        client = await house.client(staff, f"{number}@roe.example")
        proposal = await house.sent(staff, f"{number}@roe.example")
        # Begun a little apart, so that each is overtaken by the other at every place.
        calls = [house.sign(staff, proposal), deleted(house, staff, client["id"])]
        if number % 2:
            calls.reverse()
        answers = await asyncio.gather(*calls)
        signed, deletion = reversed(answers) if number % 2 else answers
        told = (signed.status_code, deletion)
        assert told in ((200, 409), (409, 204)), (told, signed.text)
        if deletion == 204:
            assert "deleted" in signed.json()["detail"]
        expected = int(signed.status_code == 200)
        won["signature" if expected else "deletion"] += 1
        for service, table in (("engagements", "engagements"), ("orders", "orders")):
            assert await count_of(house, staff, service, table, proposal) == expected
    await house.quiet()
    assert spelled(await house.violations()) == []
    assert sum(won.values()) == ROUNDS


@pytest.mark.parametrize("is_deleted", [True, False])
@pytest.mark.parametrize("service", ["engagements", "orders"])
async def test_a_command_waits_while_its_client_is_about_to_be_deleted(
    house: House,
    service: str,
    is_deleted: bool,  # noqa: FBT001
) -> None:
    staff = await house.agency()
    client = await house.client(staff, "jane@roe.example")
    proposal = await house.sent(staff, "jane@roe.example")
    names = {name: client[name] for name in ("name_f", "name_l", "email")}
    known = ClientState(org_id=staff.org_id, id=UUID(client["id"]), version=1, **names)
    keep = {"engagements": engagements_keep, "orders": orders_keep}[service]
    await keep(house, replace(known, version=2, is_closed=True))
    signing = asyncio.create_task(house.sign(staff, proposal))
    other = ("orders", "orders") if service == "engagements" else ("engagements", "engagements")

    async def is_half_done() -> bool:
        return await count_of(house, staff, *other, proposal) == 1

    await until(is_half_done)
    report = await house.report(staff, proposal)
    assert report["status"] == "running"
    assert not signing.done()
    await keep(house, replace(known, version=3, is_closed=is_deleted, is_deleted=is_deleted))
    answer = await signing
    assert answer.status_code == (409 if is_deleted else 200), answer.text
    assert not is_deleted or "deleted" in answer.json()["detail"]


async def engagements_keep(house: House, client: ClientState) -> None:
    async with house.database("engagements").transaction(client.org_id) as tx:
        await engagements.keep_client(tx, client)


async def orders_keep(house: House, client: ClientState) -> None:
    async with house.database("orders").transaction(client.org_id) as tx:
        await orders.keep(tx, client)
