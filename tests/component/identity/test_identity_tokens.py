"""API tokens: made, listed, verified, revoked."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import jwt
import msgspec
import pytest
from nats.aio.client import Client

from services.identity.announcing import BELIEVED_SECONDS
from services.identity.model.credentials import MOST_TOKENS, Session, hash_of, sign_session
from shared import clock
from shared.contracts.identity import CredentialRevoked
from shared.database import Database
from shared.ids import new_id
from shared.web.actor import Role
from tests.component.identity.people import PASSWORD, Agency, Gateway, add_client, found, set_enabled
from tests.support.actors import KEY
from tests.support.commands import arrived
from tests.support.servers import until

FOREVER: dict[str, Any] = {"name": "Accounting", "role": "member"}


async def make(identity: Gateway, agency: Agency, **body: Any) -> dict[str, Any]:
    answer = await identity.call(agency.admin, "POST", "/api/tokens", json=FOREVER | body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_token_is_shown_once_and_stored_hashed(database: Database, identity: Gateway) -> None:
    agency = await found(database)
    made = await make(identity, agency)
    assert made["token"].startswith("serx_")
    assert set(made) == {"id", "name", "role", "client_id", "created_at", "expires_at", "last_used_at", "token"}
    listed = (await identity.call(agency.admin, "GET", "/api/tokens")).json()["data"]
    assert [set(item) for item in listed] == [set(made) - {"token"}] * 2
    async with database.transaction(agency.org_id) as tx:
        stored = await tx.value("select secret_hash from api_tokens where id = $1", UUID(made["id"]))
    assert stored == hash_of(made["token"])


async def test_a_staff_token_acts_as_the_admin_who_made_it_in_its_own_role(
    database: Database, identity: Gateway
) -> None:
    agency = await found(database)
    made = await make(identity, agency)
    verified = (await identity.verify(made["token"])).json()
    assert verified == {
        "actor": {
            "org_id": str(agency.org_id),
            "id": str(agency.founding.user_id),
            "role": "member",
            "name": "Ada Roe",
            "email": "ada@agency.example",
        },
        "credential_id": made["id"],
        "expires_at": None,
        "believe_seconds": BELIEVED_SECONDS,
    }


async def test_a_token_is_never_more_than_its_maker_is_today(database: Database, identity: Gateway) -> None:
    agency = await found(database)
    async with database.transaction(agency.org_id) as tx:
        await tx.run("update users set role = 'member'")
    assert (await identity.verify(agency.founding.secret)).json()["actor"]["role"] == "member"


async def test_a_clients_token_acts_as_the_client(database: Database, identity: Gateway) -> None:
    agency = await found(database)
    client = await add_client(database, agency.org_id)
    expires_at = (clock.now() + timedelta(days=1)).isoformat()
    made = await make(identity, agency, role="client", client_id=str(client), expires_at=expires_at)
    verified = (await identity.verify(made["token"])).json()
    assert (verified["actor"]["id"], verified["actor"]["role"]) == (str(client), "client")
    assert verified["expires_at"] == made["expires_at"]
    assert made["expires_at"].endswith("Z")


async def test_a_revoked_token_is_refused_and_every_gateway_is_told(
    database: Database, identity: Gateway, nats: Client
) -> None:
    agency = await found(database)
    heard = await nats.subscribe(f"evt.{agency.org_id}.credential.revoked")
    await arrived(nats)
    made = await make(identity, agency)
    assert (await identity.call(agency.admin, "DELETE", f"/api/tokens/{made['id']}")).status_code == 204
    assert (await identity.verify(made["token"])).status_code == 401
    message = await heard.next_msg(timeout=5)
    assert message.headers is not None
    assert message.headers["ce-type"] == "credential.revoked.v1"
    assert msgspec.json.decode(message.data, type=CredentialRevoked) == CredentialRevoked(
        org_id=agency.org_id, actor_id=agency.founding.user_id, credential_id=UUID(made["id"])
    )
    assert (await identity.call(agency.admin, "DELETE", f"/api/tokens/{made['id']}")).status_code == 404


async def test_logging_out_tells_every_gateway(database: Database, identity: Gateway, nats: Client) -> None:
    agency = await found(database)
    heard = await nats.subscribe("evt.*.credential.revoked")
    await arrived(nats)
    token = (await identity.login("ada@agency.example", PASSWORD)).json()["token"]
    session = (await identity.verify(token)).json()["credential_id"]
    await identity.call(agency.admin, "POST", "/api/auth/logout", bearer=token)
    told = msgspec.json.decode((await heard.next_msg(timeout=5)).data, type=CredentialRevoked)
    assert told.credential_id == UUID(session)


async def test_anothers_token_is_404_like_one_that_never_was(database: Database, identity: Gateway) -> None:
    agency = await found(database)
    other = await found(database, email="eve@other.example")
    answers = [
        await identity.call(other.admin, "DELETE", f"/api/tokens/{token}")
        for token in (agency.founding.token_id, new_id(), "rubbish")
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.json()["detail"] for answer in answers}) == 1
    assert (await identity.verify(agency.founding.secret)).status_code == 200


@pytest.mark.parametrize("role", [Role.MEMBER, Role.CLIENT])
async def test_only_admins_work_with_tokens_whatever_the_body(
    database: Database, identity: Gateway, role: Role
) -> None:
    agency = await found(database)
    actor = agency.staff(agency.founding.user_id, role)
    for method, path in (("GET", "/api/tokens"), ("POST", "/api/tokens"), ("DELETE", "/api/tokens/rubbish")):
        answer = await identity.call(actor, method, path, content=b"{broken")
        assert answer.status_code == 403, path


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"name", "role"}),
        ({"name": "", "role": "owner", "scope": "all", "expires_at": "soon"}, {"name", "role", "scope", "expires_at"}),
        ({"name": None, "role": None}, {"name", "role"}),
        ({"name": "x", "role": "client", "expires_at": "2020-01-01T00:00:00Z"}, {"client_id", "expires_at"}),
        ({"name": "x", "role": "member", "client_id": str(uuid4())}, {"client_id"}),
        ({"name": "x", "role": "client", "client_id": "rubbish"}, {"client_id"}),
        ({"name": "x", "role": "member", "expires_at": "2099-01-01T00:00:00"}, {"expires_at"}),
    ],
)
async def test_a_bad_token_body_names_every_field(
    database: Database, identity: Gateway, body: dict[str, Any], fields: set[str]
) -> None:
    agency = await found(database)
    answer = await identity.call(agency.admin, "POST", "/api/tokens", json=body)
    assert answer.status_code == 400
    assert set(answer.json()["errors"]) == fields


async def test_a_client_who_is_not_there_is_422(database: Database, identity: Gateway) -> None:
    agency = await found(database)
    other = await found(database, email="eve@other.example")
    foreign = await add_client(database, other.org_id)
    for client in (new_id(), foreign):
        body = FOREVER | {"role": "client", "client_id": str(client)}
        answer = await identity.call(agency.admin, "POST", "/api/tokens", json=body)
        assert answer.status_code == 422
        assert set(answer.json()["errors"]) == {"client_id"}


async def test_a_person_has_a_hundred_tokens_at_most_however_many_are_made_at_once(
    database: Database, identity: Gateway
) -> None:
    agency = await found(database)  # with a token already
    client = await add_client(database, agency.org_id)
    of_client = {"role": "client", "client_id": str(client)}

    async def tried(body: dict[str, Any], times: int) -> Counter[int]:
        calls = [identity.call(agency.admin, "POST", "/api/tokens", json=FOREVER | body) for _ in range(times)]
        return Counter(answer.status_code for answer in await asyncio.gather(*calls))

    assert await tried({}, MOST_TOKENS - 10) == {201: MOST_TOKENS - 10}
    assert await tried({"role": "admin"}, 12) == {201: 9, 409: 3}
    assert await tried(of_client, MOST_TOKENS + 3) == {201: MOST_TOKENS, 409: 3}
    person = {"name_f": "Eve", "name_l": "Roe", "email": "eve@agency.example", "role": "admin"}
    colleague = UUID((await identity.call(agency.admin, "POST", "/api/users", json=person)).json()["id"])
    answer = await identity.call(agency.staff(colleague, Role.ADMIN), "POST", "/api/tokens", json=FOREVER)
    assert answer.status_code == 201
    refused = await identity.call(agency.admin, "POST", "/api/tokens", json=FOREVER)
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["detail"].startswith("100 API tokens act as this person")
    async with database.transaction(agency.org_id) as tx:
        await tx.run("update api_tokens set expires_at = now() where id = $1", agency.founding.token_id)
    assert await tried({}, 2) == {201: 1, 409: 1}
    listed = (await identity.call(agency.admin, "GET", "/api/tokens?limit=1")).json()["data"][0]["id"]
    assert (await identity.call(agency.admin, "DELETE", f"/api/tokens/{listed}")).status_code == 204
    assert await tried({}, 2) == {201: 1, 409: 1}


async def test_tokens_are_paged_and_sorted(database: Database, identity: Gateway) -> None:
    agency = await found(database)
    for name in ("b", "a", "c"):
        await make(identity, agency, name=name)

    async def names(query: str) -> list[str]:
        listed = (await identity.call(agency.admin, "GET", f"/api/tokens?{query}")).json()
        return [item["name"] for item in listed["data"]]

    assert await names("sort=name:asc&limit=3&page=1") == ["a", "b", "c"]
    assert await names("sort=name:asc&limit=3&page=2") == ["First administrator"]
    assert await names("") == ["c", "a", "b", "First administrator"]
    for query in ("sort=role:asc", "sort=id:asc", "limit=0", "limit=101", "page=0", "colour=red"):
        assert (await identity.call(agency.admin, "GET", f"/api/tokens?{query}")).status_code == 400, query


@pytest.mark.parametrize("credential", ["", "rubbish", "serx_", "serx_unknown", "a.b.c", "serx_\u00e4\ud83d"])
async def test_a_credential_of_nobody_is_401(identity: Gateway, credential: str) -> None:
    answer = await identity.verify(credential.encode("utf-8", "replace").decode())
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("key", ["k" * 40, "another key that is long enough to sign"])
async def test_a_session_signed_by_somebody_else_is_401(identity: Gateway, key: str) -> None:
    session = Session(org_id=(await _nobody()).org_id, id=new_id(), expires_at=clock.now() + timedelta(hours=1))
    assert (await identity.verify(sign_session(session, key))).status_code == 401
    assert (await identity.verify(sign_session(session, KEY))).status_code == 401
    assert (await identity.verify(jwt.encode({"sub": "x"}, KEY))).status_code == 401


async def _nobody() -> Session:
    return Session(org_id=new_id(), id=new_id(), expires_at=clock.now())  # pyright: ignore[reportArgumentType]


async def test_only_the_gateway_may_ask_for_a_credential(database: Database, identity: Gateway) -> None:
    agency = await found(database)
    answers = [
        await identity.plain("POST", "/internal/credentials/verify", json={"credential": agency.founding.secret}),
        await identity.verify(agency.founding.secret, key="some other key that is long enough"),
        await identity.call(
            agency.admin, "POST", "/internal/credentials/verify", json={"credential": agency.founding.secret}
        ),
    ]
    assert {answer.status_code for answer in answers} == {401}


async def test_whoever_is_disabled_has_no_credentials_left(database: Database, identity: Gateway) -> None:
    agency = await found(database)
    client = await add_client(database, agency.org_id)
    customer = (await make(identity, agency, role="client", client_id=str(client)))["token"]
    customers_session = (await identity.login("jane@customer.example", PASSWORD)).json()["token"]
    session = (await identity.login("ada@agency.example", PASSWORD)).json()["token"]
    staff = agency.founding.secret

    async def refused() -> set[str]:
        credentials = {"staff": staff, "session": session, "customer": customer, "theirs": customers_session}
        return {name for name, credential in credentials.items() if (await identity.verify(credential)).is_error}

    for table, expected in (
        ("users", {"staff", "session"}),
        ("clients", {"customer", "theirs"}),
        ("organisations", {"staff", "session", "customer", "theirs"}),
    ):
        await set_enabled(database, table, agency.org_id, is_enabled=False)
        assert await refused() == expected, table
        await set_enabled(database, table, agency.org_id, is_enabled=True)
    assert await refused() == set()


async def test_expired_credentials_are_401(database: Database, identity: Gateway) -> None:
    agency = await found(database)
    session = (await identity.login("ada@agency.example", PASSWORD)).json()["token"]
    async with database.transaction(agency.org_id) as tx:
        await tx.run("update api_tokens set expires_at = now()")
        await tx.run("update sessions set expires_at = now()")
    assert (await identity.verify(agency.founding.secret)).status_code == 401
    assert (await identity.verify(session)).status_code == 401


async def test_the_last_use_of_a_token_is_noted_behind_the_answer_once_a_minute(
    database: Database, identity: Gateway
) -> None:
    agency = await found(database)

    async def last_used_at() -> Any:
        async with database.transaction(agency.org_id) as tx:
            return await tx.value("select last_used_at from api_tokens")

    await identity.verify(agency.founding.secret)
    noted = await until(last_used_at)
    await asyncio.gather(*(identity.verify(agency.founding.secret) for _ in range(5)))
    assert await last_used_at() == noted


async def test_the_call_of_the_gateway_is_not_in_the_document(identity: Gateway) -> None:
    document = (await identity.plain("GET", "/schema/openapi.json")).json()
    assert not [path for path in document["paths"] if "internal" in path]
    assert set(document["paths"]) == {
        "/api/auth/login",
        "/api/auth/me",
        "/api/auth/logout",
        "/api/clients",
        "/api/clients/{client_id}",
        "/api/users",
        "/api/users/{user_id}",
        "/api/tokens",
        "/api/tokens/{token_id}",
    }
