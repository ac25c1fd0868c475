"""The deprecated paths of the first engagement model, and the service without its neighbours."""

from __future__ import annotations

from typing import Any

import pytest

from shared.contracts.engagements import ProjectState
from shared.ids import new_id
from shared.web.actor import Actor
from tests.component.conversations.playing import Neighbours, opens, path_of, posts, reads
from tests.support.databases import Databases
from tests.support.servers import Broker
from tests.support.services import Service, running

SINCE = "@1767225600"


@pytest.fixture
def project(neighbours: Neighbours, staff: Actor) -> ProjectState:
    return neighbours.project(staff.org_id)


def successor(answer: Any) -> str:
    """The successor that a deprecated answer names."""
    assert answer.headers["deprecation"] == SINCE
    link = answer.headers["link"]
    assert link.endswith('>; rel="successor-version"')
    return link[1:].partition(">")[0]


async def test_each_alias_does_what_its_successor_does_and_names_it(
    service: Service, staff: Actor, project: ProjectState
):
    body = {"project_id": str(project.id), "subject": "Old"}
    opened = await service.call(staff, "POST", "/api/conversations", json=body)
    assert (opened.status_code, opened.json()["project_id"]) == (201, str(project.id))
    path, old = path_of(opened.json()), f"/api/conversations/{opened.json()['id']}"
    assert successor(opened) == path.rpartition("/")[0]
    posted = await service.call(staff, "POST", f"{old}/messages", json={"content": "Hello"})
    assert (posted.status_code, successor(posted)) == (201, f"{path}/messages")
    for tail in ("", "?include_internal=false", "/messages"):
        by_alias, by_path = [await service.call(staff, "GET", where + tail) for where in (old, path)]
        assert successor(by_alias) == path + tail.partition("?")[0]
        assert "deprecation" not in by_path.headers
        if "messages" not in tail:
            assert (by_alias.content, by_alias.headers["etag"]) == (by_path.content, by_path.headers["etag"])
        else:
            assert by_alias.json()["data"] == by_path.json()["data"]
    changed = await service.call(staff, "PUT", old, json={"subject": "New"})
    assert (changed.json()["subject"], successor(changed)) == ("New", path)
    gone = await service.call(staff, "DELETE", f"{old}/messages/{posted.json()['id']}")
    assert (gone.status_code, successor(gone)) == (204, f"{path}/messages/{posted.json()['id']}")
    closed = await service.call(staff, "DELETE", old)
    assert (closed.status_code, successor(closed)) == (204, path)
    assert (await reads(service, staff, path))["status"] == "Closed"


async def test_refusals_and_replays_of_an_alias_say_the_same(service: Service, staff: Actor, project: ProjectState):
    path = await opens(service, staff, project)
    old = f"/api/conversations/{path.rpartition('/')[2]}"
    for method, where, body, status in (
        ("PUT", old, {"status": 9}, 400),
        ("GET", f"{old}?rubbish=1", None, 400),
        ("POST", f"{old}/messages", {}, 400),
    ):
        refused = await service.call(staff, method, where, json=body)
        assert (refused.status_code, successor(refused).partition("/messages")[0]) == (status, path)
    stale = await service.call(staff, "PUT", old, json={}, headers={"if-match": '"7.x"'})
    assert (stale.status_code, successor(stale)) == (412, path)
    body, key = {"project_id": str(project.id)}, {"idempotency-key": "k"}
    first, again = [await service.call(staff, "POST", "/api/conversations", json=body, headers=key) for _ in range(2)]
    assert again.headers["idempotent-replayed"] == "true"
    assert (again.content, successor(again)) == (first.content, successor(first))


async def test_an_alias_of_what_is_not_there_is_deprecated_all_the_same(service: Service, staff: Actor):
    for id in (str(new_id()), "rubbish"):
        for method, tail, body in (
            ("GET", "", None),
            ("PUT", "", {"rubbish": 1}),
            ("DELETE", "", None),
            ("GET", "/messages?page=0", None),
            ("POST", "/messages", {"rubbish": 1}),
            ("DELETE", "/messages/%0d%0ax", None),
        ):
            answer = await service.call(staff, method, f"/api/conversations/{id}{tail}", json=body)
            assert (answer.status_code, answer.headers["deprecation"]) == (404, SINCE), (method, tail)
            assert "link" not in answer.headers


async def test_a_path_that_no_header_can_carry_is_left_out_of_the_link(
    service: Service, staff: Actor, project: ProjectState
):
    path = await opens(service, staff, project)
    answer = await service.call(staff, "DELETE", f"/api/conversations/{path.rpartition('/')[2]}/messages/%0d%0ax: y")
    assert (answer.status_code, successor(answer)) == (404, f"{path}/messages")


async def test_an_unknown_project_in_the_body_is_422_and_a_bad_one_400(service: Service, staff: Actor):
    unknown = await service.call(staff, "POST", "/api/conversations", json={"project_id": str(new_id())})
    assert (unknown.status_code, list(unknown.json()["errors"])) == (422, ["project_id"])
    for body in ({}, {"project_id": "x"}, {"project_id": None}):
        bad = await service.call(staff, "POST", "/api/conversations", json=body)
        assert (bad.status_code, list(bad.json()["errors"])) == (400, ["project_id"])
        assert bad.headers["deprecation"] == SINCE
    none = await service.call(staff, "POST", "/api/conversations", content=b"{")
    assert (none.status_code, none.headers["deprecation"]) == (415, SINCE)


async def test_while_the_engagement_service_is_away_only_what_is_not_known_is_put_off(
    databases: Databases, broker: Broker, staff: Actor
):
    async with databases.fresh("conversations") as dsn, running("conversations", dsn, broker) as alone:
        path = f"/api/projects/{new_id()}/conversations"
        for method in ("GET", "POST"):
            answer = await alone.call(staff, method, path, json={})
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert (await reads(alone, staff, "/api/conversations"))["data"] == []


async def test_a_message_by_an_alias_is_counted_like_any_other(service: Service, staff: Actor, project: ProjectState):
    path = await opens(service, staff, project)
    await posts(service, staff, f"/api/conversations/{path.rpartition('/')[2]}")
    await posts(service, staff, path)
    assert (await reads(service, staff, path))["message_count"] == 2
