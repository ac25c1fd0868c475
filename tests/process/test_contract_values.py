"""The contract's paragraph on text, times and numbers: what comes in, and how it comes back."""

from __future__ import annotations

import json
import unicodedata
from typing import Any, Literal

import httpx
import pytest

from shared.ids import new_id
from tests.support.builders import proposal_body
from tests.support.contract import Stage, sent

Form = Literal["NFC", "NFD"]
FORMS: tuple[Form, ...] = ("NFC", "NFD")
FREE = {
    "custom_fields": ("POST /api/clients", "PUT /api/clients/{client_id}"),
    "metadata": ("POST /api/services", "PUT /api/services/{service_id}"),
    "metadata of an order": ("POST /api/orders", "PUT /api/orders/{id}"),
    "form_data of an order": ("POST /api/orders", "PUT /api/orders/{id}"),
}
OBJECT = '{"z":1.10,"big":12345678901234567.89,"a":[1e400,1E-400,-0,-0.0,{"n":123456789012345678901234567890}],"é":"ü"}'


async def sent_raw(stage: Stage, call: str, body: str) -> httpx.Response:
    method, path = call.split(" ")
    headers = {"content-type": "application/json"}
    path = path.format_map(stage.ids)
    return await stage.installation.call_as(stage.tokens["admin"], method, path, content=body.encode(), headers=headers)


def least(stage: Stage, what: str) -> dict[str, Any]:
    if what == "custom_fields":
        return {"name_f": "Jane", "email": f"{new_id()}@roe.example"}
    return {"user_id": stage.ids["client_id"], "service": "Site"} if "order" in what else {"name": "Site"}


def with_free(body: dict[str, Any], field: str, text: str) -> str:
    return json.dumps(body | {field: "HERE"}).replace('"HERE"', text)


@pytest.mark.parametrize("what", FREE)
async def test_a_free_object_comes_back_as_it_was_sent(stage: Stage, what: str):
    field, (create, change) = what.split(" ", maxsplit=1)[0], FREE[what]
    made = await sent_raw(stage, create, with_free(least(stage, what), field, OBJECT))
    assert f'"{field}":{OBJECT}' in made.text
    path = change.split(" ")[1].rpartition("/")[0] + "/" + made.json()["id"]
    assert f'"{field}":{OBJECT}' in (await stage.call("admin", f"GET {path}")).text
    assert f'"{field}":{OBJECT}' in (await stage.call("admin", f"GET {path.rpartition('/')[0]}")).text
    tag = made.headers["etag"]
    same = await sent_raw(stage, f"PUT {path}", with_free({}, field, OBJECT))
    other = await sent_raw(stage, f"PUT {path}", with_free({}, field, '{"a":1.0}'))
    assert f'"{field}":{OBJECT}' in same.text
    assert f'"{field}":{{"a":1.0}}' in other.text
    assert other.headers["etag"] != tag


@pytest.mark.parametrize("what", FREE)
@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"a":1e99999}', ""),
        ('{"a":' + "1" * 1001 + "}", ""),
        ('{"a":"' + "x" * 65536 + '"}', ""),
        ('{"a":{"b":1,"b":1}}', ".a.b"),
        ('{"a":1,"a":2}', ".a"),
        ('{"e\u0301":1,"\u00e9":2}', ".\u00e9"),
        ('{"a":["\\u0000"]}', ".a.0"),
        ('{"\\u0000":1}', ".(name)"),
    ],
)
async def test_a_free_object_that_cannot_be_stored_is_refused(stage: Stage, what: str, text: str, error: str):
    field, (create, _) = what.split(" ", maxsplit=1)[0], FREE[what]
    refused = await sent_raw(stage, create, with_free(least(stage, what), field, text))
    assert (refused.status_code, list(refused.json()["errors"])) == (400, [f"{field}{error}"])


async def test_a_row_that_the_release_before_wrote_reads_as_it_wrote_it(stage: Stage):
    """It knows no column but the old one."""
    installation = stage.installation
    for service, table, column, create in (
        ("identity", "clients", "custom_fields", "POST /api/clients"),
        ("proposals", "templates", "metadata", "POST /api/services"),
    ):
        made = (await sent_raw(stage, create, with_free(least(stage, column), column, '{"a":1.10}'))).json()
        await installation.rows(
            service, f"update {table} set {column} = '{{\"b\":2}}', version = version + 1 where id = $1", made["id"]
        )
        path = f"{create.split(' ')[1]}/{made['id']}"
        assert (await stage.got("admin", f"GET {path}"))[column] == {"b": 2}
        changed = await sent_raw(stage, f"PUT {path}", with_free({}, column, '{"b":2.00}'))
        assert f'"{column}":{{"b":2.00}}' in changed.text


async def test_text_is_stored_in_nfc_and_found_in_any_form(stage: Stage):
    local = f"rené-{new_id()}"
    typed = unicodedata.normalize("NFD", f"{local}@ex.example")
    stored = unicodedata.normalize("NFC", typed)
    body = {"name_f": unicodedata.normalize("NFD", "René"), "email": f" {typed}\t"}
    client = await stage.made("POST /api/clients", body)
    assert (client["name_f"], client["email"]) == ("René", stored)
    await stage.got("admin", "POST /api/clients", {"name_f": "R", "email": stored}, 409)
    proposal = await stage.made("POST /api/proposals", proposal_body(client_email=f"\u3000{typed} "))
    assert proposal["client_email"] == stored
    for form in (typed, stored, f"%20{typed}%20", stored.upper()):
        found = await stage.got("admin", f"GET /api/proposals?client_email={form}")
        assert [one["id"] for one in found["data"]] == [proposal["id"]], form


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("typed_as", FORMS)
async def test_a_password_is_the_same_in_each_normal_form(stage: Stage, form: Form, typed_as: Form):
    password, email = f"pässwörd für {new_id()}", f"{new_id()}@roe.example"
    body = {"name_f": "Jane", "email": email, "password": unicodedata.normalize(form, password)}
    await stage.made("POST /api/clients", body)
    login = {"email": f" {email} ", "password": unicodedata.normalize(typed_as, password)}
    assert (await stage.got("admin", "POST /api/auth/login", login))["user"]["email"] == email
    await stage.got("admin", "POST /api/auth/login", login | {"password": f"{login['password']} "}, 401)


@pytest.mark.parametrize("form", FORMS)
async def test_a_password_that_was_stored_in_another_form_still_logs_in(stage: Stage, form: Form):
    from argon2 import PasswordHasher

    password, email = f"pässwörd für {new_id()}", f"{new_id()}@roe.example"
    client = await stage.made("POST /api/clients", {"name_f": "Jane", "email": email, "password": password})
    stored = PasswordHasher().hash(unicodedata.normalize("NFD", password))
    await stage.installation.rows(
        "identity", "update clients set password_hash = $1 where id = $2", stored, client["id"]
    )
    login = {"email": email, "password": unicodedata.normalize(form, password)}
    assert (await stage.got("admin", "POST /api/auth/login", login))["user"]["id"] == client["id"]


async def test_people_with_one_name_have_one_everywhere(stage: Stage):
    email = f"{new_id()}@roe.example"
    client = await stage.made("POST /api/clients", {"name_f": "Suharto", "email": email})
    assert (client["name"], client["name_f"], client["name_l"]) == ("Suharto", "Suharto", "")
    changed = await stage.got("admin", f"PUT /api/clients/{client['id']}", {"name_l": "Sr"})
    assert changed["name"] == "Suharto Sr"
    assert (await stage.got("admin", f"PUT /api/clients/{client['id']}", {"name_l": ""}))["name"] == "Suharto"
    proposal = proposal_body(client_email=f"{new_id()}@roe.example", client_name_f="Madonna")
    del proposal["client_name_l"]
    made = await stage.made("POST /api/proposals", proposal)
    assert (made["client_name"], made["client_name_l"]) == ("Madonna", "")
    await stage.got("admin", f"POST /api/proposals/{made['id']}/send")
    signed = await stage.got("admin", f"POST /api/proposals/{made['id']}/sign")
    assert signed["engagement"]["name"] == "Madonna - Engagement"
    assert signed["engagement"]["client"]["name"] == signed["order"]["client"]["name"] == "Madonna"
    for blank in (" ", "\u200b", None):
        assert await stage.errors("POST /api/proposals", proposal | {"client_name_l": blank}) == {"client_name_l"}
        assert await stage.errors(f"PUT /api/clients/{client['id']}", {"name_l": blank}) == {"name_l"}
    assert await stage.errors("POST /api/users", {"name_f": "M", "email": email, "role": "member"}) == {"name_l"}


BLANK = (
    " ",
    "\t\n",
    "\u200b",
    "\u2060",
    "\u2800",
    "\u3164",
    "\u00ad\ufe0f",
    "\U000e0100",
    "\u115f\u1160",
    "\x07",
    "\u202e",
)
NAMES = {
    "client_name_f": ("POST /api/proposals", lambda text: proposal_body(client_name_f=text)),
    "items.0.name": (
        "POST /api/proposals",
        lambda text: proposal_body(items=[{"name": text, "description": "d", "price": 1}]),
    ),
    "name_f": ("POST /api/clients", lambda text: {"name_f": text, "email": "x@y.example"}),
    "name": ("POST /api/services", lambda text: {"name": text}),
    "name of a token": ("POST /api/tokens", lambda text: {"name": text, "role": "member"}),
    "name of a task": ("POST /api/orders/{order_id}/tasks", lambda text: {"name": text}),
    "name of a project": (
        "POST /api/projects",
        lambda text: {"engagement_id": "0197ffff-ffff-7fff-bfff-ffffffffffff", "name": text},
    ),
    "service": ("POST /api/orders", lambda text: {"user_id": "0197ffff-ffff-7fff-bfff-ffffffffffff", "service": text}),
    "signer_name": ("POST /api/proposals/{open}/sign", lambda text: {"signer_name": text}),
}


@pytest.mark.parametrize("what", NAMES)
async def test_a_name_holds_something_that_can_be_seen(stage: Stage, what: str):
    call, body = NAMES[what]
    stage.ids.setdefault("open", await sent(stage))
    for text in BLANK:
        assert await stage.errors(call, body(text)) == {what.split(" ", maxsplit=1)[0]}, ascii(text)


ADDRESSES = (
    *("kim@ex.example\u200b", "k\u00adim@ex.example", "<kim@ex.example>", "mailto:kim@ex.example", "kim@ex.example,"),
    *("a..b@ex.example", "kim@ex.example.", "kim@-ex-.example", '"x@ex.example', "kim@[1.2.3.4]", "kim\x07@ex.example"),
    *(
        "kim@ex.example?subject=x",
        "kim @ex.example",
        "kim@ex .example",
        "a@b",
        "kim@ex.example\u202e",
        "kim(x)@ex.example",
    ),
)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        ("POST /api/clients", "email"),
        ("PUT /api/clients/{client_id}", "email"),
        ("POST /api/users", "email"),
        ("PUT /api/users/{user_id}", "email"),
        ("POST /api/proposals", "client_email"),
    ],
)
async def test_what_nobody_could_write_to_is_no_address(stage: Stage, call: str, field: str):
    whole: dict[str, Any] = {"name_f": "Kim", "name_l": "Lee"} if "PUT" not in call else {}
    whole |= {"role": "member"} if call == "POST /api/users" else {}
    whole = proposal_body() if "proposals" in call else whole
    for address in ADDRESSES:
        assert await stage.errors(call, whole | {field: address}) == {field}, ascii(address)


TIMES = {
    "2027-01-31T23:59:59.9999999Z": "2027-01-31T23:59:59.999999Z",
    "2027-12-31T23:59:59.9999999+02:00": "2027-12-31T21:59:59.999999Z",
    "9999-12-31T23:59:59.9999999Z": "9999-12-31T23:59:59.999999Z",
    "2027-02-08t12:00:00z": "2027-02-08T12:00:00Z",
    "2027-06-30T23:59:60Z": "2027-06-30T23:59:59.999999Z",
}


async def test_times_are_cut_and_never_rounded_in_every_field(stage: Stage):
    order = {"user_id": stage.ids["client_id"], "service": "Site"}
    fields = [
        ("POST /api/proposals", proposal_body(), ("valid_until",)),
        ("POST /api/orders", order, ("date_started", "date_completed", "date_due")),
        ("PUT /api/orders/{order_id}", {}, ("date_started", "date_completed", "date_due")),
        ("POST /api/orders/{order_id}/tasks", {"name": "Logo"}, ("due_at",)),
        ("PUT /api/order-tasks/{task_id}", {"deadline": None}, ("due_at",)),
        ("POST /api/tokens", {"name": "Brief", "role": "member"}, ("expires_at",)),
    ]
    first = await stage.made("POST /api/orders", order | {"date_due": "0001-01-01T00:00:00Z"})
    assert first["date_due"] == "0001-01-01T00:00:00Z"
    assert (await stage.got("admin", f"GET /api/orders/{first['id']}"))["date_due"] == "0001-01-01T00:00:00Z"
    for call, body, names in fields:
        for spelled, read in TIMES.items():
            answer = await stage.call("admin", call, body | dict.fromkeys(names, spelled))
            assert answer.status_code in (200, 201), answer.text
            assert [answer.json()[name] for name in names] == [read] * len(names), call
            if call in ("POST /api/proposals", "POST /api/orders"):
                again = await stage.got("admin", f"GET {call.split(' ')[1]}/{answer.json()['id']}")
                assert [again[name] for name in names] == [read] * len(names), call
        for wrong in ("2027-01-31T23:59:59", "2027-01-31T12:00:60Z", "2027-01-31T12:00:00+0200", 1, "tomorrow"):
            assert await stage.errors(call, body | dict.fromkeys(names, wrong)) == set(names), (call, wrong)


async def test_a_name_is_given_once_in_any_object_of_any_body(stage: Stage):
    twice = {
        '{"name":"a","name":"a"}': {"name"},
        '{"name":"a","price":1,"price":"1"}': {"price"},
        '{"name":"a","\\u006eame":"b"}': {"name"},
    }
    for body, fields in twice.items():
        refused = await sent_raw(stage, "POST /api/services", body)
        assert (refused.status_code, set(refused.json()["errors"])) == (400, fields)
    items = '[{"name":"a","description":"d","price":1},{"name":"a","description":"d","price":1,"price":2}]'
    refused = await sent_raw(stage, "POST /api/proposals", with_free(proposal_body(), "items", items))
    assert (refused.status_code, set(refused.json()["errors"])) == (400, {"items.1.price"})


async def test_a_body_may_begin_with_a_byte_order_mark(stage: Stage):
    assert (await sent_raw(stage, "POST /api/services", '\ufeff{"name":"a"}')).status_code == 201
