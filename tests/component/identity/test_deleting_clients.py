"""Deleting a client: asked of the owners of engagements and orders, whom the test plays."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import msgspec
import pytest

from shared.contracts.identity import ClientQuestion, ClientState, CredentialRevoked, EnsureClient
from shared.ids import new_id
from tests.component.identity.people import PASSWORD, Agency, House, add_client
from tests.component.identity.test_identity_clients import client_in, deliver, wanted
from tests.support.servers import until

CLIENTS = "/api/clients"


async def made(house: House, agency: Agency, **fields: Any) -> tuple[str, UUID]:
    """The path and the id of a new client."""
    body = {"name_f": "Jane", "name_l": "Roe", "email": "jane@roe.example", "company": "Roe Ltd", "phone": "1"}
    client = await house.made(agency.admin, CLIENTS, body | fields)
    return f"{CLIENTS}/{client['id']}", UUID(client["id"])


async def stage(house: House, agency: Agency, client: UUID) -> tuple[str, int]:
    async with house.database.transaction(agency.org_id) as tx:
        found = await tx.value("select stage || ' ' || version from clients where id = $1", client)
    name, _, version = found.partition(" ")
    return name, int(version)


async def who_is(house: House, agency: Agency, client: UUID) -> ClientState:
    question = msgspec.json.encode(ClientQuestion(org_id=agency.org_id, id=client))
    return msgspec.json.decode((await house.nats.request("ask.identity.client", question)).data, type=ClientState)


async def test_a_client_on_whom_nothing_hangs_is_deleted(house: House) -> None:
    agency = await house.found()
    path, client = await made(house, agency)
    async with house.owners(engagements=0, orders=0) as asked:
        answer = await house.call(agency.admin, "DELETE", path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert sorted(owner for owner, _ in asked) == ["engagements", "orders"]
    for _, told in asked:
        assert (told.id, told.version, told.is_closed, told.is_deleted, told.name) == (
            client,
            2,
            True,
            False,
            "Jane Roe",
        )
    assert (await house.call(agency.admin, "GET", path)).status_code == 404
    assert (await house.call(agency.admin, "PUT", path, json={})).status_code == 404
    assert (await house.call(agency.admin, "DELETE", path)).status_code == 404
    assert (await house.call(agency.admin, "GET", CLIENTS)).json()["meta"]["total"] == 0


async def test_every_step_of_a_deletion_is_told_and_nothing_is_left_of_who_it_was(house: House) -> None:
    agency = await house.found()
    async with house.hearing(agency, "client.changed") as heard:
        path, client = await made(house, agency, note="secret", address={"city": "Berlin"}, custom_fields={"a": 1})
        async with house.owners(engagements=0, orders=0):
            await house.call(agency.admin, "DELETE", path)
        told = sorted([await heard(ClientState) for _ in range(3)], key=lambda state: state.version)
    assert [(state.version, state.is_closed, state.is_deleted) for state in told] == [
        (1, False, False),
        (2, True, False),
        (3, True, True),
    ]
    assert "Jane" not in told[2].name
    assert "roe" not in told[2].email.lower()
    assert await who_is(house, agency, client) == told[2]
    async with house.database.transaction(agency.org_id) as tx:
        row = await tx.value("select convert_to(row_to_json(c)::text, 'UTF8') from clients c where id = $1", client)
    assert not [word for word in (b"Jane", b"Roe", b"roe.example", b"secret", b"Berlin") if word in row]


@pytest.mark.parametrize(("engagements", "orders"), [(1, 0), (0, 2)])
async def test_a_client_with_engagements_or_orders_stays_and_is_opened_again(
    house: House, engagements: int, orders: int
) -> None:
    agency = await house.found()
    path, client = await made(house, agency)
    before = (await house.call(agency.admin, "GET", path)).json()
    async with house.owners(engagements=engagements, orders=orders):
        answer = await house.call(agency.admin, "DELETE", path)
    assert answer.status_code == 409
    assert "engagements or orders" in answer.json()["detail"]
    assert (await house.call(agency.admin, "GET", path)).json() == before
    state = await who_is(house, agency, client)
    assert (state.version, state.is_closed) == (3, False)
    assert (await house.call(agency.admin, "PUT", path, json={"phone": "2"})).status_code == 200


async def test_what_one_owner_says_is_enough_to_keep_a_client(house: House) -> None:
    agency = await house.found()
    path, client = await made(house, agency)
    async with house.owners(orders=1):
        assert (await house.call(agency.admin, "DELETE", path)).status_code == 409
    assert await stage(house, agency, client) == ("open", 3)


async def test_while_an_owner_is_away_nothing_is_deleted_and_the_client_is_open_again(house: House) -> None:
    agency = await house.found()
    path, client = await made(house, agency)
    async with house.owners(engagements=0):
        answer = await house.call(agency.admin, "DELETE", path)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert await stage(house, agency, client) == ("open", 3)
    async with house.owners(engagements=0, orders=0):
        assert (await house.call(agency.admin, "DELETE", path)).status_code == 204


async def test_the_credentials_of_a_deleted_client_end_and_a_refused_deletion_harms_none(house: House) -> None:
    agency = await house.found()
    email = f"{new_id()}@roe.example"
    path, client = await made(house, agency, email=email, password=PASSWORD)
    session = (await house.gateway.login(email, PASSWORD)).json()["token"]
    body = {"name": "x", "role": "client", "client_id": str(client)}
    token = (await house.made(agency.admin, "/api/tokens", body))["token"]

    async def verified() -> list[int]:
        return [(await house.gateway.verify(credential)).status_code for credential in (session, token)]

    async def while_closing(_: ClientState) -> int:
        assert await verified() == [200, 200]
        return 1

    async with house.owners(engagements=while_closing, orders=0) as asked:
        assert (await house.call(agency.admin, "DELETE", path)).status_code == 409
    assert len(asked) == 2
    assert await verified() == [200, 200]
    async with house.hearing(agency, "credential.revoked") as heard, house.owners(engagements=0, orders=0):
        assert (await house.call(agency.admin, "DELETE", path)).status_code == 204
        told = await heard(CredentialRevoked)
    assert (told.actor_id, told.credential_id) == (client, None)
    assert await verified() == [401, 401]
    assert (await house.gateway.login(email, PASSWORD)).status_code == 401
    tokens = (await house.call(agency.admin, "GET", "/api/tokens")).json()["data"]
    assert str(client) not in {token["client_id"] for token in tokens}


async def test_while_a_client_is_closing_nothing_new_hangs_on_it(house: House) -> None:
    agency = await house.found()
    path, client = await made(house, agency)
    seen: list[object] = []
    waiting: list[asyncio.Task[Any]] = []

    async def while_closing(_: ClientState) -> int:
        changed = await house.call(agency.admin, "PUT", path, json={"phone": "2"})
        token = {"name": "x", "role": "client", "client_id": str(client)}
        refused = await house.call(agency.admin, "POST", "/api/tokens", json=token)
        waiting.append(asyncio.create_task(deliver(house.nats, wanted(agency))))
        read = await house.call(agency.admin, "GET", path)
        seen.extend((changed.status_code, refused.status_code, read.status_code))
        return 0

    async with house.owners(engagements=while_closing, orders=0):
        assert (await house.call(agency.admin, "DELETE", path)).status_code == 204
    assert seen == [409, 422, 200]
    # A signature waited for the end of it; then the address was free.
    [[reply]] = [await each for each in waiting]
    assert client_in(reply).id != client


async def test_the_email_of_a_deleted_client_is_free_but_its_id_stays_gone(house: House) -> None:
    agency = await house.found()
    command: EnsureClient = wanted(agency)
    await deliver(house.nats, command)
    async with house.owners(engagements=0, orders=0):
        answer = await house.call(agency.admin, "DELETE", f"{CLIENTS}/{command.client_id}")
    assert answer.status_code == 204
    _, fresh = await made(house, agency, email="JANE@roe.example")
    assert fresh != command.client_id
    [late] = await deliver(house.nats, command)
    assert (late.outcome, late.cause) == ("refused", "The client was deleted.")


async def test_two_deletions_at_once_end_in_one(house: House) -> None:
    agency = await house.found()
    path, client = await made(house, agency)
    both = asyncio.Barrier(2)

    async def when_both_ask(_: ClientState) -> int:
        await both.wait()
        return 0

    async with house.owners(engagements=when_both_ask, orders=0):
        answers = await asyncio.gather(*(house.call(agency.admin, "DELETE", path) for _ in range(2)))
    assert [answer.status_code for answer in answers] == [204, 204]
    assert await stage(house, agency, client) == ("deleted", 3)


async def test_an_answer_to_an_earlier_closing_decides_nothing_about_a_later_one(house: House) -> None:
    agency = await house.found()
    path, client = await made(house, agency)
    turns = iter(range(2))

    async def slowly_nothing(_: ClientState) -> int:
        if next(turns) == 0:  # opened again and Closing anew, while the first still waits for its answer
            async with house.database.transaction(agency.org_id) as tx:
                await tx.run("update clients set version = version + 2 where id = $1", client)
        return 0

    async with house.owners(engagements=slowly_nothing, orders=0):
        assert (await house.call(agency.admin, "DELETE", path)).status_code == 503
        assert await stage(house, agency, client) == ("closing", 4)
        assert (await house.call(agency.admin, "DELETE", path)).status_code == 204


@pytest.mark.parametrize(
    ("counts", "end"),
    [
        ({"engagements": 0, "orders": 0}, ("deleted", 2)),
        ({"engagements": 0, "orders": 1}, ("open", 2)),
        ({"engagements": 0}, ("open", 2)),
    ],
)
async def test_a_closing_that_was_cut_short_is_ended_either_way(
    house: House, counts: dict[str, int], end: tuple[str, int]
) -> None:
    agency = await house.found()
    async with house.owners(**counts):
        client = await add_client(house.database, agency.org_id, stage="closing")
        async with house.database.transaction(agency.org_id) as tx:
            await tx.run("update clients set closing_at = now() - interval '11 seconds' where id = $1", client)

        async def has_ended() -> bool:
            return (await stage(house, agency, client))[0] != "closing"

        await until(has_ended)
    assert await stage(house, agency, client) == end


async def test_a_closing_under_way_is_left_to_whoever_began_it(house: House) -> None:
    agency = await house.found()
    async with house.owners(engagements=0, orders=0) as asked:
        fresh = await add_client(house.database, agency.org_id, stage="closing")
        old = await add_client(house.database, agency.org_id, email="old@roe.example", stage="closing")
        async with house.database.transaction(agency.org_id) as tx:
            await tx.run("update clients set closing_at = now() - interval '11 seconds' where id = $1", old)

        async def has_ended() -> bool:
            return (await stage(house, agency, old))[0] == "deleted"

        await until(has_ended)
        assert {state.id for _, state in asked} == {old}
        assert await stage(house, agency, fresh) == ("closing", 1)
