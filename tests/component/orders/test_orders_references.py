"""What orders refer to: told by events, asked of the owners on a miss; and clients that are closed."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import msgspec
import pytest
from msgspec.structs import replace

from services.orders.domain import references, writing
from shared import clock
from shared.contracts.identity import Billing
from shared.contracts.orders import BilledTo
from shared.database import Database
from shared.errors import RefersToNothing
from shared.ids import new_id
from shared.web.actor import Actor
from tests.component.orders.calls import made
from tests.component.orders.owners import Owners
from tests.support import actors
from tests.support.commands import Orchestrator, place_order
from tests.support.databases import Databases
from tests.support.interference import is_waiting_for_a_lock
from tests.support.servers import until
from tests.support.services import Service


async def attempt(service: Service, staff: Actor, **body: Any) -> tuple[int, list[str]]:
    answer = await service.call(staff, "POST", "/api/orders", json={"service": "x"} | body)
    return answer.status_code, list(answer.json().get("errors", {}))


async def is_known(database: Database, org: UUID, table: str, thing: UUID, version: int) -> bool:
    """Whether the replica has this version of it."""
    async with database.transaction(org) as tx:
        return bool(await tx.value(f"select true from {table} where id = $1 and version = $2", thing, version))


async def test_an_owner_is_asked_once_and_the_answer_is_kept(service: Service, owners: Owners, staff: Actor):
    client, ada, template = owners.client(staff.org_id), owners.user(staff.org_id), owners.template(staff.org_id)
    engagement = owners.engagement(staff.org_id, client.id)
    body = {
        "user_id": str(client.id),
        "employees": [str(ada.id)],
        "service_id": str(template.id),
        "engagement_id": str(engagement.id),
    }
    for _ in range(3):
        await made(service, owners, staff, **body)
    assert [owners.times_asked(thing.id) for thing in (client, ada, template, engagement)] == [1, 1, 1, 1]


async def test_what_an_event_told_of_is_not_asked(service: Service, owners: Owners, database: Database, staff: Actor):
    client, ada, template = owners.client(staff.org_id), owners.user(staff.org_id), owners.template(staff.org_id)
    engagement = owners.engagement(staff.org_id, client.id)
    for state, happened in ((client, None), (ada, None), (template, None), (engagement, "opened")):
        await owners.tell(state, happened)
    for table, state in (("clients", client), ("staff", ada), ("templates", template), ("engagements", engagement)):
        await until(lambda table=table, state=state: is_known(database, staff.org_id, table, state.id, 1))
    body = {"employees": [str(ada.id)], "service_id": str(template.id), "engagement_id": str(engagement.id)}
    order = await made(service, owners, staff, user_id=str(client.id), **body)
    assert [owners.times_asked(thing.id) for thing in (client, ada, template, engagement)] == [0, 0, 0, 0]
    await owners.tell(replace(client, version=2, name_f="Joan"))
    await owners.tell(replace(ada, version=2, name_l="Smith", is_enabled=False))
    await until(lambda: is_known(database, staff.org_id, "clients", client.id, 2))
    await until(lambda: is_known(database, staff.org_id, "staff", ada.id, 2))
    seen = (await service.call(staff, "GET", f"/api/orders/{order['id']}")).json()
    assert (seen["client"]["name"], seen["employees"][0]["name"]) == ("Joan Roe", "Ada Smith")


ADDRESS = {"line_1": "1 High Street", "line_2": None, "city": "Leeds", "state": None, "country": None, "postcode": None}
BILLED_TO = {
    "name": "Jane Roe",
    "email": "jane@roe.example",
    "company": "Roe Ltd",
    "tax_id": "GB 123",
    "address": ADDRESS,
}


async def test_an_order_is_billed_to_its_client_as_they_were_when_it_was_made(
    service: Service, owners: Owners, database: Database, staff: Actor
):
    client = owners.client(staff.org_id)
    order = await made(service, owners, staff, user_id=str(client.id))
    assert order["billed_to"] == BILLED_TO
    moved = Billing(tax_id="DE 9", address=None)
    renamed = replace(client, version=2, name_f="Joan", email="joan@roe.example", company=None, billing=moved)
    await owners.tell(renamed)
    await until(lambda: is_known(database, staff.org_id, "clients", client.id, 2))
    path = f"/api/orders/{order['id']}"
    seen = (await service.call(staff, "GET", path)).json()
    assert (seen["client"]["name"], seen["billed_to"]) == ("Joan Roe", BILLED_TO)
    other = owners.client(staff.org_id)
    changed = (await service.call(staff, "PUT", path, json={"user_id": str(other.id), "price": 7})).json()
    assert (changed["user_id"], changed["billed_to"]) == (str(other.id), BILLED_TO)
    answer = await service.call(staff, "PUT", path, json={"billed_to": BILLED_TO})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["billed_to"])
    later = await made(service, owners, staff, user_id=str(client.id))
    assert later["billed_to"] == {
        "name": "Joan Roe",
        "email": "joan@roe.example",
        "company": None,
        "tax_id": "DE 9",
        "address": None,
    }


async def test_identity_is_asked_where_the_copy_is_older_than_what_a_bill_needs(
    service: Service, owners: Owners, database: Database, staff: Actor
):
    client = owners.client(staff.org_id, version=3)
    await owners.tell(replace(client, billing=None))
    await until(lambda: is_known(database, staff.org_id, "clients", client.id, 3))
    for _ in range(2):
        order = await made(service, owners, staff, user_id=str(client.id))
        assert order["billed_to"] == BILLED_TO
    assert owners.times_asked(client.id) == 1


async def test_an_order_of_the_release_before_is_billed_to_its_client_as_they_are_known(
    service: Service, owners: Owners, database: Database, staff: Actor
):
    order, copy = await made(service, owners, staff), new_id()
    old = """
    insert into orders (id, org_id, number, client_id, status, price, currency, service, created_at, updated_at)
    select $2, org_id, 'OLDONE01', client_id, 0, 1, 'USD', 'x', now(), now() from orders where id = $1
    """
    async with database.transaction(staff.org_id) as tx:
        await tx.run(old, UUID(order["id"]), copy)
    assert (await service.call(staff, "GET", f"/api/orders/{copy}")).json()["billed_to"] == BILLED_TO


async def test_a_signed_order_is_billed_to_whom_the_command_names(
    service: Service, orchestrator: Orchestrator, owners: Owners, database: Database, staff: Actor
):
    named = BilledTo(name="R. Ltd", email="a@r.example", company=None, tax_id="FR 1", address=None)
    for given, expected in ((named, msgspec.to_builtins(named)), (None, BILLED_TO)):
        command = place_order(staff.org_id, billed_to=given)
        await orchestrator.ask("orders", "place", command, key=f"{command.saga_id}.order")
        path = f"/api/orders/{command.order_id}"
        assert (await service.call(staff, "GET", path)).json()["billed_to"] == expected
        await owners.tell(replace(command.client, version=2, name_f="Joan", billing=Billing()))
        client = command.client.id
        await until(lambda client=client: is_known(database, staff.org_id, "clients", client, 2))
        assert (await service.call(staff, "GET", path)).json()["billed_to"] == expected


async def test_a_late_event_does_not_undo_a_newer_one(database: Database, owners: Owners, staff: Actor):
    states = (
        owners.client(staff.org_id, version=3),
        owners.user(staff.org_id, version=3),
        owners.template(staff.org_id, version=3),
        owners.engagement(staff.org_id, new_id(), version=3),
    )
    tables = ("clients", "staff", "templates", "engagements")
    for state, table in zip(states, tables, strict=True):
        async with database.transaction(staff.org_id) as tx:
            await references.keep(tx, state)
            await references.keep(tx, replace(state, version=2))
        assert await is_known(database, staff.org_id, table, state.id, 3)


@pytest.mark.parametrize("field", ["user_id", "service_id", "engagement_id"])
async def test_what_its_owner_does_not_know_is_an_unknown_reference(
    service: Service, owners: Owners, staff: Actor, field: str
):
    client, nobody = owners.client(staff.org_id), new_id()
    for times in (1, 2):
        body = {"user_id": str(client.id)} | {field: str(nobody)}
        assert await attempt(service, staff, **body) == (422, [field])
        assert owners.times_asked(nobody) == times  # "not found" is never kept


async def test_another_organisations_things_are_unknown(service: Service, owners: Owners, staff: Actor):
    stranger = actors.admin()
    client = owners.client(staff.org_id)
    theirs = owners.client(stranger.org_id)
    order = await made(service, owners, stranger, user_id=str(theirs.id))
    foreign = {
        "user_id": order["user_id"],
        "service_id": str(owners.template(stranger.org_id).id),
        "engagement_id": str(owners.engagement(stranger.org_id, client.id).id),
    }
    for field, id in foreign.items():
        assert await attempt(service, staff, **{"user_id": str(client.id)} | {field: id}) == (422, [field])
    body = {"user_id": str(client.id), "employees": [str(owners.user(stranger.org_id).id)]}
    assert await attempt(service, staff, **body) == (422, ["employees.0"])


async def test_what_is_gone_is_an_unknown_reference(service: Service, owners: Owners, staff: Actor):
    client = owners.client(staff.org_id)
    gone = {
        "service_id": owners.template(staff.org_id, is_deleted=True).id,
        "engagement_id": owners.engagement(staff.org_id, client.id, is_cancelled=True).id,
    }
    for field, id in gone.items():
        assert await attempt(service, staff, **{"user_id": str(client.id), field: str(id)}) == (422, [field])
    left = owners.user(staff.org_id, is_enabled=False)
    ada = owners.user(staff.org_id)
    body = {"user_id": str(client.id), "employees": [str(ada.id), str(left.id)]}
    assert await attempt(service, staff, **body) == (422, ["employees.1"])
    for flag in ("is_closed", "is_deleted"):
        closed = owners.client(staff.org_id, **{flag: True})
        assert await attempt(service, staff, user_id=str(closed.id)) == (422, ["user_id"])
        refused = await service.call(staff, "POST", "/api/orders", json={"user_id": str(closed.id), "service": "S"})
        assert ("about to be deleted" in refused.json()["detail"]) == (flag == "is_closed")


async def test_an_order_refers_to_an_engagement_of_its_client_only(service: Service, owners: Owners, staff: Actor):
    client, other = owners.client(staff.org_id), owners.client(staff.org_id)
    own, others = owners.engagement(staff.org_id, client.id), owners.engagement(staff.org_id, other.id)
    refused = (422, ["engagement_id"])
    assert await attempt(service, staff, user_id=str(client.id), engagement_id=str(others.id)) == refused
    order = await made(service, owners, staff, user_id=str(client.id), engagement_id=str(own.id))
    for body in ({"engagement_id": str(others.id)}, {"user_id": str(other.id)}):
        answer = await service.call(staff, "PUT", f"/api/orders/{order['id']}", json=body)
        assert (answer.status_code, list(answer.json()["errors"])) == refused
    both = {"user_id": str(other.id), "engagement_id": str(others.id)}
    assert (await service.call(staff, "PUT", f"/api/orders/{order['id']}", json=both)).status_code == 200


async def test_what_stays_as_it_is_may_be_gone_meanwhile(
    service: Service, owners: Owners, database: Database, staff: Actor
):
    client, ada, template = owners.client(staff.org_id), owners.user(staff.org_id), owners.template(staff.org_id)
    body: dict[str, Any] = {
        "user_id": str(client.id),
        "service_id": str(template.id),
        "employees": [str(ada.id)],
    }
    order = await made(service, owners, staff, **body)
    async with database.transaction(staff.org_id) as tx:
        await references.keep(tx, replace(client, version=2, is_closed=True))
        await references.keep(tx, replace(ada, version=2, is_enabled=False))
        await references.keep(tx, replace(template, version=2, is_deleted=True))
    answer = await service.call(staff, "PUT", f"/api/orders/{order['id']}", json=body | {"note": "n"})
    assert (answer.status_code, answer.json()["employees"]) == (200, order["employees"])


@pytest.mark.parametrize(
    ("field", "question"),
    [
        ("user_id", "ask.identity.client"),
        ("employees", "ask.identity.user"),
        ("service_id", "ask.proposals.template"),
        ("engagement_id", "ask.engagements.engagement"),
    ],
)
async def test_while_an_owner_is_away_only_what_it_must_be_asked_waits(
    service: Service, owners: Owners, staff: Actor, field: str, question: str
):
    order = await made(service, owners, staff)
    owners.silent.add(question)
    body: dict[str, Any] = {"user_id": order["user_id"]} | {
        field: [str(new_id())] if field == "employees" else str(new_id())
    }
    answer = await service.call(staff, "POST", "/api/orders", json={"service": "x"} | body)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    await made(service, owners, staff, user_id=order["user_id"])
    # 404 comes first, and needs nobody.
    assert (await service.call(staff, "PUT", f"/api/orders/{new_id()}", json=body)).status_code == 404


async def test_closing_a_client_counts_their_orders_and_lets_no_more_in(
    service: Service, owners: Owners, orchestrator: Orchestrator, database: Database, staff: Actor
):
    client = owners.client(staff.org_id)
    orders = [await made(service, owners, staff, user_id=str(client.id), status=status) for status in (0, 3)]
    await made(service, owners, staff)
    closing = replace(client, version=2, is_closed=True)
    assert await owners.close(closing) == 2
    assert await attempt(service, staff, user_id=str(client.id)) == (422, ["user_id"])
    command = place_order(staff.org_id, client=client)
    placing = asyncio.create_task(orchestrator.ask("orders", "place", command, key=f"{command.saga_id}.order"))
    await service.call(staff, "DELETE", f"/api/orders/{orders[0]['id']}")
    assert await owners.close(closing) == 1
    assert not placing.done()
    async with database.transaction(staff.org_id) as tx:
        await references.keep(tx, replace(closing, version=3, is_deleted=True))
    assert (await placing).cause == "The client was deleted."


async def test_closing_does_not_count_what_an_undone_signature_left(
    owners: Owners, orchestrator: Orchestrator, database: Database, staff: Actor
):
    client = owners.client(staff.org_id)
    command = place_order(staff.org_id, client=client)
    await orchestrator.ask("orders", "place", command, key=f"{command.saga_id}.order")
    async with database.transaction(staff.org_id) as tx:
        await tx.run("update orders set cancelled_at = now()")
    assert await owners.close(replace(client, version=2, is_closed=True)) == 0


async def test_a_client_that_was_never_heard_of_is_closed_too(service: Service, owners: Owners, staff: Actor):
    client = owners.client(staff.org_id)
    assert await owners.close(replace(client, version=2, is_closed=True)) == 0
    assert await attempt(service, staff, user_id=str(client.id)) == (422, ["user_id"])
    assert owners.times_asked(client.id) == 0


async def test_a_client_that_is_opened_again_is_as_before_and_a_late_closing_changes_nothing(
    service: Service, owners: Owners, database: Database, staff: Actor
):
    client = owners.client(staff.org_id)
    await owners.close(replace(client, version=2, is_closed=True))
    await owners.tell(replace(client, version=3))
    await until(lambda: is_known(database, staff.org_id, "clients", client.id, 3))
    await made(service, owners, staff, user_id=str(client.id))
    assert await owners.close(replace(client, version=2, is_closed=True)) == 1
    await made(service, owners, staff, user_id=str(client.id))


async def test_closing_waits_for_an_order_that_is_under_way_and_counts_it(
    service: Service, owners: Owners, database: Database, databases: Databases, dsn: str, staff: Actor
):
    client = owners.client(staff.org_id)
    async with database.transaction(staff.org_id) as tx:
        await references.keep(tx, client)
    async with database.transaction(staff.org_id) as tx:
        await writing.create(tx, staff, client.id, writing.OrderFields(service="x"), clock.now())
        closing = asyncio.create_task(owners.close(replace(client, version=2, is_closed=True)))
        await until(lambda: is_waiting_for_a_lock(databases, dsn))
    assert await closing == 1


async def test_an_order_waits_for_a_closing_that_is_under_way_and_is_refused(
    service: Service, owners: Owners, database: Database, databases: Databases, dsn: str, staff: Actor
):
    client = owners.client(staff.org_id)
    await made(service, owners, staff, user_id=str(client.id))
    async with database.transaction(staff.org_id) as tx:
        await tx.run("update clients set is_closed = true, version = 2 where id = $1", client.id)
        late = asyncio.create_task(attempt(service, staff, user_id=str(client.id)))
        await until(lambda: is_waiting_for_a_lock(databases, dsn))
    assert await late == (422, ["user_id"])


async def test_closing_touches_no_other_organisation(service: Service, owners: Owners, staff: Actor):
    order = await made(service, owners, staff)
    stranger = actors.admin()
    foreign = owners.client(stranger.org_id)
    assert await owners.close(replace(foreign, version=9, is_closed=True)) == 0
    await made(service, owners, staff, user_id=order["user_id"])


async def test_a_use_case_refuses_a_client_that_is_not_there(database: Database, staff: Actor):
    async with database.transaction(staff.org_id) as tx:
        with pytest.raises(RefersToNothing):
            await writing.create(tx, staff, new_id(), writing.OrderFields(service="x"), clock.now())
