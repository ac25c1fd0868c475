"""The order service; the test plays the orchestrator, who says commands and hears their replies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest
import pytest_asyncio
from msgspec.structs import replace

from services.orders.domain import placing
from shared import clock
from shared.contracts.identity import ClientState
from shared.contracts.orders import OrderPlaced, PlaceOrder
from shared.contracts.reply import CANCELLED, Reply
from shared.database import Database
from shared.ids import new_id
from shared.messaging import topology
from shared.messaging.consumer import Delivery
from shared.web.actor import UNTRUSTED, Actor
from tests.support import actors
from tests.support.commands import Orchestrator, cancel_order, client_state, orchestrating, place_order
from tests.support.databases import Databases, opened
from tests.support.interference import away, has_delivered_again, is_waiting_for_a_lock
from tests.support.servers import Broker, until
from tests.support.services import Service, running

NAME = "orders"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def dsn(databases: Databases) -> AsyncIterator[str]:
    async with databases.fresh(NAME) as fresh:
        yield fresh


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(dsn: str, shared_broker: Broker) -> AsyncIterator[Service]:
    async with running(NAME, dsn, shared_broker) as running_service:
        yield running_service


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def orchestrator(service: Service, shared_broker: Broker) -> AsyncIterator[Orchestrator]:
    async with orchestrating(shared_broker) as player:
        yield player


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def database(dsn: str) -> AsyncIterator[Database]:
    """The service's database as the service's role has it, for the test's own hands."""
    async with opened(dsn) as there:
        yield there


@pytest.fixture
def staff() -> Actor:
    """An administrator of an organisation that nobody has used."""
    return actors.admin()


def key_of(command: PlaceOrder) -> str:
    return f"{command.saga_id}.order"


async def places(orchestrator: Orchestrator, command: PlaceOrder) -> Reply:
    return await orchestrator.ask(NAME, "place", command, key=key_of(command))


async def cancels(orchestrator: Orchestrator, command: PlaceOrder) -> Reply:
    return await orchestrator.ask(NAME, "cancel", cancel_order(command), key=f"{key_of(command)}.cancel")


def carried(reply: Reply) -> dict[str, Any]:
    """The order in the reply."""
    assert reply.outcome == "done", reply
    return msgspec.json.decode(msgspec.json.decode(reply.result, type=OrderPlaced).order)


async def counted(database: Database, org: UUID) -> tuple[int, int]:
    """How many orders, cancelled ones included, and clients the organisation has."""
    async with database.transaction(org) as tx:
        return await tx.value("select count(*) from orders"), await tx.value("select count(*) from clients")


async def listed(service: Service, actor: Actor, query: str = "") -> list[str]:
    answer = await service.call(actor, "GET", f"/api/orders?limit=100{query}")
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["data"]]


async def test_one_command_makes_the_order(
    service: Service, orchestrator: Orchestrator, database: Database, staff: Actor
):
    command = place_order(staff.org_id, service_id=new_id())
    await places(orchestrator, command)
    order = (await service.call(staff, "GET", f"/api/orders/{command.order_id}")).json()
    assert (order["status"], order["status_id"], order["price"]) == ("Unpaid", 0, "9700.50")
    assert (order["currency"], order["quantity"]) == ("USD", 1)
    assert (order["service"], order["service_id"]) == ("Website Redesign", str(command.service_id))
    assert order["engagement_id"] == str(command.engagement_id)
    assert order["user_id"] == order["client"]["id"] == str(command.client.id)
    assert (order["client"]["name"], order["client"]["company"]) == ("Jane Roe", "Roe Ltd")
    assert (order["form_data"], order["tags"], order["employees"], order["note"]) == ({}, [], [], None)
    assert await counted(database, staff.org_id) == (1, 1)


async def test_the_number_is_eight_letters_or_digits(orchestrator: Orchestrator, staff: Actor):
    number = carried(await places(orchestrator, place_order(staff.org_id)))["number"]
    assert len(number) == 8
    assert number.isascii()
    assert number.isalnum()
    assert number == number.upper()


async def test_reads_answer_exactly_what_the_reply_carried(service: Service, orchestrator: Orchestrator, staff: Actor):
    command = place_order(staff.org_id, service_id=new_id(), price=Decimal("0.10"), currency="EUR")
    order = carried(await places(orchestrator, command))
    assert (await service.call(staff, "GET", f"/api/orders/{command.order_id}")).json() == order
    assert (await service.call(staff, "GET", "/api/orders")).json()["data"] == [order]


async def test_the_metadata_is_kept_as_the_command_has_it(service: Service, orchestrator: Orchestrator, staff: Actor):
    command = place_order(staff.org_id)
    await places(orchestrator, command)
    order = (await service.call(staff, "GET", f"/api/orders/{command.order_id}")).json()
    assert order["metadata"] == msgspec.json.decode(command.metadata)
    assert list(order["metadata"]) == ["proposal_id", "engagement_id", "proposal_items"]


async def test_a_duplicate_gets_the_stored_reply_byte_for_byte(
    orchestrator: Orchestrator, database: Database, staff: Actor
):
    command = place_order(staff.org_id)
    for copy in (command, command, replace(command, order_id=new_id(), price=Decimal(1))):
        await places(orchestrator, copy)
    first, second, third = await orchestrator.replies(key_of(command), 3)
    assert first == second == third
    assert await counted(database, staff.org_id) == (1, 1)


async def test_twenty_concurrent_duplicates_make_one(orchestrator: Orchestrator, database: Database, staff: Actor):
    command = place_order(staff.org_id)
    await asyncio.gather(*(orchestrator.say(NAME, "place", command, key=key_of(command)) for _ in range(20)))
    replies = await orchestrator.replies(key_of(command), 20)
    assert len(set(replies)) == 1
    assert await counted(database, staff.org_id) == (1, 1)
    assert len(await orchestrator.hears(staff.org_id, 1)) == 1


async def test_the_event_carries_the_id_of_the_command_and_the_whole_state(orchestrator: Orchestrator, staff: Actor):
    command = place_order(staff.org_id)
    order = carried(await places(orchestrator, command))
    ((name, id, body),) = await orchestrator.hears(staff.org_id, 1)
    assert (name, id) == ("order.placed", str(command.event_id))
    assert (body["id"], body["number"], body["version"]) == (order["id"], order["number"], 1)
    assert (body["price"], body["client_id"]) == ("9700.50", str(command.client.id))
    assert body["is_cancelled"] is False


async def test_a_cancel_undoes_and_a_cancelled_order_is_404_and_in_no_list(
    service: Service, orchestrator: Orchestrator, staff: Actor
):
    command = place_order(staff.org_id)
    await places(orchestrator, command)
    assert await cancels(orchestrator, command) == CANCELLED
    assert (await service.call(staff, "GET", f"/api/orders/{command.order_id}")).status_code == 404
    for query in ("", f"&user_id={command.client.id}", f"&engagement_id={command.engagement_id}", "&status=0"):
        assert await listed(service, staff, query) == []


async def test_a_cancel_is_told_once_with_the_next_version(orchestrator: Orchestrator, staff: Actor):
    command = place_order(staff.org_id)
    await places(orchestrator, command)
    await cancels(orchestrator, command)
    assert await cancels(orchestrator, command) == CANCELLED
    placed, gone = await orchestrator.hears(staff.org_id, 2)
    assert (placed[0], gone[0]) == ("order.placed", "order.cancelled")
    assert (gone[2]["version"], gone[2]["is_cancelled"]) == (2, True)


async def test_a_cancel_before_the_create_bars_it(orchestrator: Orchestrator, database: Database, staff: Actor):
    command = place_order(staff.org_id)
    assert await cancels(orchestrator, command) == CANCELLED
    assert await places(orchestrator, command) == CANCELLED
    assert (await counted(database, staff.org_id))[0] == 0
    assert orchestrator.events(staff.org_id) == []


async def test_a_cancel_waits_for_a_create_that_is_under_way_and_undoes_it(
    orchestrator: Orchestrator, database: Database, databases: Databases, dsn: str, staff: Actor
):
    command = place_order(staff.org_id)
    async with database.transaction(staff.org_id) as tx:
        await placing.place_order(tx, command, Delivery(new_id(), key_of(command)))
        await orchestrator.say(NAME, "cancel", cancel_order(command), key=f"{key_of(command)}.cancel")
        await until(lambda: is_waiting_for_a_lock(databases, dsn))
        assert orchestrator.heard_so_far(f"{key_of(command)}.cancel") == []
    (reply,) = await orchestrator.replies(f"{key_of(command)}.cancel")
    assert msgspec.json.decode(reply, type=Reply) == CANCELLED
    async with database.transaction(staff.org_id) as tx:
        assert await tx.value("select array_agg(cancelled_at is null) from orders") == [False]


async def test_a_create_waits_for_a_cancel_that_is_under_way_and_is_barred(
    orchestrator: Orchestrator, database: Database, databases: Databases, dsn: str, staff: Actor
):
    command = place_order(staff.org_id)
    async with database.transaction(staff.org_id) as tx:
        await placing.cancel_order(tx, cancel_order(command), Delivery(new_id(), f"{key_of(command)}.cancel"))
        await orchestrator.say(NAME, "place", command, key=key_of(command))
        await until(lambda: is_waiting_for_a_lock(databases, dsn))
        assert orchestrator.heard_so_far(key_of(command)) == []
    (reply,) = await orchestrator.replies(key_of(command))
    assert msgspec.json.decode(reply, type=Reply) == CANCELLED
    assert (await counted(database, staff.org_id))[0] == 0


async def test_two_signatures_of_one_client_do_not_wait_for_each_other(
    orchestrator: Orchestrator, database: Database, staff: Actor
):
    client = client_state(staff.org_id)
    await places(orchestrator, place_order(staff.org_id, client=client))
    command = place_order(staff.org_id, client=client)
    async with database.transaction(staff.org_id) as tx:
        await placing.place_order(tx, command, Delivery(new_id(), key_of(command)))
        assert (await places(orchestrator, place_order(staff.org_id, client=client))).outcome == "done"
    assert (await counted(database, staff.org_id))[0] == 3


async def test_after_a_cancel_another_saga_signs_the_same_proposal(
    service: Service, orchestrator: Orchestrator, staff: Actor
):
    first = place_order(staff.org_id)
    await places(orchestrator, first)
    await cancels(orchestrator, first)
    second = place_order(staff.org_id, proposal_id=first.proposal_id, client=first.client)
    assert (await places(orchestrator, second)).outcome == "done"
    assert await listed(service, staff) == [str(second.order_id)]


async def test_a_second_order_of_a_signed_proposal_is_a_bug_and_parked(
    service: Service, orchestrator: Orchestrator, staff: Actor
):
    first = place_order(staff.org_id)
    await places(orchestrator, first)
    second = place_order(staff.org_id, proposal_id=first.proposal_id, client=first.client)
    reply = await places(orchestrator, second)
    assert (reply.outcome, "one_order_a_signature" in reply.cause) == ("parked", True)
    assert await listed(service, staff) == [str(first.order_id)]


async def test_a_number_that_is_taken_is_drawn_again(
    orchestrator: Orchestrator, staff: Actor, monkeypatch: pytest.MonkeyPatch
):
    taken = carried(await places(orchestrator, place_order(staff.org_id)))["number"]
    draws = iter([taken, taken, "FRESH001"])
    monkeypatch.setattr(placing, "draw_number", lambda: next(draws))
    order = carried(await places(orchestrator, place_order(staff.org_id)))
    assert order["number"] == "FRESH001"


async def test_a_number_is_free_in_another_organisation(
    orchestrator: Orchestrator, staff: Actor, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(placing, "draw_number", lambda: "SAMESAME")
    for org in (staff.org_id, new_id()):
        assert carried(await places(orchestrator, place_order(org)))["number"] == "SAMESAME"


async def closed_client(orchestrator: Orchestrator, database: Database, org: UUID, **flags: bool) -> ClientState:
    """A client whom identity has closed, as the service has heard."""
    client = client_state(org, version=2, **flags)
    await orchestrator.tell(topology.event_subject(org, "client", "changed"), "client.changed.v1", client)

    async def is_kept() -> bool:
        async with database.transaction(org) as tx:
            return await tx.value("select true from clients where id = $1 and version = 2", client.id)

    await until(is_kept)
    return client


@pytest.mark.parametrize("flags", [{"is_deleted": True}, {"is_closed": True, "is_deleted": True}])
async def test_a_client_who_is_deleted_is_refused(
    service: Service, orchestrator: Orchestrator, database: Database, staff: Actor, flags: dict[str, bool]
):
    client = await closed_client(orchestrator, database, staff.org_id, **flags)
    command = place_order(staff.org_id, client=replace(client, version=1, is_closed=False, is_deleted=False))
    reply = await places(orchestrator, command)
    assert reply == Reply(outcome="refused", cause="The client was deleted.")
    assert await places(orchestrator, command) == reply
    assert await listed(service, staff) == []
    assert await cancels(orchestrator, command) == CANCELLED


async def test_while_the_database_is_away_a_command_is_put_off_and_then_done(
    service: Service, orchestrator: Orchestrator, databases: Databases, dsn: str, shared_broker: Broker, staff: Actor
):
    command = place_order(staff.org_id)
    async with away(databases, dsn):
        await orchestrator.say(NAME, "place", command, key=key_of(command))
        await until(lambda: has_delivered_again(shared_broker, topology.COMMANDS, NAME))
        assert orchestrator.heard_so_far(key_of(command)) == []
        answer = await service.call(staff, "GET", f"/api/orders/{command.order_id}")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    (reply,) = await orchestrator.replies(key_of(command))
    assert msgspec.json.decode(reply, type=Reply).outcome == "done"


async def test_without_an_organisation_set_no_row_is_visible(dsn: str, orchestrator: Orchestrator, staff: Actor):
    await places(orchestrator, place_order(staff.org_id))
    connection = await asyncpg.connect(dsn)
    try:
        for table in ("orders", "clients"):
            assert await connection.fetchval(f"select count(*) from {table}") == 0
            assert await connection.execute(f"delete from {table}") == "DELETE 0"
    finally:
        await connection.close()


async def test_the_rows_of_another_organisation_are_neither_read_nor_written(
    orchestrator: Orchestrator, database: Database, staff: Actor
):
    await places(orchestrator, place_order(staff.org_id))
    stranger = new_id()
    async with database.transaction(stranger) as tx:
        for table in ("orders", "clients"):
            assert await tx.value(f"select count(*) from {table}") == 0
            assert await tx.run(f"update {table} set version = 99") == 0
            assert await tx.run(f"delete from {table}") == 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.transaction(staff.org_id) as tx:
            await tx.run("update orders set org_id = $1", stranger)


async def test_every_route_hides_another_organisations_rows(service: Service, orchestrator: Orchestrator, staff: Actor):
    command = place_order(staff.org_id)
    await places(orchestrator, command)
    stranger = actors.admin()
    answers = [
        await service.call(stranger, "GET", f"/api/orders/{id}")
        for id in (command.order_id, new_id(), "rubbish", "%00")
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({(answer.json()["type"], answer.json()["detail"]) for answer in answers}) == 1
    for query in ("", f"&user_id={command.client.id}", f"&engagement_id={command.engagement_id}", "&status=0"):
        assert await listed(service, stranger, query) == []


async def test_a_client_sees_their_own_and_nothing_else(service: Service, orchestrator: Orchestrator, staff: Actor):
    own, other = place_order(staff.org_id), place_order(staff.org_id)
    await places(orchestrator, own)
    await places(orchestrator, other)
    client = actors.client(staff.org_id, id=own.client.id)
    assert await listed(service, client) == [str(own.order_id)]
    assert await listed(service, client, f"&user_id={other.client.id}") == []
    assert await listed(service, client, f"&engagement_id={other.engagement_id}") == []
    assert (await service.call(client, "GET", f"/api/orders/{own.order_id}")).status_code == 200
    assert (await service.call(client, "GET", f"/api/orders/{other.order_id}")).status_code == 404


async def test_without_the_gateways_identity_nothing_is_answered(service: Service):
    for path in ("/api/orders", f"/api/orders/{new_id()}", "/api/orders?rubbish=1"):
        answer = await service.call(None, "GET", path)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, UNTRUSTED)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def crowd(service: Service, orchestrator: Orchestrator, database: Database) -> Actor:
    """Staff of an organisation with ten orders, some alike in what lists sort by."""
    staff = actors.admin()
    begun = clock.now()
    for number in range(10):
        price, at = Decimal(number // 3) * 10, begun + timedelta(seconds=number // 4)
        await places(orchestrator, place_order(staff.org_id, price=price, at=at))
    async with database.transaction(staff.org_id) as tx:
        await tx.run("update orders set status = 2 where price = 20")
    return staff


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("field", ["id", "number", "status", "price", "created_at"])
async def test_pages_in_every_order_neither_overlap_nor_skip(
    service: Service, crowd: Actor, field: str, direction: str
):
    seen: list[dict[str, Any]] = []
    link: str | None = f"/api/orders?limit=3&sort={field}:{direction}"
    while link:
        answer = await service.call(crowd, "GET", link)
        seen += answer.json()["data"]
        link = answer.json()["links"]["next"]
    assert len(seen) == len({item["id"] for item in seen}) == 10

    def sorted_by(item: dict[str, Any]) -> Any:
        return Decimal(item["price"]) if field == "price" else item["status_id" if field == "status" else field]

    ascending_ids = sorted(seen, key=lambda item: item["id"])
    assert seen == sorted(ascending_ids, key=sorted_by, reverse=direction == "desc")


@pytest.mark.parametrize(("query", "count"), [("status=0", 7), ("status=2", 3), ("status=4", 0)])
async def test_filters_narrow_the_list_and_its_total(service: Service, crowd: Actor, query: str, count: int):
    body = (await service.call(crowd, "GET", f"/api/orders?limit=100&{query}")).json()
    assert (len(body["data"]), body["meta"]["total"]) == (count, count)


async def test_filters_by_client_and_by_engagement(service: Service, crowd: Actor):
    order = (await service.call(crowd, "GET", "/api/orders?limit=1")).json()["data"][0]
    assert await listed(service, crowd, f"&user_id={order['user_id']}") == [order["id"]]
    assert await listed(service, crowd, f"&engagement_id={order['engagement_id']}") == [order["id"]]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("sort=service:asc", "sort"),
        ("sort=number", "sort"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("page=0", "page"),
        ("status=5", "status"),
        ("status=Unpaid", "status"),
        ("user_id=x", "user_id"),
        ("engagement_id=x", "engagement_id"),
        ("client_id=x", "client_id"),
    ],
)
async def test_a_list_refuses_what_it_does_not_know(service: Service, staff: Actor, query: str, field: str):
    answer = await service.call(staff, "GET", f"/api/orders?{query}")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])
