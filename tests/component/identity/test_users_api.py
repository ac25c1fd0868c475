"""`/api/users`: the staff of an organisation."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import msgspec
import pytest

from shared.contracts.identity import CredentialRevoked, UserQuestion, UserState
from shared.ids import new_id
from shared.web.actor import Role
from tests.component.identity.people import PASSWORD, Agency, House

USERS = "/api/users"
HOLDS = """
select exists (
  select from idempotency_keys where org_id = $1 and strpos(convert_from(body, 'UTF8'), $2) > 0)
"""


def body(**fields: Any) -> dict[str, Any]:
    return {"name_f": "Bo", "name_l": "Li", "email": "bo@agency.example", "role": "member"} | fields


async def made(house: House, agency: Agency, **fields: Any) -> dict[str, Any]:
    return await house.made(agency.admin, USERS, body(**fields))


async def test_a_new_user_has_what_was_sent_reads_back_and_is_told_to_all(house: House) -> None:
    agency = await house.found()
    async with house.hearing(agency, "user.changed") as heard:
        written = await house.call(agency.admin, "POST", USERS, json=body())
        told = await heard(UserState)
    assert written.status_code == 201
    user = written.json()
    assert user | {"id": 0, "created_at": 0} == {
        "id": 0,
        "org_id": str(agency.org_id),
        "name": "Bo Li",
        "name_f": "Bo",
        "name_l": "Li",
        "email": "bo@agency.example",
        "role": "member",
        "status": 1,
        "created_at": 0,
        "updated_at": user["created_at"],
    }
    read = await house.call(agency.admin, "GET", f"{USERS}/{user['id']}")
    assert (read.content, read.headers["etag"]) == (written.content, written.headers["etag"])
    assert (told.id, told.version, told.name, told.email) == (UUID(user["id"]), 1, "Bo Li", "bo@agency.example")


async def test_who_a_user_is_can_be_asked(house: House) -> None:
    agency, stranger = await house.found(), await house.found()

    async def ask(org: UUID, user: UUID) -> UserState | None:
        question = msgspec.json.encode(UserQuestion(org_id=org, id=user))
        answer = await house.nats.request("ask.identity.user", question, timeout=5)
        return msgspec.json.decode(answer.data, type=UserState | None)

    told = await ask(agency.org_id, agency.founding.user_id)
    assert told is not None
    assert (told.name, told.version, told.is_enabled) == ("Ada Roe", 1, True)
    assert await ask(stranger.org_id, agency.founding.user_id) is None


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        (
            {"name_f": " ", "name_l": None, "email": "x", "role": "client", "password": "x" * 11},
            {"name_f", "name_l", "email", "role", "password"},
        ),
        ({"status": 2, "role": None, "password": 5}, {"status", "role", "password"}),
    ],
)
async def test_every_bad_field_is_named_when_writing_and_when_changing(
    house: House, change: dict[str, Any], fields: set[str]
) -> None:
    agency = await house.found()
    refused = await house.call(agency.admin, "POST", USERS, json=body(**change))
    assert (refused.status_code, set(refused.json()["errors"])) == (400, fields)
    path = f"{USERS}/{agency.founding.user_id}"
    refused = await house.call(agency.admin, "PUT", path, json=change)
    assert (refused.status_code, set(refused.json()["errors"])) == (400, fields)
    missing = await house.call(agency.admin, "POST", USERS, json={})
    assert set(missing.json()["errors"]) == {"name_f", "name_l", "email", "role"}


async def test_a_password_of_twelve_characters_lets_them_log_in_and_is_never_shown(house: House) -> None:
    agency = await house.found()
    email = f"{new_id()}@agency.example"
    user = await made(house, agency, email=email, password="x" * 12, role="admin")
    assert "password" not in user
    login = await house.gateway.login(email, "x" * 12)
    assert (login.status_code, login.json()["user"]["role"]) == (200, "admin")
    session = login.json()["token"]
    await house.call(agency.admin, "PUT", f"{USERS}/{user['id']}", json={"password": PASSWORD})
    assert (await house.gateway.verify(session)).status_code == 401
    assert (await house.gateway.login(email, "x" * 12)).status_code == 401
    assert (await house.gateway.login(email, PASSWORD)).status_code == 200


async def test_an_email_belongs_to_one_person_of_an_organisation_whatever_its_casing(house: House) -> None:
    agency = await house.found(email="ada@agency.example")
    client = {"name_f": "Jane", "name_l": "Roe", "email": "jane@roe.example"}
    await house.made(agency.admin, "/api/clients", client)
    user = await made(house, agency)
    for email in ("ADA@agency.example", "Jane@Roe.example"):
        taken = await house.call(agency.admin, "POST", USERS, json=body(email=email))
        assert (taken.status_code, set(taken.json()["errors"])) == (409, {"email"})
        taken = await house.call(agency.admin, "PUT", f"{USERS}/{user['id']}", json={"email": email})
        assert (taken.status_code, set(taken.json()["errors"])) == (409, {"email"})
    assert (await house.call(agency.admin, "DELETE", f"{USERS}/{user['id']}")).status_code == 204
    assert (await house.call(agency.admin, "POST", USERS, json=body())).status_code == 409


async def test_a_change_touches_only_what_is_sent_and_gateways_ask_again_who_they_are(house: House) -> None:
    agency = await house.found()
    email = f"{new_id()}@agency.example"
    before = await made(house, agency, email=email, password=PASSWORD)
    session = (await house.gateway.login(email, PASSWORD)).json()["token"]
    async with house.hearing(agency, "credential.revoked") as heard:
        changed = await house.call(agency.admin, "PUT", f"{USERS}/{before['id']}", json={"role": "admin"})
        assert (await heard(CredentialRevoked)).actor_id == UUID(before["id"])
    after = changed.json()
    assert after == before | {"role": "admin", "updated_at": after["updated_at"]}
    assert (await house.gateway.verify(session)).json()["actor"]["role"] == "admin"


async def test_a_deleted_user_is_disabled_and_has_no_credentials_left(house: House) -> None:
    agency = await house.found()
    email = f"{new_id()}@agency.example"
    async with house.hearing(agency, "user.changed") as heard:
        user = await made(house, agency, email=email, password=PASSWORD, role="admin")
        session = (await house.gateway.login(email, PASSWORD)).json()["token"]
        actor = agency.staff(UUID(user["id"]), Role.ADMIN)
        token = (await house.made(actor, "/api/tokens", {"name": "x", "role": "admin"}))["token"]
        path = f"{USERS}/{user['id']}"
        async with house.hearing(agency, "credential.revoked") as revoked:
            deleted = await house.call(agency.admin, "DELETE", path)
            assert (await revoked(CredentialRevoked)).actor_id == UUID(user["id"])
        told = sorted([await heard(UserState) for _ in range(2)], key=lambda state: state.version)
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert [(state.version, state.is_enabled) for state in told] == [(1, True), (2, False)]
    for credential in (session, token):
        assert (await house.gateway.verify(credential)).status_code == 401
    assert (await house.gateway.login(email, PASSWORD)).status_code == 403
    read = await house.call(agency.admin, "GET", path)
    assert (read.status_code, read.json()["status"]) == (200, 0)
    again = await house.call(agency.admin, "DELETE", path)
    assert (again.status_code, (await house.call(agency.admin, "GET", path)).headers["etag"]) == (
        204,
        read.headers["etag"],
    )


async def test_a_former_user_comes_back_with_their_password_and_their_tokens_but_no_session(house: House) -> None:
    agency = await house.found()
    email = f"{new_id()}@agency.example"
    user = await made(house, agency, email=email, password=PASSWORD, role="admin")
    path, actor = f"{USERS}/{user['id']}", agency.staff(UUID(user["id"]), Role.ADMIN)
    session = (await house.gateway.login(email, PASSWORD)).json()["token"]
    token = (await house.made(actor, "/api/tokens", {"name": "x", "role": "admin"}))["token"]
    for method, options in (("DELETE", {}), ("PUT", {"json": {"status": 0}})):
        gone = await house.call(agency.admin, method, path, **options)
        assert gone.status_code in (200, 204)
        assert (await house.gateway.login(email, PASSWORD)).status_code == 403
        assert [(await house.gateway.verify(each)).status_code for each in (session, token)] == [401, 401]
        async with (
            house.hearing(agency, "user.changed") as heard,
            house.hearing(agency, "credential.revoked") as revoked,
        ):
            back = await house.call(agency.admin, "PUT", path, json={"status": 1})
            assert (await heard(UserState)).is_enabled
            assert (await revoked(CredentialRevoked)).actor_id == UUID(user["id"])
        assert (back.status_code, back.json()["status"]) == (200, 1)
        assert (await house.gateway.verify(session)).status_code == 401
        assert (await house.gateway.verify(token)).json()["actor"]["role"] == "admin"
        assert (await house.gateway.login(email, PASSWORD)).status_code == 200


async def test_only_an_administrator_enables_a_user_and_one_with_less_to_say_gets_less(house: House) -> None:
    agency = await house.found()
    user = await made(house, agency, role="admin")
    path, actor = f"{USERS}/{user['id']}", agency.staff(UUID(user["id"]), Role.ADMIN)
    token = (await house.made(actor, "/api/tokens", {"name": "x", "role": "admin"}))["token"]
    assert (await house.call(agency.admin, "DELETE", path)).status_code == 204
    member = agency.staff(new_id(), Role.MEMBER)
    assert (await house.call(member, "PUT", path, json={"status": 1})).status_code == 403
    back = await house.call(agency.admin, "PUT", path, json={"status": 1, "role": "member"})
    assert (back.json()["status"], back.json()["role"]) == (1, "member")
    assert (await house.gateway.verify(token)).json()["actor"]["role"] == "member"


async def test_an_address_that_a_disabled_person_has_is_refused_with_who_has_it(house: House) -> None:
    agency = await house.found()
    user = await made(house, agency, email="former@agency.example")
    client = await house.made(agency.admin, "/api/clients", {"name_f": "J", "name_l": "R", "email": "j@roe.example"})
    other = await made(house, agency)
    assert (await house.call(agency.admin, "DELETE", f"{USERS}/{user['id']}")).status_code == 204
    disabled = await house.call(agency.admin, "PUT", f"/api/clients/{client['id']}", json={"status": 0})
    assert disabled.status_code == 200
    person = {"name_f": "New", "name_l": "One"}
    for email, who, holder in (
        ("Former@agency.example", "member of staff", user),
        ("j@roe.example", "client", client),
    ):
        for method, path, sent in (
            ("POST", USERS, person | {"role": "member", "email": email}),
            ("POST", "/api/clients", person | {"email": email}),
            ("PUT", f"{USERS}/{other['id']}", {"email": email}),
        ):
            refused = await house.call(agency.admin, method, path, json=sent)
            assert refused.status_code == 409
            assert f"a {who} who is disabled" in refused.json()["detail"]
            assert holder["id"] in refused.json()["errors"]["email"][0]
    enabled = await house.call(agency.admin, "PUT", f"{USERS}/{user['id']}", json={"email": "moved@agency.example"})
    assert (enabled.status_code, enabled.json()["status"]) == (200, 0)
    await house.made(agency.admin, USERS, person | {"role": "member", "email": "former@agency.example"})


async def test_the_last_admin_cannot_go(house: House) -> None:
    agency = await house.found()
    await made(house, agency)
    gone = await made(house, agency, email="gone@agency.example", role="admin")
    assert (await house.call(agency.admin, "DELETE", f"{USERS}/{gone['id']}")).status_code == 204
    path = f"{USERS}/{agency.founding.user_id}"
    for method, options in (
        ("DELETE", {}),
        ("PUT", {"json": {"role": "member"}}),
        ("PUT", {"json": {"status": 0}}),
        ("PUT", {"json": {"status": 0, "role": "member", "name_f": "Eve"}}),
    ):
        refused = await house.call(agency.admin, method, path, **options)
        assert refused.status_code == 409
        assert "last administrator" in refused.json()["detail"]
    assert (await house.call(agency.admin, "PUT", path, json={"name_f": "Eve"})).status_code == 200
    assert (await house.call(agency.admin, "GET", path)).json()["role"] == "admin"


async def test_of_two_admins_who_remove_each_other_at_once_one_stays(house: House) -> None:
    for _ in range(5):
        agency = await house.found()
        other = await made(house, agency, role="admin")
        answers = await asyncio.gather(
            house.call(agency.admin, "DELETE", f"{USERS}/{other['id']}"),
            house.call(agency.admin, "PUT", f"{USERS}/{agency.founding.user_id}", json={"role": "member"}),
        )
        assert len([answer for answer in answers if answer.status_code == 409]) == 1


async def test_members_read_admins_write_and_no_client_may_call(house: House) -> None:
    agency = await house.found()
    path = f"{USERS}/{agency.founding.user_id}"
    member, client = agency.staff(new_id(), Role.MEMBER), agency.client(new_id())
    for where in (USERS, path):
        assert (await house.call(member, "GET", where)).status_code == 200
        assert (await house.call(client, "GET", where)).status_code == 403
    for actor in (member, client):
        for method, where in (("POST", USERS), ("PUT", path), ("DELETE", path), ("PUT", f"{USERS}/rubbish")):
            answer = await house.call(actor, method, where, content=b"{broken")
            assert answer.status_code == 403, (method, where)


async def test_absent_foreign_and_malformed_ids_look_alike_before_body_and_query(house: House) -> None:
    agency, stranger = await house.found(), await house.found()
    seen = set[tuple[int, str]]()
    for user in (str(stranger.founding.user_id), str(new_id()), "rubbish"):
        for method, options in (
            ("GET", {"params": {"colour": "red"}}),
            ("PUT", {"content": b"{broken", "headers": {"content-type": "application/json"}}),
            ("PUT", {"json": {"name_f": "x"}}),
            ("DELETE", {}),
        ):
            answer = await house.call(agency.admin, method, f"{USERS}/{user}", **options)
            seen.add((answer.status_code, answer.json()["detail"]))
    assert seen == {(404, "There is no such user.")}


async def test_a_stale_tag_is_412_before_409(house: House) -> None:
    agency = await house.found()
    path = f"{USERS}/{agency.founding.user_id}"
    first = (await house.call(agency.admin, "GET", path)).headers["etag"]
    assert (await house.call(agency.admin, "GET", path, headers={"if-none-match": first})).status_code == 304
    changed = await house.call(agency.admin, "PUT", path, json={"name_f": "Eve"}, headers={"if-match": first})
    assert changed.status_code == 200
    stale = {"headers": {"if-match": first}}
    assert (await house.call(agency.admin, "PUT", path, json={"role": "member"}, **stale)).status_code == 412
    assert (await house.call(agency.admin, "DELETE", path, **stale)).status_code == 412


async def test_the_same_key_makes_one_user(house: House) -> None:
    agency = await house.found()
    key = {"idempotency-key": "one"}
    first = await house.call(agency.admin, "POST", USERS, json=body(password=PASSWORD), headers=key)
    again = await house.call(agency.admin, "POST", USERS, json=body(password=PASSWORD), headers=key)
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    assert (await house.call(agency.admin, "GET", USERS)).json()["meta"]["total"] == 2


async def test_the_same_key_makes_one_token_and_shows_it_once(house: House) -> None:
    agency = await house.found()
    key, token = {"idempotency-key": "one"}, {"name": "Accounting", "role": "member"}
    first = await house.call(agency.admin, "POST", "/api/tokens", json=token, headers=key)
    again = await house.call(agency.admin, "POST", "/api/tokens", json=token, headers=key)
    assert (first.status_code, again.status_code, again.headers["idempotent-replayed"]) == (201, 201, "true")
    secret = first.json()["token"]
    assert (await house.gateway.verify(secret)).status_code == 200
    assert again.json() == first.json() | {"token": None, "notice": again.json()["notice"]}
    assert "shown once" in again.json()["notice"]
    assert secret not in again.text
    async with house.database.transaction(agency.org_id) as tx:
        assert await tx.value(HOLDS, agency.org_id, "Accounting")
        assert not await tx.value(HOLDS, agency.org_id, secret)
    assert (await house.call(agency.admin, "GET", "/api/tokens")).json()["meta"]["total"] == 2


async def test_one_administrators_key_is_not_anothers(house: House) -> None:
    agency = await house.found()
    key, token = {"idempotency-key": "one"}, {"name": "Accounting", "role": "admin"}
    other = agency.staff(UUID((await made(house, agency, role="admin"))["id"]), Role.ADMIN)
    mine = await house.call(agency.admin, "POST", "/api/tokens", json=token, headers=key)
    for body_ in (token, token | {"name": "Another"}):
        theirs = await house.call(other, "POST", "/api/tokens", json=body_, headers={"idempotency-key": body_["name"]})
        assert (mine.status_code, theirs.status_code, "idempotent-replayed" in theirs.headers) == (201, 201, False)
        assert theirs.json()["id"] != mine.json()["id"]
    theirs = await house.call(other, "POST", "/api/tokens", json=token, headers=key)
    assert (theirs.status_code, "idempotent-replayed" in theirs.headers) == (201, False)
    verified = await house.gateway.verify(theirs.json()["token"])
    assert verified.json()["actor"]["id"] == str(other.id)


async def test_a_used_key_ends_the_session_that_it_came_with_all_the_same(house: House) -> None:
    agency = await house.found(email="twice@agency.example")
    key = {"idempotency-key": "logout-1"}
    for _ in range(2):
        session = (await house.gateway.login("twice@agency.example", PASSWORD)).json()["token"]
        headers = key | {"authorization": f"Bearer {session}"}
        answer = await house.call(agency.admin, "POST", "/api/auth/logout", headers=headers)
        assert (answer.status_code, "idempotent-replayed" in answer.headers) == (204, False)
        assert (await house.gateway.verify(session)).status_code == 401


async def test_logging_out_with_a_key_is_answered_the_same_again(house: House) -> None:
    agency = await house.found()
    key = {"idempotency-key": "one"}
    first = await house.call(agency.admin, "POST", "/api/auth/logout", headers=key)
    again = await house.call(agency.admin, "POST", "/api/auth/logout", headers=key)
    assert (first.status_code, again.status_code, again.content) == (204, 204, b"")
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers.get("content-type") == first.headers.get("content-type")


async def test_lists_are_sorted_paged_and_hold_the_disabled_too(house: House) -> None:
    agency = await house.found()
    users = [await made(house, agency, name_f=name, email=f"{name}@agency.example") for name in ("Cy", "Bo", "Di")]
    await house.call(agency.admin, "DELETE", f"{USERS}/{users[0]['id']}")
    for sort, order in {
        "created_at:desc": ["Di", "Bo", "Cy", "Ada"],
        "name_f:asc": ["Ada", "Bo", "Cy", "Di"],
        "email:desc": ["Di", "Cy", "Bo", "Ada"],
    }.items():
        pages = [
            (await house.call(agency.admin, "GET", USERS, params={"sort": sort, "limit": 3, "page": page})).json()
            for page in (1, 2)
        ]
        assert [user["name_f"] for page in pages for user in page["data"]] == order
    everybody = (await house.call(agency.admin, "GET", USERS)).json()["data"]
    assert {user["name_f"]: user["status"] for user in everybody} == {"Ada": 1, "Bo": 1, "Cy": 0, "Di": 1}
    for query in ("sort=role:asc", "limit=0", "role=admin"):
        assert (await house.call(agency.admin, "GET", f"{USERS}?{query}")).status_code == 400
