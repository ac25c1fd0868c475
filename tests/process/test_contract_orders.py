"""The contract's table of orders and their tasks, row by row."""

from __future__ import annotations

from typing import Any

import pytest

from shared.ids import new_id
from tests.support.contract import Body, List, Stage, names, walk_body, walk_list
from tests.support.contract_roles import walk_roles

ORDER = (
    "id, org_id, number, user_id, client, billed_to, engagement_id, status, status_id, price, currency, quantity,"
    "service, service_id, note, metadata, form_data, tags, employees, created_at, updated_at, date_started,"
    "date_completed, date_due"
)
STAFF_ONLY = names("note, metadata, tags")
TASK = (
    "id, order_id, name, description, sort_order, is_public, for_client, is_complete, completed_by, completed_at,"
    "deadline, due_at, employees"
)
EMPLOYEE = "id, name, name_f, name_l"
STATUSES = [(0, "Unpaid"), (1, "In Progress"), (2, "Completed"), (3, "Cancelled"), (4, "On Hold")]
TIME = "2026-02-08T12:00:00.123456Z"
CALLS = {  # admin, member, client, another client
    "GET /api/orders": "200 200 200 200",
    "POST /api/orders ← {}": "400 400 403 403",
    "GET /api/orders/{order_id}": "200 200 200 404",
    "PUT /api/orders/{order_id} ← {}": "200 200 403 403",
    "DELETE /api/orders/{client_id}": "404 404 403 403",
    "GET /api/orders/{order_id}/tasks": "200 200 200 404",
    "POST /api/orders/{order_id}/tasks ← {}": "400 400 403 403",
    "PUT /api/order-tasks/{task_id} ← {}": "200 200 403 403",
    "DELETE /api/order-tasks/{client_id}": "404 404 403 403",
    "POST /api/order-tasks/{task_id}/complete": "200 200 200 404",
    "DELETE /api/order-tasks/{task_id}/complete": "200 200 200 404",
}


def numbers() -> str:
    return new_id().hex[-8:].upper()


def order_body(stage: Stage) -> Body:
    return Body(
        create="POST /api/orders",
        whole={
            "user_id": stage.ids["client_id"],
            "service": "Ours",
            "service_id": stage.ids["service_id"],
            "price": "0.30",
            "currency": "CHF",
            "quantity": 3,
            "status": 4,
            "engagement_id": stage.ids["engagement_id"],
            "note": "Soon",
            "number": numbers,
            "metadata": {"b": 1, "a": [None]},
            "form_data": {"x": {}},
            "tags": ["new", "big"],
            "employees": [stage.ids["user_id"]],
            "date_started": TIME,
            "date_completed": TIME,
            "date_due": TIME,
        },
        required="user_id",
        with_={"service": "Ours"},
        nullable="service_id, engagement_id, note, date_started, date_completed, date_due",
        changes_with={"currency": "price"},
        change="PUT /api/orders/{id}",
        bad=[
            ("user_id", "x"),
            ("service", ""),
            ("service_id", 7),
            ("price", "1.001"),
            ("price", -1),
            ("currency", "SFR"),
            ("quantity", 0),
            ("quantity", "1"),
            ("status", 5),
            ("status", "Unpaid"),
            ("engagement_id", "x"),
            ("number", "abc"),
            ("number", "ABCDEFG-"),
            ("metadata", []),
            ("form_data", "x"),
            ("tags", "new"),
            ("tags.1", ["new", 1]),
            ("employees.0", ["x"]),
            ("date_due", "tomorrow"),
            ("date_started", "2026-02-08T12:00:00"),
        ],
    )


def task_body(stage: Stage) -> Body:
    return Body(
        create="POST /api/orders/{order_id}/tasks",
        whole={
            "name": "Logo",
            "description": "Blue",
            "employee_ids": [stage.ids["user_id"]],
            "sort_order": -1,
            "is_public": True,
            "for_client": True,
            "deadline": 48,
        },
        required="name",
        nullable="description, deadline",
        change="PUT /api/order-tasks/{id}",
        bad=[
            ("name", ""),
            ("employee_ids", "x"),
            ("employee_ids.0", ["x"]),
            ("sort_order", "1"),
            ("is_public", 1),
            ("for_client", "yes"),
            ("deadline", -1),
            ("due_at", "tomorrow"),
        ],
    )


async def test_each_call_answers_each_role_as_the_table_says(stage: Stage):
    await walk_roles(stage, CALLS)


@pytest.mark.parametrize("body", [order_body, task_body])
async def test_a_body_holds_what_the_table_says(stage: Stage, body: Any):
    await walk_body(stage, body(stage))


async def test_a_list_sorts_filters_and_pages_as_the_table_says(stage: Stage, document: dict[str, Any]):
    filters = {
        "status": (4, "status_id"),
        "user_id": (stage.ids["client_id"], "user_id"),
        "engagement_id": (stage.ids["engagement_id"], "engagement_id"),
        "number": ((await stage.got("admin", "GET /api/orders/{order_id}"))["number"], "number"),
    }
    await walk_list(stage, List("/api/orders", "id, number, status, price, created_at", filters=filters), document)


async def test_each_answer_has_the_fields_of_the_table(stage: Stage):
    for who, fields in (("admin", names(ORDER)), ("client", names(ORDER) - STAFF_ONLY)):
        order = await stage.got(who, "GET /api/orders/{order_id}")
        assert set(order) == fields
        assert set(order["client"]) == names("id, name, name_f, name_l, email, company, phone")
        listed = (await stage.got(who, "GET /api/orders?limit=100"))["data"]
        assert {frozenset(each) for each in listed} == {frozenset(fields)}
        tasks = await stage.got(who, "GET /api/orders/{order_id}/tasks")
        assert {frozenset(each) for each in tasks} == {frozenset(names(TASK))}
    made = await stage.made("POST /api/orders", order_body(stage).fresh())
    assert {frozenset(each) for each in made["employees"]} == {frozenset(names(EMPLOYEE))}


async def test_what_is_not_said_of_an_order_has_its_default(stage: Stage):
    assert await stage.errors("POST /api/orders", {"user_id": stage.ids["client_id"]}) == {"service"}
    plain = await stage.made("POST /api/orders", {"user_id": stage.ids["client_id"], "service": "Advice"})
    shown = ("price", "currency", "quantity", "status", "service", "metadata", "form_data", "tags", "employees")
    assert [plain[name] for name in shown] == ["0.00", "USD", 1, "Unpaid", "Advice", {}, {}, [], []]
    assert len(plain["number"]) == 8
    body = {"user_id": stage.ids["client_id"], "service_id": stage.ids["service_id"]}
    assert [(await stage.made("POST /api/orders", body))[name] for name in shown[:5]] == [
        *("2500.00", "USD", 1, "Unpaid"),
        "Website",
    ]
    over = await stage.made("POST /api/orders", body | {"service": "Ours", "price": 9999999999.99})
    assert (over["service"], over["price"]) == ("Ours", "9999999999.99")
    taken = {"user_id": stage.ids["client_id"], "service": "x", "number": plain["number"]}
    assert await stage.errors("POST /api/orders", taken, 409) == {"number"}


async def test_what_an_order_refers_to_is_there(stage: Stage):
    least = {"user_id": stage.ids["client_id"], "service": "Ours"}
    for name in ("user_id", "service_id", "engagement_id"):
        assert await stage.errors("POST /api/orders", least | {name: str(new_id())}, 422) == {name}
    for call, body, field in (
        ("POST /api/orders", least, "employees"),
        ("PUT /api/orders/{order_id}", {}, "employees"),
        ("POST /api/orders/{order_id}/tasks", {"name": "x"}, "employee_ids"),
        ("PUT /api/order-tasks/{task_id}", {}, "employee_ids"),
    ):
        unknown = {field: [stage.ids["user_id"], str(new_id())]}
        assert await stage.errors(call, body | unknown, 422) == {f"{field}.1"}


async def test_an_order_goes_through_its_statuses_and_is_deleted_softly(stage: Stage):
    order = (await stage.made("POST /api/orders", {"user_id": stage.ids["client_id"], "service": "x"}))["id"]
    for number, label in STATUSES:
        changed = await stage.got("admin", f"PUT /api/orders/{order}", {"status": number})
        assert (changed["status"], changed["status_id"]) == (label, number)
    await stage.got("admin", f"DELETE /api/orders/{order}", status=204)
    await stage.got("admin", f"GET /api/orders/{order}", status=404)
    await stage.got("admin", f"GET /api/orders/{order}/tasks", status=404)
    assert order not in {each["id"] for each in (await stage.got("admin", "GET /api/orders?limit=100"))["data"]}


async def test_what_was_signed_never_changes(stage: Stage):
    for name, value in (
        ("price", 1),
        ("currency", "EUR"),
        ("quantity", 2),
        ("user_id", stage.ids["stranger"]),
        ("engagement_id", None),
        ("service", "Nothing at all"),
        ("service_id", None),
        ("number", "ABCD1234"),
    ):
        assert await stage.errors("PUT /api/orders/{order_id}", {name: value}, 409) == {name}
    metadata = {f"metadata.{key}" for key in ("proposal_id", "engagement_id", "proposal_items")}
    assert await stage.errors("PUT /api/orders/{order_id}", {"metadata": {}}, 409) == metadata
    await stage.got("admin", "DELETE /api/orders/{order_id}", status=409)
    changed = await stage.got("admin", "PUT /api/orders/{order_id}", {"status": 1, "note": "Paid by bank"})
    assert (changed["status"], changed["note"], changed["price"]) == ("In Progress", "Paid by bank", "2500.00")


async def test_tasks_are_a_plain_array_by_their_order(stage: Stage):
    order = (await stage.made("POST /api/orders", {"user_id": stage.ids["client_id"], "service": "x"}))["id"]
    path = f"/api/orders/{order}/tasks"
    for name, position, public, theirs in (("c", 3, True, False), ("a", 1, False, True), ("b", 2, False, False)):
        task = {"name": name, "sort_order": position, "is_public": public, "for_client": theirs}
        await stage.made(f"POST {path}", task)
    for who, expected in (("admin", ["a", "b", "c"]), ("client", ["a", "c"])):
        assert [task["name"] for task in await stage.got(who, f"GET {path}")] == expected
    await stage.got("stranger", f"GET {path}", status=404)


async def test_a_deadline_or_a_due_date_and_not_both(stage: Stage):
    both = {"name": "x", "deadline": 1, "due_at": TIME}
    assert await stage.errors("POST /api/orders/{order_id}/tasks", both) == {"due_at"}
    task = await stage.made("POST /api/orders/{order_id}/tasks", {"name": "x", "deadline": 48})
    changed = await stage.got("admin", f"PUT /api/order-tasks/{task['id']}", {"due_at": TIME})
    assert (task["deadline"], task["due_at"], changed["deadline"], changed["due_at"]) == (48, None, None, TIME)
    await stage.got("admin", f"DELETE /api/order-tasks/{task['id']}", status=204)
    await stage.got("admin", f"PUT /api/order-tasks/{task['id']}", {}, 404)


async def test_staff_complete_every_task_and_a_client_those_for_them(stage: Stage):
    admin = (await stage.got("admin", "GET /api/auth/me"))["id"]
    for for_client, public, status in ((True, False, 200), (False, True, 404), (False, False, 404)):
        task = {"name": "x", "for_client": for_client, "is_public": public}
        path = f"/api/order-tasks/{(await stage.made('POST /api/orders/{order_id}/tasks', task))['id']}/complete"
        for who, by, expected in (("admin", admin, 200), ("client", stage.ids["client_id"], status)):
            done = await stage.got(who, f"POST {path}", status=expected)
            if expected == 200:
                assert (set(done), done["is_complete"], done["completed_by"]) == (names(TASK), True, by)
                undone = await stage.got(who, f"DELETE {path}")
                assert (undone["is_complete"], undone["completed_by"], undone["completed_at"]) == (False, None, None)
        await stage.got("stranger", f"POST {path}", status=404)
