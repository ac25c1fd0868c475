"""`/api/clients`: making, reading, listing and changing clients."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import msgspec
import pytest

from shared.contracts.identity import Billing, ClientState, CredentialRevoked
from shared.ids import new_id
from shared.web.actor import Role
from tests.component.identity.people import PASSWORD, Agency, House

CLIENTS = "/api/clients"
NOWHERE = {"line_1": None, "line_2": None, "city": None, "state": None, "country": None, "postcode": None}


def body(**fields: Any) -> dict[str, Any]:
    return {"name_f": "Jane", "name_l": "Roe", "email": "jane@roe.example"} | fields


async def made(house: House, agency: Agency, **fields: Any) -> dict[str, Any]:
    return await house.made(agency.admin, CLIENTS, body(**fields))


async def test_a_new_client_has_what_was_sent_and_what_was_not_is_empty(house: House) -> None:
    agency = await house.found()
    answer = await house.call(agency.admin, "POST", CLIENTS, json=body())
    assert answer.status_code == 201
    client = answer.json()
    assert client | {"id": 0, "created_at": 0} == {
        "id": 0,
        "org_id": str(agency.org_id),
        "name": "Jane Roe",
        "name_f": "Jane",
        "name_l": "Roe",
        "email": "jane@roe.example",
        "company": None,
        "phone": None,
        "tax_id": None,
        "note": None,
        "address": None,
        "custom_fields": {},
        "status": 1,
        "balance": "0.00",
        "created_at": 0,
        "updated_at": client["created_at"],
    }


async def test_what_was_written_reads_back_the_same_with_the_same_tag(house: House) -> None:
    agency = await house.found()
    fields = {
        "company": "Roe Ltd",
        "phone": "+49 30 1",
        "tax_id": "DE1",
        "note": "likes tea",
        "address": {"line_1": "Main St 1", "city": "Berlin"},
        "custom_fields": {"size": 1.5, "a": [1, {"b": None}], "ä": "ü"},
        "status": 0,
    }
    written = await house.call(agency.admin, "POST", CLIENTS, json=body(**fields))
    client = written.json()
    address = NOWHERE | fields["address"]  # pyright: ignore[reportOperatorIssue]
    assert {name: client[name] for name in fields} == fields | {"address": address}
    read = await house.call(agency.admin, "GET", f"{CLIENTS}/{client['id']}")
    assert (read.content, read.headers["etag"]) == (written.content, written.headers["etag"])


async def test_a_password_lets_the_client_log_in_and_is_never_shown(house: House) -> None:
    agency = await house.found()
    email = f"{new_id()}@roe.example"
    client = await made(house, agency, email=email, password=PASSWORD)
    assert "password" not in client
    answer = await house.gateway.login(email.upper(), PASSWORD)
    assert (answer.status_code, answer.json()["user"]["id"]) == (200, client["id"])
    assert (await house.gateway.login(email, PASSWORD + "x")).status_code == 401


async def test_a_new_client_is_told_to_all_and_can_be_asked_for(house: House) -> None:
    agency = await house.found()
    async with house.hearing(agency, "client.changed") as heard:
        client = await made(house, agency, company="Roe Ltd", phone="1")
        told = await heard(ClientState)
    assert told == ClientState(
        org_id=agency.org_id,
        id=UUID(client["id"]),
        version=1,
        name_f="Jane",
        name_l="Roe",
        email="jane@roe.example",
        company="Roe Ltd",
        phone="1",
        billing=Billing(),
    )


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        (
            {"name_f": "", "name_l": "x" * 101, "email": "nobody", "status": 2, "surprise": 1, "password": "short"},
            {"name_f", "name_l", "email", "status", "surprise", "password"},
        ),
        (
            {"name_f": None, "name_l": "  ", "email": None, "status": None, "custom_fields": None},
            {"name_f", "name_l", "email", "status", "custom_fields"},
        ),
        ({"address": {"line_1": 1, "street": "x"}, "phone": 5}, {"address.line_1", "address.street", "phone"}),
        ({"status": True, "custom_fields": []}, {"status", "custom_fields"}),
        ({"status": "1", "note": "a\0b", "company": "x" * 256}, {"status", "note", "company"}),
        ({"balance": "1.00", "id": "x"}, {"balance", "id"}),
    ],
)
async def test_every_bad_field_is_named_when_writing_and_when_changing(
    house: House, change: dict[str, Any], fields: set[str]
) -> None:
    agency = await house.found()
    refused = await house.call(agency.admin, "POST", CLIENTS, json=body(**change))
    assert (refused.status_code, set(refused.json()["errors"])) == (400, fields)
    there = await made(house, agency)
    refused = await house.call(agency.admin, "PUT", f"{CLIENTS}/{there['id']}", json=change)
    assert (refused.status_code, set(refused.json()["errors"])) == (400, fields)


async def test_what_is_missing_is_named(house: House) -> None:
    agency = await house.found()
    refused = await house.call(agency.admin, "POST", CLIENTS, json={})
    assert set(refused.json()["errors"]) == {"name_f", "email"}


async def test_an_email_belongs_to_one_client_or_member_of_staff_of_an_organisation(house: House) -> None:
    agency = await house.found(email="Ada@agency.example")
    await made(house, agency)
    other = await made(house, agency, email="other@roe.example")
    for email in ("JANE@roe.example", "ada@AGENCY.example"):
        taken = await house.call(agency.admin, "POST", CLIENTS, json=body(email=email))
        assert (taken.status_code, set(taken.json()["errors"])) == (409, {"email"})
        moved = await house.call(agency.admin, "PUT", f"{CLIENTS}/{other['id']}", json={"email": email})
        assert (moved.status_code, set(moved.json()["errors"])) == (409, {"email"})
    same = await house.call(agency.admin, "PUT", f"{CLIENTS}/{other['id']}", json={"email": "OTHER@roe.example"})
    assert (same.status_code, same.json()["email"]) == (200, "OTHER@roe.example")
    stranger = await house.found()
    await made(house, stranger)


async def test_of_many_who_want_one_email_at_once_one_gets_it(house: House) -> None:
    agency = await house.found()
    user = {"name_f": "Bo", "name_l": "Li", "email": "jane@roe.example", "role": "member"}
    answers = await asyncio.gather(
        *(house.call(agency.admin, "POST", CLIENTS, json=body()) for _ in range(5)),
        *(house.call(agency.admin, "POST", "/api/users", json=user) for _ in range(5)),
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9


async def test_a_change_touches_only_what_is_sent_and_is_told_to_all(house: House) -> None:
    agency = await house.found()
    async with house.hearing(agency, "client.changed") as heard:
        before = await made(house, agency, company="Roe Ltd", phone="1", address={"city": "Berlin"})
        assert (await heard(ClientState)).version == 1
        change = {"name_l": "Doe", "phone": None, "custom_fields": {"a": 1}}
        changed = await house.call(agency.admin, "PUT", f"{CLIENTS}/{before['id']}", json=change)
        told = await heard(ClientState)
    assert changed.status_code == 200
    after = changed.json()
    assert after == before | change | {"name": "Jane Doe", "updated_at": after["updated_at"]}
    assert after["updated_at"] > before["updated_at"]
    assert (told.version, told.name, told.phone, told.company) == (2, "Jane Doe", None, "Roe Ltd")
    cleared = await house.call(agency.admin, "PUT", f"{CLIENTS}/{before['id']}", json={"address": None})
    assert cleared.json()["address"] is None
    replaced = await house.call(agency.admin, "PUT", f"{CLIENTS}/{before['id']}", json={"address": {"city": "Bonn"}})
    assert replaced.json()["address"] == NOWHERE | {"city": "Bonn"}


async def test_disabling_a_client_ends_their_sessions_and_enabling_does_not_bring_them_back(house: House) -> None:
    agency = await house.found()
    email = f"{new_id()}@roe.example"
    client = await made(house, agency, email=email, password=PASSWORD)
    path = f"{CLIENTS}/{client['id']}"
    session = (await house.gateway.login(email, PASSWORD)).json()["token"]
    async with house.hearing(agency, "credential.revoked") as heard:
        disabled = await house.call(agency.admin, "PUT", path, json={"status": 0})
        told = await heard(CredentialRevoked)
    assert disabled.json()["status"] == 0
    assert (told.actor_id, told.credential_id) == (UUID(client["id"]), None)
    assert (await house.gateway.verify(session)).status_code == 401
    assert (await house.gateway.login(email, PASSWORD)).status_code == 403
    await house.call(agency.admin, "PUT", path, json={"status": 1})
    assert (await house.gateway.verify(session)).status_code == 401
    assert (await house.gateway.login(email, PASSWORD)).status_code == 200


async def test_another_password_ends_the_sessions_and_none_ends_logging_in(house: House) -> None:
    agency = await house.found()
    email = f"{new_id()}@roe.example"
    client = await made(house, agency, email=email, password=PASSWORD)
    path = f"{CLIENTS}/{client['id']}"
    session = (await house.gateway.login(email, PASSWORD)).json()["token"]
    await house.call(agency.admin, "PUT", path, json={"password": "another long password"})
    assert (await house.gateway.verify(session)).status_code == 401
    assert (await house.gateway.login(email, "another long password")).status_code == 200
    await house.call(agency.admin, "PUT", path, json={"password": None})
    assert (await house.gateway.login(email, "another long password")).status_code == 401


async def test_a_client_who_is_renamed_keeps_their_session_and_gateways_ask_again_who_they_are(house: House) -> None:
    agency = await house.found()
    email = f"{new_id()}@roe.example"
    client = await made(house, agency, email=email, password=PASSWORD)
    session = (await house.gateway.login(email, PASSWORD)).json()["token"]
    async with house.hearing(agency, "credential.revoked") as heard:
        await house.call(agency.admin, "PUT", f"{CLIENTS}/{client['id']}", json={"note": "nothing to them"})
        await house.call(agency.admin, "PUT", f"{CLIENTS}/{client['id']}", json={"name_f": "Janet"})
        assert (await heard(CredentialRevoked)).actor_id == UUID(client["id"])
    assert (await house.gateway.verify(session)).json()["actor"]["name"] == "Janet Roe"


async def test_members_write_clients_and_no_client_may_call(house: House) -> None:
    agency = await house.found()
    member = agency.staff(new_id(), Role.MEMBER)
    client = await house.made(member, CLIENTS, body())
    path = f"{CLIENTS}/{client['id']}"
    assert (await house.call(member, "PUT", path, json={"phone": "2"})).status_code == 200
    customer = agency.client(UUID(client["id"]))
    for method, where in (
        ("GET", CLIENTS),
        ("POST", CLIENTS),
        ("GET", path),
        ("PUT", path),
        ("DELETE", path),
        ("PUT", f"{CLIENTS}/rubbish"),
    ):
        answer = await house.call(customer, method, where, content=b"{broken")
        assert answer.status_code == 403, (method, where)


async def test_absent_foreign_and_malformed_ids_look_alike_before_body_and_query(house: House) -> None:
    agency, stranger = await house.found(), await house.found()
    foreign = (await made(house, stranger))["id"]
    seen = set[tuple[int, str]]()
    for client in (foreign, str(new_id()), "rubbish"):
        for method, options in (
            ("GET", {}),
            ("GET", {"params": {"colour": "red"}}),
            ("PUT", {"json": {"phone": "1"}}),
            ("PUT", {"content": b"{broken", "headers": {"content-type": "application/json"}}),
            ("PUT", {"content": b"{}", "headers": {"content-type": "text/plain"}}),
            ("PUT", {}),
            ("DELETE", {}),
            ("DELETE", {"headers": {"if-match": '"9.x"'}}),
        ):
            answer = await house.call(agency.admin, method, f"{CLIENTS}/{client}", **options)
            seen.add((answer.status_code, answer.json()["detail"]))
    assert seen == {(404, "There is no such client.")}
    assert (await house.call(stranger.admin, "GET", f"{CLIENTS}/{foreign}")).json()["phone"] is None


async def test_a_stale_tag_is_412_before_409_and_changes_nothing(house: House) -> None:
    agency = await house.found()
    await made(house, agency, email="other@roe.example")
    written = await house.call(agency.admin, "POST", CLIENTS, json=body())
    path, first = f"{CLIENTS}/{written.json()['id']}", written.headers["etag"]
    same = await house.call(agency.admin, "GET", path, headers={"if-none-match": first})
    assert (same.status_code, same.content) == (304, b"")
    changed = await house.call(agency.admin, "PUT", path, json={"phone": "1"}, headers={"if-match": first})
    assert changed.status_code == 200
    assert changed.headers["etag"] != first
    taken = {"email": "other@roe.example"}
    stale = await house.call(agency.admin, "PUT", path, json=taken, headers={"if-match": first})
    assert stale.status_code == 412
    assert (await house.call(agency.admin, "DELETE", path, headers={"if-match": first})).status_code == 412
    now = await house.call(agency.admin, "GET", path, headers={"if-none-match": first})
    assert (now.status_code, now.content) == (200, changed.content)


async def test_the_same_key_makes_one_client_and_a_refusal_burns_no_key(house: House) -> None:
    agency = await house.found()
    key = {"idempotency-key": "one"}
    first = await house.call(agency.admin, "POST", CLIENTS, json=body(), headers=key)
    again = await house.call(agency.admin, "POST", CLIENTS, json=body(), headers=key)
    assert (again.status_code, again.content, again.headers["etag"]) == (201, first.content, first.headers["etag"])
    assert again.headers["idempotent-replayed"] == "true"
    other = await house.call(agency.admin, "POST", CLIENTS, json=body(phone="1"), headers=key)
    assert other.status_code == 422
    key = {"idempotency-key": "two"}
    for refused, status in ((body(), 409), ({"email": "?"}, 400)):
        answer = await house.call(agency.admin, "POST", CLIENTS, json=refused, headers=key)
        assert (answer.status_code, "idempotent-replayed" in answer.headers) == (status, False)
    mended = await house.call(agency.admin, "POST", CLIENTS, json=body(email="b@roe.example"), headers=key)
    assert (mended.status_code, "idempotent-replayed" in mended.headers) == (201, False)
    assert (await house.call(agency.admin, "GET", CLIENTS)).json()["meta"]["total"] == 2


async def test_lists_are_sorted_and_pages_neither_overlap_nor_skip(house: House) -> None:
    agency = await house.found()
    names = ["Bo", "Al", "Cy", "Al", "Di"]
    ids = [
        (await made(house, agency, name_f=name, name_l=f"L{4 - n}", email=f"{'ecabd'[n]}@roe.example"))["id"]
        for n, name in enumerate(names)
    ]
    expected = {
        "": ids[::-1],
        "created_at:asc": ids,
        "id:desc": ids[::-1],
        "name_f:asc": [ids[1], ids[3], ids[0], ids[2], ids[4]],
        "name_f:desc": [ids[4], ids[2], ids[0], ids[1], ids[3]],
        "name_l:asc": ids[::-1],
        "email:asc": [ids[2], ids[3], ids[1], ids[4], ids[0]],
        "email:desc": [ids[0], ids[4], ids[1], ids[3], ids[2]],
    }
    for sort, order in expected.items():
        seen: list[str] = []
        for page in (1, 2, 3):
            query = {"page": page, "limit": 2} | ({"sort": sort} if sort else {})
            listed = (await house.call(agency.admin, "GET", CLIENTS, params=query)).json()
            seen += [client["id"] for client in listed["data"]]
            assert (listed["meta"]["total"], listed["meta"]["last_page"]) == (5, 3)
        assert seen == order, sort
    stranger = await house.found()
    assert (await house.call(stranger.admin, "GET", CLIENTS)).json()["data"] == []


@pytest.mark.parametrize("query", ["sort=phone:asc", "sort=email", "limit=101", "page=0", "status=1", "email=x"])
async def test_a_bad_query_is_refused(house: House, query: str) -> None:
    agency = await house.found()
    answer = await house.call(agency.admin, "GET", f"{CLIENTS}?{query}")
    assert answer.status_code == 400
    assert set(answer.json()["errors"]) == {query.partition("=")[0]}


async def test_numbers_that_json_has_and_databases_do_not_are_kept_or_refused_never_broken(house: House) -> None:
    agency = await house.found()
    for n, spelled in enumerate(("1e999", "123456789012345678901234567890", "1e400", "-0.0", '"\\u0000"', "[" * 2000)):
        text = (
            msgspec.json.encode(body(email=f"{n}@roe.example"))[:-1] + b',"custom_fields":{"n":%s}}' % spelled.encode()
        )
        answer = await house.call(
            agency.admin, "POST", CLIENTS, content=text, headers={"content-type": "application/json"}
        )
        assert answer.status_code in (201, 400), (spelled, answer.text)


async def test_custom_fields_that_an_earlier_release_took_can_be_sent_back(house: House) -> None:
    agency = await house.found()
    client = await made(house, agency)
    path, large = f"{CLIENTS}/{client['id']}", {"a": "x" * 70_000}
    async with house.database.transaction(agency.org_id) as tx:
        await tx.run(
            "update clients set custom_fields_sent = $2 where id = $1", UUID(client["id"]), msgspec.json.encode(large)
        )
    answer = await house.call(agency.admin, "PUT", path, json={"custom_fields": large, "phone": "1"})
    assert (answer.status_code, answer.json()["custom_fields"], answer.json()["phone"]) == (200, large, "1")
    refused = await house.call(agency.admin, "PUT", path, json={"custom_fields": large | {"b": 1}})
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["custom_fields"])
