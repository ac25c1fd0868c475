"""The tasks of orders: staff write them, whom they are for completes them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from services.orders.model import MOST_TASKS
from shared.ids import new_id
from shared.web.actor import Actor
from tests.component.orders.calls import added, made, whose
from tests.component.orders.owners import Owners
from tests.support import actors
from tests.support.services import Service

ADD_TASKS = """
insert into order_tasks (id, org_id, order_id, name, created_at)
select gen_random_uuid(), $1, $2, 'Another', now() from generate_series(1, $3)
"""


async def listed(service: Service, actor: Actor, order: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await service.call(actor, "GET", f"/api/orders/{order['id']}/tasks")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_task_has_everything_that_was_said_of_it(service: Service, owners: Owners, staff: Actor):
    order, ada = await made(service, owners, staff), owners.user(staff.org_id)
    body = {
        "name": "Kick-off",
        "description": "Call them",
        "employee_ids": [str(ada.id)],
        "sort_order": -3,
        "is_public": True,
        "for_client": True,
        "deadline": 48,
    }
    answer = await service.call(staff, "POST", f"/api/orders/{order['id']}/tasks", json=body)
    assert (answer.status_code, "etag" in answer.headers) == (201, True)
    task = answer.json()
    del body["employee_ids"]
    assert task == {
        **body,
        "id": task["id"],
        "order_id": order["id"],
        "is_complete": False,
        "completed_by": None,
        "completed_at": None,
        "due_at": None,
        "employees": [{"id": str(ada.id), "name": "Ada Admin", "name_f": "Ada", "name_l": "Admin"}],
    }
    assert await listed(service, staff, order) == [task]


async def test_a_task_needs_only_a_name(service: Service, owners: Owners, staff: Actor):
    order = await made(service, owners, staff)
    task = await added(service, staff, order)
    assert (task["description"], task["sort_order"], task["deadline"], task["due_at"]) == (None, 0, None, None)
    assert (task["is_public"], task["for_client"], task["employees"]) == (False, False, [])


async def test_tasks_are_a_plain_array_by_sort_order_and_then_by_age(service: Service, owners: Owners, staff: Actor):
    order = await made(service, owners, staff)
    for name, sort_order in (("c", 2), ("a", 1), ("d", 2), ("b", 1), ("first", -1)):
        await added(service, staff, order, name=name, sort_order=sort_order)
    await added(service, staff, await made(service, owners, staff), name="of another order")
    assert [task["name"] for task in await listed(service, staff, order)] == ["first", "a", "b", "c", "d"]
    answer = await service.call(staff, "GET", f"/api/orders/{order['id']}/tasks?page=1")
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"deadline": 1, "due_at": "2026-02-08T12:00:00Z"}, {"due_at"}),
        ({"deadline": -1}, {"deadline"}),
        ({"deadline": 1.5}, {"deadline"}),
        ({"deadline": 2**31, "sort_order": 2**31}, {"deadline", "sort_order"}),
        ({"due_at": "soon"}, {"due_at"}),
        ({"name": "", "is_public": "yes", "for_client": None}, {"name", "is_public", "for_client"}),
        ({"name": None, "employee_ids": None, "sort_order": None}, {"name", "employee_ids", "sort_order"}),
        ({"employee_ids": ["x"], "is_complete": True}, {"employee_ids.0", "is_complete"}),
    ],
)
async def test_every_bad_field_is_named(
    service: Service, owners: Owners, staff: Actor, change: dict[str, Any], fields: set[str]
):
    order = await made(service, owners, staff)
    task = await added(service, staff, order)
    calls = (("POST", f"/api/orders/{order['id']}/tasks"), ("PUT", f"/api/order-tasks/{task['id']}"))
    for method, path in calls:
        answer = await service.call(staff, method, path, json={"name": "x"} | change)
        assert (answer.status_code, set(answer.json()["errors"])) == (400, fields)


async def test_a_task_without_a_name_is_refused(service: Service, owners: Owners, staff: Actor):
    order = await made(service, owners, staff)
    answer = await service.call(staff, "POST", f"/api/orders/{order['id']}/tasks", json={})
    assert (answer.status_code, set(answer.json()["errors"])) == (400, {"name"})


async def test_a_change_sets_what_is_sent_and_leaves_the_rest(service: Service, owners: Owners, staff: Actor):
    ada, bob = owners.user(staff.org_id), owners.user(staff.org_id, name_f="Bob")
    order = await made(service, owners, staff)
    task = await added(service, staff, order, description="d", employee_ids=[str(ada.id)], deadline=5)
    path = f"/api/order-tasks/{task['id']}"
    answer = await service.call(staff, "PUT", path, json={"name": "New", "description": None, "is_public": True})
    assert (answer.status_code, answer.json()) == (200, task | {"name": "New", "description": None, "is_public": True})
    answer = await service.call(staff, "PUT", path, json={"employee_ids": [str(bob.id)], "sort_order": 9})
    assert ([each["name"] for each in answer.json()["employees"]], answer.json()["sort_order"]) == (["Bob Admin"], 9)
    assert await listed(service, staff, order) == [answer.json()]
    assert order == (await service.call(staff, "GET", f"/api/orders/{order['id']}")).json()


async def test_one_due_time_replaces_the_other(service: Service, owners: Owners, staff: Actor):
    task = await added(service, staff, await made(service, owners, staff), deadline=5)
    path, due = f"/api/order-tasks/{task['id']}", "2026-02-08T12:00:00Z"
    seen: list[tuple[Any, Any]] = []
    for body in ({"due_at": due}, {"deadline": 0}, {"deadline": None, "due_at": due}, {"due_at": None}):
        changed = (await service.call(staff, "PUT", path, json=body)).json()
        seen.append((changed["deadline"], changed["due_at"]))
    assert seen == [(None, due), (0, None), (None, due), (None, None)]


async def test_who_is_no_member_of_staff_is_an_unknown_reference(service: Service, owners: Owners, staff: Actor):
    order, ada = await made(service, owners, staff), owners.user(staff.org_id)
    task = await added(service, staff, order)
    calls = (("POST", f"/api/orders/{order['id']}/tasks"), ("PUT", f"/api/order-tasks/{task['id']}"))
    for method, path in calls:
        body = {"name": "x", "employee_ids": [str(ada.id), str(new_id())]}
        answer = await service.call(staff, method, path, json=body)
        assert (answer.status_code, list(answer.json()["errors"])) == (422, ["employee_ids.1"])


async def test_a_removed_task_is_gone(service: Service, owners: Owners, staff: Actor):
    order = await made(service, owners, staff)
    task = await added(service, staff, order)
    path = f"/api/order-tasks/{task['id']}"
    answer = await service.call(staff, "DELETE", path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert await listed(service, staff, order) == []
    for method, to in (("PUT", path), ("DELETE", path), ("POST", f"{path}/complete"), ("DELETE", f"{path}/complete")):
        options = {"json": {}} if method == "PUT" else {}
        assert (await service.call(staff, method, to, **options)).status_code == 404


async def test_the_tasks_of_a_deleted_order_are_gone_with_it(service: Service, owners: Owners, staff: Actor):
    order = await made(service, owners, staff)
    task = await added(service, staff, order, for_client=True)
    await service.call(staff, "DELETE", f"/api/orders/{order['id']}")
    for actor in (staff, whose(staff, order)):
        assert (await service.call(actor, "GET", f"/api/orders/{order['id']}/tasks")).status_code == 404
        assert (await service.call(actor, "POST", f"/api/order-tasks/{task['id']}/complete")).status_code == 404
    assert (await service.call(staff, "PUT", f"/api/order-tasks/{task['id']}", json={})).status_code == 404


async def test_completing_and_reopening_can_be_repeated(service: Service, owners: Owners, staff: Actor):
    task = await added(service, staff, await made(service, owners, staff))
    path = f"/api/order-tasks/{task['id']}/complete"
    done = await service.call(staff, "POST", path)
    assert (done.status_code, done.json()["is_complete"], done.json()["completed_by"]) == (200, True, str(staff.id))
    assert done.json()["completed_at"]
    another = actors.admin(staff.org_id)
    again = await service.call(another, "POST", path)
    assert (again.status_code, again.json(), again.headers["etag"]) == (200, done.json(), done.headers["etag"])
    for _ in range(2):
        opened = await service.call(staff, "DELETE", path)
        assert (opened.status_code, opened.json()) == (200, task)


async def test_a_client_reads_the_tasks_that_are_public_or_for_them(service: Service, owners: Owners, staff: Actor):
    order = await made(service, owners, staff)
    for name, is_public, for_client in (
        ("internal", False, False),
        ("public", True, False),
        ("theirs", False, True),
        ("both", True, True),
    ):
        await added(service, staff, order, name=name, is_public=is_public, for_client=for_client)
    seen = [task["name"] for task in await listed(service, whose(staff, order), order)]
    assert seen == ["public", "theirs", "both"]
    for stranger in (actors.client(staff.org_id), actors.admin()):
        answer = await service.call(stranger, "GET", f"/api/orders/{order['id']}/tasks")
        assert answer.status_code == 404


async def test_a_client_completes_what_is_for_them_and_nothing_else(service: Service, owners: Owners, staff: Actor):
    order = await made(service, owners, staff)
    client, stranger = whose(staff, order), actors.client(staff.org_id)
    theirs = await added(service, staff, order, for_client=True)
    path = f"/api/order-tasks/{theirs['id']}/complete"
    for method in ("POST", "DELETE"):
        assert (await service.call(stranger, method, path)).status_code == 404
    done = await service.call(client, "POST", path)
    assert (done.status_code, done.json()["completed_by"]) == (200, str(client.id))
    assert (await service.call(client, "DELETE", path)).json() == theirs
    for flags in ({"is_public": True}, {}):
        other = await added(service, staff, order, **flags)
        for method in ("POST", "DELETE"):
            answer = await service.call(client, method, f"/api/order-tasks/{other['id']}/complete")
            assert answer.status_code == 404


async def test_a_client_writes_no_task_whatever_the_id_or_body(service: Service, owners: Owners, staff: Actor):
    order = await made(service, owners, staff)
    task = await added(service, staff, order, for_client=True, is_public=True)
    client = whose(staff, order)
    for method, path in (
        ("POST", f"/api/orders/{order['id']}/tasks"),
        ("PUT", f"/api/order-tasks/{task['id']}"),
        ("PUT", "/api/order-tasks/rubbish"),
        ("DELETE", f"/api/order-tasks/{task['id']}"),
    ):
        options = {} if method == "DELETE" else {"content": b"{"}
        assert (await service.call(client, method, path, **options)).status_code == 403


async def test_what_is_not_there_is_told_before_a_bad_body(service: Service, owners: Owners, staff: Actor):
    stranger = actors.admin()
    order = await made(service, owners, stranger)
    foreign = await added(service, stranger, order)
    for id in (order["id"], new_id(), "rubbish"):
        answer = await service.call(staff, "POST", f"/api/orders/{id}/tasks", content=b"{")
        assert answer.status_code == 404
        assert (await service.call(staff, "GET", f"/api/orders/{id}/tasks")).status_code == 404
    for id in (foreign["id"], new_id(), "rubbish"):
        path = f"/api/order-tasks/{id}"
        assert (await service.call(staff, "PUT", path, content=b"{")).status_code == 404
        assert (await service.call(staff, "DELETE", path)).status_code == 404
        assert (await service.call(staff, "POST", f"{path}/complete")).status_code == 404
        assert (await service.call(staff, "DELETE", f"{path}/complete")).status_code == 404


async def test_a_stale_version_changes_nothing(service: Service, owners: Owners, staff: Actor):
    order = await made(service, owners, staff)
    made_task = await service.call(staff, "POST", f"/api/orders/{order['id']}/tasks", json={"name": "x"})
    path, stale = f"/api/order-tasks/{made_task.json()['id']}", {"if-match": made_task.headers["etag"]}
    assert (await service.call(staff, "PUT", path, json={"name": "y"}, headers=stale)).status_code == 200
    unknown = {"employee_ids": [str(new_id())]}
    assert (await service.call(staff, "PUT", path, json=unknown, headers=stale)).status_code == 412
    assert (await service.call(staff, "DELETE", path, headers=stale)).status_code == 412
    assert (await service.call(staff, "DELETE", f"{path}/complete", headers=stale)).status_code == 412
    assert (await listed(service, staff, order))[0]["name"] == "y"


async def test_the_same_key_adds_one_task_and_completes_it_once(service: Service, owners: Owners, staff: Actor):
    order = await made(service, owners, staff)
    path, key = f"/api/orders/{order['id']}/tasks", {"idempotency-key": "one"}
    first = await service.call(staff, "POST", path, json={"name": "x"}, headers=key)
    again = await service.call(staff, "POST", path, json={"name": "x"}, headers=key)
    assert (again.status_code, again.content) == (201, first.content)
    assert len(await listed(service, staff, order)) == 1
    path, key = f"/api/order-tasks/{first.json()['id']}/complete", {"idempotency-key": "two"}
    done = await service.call(staff, "POST", path, headers=key)
    await service.call(staff, "DELETE", path)
    again = await service.call(staff, "POST", path, headers=key)
    assert (again.content, again.headers["idempotent-replayed"]) == (done.content, "true")
    assert (await listed(service, staff, order))[0]["is_complete"] is False


async def test_an_order_has_a_most_of_tasks_however_many_are_added_at_once(
    service: Service, owners: Owners, staff: Actor
):
    order = await made(service, owners, staff)
    path = f"/api/orders/{order['id']}/tasks"
    async with service.app.state.database.transaction(staff.org_id) as tx:
        await tx.run(ADD_TASKS, staff.org_id, order["id"], MOST_TASKS - 1)
    asked = [service.call(staff, "POST", path, json={"name": "The last"}) for _ in range(5)]
    answers = await asyncio.gather(*asked)
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]
    there = await listed(service, staff, order)
    assert len(there) == MOST_TASKS

    unknown = {"name": "One more", "employee_ids": [str(new_id())]}
    assert (await service.call(staff, "POST", path, json=unknown)).status_code == 422  # 422 comes before 409
    assert (await service.call(staff, "DELETE", f"/api/order-tasks/{there[0]['id']}")).status_code == 204
    assert (await service.call(staff, "POST", path, json={"name": "In its place"})).status_code == 201
