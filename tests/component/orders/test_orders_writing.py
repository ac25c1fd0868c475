"""Orders that staff make, change and delete."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import msgspec
import pytest

from services.orders.domain import writing
from services.orders.domain.writing import OrderFields
from services.orders.model import NumberTaken
from shared import clock
from shared.contracts.orders import STAFF_ONLY
from shared.database import Database
from shared.ids import new_id
from shared.web.actor import Actor
from tests.component.orders.calls import made, whose
from tests.component.orders.owners import Owners
from tests.support import actors
from tests.support.commands import Orchestrator, place_order
from tests.support.databases import Databases
from tests.support.interference import is_waiting_for_a_lock
from tests.support.servers import until
from tests.support.services import Service

FREE = (
    b'{"z":1.50,"a":[1e400,123456789012345678901234567890,{"b":0.1000000000000000055511151231257827}],'
    b'"\xc3\xa9":null,"empty":{}}'
)


async def signed(orchestrator: Orchestrator, staff: Actor, **changes: Any) -> str:
    """The path of an order that a signature made."""
    command = place_order(staff.org_id, **changes)
    await orchestrator.ask("orders", "place", command, key=f"{command.saga_id}.order")
    return f"/api/orders/{command.order_id}"


async def test_an_order_has_everything_that_was_said_of_it(service: Service, owners: Owners, staff: Actor):
    client = owners.client(staff.org_id, phone="+44 20")
    engagement, template = owners.engagement(staff.org_id, client.id), owners.template(staff.org_id)
    ada, bob = owners.user(staff.org_id), owners.user(staff.org_id, name_f="Bob")
    body = {
        "user_id": str(client.id),
        "service": "SEO, all of it",
        "service_id": str(template.id),
        "price": "99.90",
        "currency": "GBP",
        "quantity": 3,
        "status": 1,
        "engagement_id": str(engagement.id),
        "note": "Call first",
        "number": "ORDER001",
        "metadata": {"b": 1, "a": [2]},
        "form_data": {"colour": "red"},
        "tags": ["vip", "rush"],
        "employees": [str(bob.id), str(ada.id), str(bob.id)],
        "date_started": "2026-02-08T12:00:00Z",
        "date_completed": None,
        "date_due": "2026-03-01T02:00:00.123456+02:00",
    }
    answer = await service.call(staff, "POST", "/api/orders", json=body)
    assert answer.status_code == 201, answer.text
    order = answer.json()
    created_at = order["created_at"]
    names = {"name": "Jane Roe", "name_f": "Jane", "name_l": "Roe"}
    assert order == {
        **body,
        "id": order["id"],
        "org_id": str(staff.org_id),
        "client": {
            "id": str(client.id),
            **names,
            "email": "jane@roe.example",
            "company": "Roe Ltd",
            "phone": "+44 20",
        },
        "status": "In Progress",
        "status_id": 1,
        "employees": [
            {"id": str(bob.id), "name": "Bob Admin", "name_f": "Bob", "name_l": "Admin"},
            {"id": str(ada.id), "name": "Ada Admin", "name_f": "Ada", "name_l": "Admin"},
        ],
        "created_at": created_at,
        "updated_at": created_at,
        "date_due": "2026-03-01T00:00:00.123456Z",
        "billed_to": order["billed_to"],
    }
    read = await service.call(staff, "GET", f"/api/orders/{order['id']}")
    assert (read.json(), read.headers["etag"]) == (order, answer.headers["etag"])
    assert (await service.call(staff, "GET", "/api/orders")).json()["data"] == [order]
    shown = {name: value for name, value in order.items() if name not in STAFF_ONLY}
    assert (await service.call(whose(staff, order), "GET", f"/api/orders/{order['id']}")).json() == shown


async def test_what_is_not_said_is_as_usual(service: Service, owners: Owners, staff: Actor):
    order = await made(service, owners, staff)
    assert (order["price"], order["currency"], order["quantity"]) == ("0.00", "USD", 1)
    assert (order["status"], order["status_id"]) == ("Unpaid", 0)
    assert (order["metadata"], order["form_data"], order["tags"], order["employees"]) == ({}, {}, [], [])
    absent = ("engagement_id", "service_id", "note", "date_started", "date_completed", "date_due")
    assert {order[name] for name in absent} == {None}
    assert len(order["number"]) == 8


async def test_a_template_gives_name_price_and_currency(service: Service, owners: Owners, staff: Actor):
    client, template = owners.client(staff.org_id), owners.template(staff.org_id)
    body = {"user_id": str(client.id), "service_id": str(template.id)}
    order = (await service.call(staff, "POST", "/api/orders", json=body)).json()
    assert (order["service"], order["price"], order["currency"]) == ("Search", "1200.50", "EUR")
    own = (await service.call(staff, "POST", "/api/orders", json=body | {"service": "Own", "price": 0})).json()
    assert (own["service"], own["price"], own["currency"]) == ("Own", "0.00", "EUR")


@pytest.mark.parametrize("field", ["metadata", "form_data"])
async def test_free_objects_are_kept_as_they_came(service: Service, owners: Owners, staff: Actor, field: str):
    client = owners.client(staff.org_id)
    body = f'{{"user_id":"{client.id}","service":"x","{field}":'.encode() + FREE + b"}"
    json = {"content-type": "application/json"}
    answer = await service.call(staff, "POST", "/api/orders", content=body, headers=json)
    assert answer.status_code == 201, answer.text
    path = f"/api/orders/{answer.json()['id']}"
    spelled = f'"{field}":'.encode() + FREE
    for seen in (answer, await service.call(staff, "GET", path), await service.call(staff, "GET", "/api/orders")):
        assert spelled in seen.content


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"service": None}, {"service"}),
        ({"service": ""}, {"service"}),
        ({"service": "  "}, {"service"}),
        ({"service": "x" * 256}, {"service"}),
        ({"price": -1, "currency": "usd", "quantity": 0}, {"price", "currency", "quantity"}),
        ({"price": "1.001"}, {"price"}),
        ({"price": None}, {"price"}),
        ({"currency": "USD\n"}, {"currency"}),
        ({"quantity": 2**31}, {"quantity"}),
        ({"quantity": 1.5}, {"quantity"}),
        ({"status": 5}, {"status"}),
        ({"status": "Unpaid"}, {"status"}),
        ({"number": "short"}, {"number"}),
        ({"number": "ABCDEFG1\n"}, {"number"}),
        ({"number": "abcdefg1"}, {"number"}),
        ({"metadata": [], "form_data": None}, {"metadata", "form_data"}),
        ({"metadata": {"a": "\0"}}, {"metadata.a"}),
        ({"tags": ["ok", "", 3]}, {"tags.1", "tags.2"}),
        ({"employees": ["x"]}, {"employees.0"}),
        ({"engagement_id": "x", "service_id": 1, "user_id": "x"}, {"engagement_id", "service_id", "user_id"}),
        ({"date_due": "tomorrow", "date_started": "2026-02-08T12:00:00"}, {"date_due", "date_started"}),
        ({"date_due": "0001-01-01T00:00:00+10:00"}, {"date_due"}),
        ({"user_id": None}, {"user_id"}),
        ({"note": 1, "is_deleted": True, "id": "x"}, {"note", "is_deleted", "id"}),
    ],
)
async def test_every_bad_field_is_named(service: Service, staff: Actor, change: dict[str, Any], fields: set[str]):
    body = {"user_id": str(new_id()), "service": "x"} | change
    answer = await service.call(staff, "POST", "/api/orders", json=body)
    assert (answer.status_code, set(answer.json()["errors"])) == (400, fields)


@pytest.mark.parametrize("body", [{}, {"service_id": None}])
async def test_a_client_and_a_service_are_required(service: Service, staff: Actor, body: dict[str, Any]):
    answer = await service.call(staff, "POST", "/api/orders", json=body)
    assert (answer.status_code, set(answer.json()["errors"])) == (400, {"user_id", "service"})


async def test_a_number_is_unique_in_its_organisation_also_after_a_deletion(
    service: Service, owners: Owners, staff: Actor
):
    first = await made(service, owners, staff, number="TAKEN001")
    body = {"user_id": first["user_id"], "service": "x", "number": "TAKEN001"}
    again = await service.call(staff, "POST", "/api/orders", json=body)
    assert (again.status_code, list(again.json()["errors"])) == (409, ["number"])
    second = await made(service, owners, staff)
    moved = await service.call(staff, "PUT", f"/api/orders/{second['id']}", json={"number": "TAKEN001"})
    assert (moved.status_code, list(moved.json()["errors"])) == (409, ["number"])
    await service.call(staff, "DELETE", f"/api/orders/{first['id']}")
    assert (await service.call(staff, "POST", "/api/orders", json=body)).status_code == 409
    await made(service, owners, actors.admin(), number="TAKEN001")


async def test_a_number_that_is_drawn_and_taken_is_drawn_again(
    service: Service, owners: Owners, staff: Actor, monkeypatch: pytest.MonkeyPatch
):
    taken = (await made(service, owners, staff))["number"]
    draws = iter([taken, taken, "FRESH002"])
    monkeypatch.setattr(writing, "draw_number", lambda: next(draws))
    assert (await made(service, owners, staff))["number"] == "FRESH002"


async def test_a_change_sets_what_is_sent_and_leaves_the_rest(service: Service, owners: Owners, staff: Actor):
    ada = owners.user(staff.org_id)
    order = await made(
        service, owners, staff, note="n", tags=["a"], employees=[str(ada.id)], price="5", number="KEEPME01"
    )
    path = f"/api/orders/{order['id']}"
    answer = await service.call(staff, "PUT", path, json={"status": 2, "note": None, "price": 7.5, "tags": []})
    changed = answer.json()
    assert answer.status_code == 200, answer.text
    assert changed["updated_at"] > order["updated_at"]
    fresh = {"status": "Completed", "status_id": 2, "note": None, "price": "7.50", "tags": []}
    fresh["date_completed"] = changed["updated_at"]
    assert changed == order | fresh | {"updated_at": changed["updated_at"]}
    assert (await service.call(staff, "GET", path)).json() == changed


async def test_a_change_can_set_every_field(service: Service, owners: Owners, staff: Actor):
    order = await made(service, owners, staff)
    client = owners.client(staff.org_id, name_f="Joan")
    engagement, template = owners.engagement(staff.org_id, client.id), owners.template(staff.org_id)
    body = {
        "user_id": str(client.id),
        "service": "Another",
        "service_id": str(template.id),
        "price": "1.00",
        "currency": "EUR",
        "quantity": 2,
        "engagement_id": str(engagement.id),
        "note": "n",
        "number": "OTHER001",
        "metadata": {"a": 1},
        "form_data": {"b": 2},
        "tags": ["t"],
        "date_started": "2026-02-08T12:00:00Z",
        "date_completed": "2026-02-09T12:00:00Z",
        "date_due": "2026-02-10T12:00:00Z",
    }
    changed = (await service.call(staff, "PUT", f"/api/orders/{order['id']}", json=body)).json()
    assert {name: changed[name] for name in body} == body
    assert changed["client"]["name"] == "Joan Roe"
    cleared = dict.fromkeys(("service_id", "engagement_id", "note", "date_due"))
    answer = await service.call(staff, "PUT", f"/api/orders/{order['id']}", json=cleared)
    assert {name: answer.json()[name] for name in cleared} == cleared


async def test_a_change_that_changes_nothing_is_none(
    service: Service, owners: Owners, orchestrator: Orchestrator, staff: Actor
):
    order = await made(service, owners, staff, price="5.00", metadata={"a": 1})
    body = {"price": 5, "metadata": {"a": 1}, "user_id": order["user_id"], "note": None}
    read = await service.call(staff, "GET", f"/api/orders/{order['id']}")
    for same in (body, {}):
        answer = await service.call(staff, "PUT", f"/api/orders/{order['id']}", json=same)
        assert (answer.json(), answer.headers["etag"]) == (order, read.headers["etag"])
    await service.call(staff, "PUT", f"/api/orders/{order['id']}", json={"note": "x"})
    assert [name for name, _, _ in await orchestrator.hears(staff.org_id, 2)] == ["order.placed", "order.changed"]


@pytest.mark.parametrize(
    "field",
    ["service", "price", "currency", "quantity", "status", "number", "metadata", "form_data", "tags", "employees"],
)
async def test_what_cannot_be_null_is_refused_as_null(service: Service, owners: Owners, staff: Actor, field: str):
    order = await made(service, owners, staff)
    answer = await service.call(staff, "PUT", f"/api/orders/{order['id']}", json={field: None})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


async def test_what_a_signature_made_of_an_order_never_changes(
    service: Service, owners: Owners, orchestrator: Orchestrator, staff: Actor
):
    path = await signed(orchestrator, staff)
    order = (await service.call(staff, "GET", path)).json()
    client, template = owners.client(staff.org_id), owners.template(staff.org_id)
    changes: dict[str, Any] = {
        "price": 1,
        "currency": "EUR",
        "quantity": 2,
        "user_id": str(client.id),
        "engagement_id": None,
        "service": "Nothing at all",
        "service_id": str(template.id),
        "number": "ABCD1234",
    }
    answer = await service.call(staff, "PUT", path, json=changes | {"note": "x"})
    assert (answer.status_code, set(answer.json()["errors"])) == (409, set(changes))
    for name, value in changes.items():
        answer = await service.call(staff, "PUT", path, json={name: value})
        assert (answer.status_code, set(answer.json()["errors"])) == (409, {name})
    assert (await service.call(staff, "GET", path)).json() == order


async def test_the_metadata_that_a_signature_wrote_stays_and_other_keys_come_and_go(
    service: Service, orchestrator: Orchestrator, staff: Actor
):
    path = await signed(orchestrator, staff)
    written = (await service.call(staff, "GET", path)).json()["metadata"]
    for metadata in ({}, written | {"proposal_items": [{"name": "SEO", "price": "1.00"}]}, {"own": 1}):
        answer = await service.call(staff, "PUT", path, json={"metadata": metadata})
        assert answer.status_code == 409
        assert all(field.startswith("metadata.") for field in answer.json()["errors"])
    for metadata in (written | {"own": {"x": 1.50}}, written | {"own": 2}, written):
        answer = await service.call(staff, "PUT", path, json={"metadata": metadata})
        assert (answer.status_code, answer.json()["metadata"]) == (200, metadata)


async def test_what_an_order_answers_can_be_sent_back(service: Service, orchestrator: Orchestrator, staff: Actor):
    path = await signed(orchestrator, staff)
    read = await service.call(staff, "GET", path)
    fields = (
        "price",
        "currency",
        "quantity",
        "user_id",
        "engagement_id",
        "service",
        "service_id",
        "number",
        "metadata",
    )
    same = {name: read.json()[name] for name in fields}
    again = await service.call(staff, "PUT", path, json=same)
    assert (again.status_code, again.json(), again.headers["etag"]) == (200, read.json(), read.headers["etag"])
    answer = await service.call(staff, "PUT", path, json=same | {"status": 2, "note": "paid"})
    assert (answer.status_code, answer.json()["status"], answer.json()["note"]) == (200, "Completed", "paid")


def large_metadata() -> dict[str, Any]:
    """What a signature writes of a proposal with long descriptions: 400 KiB, far more than a caller's own."""
    items = [{"name": f"Item {number}", "description": "d" * 4096, "price": "1.50"} for number in range(100)]
    return {"proposal_id": str(new_id()), "engagement_id": str(new_id()), "proposal_items": items}


async def test_metadata_of_a_signature_can_be_sent_back_whatever_its_size(
    service: Service, orchestrator: Orchestrator, staff: Actor
):
    written = large_metadata()
    path = await signed(orchestrator, staff, metadata=msgspec.Raw(msgspec.json.encode(written)))
    read = await service.call(staff, "GET", path)
    assert read.json()["metadata"] == written
    for same in (written, dict(reversed(written.items()))):
        again = await service.call(staff, "PUT", path, json={"metadata": same, "note": "paid"})
        assert (again.status_code, again.json()["metadata"], again.json()["note"]) == (200, written, "paid"), again.text
    for own, status in (({"own": "x" * 60_000}, 200), ({"own": "x" * 66_000}, 400), ({}, 200)):
        answer = await service.call(staff, "PUT", path, json={"metadata": written | own})
        assert answer.status_code == status, answer.text
    items = written["proposal_items"]
    for other in (written | {"proposal_items": items[:1]}, {"own": 1}):
        assert (await service.call(staff, "PUT", path, json={"metadata": other})).status_code == 409


async def test_a_larger_object_than_may_be_is_refused_and_names_every_bad_field(
    service: Service, owners: Owners, orchestrator: Orchestrator, staff: Actor
):
    large = {"a": "x" * 70_000}
    order = await made(service, owners, staff, metadata={"a": 1})
    for path in (f"/api/orders/{order['id']}", await signed(orchestrator, staff)):
        answer = await service.call(
            staff, "PUT", path, json={"metadata": large, "form_data": large, "quantity": 0}, headers={"if-match": '"x"'}
        )
        assert (answer.status_code, set(answer.json()["errors"])) == (400, {"metadata", "form_data", "quantity"})
    assert (await service.call(staff, "PUT", f"/api/orders/{new_id()}", json={"metadata": large})).status_code == 404
    client = whose(staff, order)
    assert (await service.call(client, "PUT", path, json={"metadata": large})).status_code == 403


async def test_an_object_that_an_earlier_release_took_can_be_sent_back(
    service: Service, database: Database, owners: Owners, staff: Actor
):
    order = await made(service, owners, staff)
    path, large = f"/api/orders/{order['id']}", {"a": "x" * 70_000}
    async with database.transaction(staff.org_id) as tx:
        await tx.run(
            "update orders set metadata = $2, form_data = $2 where id = $1",
            UUID(order["id"]),
            msgspec.json.encode(large),
        )
    read = await service.call(staff, "GET", path)
    same = {"metadata": large, "form_data": large}
    again = await service.call(staff, "PUT", path, json=same)
    assert (again.status_code, again.json()["form_data"], again.headers["etag"]) == (200, large, read.headers["etag"])
    for field in same:
        answer = await service.call(staff, "PUT", path, json={field: large | {"b": 1}})
        assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


async def test_an_order_that_a_signature_made_is_cancelled_and_not_deleted(
    service: Service, orchestrator: Orchestrator, staff: Actor
):
    path = await signed(orchestrator, staff)
    assert (await service.call(staff, "DELETE", path)).status_code == 409
    cancelled = await service.call(staff, "PUT", path, json={"status": 3})
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "Cancelled")
    assert (await service.call(staff, "DELETE", path)).status_code == 409
    assert (await service.call(staff, "GET", path)).json() == cancelled.json()


async def test_an_unknown_reference_and_a_stale_version_are_found_before_what_was_signed(
    service: Service, orchestrator: Orchestrator, staff: Actor
):
    path = await signed(orchestrator, staff)
    answer = await service.call(staff, "PUT", path, json={"user_id": str(new_id()), "price": 1})
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["user_id"])
    for method in ("PUT", "DELETE"):
        options = {"json": {"price": 1}} if method == "PUT" else {}
        stale = await service.call(staff, method, path, headers={"if-match": '"7.x"'}, **options)
        assert stale.status_code == 412


async def test_an_order_that_enters_completed_is_dated(service: Service, owners: Owners, staff: Actor):
    made_so = await made(service, owners, staff, status=2)
    assert made_so["date_completed"] == made_so["created_at"]
    own = "2026-02-08T12:00:00Z"
    assert (await made(service, owners, staff, status=2, date_completed=own))["date_completed"] == own
    order = await made(service, owners, staff)
    assert order["date_completed"] is None
    done = (await service.call(staff, "PUT", f"/api/orders/{order['id']}", json={"status": 2})).json()
    assert done["date_completed"] == done["updated_at"]
    for body in ({"status": 1}, {"status": 2}):
        later = (await service.call(staff, "PUT", f"/api/orders/{order['id']}", json=body)).json()
        assert later["date_completed"] == done["date_completed"]


async def test_an_order_is_found_by_its_number(service: Service, owners: Owners, staff: Actor):
    wanted, other = await made(service, owners, staff), await made(service, owners, staff)

    async def found(actor: Actor, number: str, **more: str) -> list[str]:
        query = "&".join(f"{name}={value}" for name, value in {"number": number, **more}.items())
        answer = await service.call(actor, "GET", f"/api/orders?{query}")
        assert answer.status_code == 200
        return [order["id"] for order in answer.json()["data"]]

    assert await found(staff, wanted["number"]) == [wanted["id"]]
    assert await found(staff, wanted["number"], user_id=other["user_id"]) == []
    assert await found(whose(staff, wanted), wanted["number"]) == [wanted["id"]]
    assert await found(whose(staff, other), wanted["number"]) == []
    assert await found(actors.admin(), wanted["number"]) == []
    assert await found(staff, "ZZZZZZZZ") == []
    for none in ("", "ZZZZZZZ", "ZZZZZZZZZ", "zzzzzzzz", "-1", "null", "ZZZZZZ%20Z", "ZZZZZZZ%0A", "ZZZZZZZ%C3%96"):
        answer = await service.call(staff, "GET", f"/api/orders?number={none}")
        assert (answer.status_code, list(answer.json()["errors"])) == (400, ["number"]), none


async def test_a_deleted_order_is_gone(service: Service, owners: Owners, staff: Actor):
    order = await made(service, owners, staff)
    path = f"/api/orders/{order['id']}"
    answer = await service.call(staff, "DELETE", path)
    assert (answer.status_code, answer.content) == (204, b"")
    for method, options in (("GET", {}), ("PUT", {"json": {}}), ("DELETE", {})):
        assert (await service.call(staff, method, path, **options)).status_code == 404
    assert (await service.call(staff, "GET", "/api/orders")).json()["meta"]["total"] == 0


async def test_events_tell_the_whole_state_with_a_version_that_grows(
    service: Service, owners: Owners, orchestrator: Orchestrator, staff: Actor
):
    order = await made(service, owners, staff, price="9.50")
    await service.call(staff, "PUT", f"/api/orders/{order['id']}", json={"status": 4})
    await service.call(staff, "DELETE", f"/api/orders/{order['id']}")
    told = await orchestrator.hears(staff.org_id, 3)
    bodies = sorted((body["version"], name, body) for name, _, body in told)
    assert [name for _, name, _ in bodies] == ["order.placed", "order.changed", "order.deleted"]
    assert [version for version, _, _ in bodies] == [1, 2, 3]
    last = bodies[-1][2]
    assert (last["id"], last["number"], last["client_id"]) == (order["id"], order["number"], order["user_id"])
    assert (last["price"], last["status"], last["is_deleted"], last["is_cancelled"]) == ("9.50", 4, True, False)


async def test_a_stale_version_changes_and_deletes_nothing(service: Service, owners: Owners, staff: Actor):
    order = await made(service, owners, staff)
    path = f"/api/orders/{order['id']}"
    old = (await service.call(staff, "GET", path)).headers["etag"]
    first = await service.call(staff, "PUT", path, json={"note": "a"}, headers={"if-match": old})
    assert first.status_code == 200
    stale = {"if-match": old}
    # 412 comes before 422 and 409.
    unknown = await service.call(staff, "PUT", path, json={"user_id": str(new_id())}, headers=stale)
    assert unknown.status_code == 412
    assert (await service.call(staff, "DELETE", path, headers=stale)).status_code == 412
    assert (await service.call(staff, "GET", path)).json()["note"] == "a"
    fresh = {"if-match": first.headers["etag"]}
    assert (await service.call(staff, "GET", path, headers={"if-none-match": fresh["if-match"]})).status_code == 304
    assert (await service.call(staff, "DELETE", path, headers=fresh)).status_code == 204


async def test_the_same_key_makes_one_order(service: Service, owners: Owners, staff: Actor):
    body = {"user_id": str(owners.client(staff.org_id).id), "service": "x"}
    key = {"idempotency-key": "one"}
    answers = await asyncio.gather(
        *(service.call(staff, "POST", "/api/orders", json=body, headers=key) for _ in range(5))
    )
    assert {answer.status_code for answer in answers} <= {201, 409}
    again = await service.call(staff, "POST", "/api/orders", json=body, headers=key)
    made_by = next(answer for answer in answers if answer.status_code == 201)
    assert (again.content, again.headers["idempotent-replayed"]) == (made_by.content, "true")
    assert (await service.call(staff, "GET", "/api/orders")).json()["meta"]["total"] == 1


async def test_a_refusal_burns_no_key(service: Service, owners: Owners, staff: Actor):
    key = {"idempotency-key": "k"}
    for refused, status in (({"user_id": str(new_id()), "service": "x"}, 422), ({"user_id": 1}, 400)):
        answer = await service.call(staff, "POST", "/api/orders", json=refused, headers=key)
        assert (answer.status_code, "idempotent-replayed" in answer.headers) == (status, False)
    mended = {"user_id": str(owners.client(staff.org_id).id), "service": "x"}
    assert (await service.call(staff, "POST", "/api/orders", json=mended, headers=key)).status_code == 201


async def test_a_client_writes_nothing_whatever_the_id_or_body(service: Service, owners: Owners, staff: Actor):
    order = await made(service, owners, staff)
    client = whose(staff, order)
    for method, path in (
        ("POST", "/api/orders"),
        ("PUT", f"/api/orders/{order['id']}"),
        ("DELETE", f"/api/orders/{order['id']}"),
        ("PUT", "/api/orders/rubbish"),
    ):
        options = {} if method == "DELETE" else {"content": b"{"}
        assert (await service.call(client, method, path, **options)).status_code == 403


async def test_what_is_not_there_is_told_before_a_bad_body(service: Service, owners: Owners, staff: Actor):
    there = (await made(service, owners, staff))["id"]
    foreign = (await made(service, owners, actors.admin()))["id"]
    for id in (foreign, new_id(), "rubbish"):
        path = f"/api/orders/{id}"
        assert (await service.call(staff, "PUT", path, content=b"{")).status_code == 404
        assert (await service.call(staff, "PUT", path, json={"surprise": 1})).status_code == 404
        assert (await service.call(staff, "PUT", path, json={"user_id": str(new_id())})).status_code == 404
        assert (await service.call(staff, "DELETE", path)).status_code == 404
    plain = {"content-type": "text/plain"}
    for method, path in (("POST", "/api/orders"), ("PUT", f"/api/orders/{there}")):
        assert (await service.call(staff, method, path, content=b"{}", headers=plain)).status_code == 415
        assert (await service.call(staff, method, f"{path}?x=1", json={})).status_code == 400


async def test_in_another_currency_than_the_templates_a_price_is_required(
    service: Service, owners: Owners, staff: Actor
):
    client, template = owners.client(staff.org_id), owners.template(staff.org_id)
    other = "JPY" if template.currency != "JPY" else "EUR"
    body = {"user_id": str(client.id), "service_id": str(template.id), "currency": other}
    refused = await service.call(staff, "POST", "/api/orders", json=body)
    assert (refused.status_code, list(refused.json()["errors"])) == (422, ["price"])
    made = await service.call(staff, "POST", "/api/orders", json=body | {"price": 7})
    assert (made.json()["price"], made.json()["currency"]) == ("7.00", other)
    path = f"/api/orders/{made.json()['id']}"
    refused = await service.call(staff, "PUT", path, json={"currency": template.currency})
    assert (refused.status_code, list(refused.json()["errors"])) == (422, ["price"])
    moved = await service.call(staff, "PUT", path, json={"currency": template.currency, "price": 9})
    assert (moved.json()["price"], moved.json()["currency"]) == ("9.00", template.currency)
    cents = await service.call(staff, "PUT", path, json={"currency": "KRW", "price": "9.50"})
    assert (cents.status_code, list(cents.json()["errors"])) == (400, ["price"])


async def test_a_number_that_is_taken_is_no_error_of_the_database(
    service: Service, owners: Owners, staff: Actor, database: Database
):
    """PostgreSQL would log it, with the whole statement, as often as a caller likes."""
    taken, order = [await made(service, owners, staff) for _ in range(2)]
    async with database.transaction(staff.org_id) as tx:
        found = await writing.lock(tx, staff, UUID(order["id"]))
        for number in (taken["number"], taken["number"]):  # the transaction is whole after the first
            with pytest.raises(NumberTaken):
                await writing.change(tx, found, OrderFields(number=number), clock.now())
        await writing.change(tx, found, OrderFields(number=order["number"], note="b"), clock.now())
    assert (await service.call(staff, "GET", f"/api/orders/{order['id']}")).json()["note"] == "b"


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_the_second_who_chooses_a_number_waits_and_finds_it_taken(
    service: Service,
    owners: Owners,
    staff: Actor,
    database: Database,
    databases: Databases,
    dsn: str,
    method: str,
):
    """Else the unique index would refuse it: an error in PostgreSQL's log, as often as two callers like."""
    first, second = [await made(service, owners, staff) for _ in range(2)]
    chosen = OrderFields(number="CHOSEN01", service="x")

    async def come_late() -> None:
        async with database.transaction(staff.org_id) as tx:
            found = await writing.lock(tx, staff, UUID(second["id"]))
            with pytest.raises(NumberTaken):
                await writing.change(tx, found, chosen, clock.now())
            await writing.change(tx, found, OrderFields(note="the transaction is whole"), clock.now())

    async with database.transaction(staff.org_id) as tx:
        if method == "PUT":
            await writing.change(tx, await writing.lock(tx, staff, UUID(first["id"])), chosen, clock.now())
        else:
            await writing.create(tx, staff, UUID(first["user_id"]), chosen, clock.now())
        late = asyncio.ensure_future(come_late())
        await until(lambda: is_waiting_for_a_lock(databases, dsn))
    await late
    answer = await service.call(staff, "GET", f"/api/orders/{second['id']}")
    assert (answer.json()["note"], answer.json()["number"]) == ("the transaction is whole", second["number"])


@pytest.mark.parametrize(
    ("refused", "type_"),
    [(b"{", "application/json"), (b"", "application/json"), (b'{"name": 1}', "application/json"), (b"x", "text/plain")],
)
async def test_a_key_whose_first_call_still_runs_comes_before_what_is_wrong_with_the_body(
    service: Service, owners: Owners, staff: Actor, databases: Databases, dsn: str, refused: bytes, type_: str
):
    order = await made(service, owners, staff)
    path, key = f"/api/orders/{order['id']}/tasks", {"idempotency-key": str(new_id())}

    async def ask(headers: dict[str, str] = key, **options: Any) -> int:
        return (await service.call(staff, "POST", path, headers=headers, **options)).status_code

    bad: dict[str, Any] = {"content": refused, "headers": key | {"content-type": type_}}
    async with service.app.state.database.transaction(staff.org_id) as tx:
        await tx.value("select version from orders where id = $1 for update", order["id"])
        first = asyncio.ensure_future(ask(json={"name": "Brief"}))
        await until(lambda: is_waiting_for_a_lock(databases, dsn))
        assert await ask(**bad) == 409
        assert await ask(params={"unknown": 1}, json={"name": "Brief"}) == 409
        assert await ask(**bad | {"headers": {"content-type": type_}}) in (400, 415)
    assert await first == 201
    assert await ask(**bad) == 422
