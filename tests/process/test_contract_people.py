"""The contract's tables of authentication, API tokens, staff and clients, row by row."""

from __future__ import annotations

from typing import Any

import pytest

from shared.ids import new_id
from tests.support.contract import Body, List, Stage, names, walk_body, walk_list
from tests.support.contract_roles import walk_roles

ME = "id, email, name_f, name_l, name, company, phone, org_id, org_name, role"
TOKEN = "id, name, role, client_id, created_at, expires_at, last_used_at"
USER = "id, org_id, name, name_f, name_l, email, role, status, created_at, updated_at"
CLIENT = (
    "id, org_id, name, name_f, name_l, email, company, phone, tax_id, note, address, custom_fields, status, balance,"
    "created_at, updated_at"
)
LISTS = [
    List("/api/tokens", sort="created_at, name"),
    List("/api/users", sort="id, name_f, name_l, email, created_at"),
    List("/api/clients", sort="id, name_f, name_l, email, created_at"),
]
PASSWORD = "correct horse battery"
ADDRESS = {"line_1": "1 Way", "line_2": "Left", "city": "Bern", "state": "BE", "country": "CH", "postcode": "3000"}


def fresh_email() -> str:
    return f"{new_id()}@people.example"


BODIES = {
    "user": Body(
        create="POST /api/users",
        whole={"name_f": "Ada", "name_l": "Byron", "email": fresh_email, "role": "member", "password": PASSWORD},
        required="name_f, name_l, email, role",
        nullable="password",
        change="PUT /api/users/{id}",
        hidden="password",
        bad=[
            ("name_f", ""),
            ("name_l", 7),
            ("email", "nobody"),
            ("role", "client"),
            ("role", 1),
            ("password", "eleven char"),
        ],
    ),
    "client": Body(
        create="POST /api/clients",
        whole={
            "name_f": "Jane",
            "name_l": "Roe",
            "email": fresh_email,
            "company": "Roe Ltd",
            "phone": "+41 31",
            "tax_id": "CHE-1",
            "note": "Pays",
            "address": ADDRESS,
            "custom_fields": {"a": [1, {"b": None}]},
            "status": 0,
            "password": PASSWORD,
        },
        required="name_f, email",
        nullable="company, phone, tax_id, note, address, password",
        change="PUT /api/clients/{id}",
        hidden="password, status",
        bad=[
            ("name_f", ""),
            ("name_f", "n" * 101),
            ("name_l", "n" * 101),
            ("email", "jane@"),
            ("address", "Bern"),
            ("address.street", ADDRESS | {"street": "?"}),
            ("address.city", ADDRESS | {"city": 3000}),
            ("custom_fields", []),
            ("status", 2),
            ("status", "Active"),
            ("password", "short"),
        ],
    ),
}
CALLS = {  # admin, member, client, another client
    "GET /api/auth/me": "200 200 200 200",
    "GET /api/tokens": "200 403 403 403",
    "POST /api/tokens ← {}": "400 403 403 403",
    "DELETE /api/tokens/{user_id}": "404 403 403 403",
    "GET /api/users": "200 200 403 403",
    "GET /api/users/{user_id}": "200 200 403 403",
    "POST /api/users ← {}": "400 403 403 403",
    "PUT /api/users/{user_id} ← {}": "200 403 403 403",
    "DELETE /api/users/{client_id}": "404 403 403 403",
    "GET /api/clients": "200 200 403 403",
    "GET /api/clients/{client_id}": "200 200 403 403",
    "POST /api/clients ← {}": "400 400 403 403",
    "PUT /api/clients/{client_id} ← {}": "200 200 403 403",
    "DELETE /api/clients/{client_id}": "409 409 403 403",
}


async def test_each_call_answers_each_role_as_the_table_says(stage: Stage):
    await walk_roles(stage, CALLS)


@pytest.mark.parametrize("told", LISTS, ids=lambda told: told.path)
async def test_a_list_sorts_and_pages_as_the_table_says(stage: Stage, document: dict[str, Any], told: List):
    await walk_list(stage, told, document)


@pytest.mark.parametrize("name", BODIES)
async def test_a_body_holds_what_the_table_says(stage: Stage, name: str):
    await walk_body(stage, BODIES[name])


async def test_each_answer_has_the_fields_of_the_table(stage: Stage):
    for who in ("admin", "member", "client"):
        assert set(await stage.got(who, "GET /api/auth/me")) == names(ME)
    assert set(await stage.got("admin", "GET /api/users/{user_id}")) == names(USER)
    client = await stage.got("admin", "GET /api/clients/{client_id}")
    assert (set(client), client["balance"], client["name"], client["status"]) == (names(CLIENT), "0.00", "Jane Roe", 1)
    made = await stage.made("POST /api/tokens", {"name": "Shown once", "role": "admin"})
    assert set(made) == names(TOKEN) | {"token"}
    assert made["token"].startswith("serx_")
    for path, fields in (("tokens", TOKEN), ("users", USER), ("clients", CLIENT)):
        items = (await stage.got("admin", f"GET /api/{path}?limit=100"))["data"]
        assert {frozenset(item) for item in items} == {frozenset(names(fields))}


async def test_login_gives_a_session_that_logout_ends(stage: Stage):
    email = fresh_email()
    person = {"name_f": "Ada", "name_l": "Byron", "email": email, "role": "member", "password": PASSWORD}
    user = await stage.made("POST /api/users", person)
    answer = await stage.made("POST /api/auth/login", {"email": email.upper(), "password": PASSWORD}, 200)
    assert set(answer) == {"token", "token_type", "expires_in_hours", "user"}
    assert (answer["token_type"], set(answer["user"]), answer["user"]["role"]) == ("bearer", names(ME), "member")
    stage.tokens["session"] = answer["token"]
    assert (await stage.got("session", "GET /api/auth/me"))["id"] == user["id"]
    await stage.got("session", "POST /api/auth/logout", status=204)
    await stage.got("session", "GET /api/auth/me", status=401)
    await stage.got("admin", "POST /api/auth/logout", status=204)  # an API token stays
    await stage.got("admin", "GET /api/auth/me")
    await stage.made("POST /api/auth/login", {"email": email, "password": PASSWORD + "!"}, 401)
    await stage.got("admin", f"DELETE /api/users/{user['id']}", status=204)
    await stage.made("POST /api/auth/login", {"email": email, "password": PASSWORD}, 403)
    assert (await stage.got("admin", f"GET /api/users/{user['id']}"))["status"] == 0
    assert await stage.errors("POST /api/auth/login", {"email": email, "otp": 1}) == {"password", "otp"}


async def test_a_client_logs_in_with_the_password_that_they_were_given(stage: Stage):
    person = {"name_f": "Jane", "name_l": "Roe", "email": fresh_email(), "password": PASSWORD}
    client = await stage.made("POST /api/clients", person)
    login = {"email": person["email"], "password": PASSWORD}
    user = (await stage.made("POST /api/auth/login", login, 200))["user"]
    assert (user["id"], user["role"]) == (client["id"], "client")
    await stage.got("admin", f"PUT /api/clients/{client['id']}", {"status": 0})
    await stage.made("POST /api/auth/login", login, 403)


async def test_tokens_stand_for_whom_the_table_says(stage: Stage):
    admin = await stage.got("admin", "GET /api/auth/me")
    assert (await stage.got("member", "GET /api/auth/me")) == admin | {"role": "member"}
    assert (await stage.got("client", "GET /api/auth/me"))["id"] == stage.ids["client_id"]
    role_client = {"name": "x", "role": "client"}
    assert await stage.errors("POST /api/tokens", role_client) == {"client_id"}
    assert await stage.errors("POST /api/tokens", role_client | {"client_id": str(new_id())}, 422) == {"client_id"}
    assert await stage.errors("POST /api/tokens", {"role": "owner"}) == {"name", "role"}
    past = {"name": "x", "role": "admin", "expires_at": "2020-01-01T00:00:00Z"}
    assert await stage.errors("POST /api/tokens", past) == {"expires_at"}
    made = await stage.made("POST /api/tokens", {"name": "Brief", "role": "admin"})
    stage.tokens["brief"] = made["token"]
    await stage.got("brief", "GET /api/auth/me")
    await stage.got("admin", f"DELETE /api/tokens/{made['id']}", status=204)
    await stage.got("brief", "GET /api/auth/me", status=401)
    assert made["id"] not in {each["id"] for each in (await stage.got("admin", "GET /api/tokens?limit=100"))["data"]}


async def test_addresses_are_unique_and_the_last_administrator_stays(stage: Stage):
    person = {"name_f": "Jane", "name_l": "Roe", "email": fresh_email()}
    client = await stage.made("POST /api/clients", person)
    taken = person | {"email": person["email"].upper()}
    assert await stage.errors("POST /api/clients", taken, 409) == {"email"}
    other = await stage.made("POST /api/clients", person | {"email": fresh_email()})
    assert await stage.errors(f"PUT /api/clients/{other['id']}", {"email": taken["email"]}, 409) == {"email"}
    await stage.got("admin", f"DELETE /api/clients/{client['id']}", status=204)
    await stage.got("admin", f"GET /api/clients/{client['id']}", status=404)
    await stage.made("POST /api/clients", person)
    me = (await stage.got("admin", "GET /api/auth/me"))["id"]
    await stage.got("admin", f"DELETE /api/users/{me}", status=409)
    await stage.got("admin", f"PUT /api/users/{me}", {"role": "member"}, 409)
