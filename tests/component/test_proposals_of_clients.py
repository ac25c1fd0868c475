"""A proposal belongs to a client by id: once it is sent, or its client is known, or it is signed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import nats
import pytest
import pytest_asyncio
from msgspec.structs import replace
from nats.aio.msg import Msg

from deploy.provisioning import login_dsn, owner_role
from shared.contracts.identity import AddressQuestion, Billing, ClientState
from shared.ids import new_id
from shared.web.actor import Actor
from tests.support import actors
from tests.support.builders import known, proposal_body, sent_proposal
from tests.support.commands import arrived
from tests.support.databases import PASSWORD, Databases, opened
from tests.support.neighbours import Neighbours, ensures, is_silent, refuses
from tests.support.servers import Broker
from tests.support.services import Service, running

PATH = "/api/proposals"
JANE = "jane@roe.example"
MIGRATIONS = Path(__file__).resolve().parents[2] / "services/proposals/store/migrations"
NEW = ("20261201000304_proposals_of_clients.sql", "20261201000305_sign_for_client.sql")
YESTERDAYS_SEND = """
update proposals set version = 2, status = 1, sent_at = now(), updated_at = now()
where org_id = $1 and id = $2 and version = 1 and status + 0 = 0 and deleted_at is null
"""
INSERT = """
insert into proposals (id, org_id, version, client_email, client_name_f, client_name_l, status, currency, total,
  created_at, updated_at, saga_id, converted_engagement_id, converted_order_id)
values ($1, $2, 1, $3, 'Jane', 'Roe', $4, 'USD', 1, now(), now(), $5, $5, $5)
"""
INSERT_SAGA = """
insert into sagas (id, org_id, proposal_id, status, plan, replies, result, due_at, traceparent, started_at)
values ($1, $2, $3, 'completed', $4, $5, $6, now(), '', now())
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(databases: Databases, shared_broker: Broker) -> AsyncIterator[Service]:
    async with databases.fresh("proposals") as dsn, running("proposals", dsn, shared_broker) as running_service:
        yield running_service


@pytest.fixture
def staff() -> Actor:
    return actors.admin()


async def shown(service: Service, staff: Actor, proposal: str) -> dict[str, Any]:
    return (await service.call(staff, "GET", f"{PATH}/{proposal}")).json()


async def owner_of(service: Service, staff: Actor, proposal: str) -> str | None:
    return (await shown(service, staff, proposal))["client_id"]


async def sign(service: Service, actor: Actor, proposal: str) -> Any:
    return await service.call(actor, "POST", f"{PATH}/{proposal}/sign")


async def sees(service: Service, client: Actor, proposal: str) -> bool:
    """Whether the client sees the proposal; the same by each way."""
    listed = (await service.call(client, "GET", PATH)).json()
    is_listed = proposal in [each["id"] for each in listed["data"]]
    assert listed["meta"]["total"] == len(listed["data"])
    for action in ("", "/sign"):
        status = (await service.call(client, "GET", f"{PATH}/{proposal}{action}")).status_code
        assert status in ((200, 404) if is_listed and action else (200 if is_listed else 404,))
    if not is_listed:
        for action in ("sign", "reject"):
            assert (await service.call(client, "POST", f"{PATH}/{proposal}/{action}")).status_code == 404
    return is_listed


@asynccontextmanager
async def identity_says(broker: Broker, *named: ClientState):
    """Identity, played: it names a client for an address if there is just one. Yields what it was asked."""
    asked: list[str] = []
    connection = await nats.connect(broker.operator)

    async def answer(message: Msg) -> None:
        email = msgspec.json.decode(message.data, type=AddressQuestion).email
        asked.append(email)
        found = [each for each in named if each.email == email]
        await message.respond(msgspec.json.encode(found[0] if len(found) == 1 else None))

    await connection.subscribe("ask.identity.client-of-address", cb=answer)
    await arrived(connection)
    try:
        yield asked
    finally:
        await connection.close()


def state_of(client: Actor, version: int = 1, **changes: Any) -> ClientState:
    fields: dict[str, Any] = {"name_f": "Jane", "name_l": "Roe", "email": client.email, "billing": Billing()} | changes
    return ClientState(org_id=client.org_id, id=client.id, version=version, **fields)


async def test_what_is_sent_belongs_to_the_client_of_its_address(service: Service, staff: Actor) -> None:
    client = await known(service, actors.client(staff.org_id, email="JANE@Roe.example"))
    draft = (await service.call(staff, "POST", PATH, json=proposal_body())).json()
    assert draft["client_id"] is None
    sent = await service.call(staff, "POST", f"{PATH}/{draft['id']}/send")
    assert sent.json()["client_id"] == str(client.id)
    assert await shown(service, staff, draft["id"]) == sent.json()
    (listed,) = (await service.call(client, "GET", PATH)).json()["data"]
    assert listed["client_id"] == str(client.id)


async def test_a_change_of_address_moves_no_proposal_to_anybody(
    service: Service, staff: Actor, neighbours: Neighbours
) -> None:
    jane = await known(service, actors.client(staff.org_id))
    proposals = [await sent_proposal(service, staff) for _ in range(3)]
    signed, rejected, still_sent = proposals
    assert (await sign(service, jane, signed)).status_code == 200
    assert (await service.call(jane, "POST", f"{PATH}/{rejected}/reject")).status_code == 200
    await known(service, jane, version=2, email="j.new@roe.example")
    newcomer = await known(service, actors.client(staff.org_id))
    moved = await known(service, actors.client(staff.org_id, email="e@roe.example"))
    await known(service, newcomer, version=2, email="x@roe.example")
    await known(service, moved, version=2, email=JANE)
    for proposal in proposals:
        assert await sees(service, jane, proposal)
        assert await owner_of(service, staff, proposal) == str(jane.id)
        for other in (newcomer, moved):
            assert not await sees(service, other, proposal)
    assert (await sign(service, replace(jane, email="j.new@roe.example"), still_sent)).status_code == 200
    assert [each["client"]["id"] for each in neighbours.commands("orders.place")] == [str(jane.id)] * 2


async def test_what_belongs_to_nobody_is_seen_by_no_client(service: Service, staff: Actor) -> None:
    jane = actors.client(staff.org_id)
    sent, rejected, draft = (
        await sent_proposal(service, staff),
        await sent_proposal(service, staff),
        (await service.call(staff, "POST", PATH, json=proposal_body())).json()["id"],
    )
    assert (await service.call(staff, "POST", f"{PATH}/{rejected}/reject")).status_code == 200
    before = await shown(service, staff, sent)
    for proposal in (sent, rejected, draft):
        assert not await sees(service, jane, proposal)
    await known(service, jane)
    assert [await sees(service, jane, proposal) for proposal in (sent, rejected, draft)] == [True, True, False]
    assert await shown(service, staff, sent) == before | {"client_id": str(jane.id)}


@pytest.mark.parametrize("gone", [{"is_closed": True}, {"is_closed": True, "is_deleted": True}])
async def test_no_proposal_is_bound_to_a_client_who_goes(service: Service, staff: Actor, gone: dict[str, bool]) -> None:
    await known(service, actors.client(staff.org_id), **gone)
    assert await owner_of(service, staff, await sent_proposal(service, staff)) is None


async def test_identity_is_asked_where_the_copy_names_none_or_several(
    service: Service, staff: Actor, shared_broker: Broker
) -> None:
    jane = actors.client(staff.org_id)
    async with identity_says(shared_broker, state_of(jane)) as asked:
        assert await owner_of(service, staff, await sent_proposal(service, staff)) == str(jane.id)
        assert await owner_of(service, staff, await sent_proposal(service, staff)) == str(jane.id)
    assert asked == [JANE]
    # The copy has not heard yet that Jane gave her address up, and has heard already that another took it.
    other = await known(service, actors.client(staff.org_id))
    async with identity_says(shared_broker, state_of(other)) as asked:
        third = await sent_proposal(service, staff)
    assert (asked, await owner_of(service, staff, third)) == ([JANE], str(other.id))
    assert not await sees(service, jane, third)


async def test_of_two_who_share_an_address_for_a_moment_the_one_who_stays_is_meant(
    service: Service, staff: Actor
) -> None:
    """Identity is away: what cannot be decided is left open, and decided once the copy knows more."""
    leaving, staying = actors.client(staff.org_id), actors.client(staff.org_id)
    for client in (leaving, staying):
        await known(service, client)
    proposal = await sent_proposal(service, staff)
    assert await owner_of(service, staff, proposal) is None
    assert [await sees(service, client, proposal) for client in (leaving, staying)] == [False, False]
    await known(service, leaving, version=2, email="elsewhere@roe.example")
    assert await owner_of(service, staff, proposal) == str(staying.id)


async def test_whom_identity_names_is_not_believed_against_a_newer_copy(
    service: Service, staff: Actor, shared_broker: Broker
) -> None:
    moved = await known(service, actors.client(staff.org_id), version=3, email="moved@roe.example")
    async with identity_says(shared_broker, state_of(moved, email=JANE)):
        assert await owner_of(service, staff, await sent_proposal(service, staff)) is None


@pytest.mark.parametrize("change", [{"is_enabled": False}, {"is_closed": True, "is_deleted": True}])
async def test_a_proposal_is_signed_for_its_client_or_not_at_all(
    service: Service, staff: Actor, neighbours: Neighbours, change: dict[str, bool]
) -> None:
    jane = await known(service, actors.client(staff.org_id))
    proposal = await sent_proposal(service, staff)
    await known(service, jane, version=2, email="gone@roe.example", **change)
    await known(service, actors.client(staff.org_id))
    neighbours.answers["identity.ensure-client"] = refuses("The client was deleted.")
    refused = await sign(service, staff, proposal)
    assert (refused.status_code, "deleted" in refused.json()["detail"]) == (409, True)
    (asked,) = neighbours.commands("identity.ensure-client")
    assert (asked["client_id"], asked["is_bound"]) == (str(jane.id), True)
    assert await owner_of(service, staff, proposal) == str(jane.id)


async def test_a_signature_gives_the_proposal_to_the_client_for_whom_it_was(
    service: Service, staff: Actor, neighbours: Neighbours
) -> None:
    proposal = await sent_proposal(service, staff)
    signed = await sign(service, staff, proposal)
    (asked,) = neighbours.commands("identity.ensure-client")
    assert asked["is_bound"] is False
    assert signed.json()["proposal"]["client_id"] == asked["client_id"]
    assert await shown(service, staff, proposal) == signed.json()["proposal"]
    client = actors.client(staff.org_id, id=UUID(asked["client_id"]), email="another@roe.example")
    assert await sees(service, client, proposal)


async def test_a_proposal_that_comes_back_from_signing_is_bound_too(
    service: Service, staff: Actor, neighbours: Neighbours
) -> None:
    proposal = await sent_proposal(service, staff)
    neighbours.answers["identity.ensure-client"] = is_silent
    signing = asyncio.create_task(sign(service, staff, proposal))
    await neighbours.hears("identity.ensure-client")
    jane = await known(service, actors.client(staff.org_id))
    assert await owner_of(service, staff, proposal) is None
    neighbours.answers["identity.ensure-client"] = refuses("No.")
    assert (await signing).status_code == 409
    assert await owner_of(service, staff, proposal) == str(jane.id)
    neighbours.answers["identity.ensure-client"] = ensures
    assert (await sign(service, jane, proposal)).json()["proposal"]["client_id"] == str(jane.id)


async def test_a_proposal_is_bound_whichever_comes_first_it_or_its_client(service: Service, staff: Actor) -> None:
    for number in range(40):
        email = f"{number}@roe.example"
        client = actors.client(staff.org_id, email=email)
        body = proposal_body(client_email=email)
        drafts = [(await service.call(staff, "POST", PATH, json=body)).json()["id"] for _ in range(3)]
        sends = [service.call(staff, "POST", f"{PATH}/{draft}/send") for draft in drafts]
        await asyncio.gather(*sends[: number % 4], known(service, client), *sends[number % 4 :])
        assert {await owner_of(service, staff, draft) for draft in drafts} == {str(client.id)}


async def test_clients_who_swap_addresses_at_once_move_nothing(service: Service, staff: Actor) -> None:
    one, two = [await known(service, actors.client(staff.org_id, email=f"{each}@roe.example")) for each in "ab"]
    theirs = {
        await sent_proposal(service, staff, client_email=each.email): str(each.id) for each in (one, two) for _ in "12"
    }
    for version in range(2, 40):
        here, there = (one.email, two.email) if version % 2 else (two.email, one.email)
        await asyncio.gather(
            known(service, one, version=version, email=here), known(service, two, version=version, email=there)
        )
    assert {proposal: await owner_of(service, staff, proposal) for proposal in theirs} == theirs


async def test_what_yesterdays_code_sends_and_signs_belongs_to_its_client_too(service: Service, staff: Actor) -> None:
    jane = await known(service, actors.client(staff.org_id))
    sent = UUID((await service.call(staff, "POST", PATH, json=proposal_body())).json()["id"])
    signing, saga = new_id(), new_id()
    async with service.app.state.database.transaction(staff.org_id) as tx:
        await tx.run(YESTERDAYS_SEND, staff.org_id, sent)
        await tx.run(INSERT.replace("$5, $5, $5", "$5, null, null"), signing, staff.org_id, "x@y.example", 4, saga)
        result = msgspec.json.encode({"engagement": {"client_id": jane.id}})
        await tx.run(INSERT_SAGA, saga, staff.org_id, signing, b"{}", b"{}", result)
        await tx.run(
            "update proposals set status = 2, converted_engagement_id = id, converted_order_id = id where id = $1",
            signing,
        )
    for proposal in (sent, signing):
        assert await owner_of(service, staff, str(proposal)) == str(jane.id)


async def test_the_migration_gives_what_is_there_to_its_clients(databases: Databases, shared_broker: Broker) -> None:
    async with databases.fresh("proposals") as dsn, opened(dsn) as database:
        name = dsn.rpartition("/")[2]
        owner = await asyncpg.connect(
            login_dsn(databases.admin_dsn, user=owner_role("proposals"), password=PASSWORD, database=name)
        )
        for migration in reversed(NEW):
            await owner.execute(f"begin; {_halves(migration)[1]}; commit")
        staff, ids = actors.admin(), {}
        by_result, by_reply, by_plan, moved = (new_id() for _ in range(4))
        async with database.transaction(staff.org_id) as tx:
            for client, email, is_enabled in (
                (ids.setdefault("one", new_id()), "one@x.example", True),
                (new_id(), "two@x.example", True),
                (new_id(), "two@x.example", True),
                (new_id(), "off@x.example", False),
                (moved, "signed@x.example", True),
            ):
                await tx.run(
                    "insert into clients (id, org_id, version, name_f, name_l, email, is_enabled, is_closed, "
                    "is_deleted) values ($1, $2, 1, 'J', 'R', $3, $4, false, false)",
                    *(client, staff.org_id, email, is_enabled),
                )
            for status, email in ((0, "ONE@x.example"), (1, "ONE@x.example"), (3, "one@x.example")):
                await tx.run(INSERT, ids.setdefault((status, email), new_id()), staff.org_id, email, status, None)
            for email in ("two@x.example", "off@x.example", "none@x.example"):
                await tx.run(INSERT, ids.setdefault(email, new_id()), staff.org_id, email, 1, None)
            for client, plan, replies, result in (
                (by_result, {}, {}, {"engagement": {"client_id": by_result}}),
                (by_reply, {}, {"client": {"result": {"client": {"id": by_reply}}}}, {}),
                (by_plan, {"client": {"id": by_plan}}, {}, {}),
            ):
                proposal = ids.setdefault(client, new_id())
                documents = [msgspec.json.encode(each) for each in (plan, replies, result)]
                await tx.run(INSERT, proposal, staff.org_id, "signed@x.example", 2, proposal)
                await tx.run(INSERT_SAGA, proposal, staff.org_id, proposal, *documents)
        for migration in NEW:
            await owner.execute(f"begin; {_halves(migration)[0]}; commit")
        await owner.close()
        expected = {
            ids[0, "ONE@x.example"]: None,
            ids[1, "ONE@x.example"]: ids["one"],
            ids[3, "one@x.example"]: ids["one"],
            **{ids[email]: None for email in ("two@x.example", "off@x.example", "none@x.example")},
            **{ids[client]: client for client in (by_result, by_reply, by_plan)},
        }
        async with running("proposals", dsn, shared_broker) as service:
            found = {proposal: await owner_of(service, staff, str(proposal)) for proposal in expected}
        assert found == {proposal: client and str(client) for proposal, client in expected.items()}


def _halves(migration: str) -> tuple[str, str]:
    up, _, down = (MIGRATIONS / migration).read_text().partition("-- migrate:down")
    return up.removeprefix("-- migrate:up"), down
