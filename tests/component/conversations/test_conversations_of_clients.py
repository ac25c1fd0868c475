"""A client's side of conversations: never an internal message, nor its trace; and who a sender is today."""

from __future__ import annotations

from typing import Any

import pytest

from shared.contracts.engagements import ProjectState
from shared.contracts.identity import ClientState, UserState
from shared.database import Database
from shared.ids import new_id
from shared.messaging import topology
from shared.web.actor import Actor
from tests.component.conversations.playing import Neighbours, opens, path_of, posts, reads
from tests.support import actors
from tests.support.commands import Orchestrator
from tests.support.servers import until
from tests.support.services import Service


@pytest.fixture
def project(neighbours: Neighbours, staff: Actor) -> ProjectState:
    return neighbours.project(staff.org_id)


@pytest.fixture
def client(project: ProjectState) -> Actor:
    """The client whose project it is."""
    return actors.client(project.org_id, id=project.client_id)


async def view_of(service: Service, client: Actor, project: ProjectState, path: str) -> list[Any]:
    """Everything that the client can see of conversations, ETags included."""
    id = path.rpartition("/")[2]
    seen: list[Any] = []
    for each in (
        path,
        f"{path}?include_internal=true",
        f"{path}/messages",
        f"{path}/messages?include_internal=true",
        path.rpartition("/")[0],
        f"{path.rpartition('/')[0]}?sort=last_message_at:asc",
        f"{path.rpartition('/')[0]}?sort=updated_at:desc",
        "/api/conversations",
        "/api/conversations?sort=last_message_at:asc",
        f"/api/conversations/{id}",
        f"/api/conversations/{id}/messages",
        f"/internal/engagements/{project.engagement_id}/conversations",
    ):
        answer = await service.call(client, "GET", each)
        assert answer.status_code == 200, answer.text
        seen.append((each, answer.json(), answer.headers.get("etag")))
    return seen


async def test_no_internal_message_leaves_a_trace_in_anything_that_a_client_sees(
    service: Service, staff: Actor, client: Actor, project: ProjectState
):
    path = await opens(service, client, project, "first")
    other = await opens(service, client, project, "second")
    before = await view_of(service, client, project, path)
    alone = await posts(service, staff, path, "alone", is_internal=True)
    assert await view_of(service, client, project, path) == before
    await posts(service, client, path, "hello")
    await posts(service, client, other, "hello")
    before = await view_of(service, client, project, path)
    newest = await posts(service, staff, path, "newest", is_internal=True)
    assert await view_of(service, client, project, path) == before
    for message in (alone, newest):
        await service.call(staff, "DELETE", f"{path}/messages/{message['id']}")
        assert await view_of(service, client, project, path) == before


async def test_open_messages_come_and_go_around_internal_ones_as_if_those_were_not_there(
    service: Service, staff: Actor, client: Actor, project: ProjectState
):
    path = await opens(service, staff, project)
    file = {"name": "cost.pdf", "url": "https://files.example/cost.pdf"}
    seen, hello = [await view_of(service, client, project, path)], []
    for number in range(3):
        await posts(service, staff, path, f"internal {number}", is_internal=True, attachments=[file])
        assert await view_of(service, client, project, path) == seen[-1]
        hello.append(await posts(service, client if number % 2 else staff, path, f"open {number}"))
        seen.append(await view_of(service, client, project, path))
    await posts(service, staff, path, "internal and newest", is_internal=True)
    tag = (await service.call(client, "GET", path)).headers["etag"]
    await posts(service, staff, path, "internal and newer", is_internal=True)
    assert (await service.call(client, "GET", path, headers={"if-none-match": tag})).status_code == 304
    while hello:
        assert await view_of(service, client, project, path) == seen.pop()
        await service.call(staff, "DELETE", f"{path}/messages/{hello.pop()['id']}")
    assert await view_of(service, client, project, path) == seen.pop()


async def test_an_internal_message_is_not_there_for_a_client_to_delete(
    service: Service, staff: Actor, client: Actor, project: ProjectState
):
    path = await opens(service, staff, project)
    hidden = await posts(service, staff, path, is_internal=True)
    absent = await service.call(client, "DELETE", f"{path}/messages/{new_id()}")
    internal = await service.call(client, "DELETE", f"{path}/messages/{hidden['id']}")
    assert internal.status_code == absent.status_code == 404
    assert internal.json()["detail"] == absent.json()["detail"]
    assert (await reads(service, staff, path))["message_count"] == 1


async def test_a_client_opens_writes_and_deletes_what_is_their_own(
    service: Service, staff: Actor, client: Actor, project: ProjectState
):
    path = await opens(service, client, project, "A question")
    mine, theirs = await posts(service, client, path), await posts(service, staff, path)
    assert mine["sender"] == {"id": str(client.id), "name": "Jane Roe", "email": client.email, "type": "client"}
    assert [each["id"] for each in (await reads(service, client, path))["messages"]] == [mine["id"], theirs["id"]]
    assert (await service.call(client, "DELETE", f"{path}/messages/{theirs['id']}")).status_code == 403
    assert (await service.call(client, "DELETE", f"{path}/messages/{mine['id']}")).status_code == 204
    assert (await reads(service, client, path))["message_count"] == 1


async def test_a_client_may_post_nothing_internal(service: Service, client: Actor, project: ProjectState):
    path = await opens(service, client, project)
    old = f"/api/conversations/{path.rpartition('/')[2]}"
    key = {"idempotency-key": "k"}
    for where in (path, old):
        for body in ({"content": "x", "is_internal": True}, {"is_internal": True}, {"is_internal": True, "b": 1}):
            for headers in ({}, key, key):
                answer = await service.call(client, "POST", f"{where}/messages", json=body, headers=headers)
                assert answer.status_code == 403
        mine = await service.call(client, "POST", f"{where}/messages", json={"content": "x"}, headers=key)
        assert mine.status_code == 201
        used = await service.call(client, "POST", f"{where}/messages", json={"is_internal": True}, headers=key)
        assert used.status_code == 403
        for body in (b"{", b"[1]", b'{"is_internal": 1, "content": "x"}', b'{"is_internal": "true", "content": "x"}'):
            json = {"content-type": "application/json"}
            answer = await service.call(client, "POST", f"{where}/messages", content=body, headers=json)
            assert answer.status_code == 400
    assert (await reads(service, client, path))["message_count"] == 2


async def test_changing_and_closing_is_staffs_whatever_the_id_or_body(
    service: Service, client: Actor, project: ProjectState
):
    path = await opens(service, client, project)
    for method in ("PUT", "DELETE"):
        for where in (path, f"/api/projects/rubbish/conversations/{new_id()}", f"/api/conversations/{new_id()}"):
            assert (await service.call(client, method, where, content=b"{")).status_code == 403, (method, where)


async def test_another_clients_project_has_no_conversations_and_takes_none(
    service: Service, staff: Actor, project: ProjectState
):
    path = await opens(service, staff, project)
    message = await posts(service, staff, path)
    other = actors.client(staff.org_id)
    base = path.rpartition("/")[0]
    for method, where, body in (
        ("GET", base, None),
        ("POST", base, {}),
        ("GET", path, None),
        ("GET", f"{path}/messages", None),
        ("POST", f"{path}/messages", {"content": "x", "is_internal": True}),
        ("DELETE", f"{path}/messages/{message['id']}", None),
        ("GET", f"/api/conversations/{path.rpartition('/')[2]}", None),
    ):
        assert (await service.call(other, method, where, json=body)).status_code == 404, (method, where)
    assert (await reads(service, other, "/api/conversations"))["data"] == []
    refused = await service.call(other, "POST", "/api/conversations", json={"project_id": str(project.id)})
    assert refused.status_code == 422


async def test_the_inbox_has_all_projects_each_with_its_newest_message_that_is_not_internal(
    service: Service, neighbours: Neighbours, staff: Actor, client: Actor, project: ProjectState
):
    second = neighbours.project(staff.org_id, client_id=client.id)
    foreign = neighbours.project(staff.org_id)
    talked = await opens(service, staff, project, "talked")
    await posts(service, staff, talked, "older")
    newest = await posts(service, client, talked, "newer")
    await posts(service, staff, talked, "internal", is_internal=True)
    noted = await opens(service, staff, second, "noted")
    await posts(service, staff, noted, "internal", is_internal=True)
    await opens(service, staff, foreign, "foreign")
    inbox = (await reads(service, staff, "/api/conversations"))["data"]
    assert [each["subject"] for each in inbox] == ["noted", "talked", "foreign"]
    assert [each["messages"] for each in inbox] == [[], [newest], []]
    assert inbox[1]["project"] == {"id": str(project.id), "name": "SEO", "engagement_id": str(project.engagement_id)}
    assert inbox[1]["message_count"] == 3
    mine = (await reads(service, client, "/api/conversations"))["data"]
    assert [(each["subject"], each["message_count"]) for each in mine] == [("talked", 2), ("noted", 0)]
    assert [each["messages"] for each in mine] == [[newest], []]


async def test_the_inbox_is_filtered_and_paged(
    service: Service, neighbours: Neighbours, staff: Actor, project: ProjectState
):
    beside = neighbours.project(staff.org_id, engagement_id=project.engagement_id)
    elsewhere = neighbours.project(staff.org_id)
    for each, subject in ((project, "a"), (beside, "b"), (elsewhere, "c")):
        await opens(service, staff, each, subject)
    closed = await opens(service, staff, elsewhere, "d")
    await service.call(staff, "DELETE", closed)
    for query, found in (
        (f"engagement_id={project.engagement_id}", ["a", "b"]),
        (f"project_id={elsewhere.id}", ["c", "d"]),
        (f"project_id={elsewhere.id}&status=2", ["d"]),
        (f"project_id={new_id()}", []),
        ("limit=3&page=2", ["d"]),
    ):
        listed = await reads(service, staff, f"/api/conversations?sort=subject:asc&{query}")
        assert [each["subject"] for each in listed["data"]] == found, query
    for query in ("engagement_id=x", "project_id=x"):
        answer = await service.call(staff, "GET", f"/api/conversations?{query}")
        assert (answer.status_code, list(answer.json()["errors"])) == (400, [query.partition("=")[0]])


@pytest.mark.parametrize("kind", ["client", "user"])
async def test_a_message_shows_its_senders_name_of_today(
    service: Service, orchestrator: Orchestrator, database: Database, staff: Actor, client: Actor,
    project: ProjectState, kind: str,
):  # fmt: skip
    path = await opens(service, staff, project)
    sender = client if kind == "client" else staff
    await posts(service, sender, path)
    shape = ClientState if kind == "client" else UserState

    async def tell(version: int, name_l: str) -> None:
        state = shape(
            org_id=staff.org_id, id=sender.id, version=version, name_f="Ann", name_l=name_l, email="ann@new.example"
        )
        subject = topology.event_subject(staff.org_id, kind, "changed")
        await orchestrator.tell(subject, f"{kind}.changed.v1", state)

    async def shown() -> str:
        return (await reads(service, client, path))["messages"][0]["sender"]["name"]

    async def is_shown(name: str) -> bool:
        return await shown() == name

    await tell(2, "Newer")
    await until(lambda: is_shown("Ann Newer"))
    await tell(1, "Older")
    await tell(3, "Newest")
    await until(lambda: is_shown("Ann Newest"))
    sent = (await posts(service, sender, path))["sender"]
    assert (sent["name"], sent["email"]) == ("Ann Newest", "ann@new.example")
    inbox = (await reads(service, client, "/api/conversations"))["data"]
    assert inbox[0]["messages"][0]["sender"] == sent


async def test_a_client_is_answered_what_they_may_see_when_they_write(
    service: Service, staff: Actor, client: Actor, project: ProjectState
):
    answer = await service.call(client, "POST", f"/api/projects/{project.id}/conversations", json={})
    path = path_of(answer.json())
    assert answer.headers["etag"] == (await service.call(client, "GET", path)).headers["etag"]
    await posts(service, staff, path, is_internal=True)
    assert answer.headers["etag"] == (await service.call(client, "GET", path)).headers["etag"]


async def test_a_clients_message_opens_a_closed_conversation_again(
    service: Service, neighbours: Neighbours, orchestrator: Orchestrator, staff: Actor
):
    project = neighbours.project(staff.org_id)
    me = actors.client(staff.org_id, id=project.client_id)
    path = await opens(service, staff, project)
    await service.call(staff, "DELETE", path)
    before = await service.call(staff, "GET", path)
    refused = await service.call(me, "POST", f"{path}/messages", json={"content": "x", "is_internal": True})
    assert refused.status_code == 403
    assert (await service.call(staff, "GET", path)).json() == before.json()
    answer = await service.call(me, "POST", f"{path}/messages", json={"content": "One more thing"})
    assert answer.status_code == 201
    after = await reads(service, staff, path)
    assert (before.json()["status"], after["status"], after["message_count"]) == ("Closed", "Open", 1)
    assert after["updated_at"] > before.json()["updated_at"]
    told = [name for name, _, _ in await orchestrator.hears(staff.org_id, 4)]
    assert sorted(told) == ["conversation.changed", "conversation.changed", "conversation.opened", "message.posted"]
    stale = await service.call(staff, "PUT", path, json={"subject": "y"}, headers={"if-match": before.headers["etag"]})
    assert stale.status_code == 412
    await posts(service, staff, path)
    assert (await reads(service, staff, path))["updated_at"] == after["updated_at"]


async def test_another_clients_project_costs_a_client_the_same_questions_as_none(
    service: Service, staff: Actor, client: Actor, project: ProjectState, neighbours: Neighbours
):
    """By the time that it takes, they could tell the one from the other."""
    path = await opens(service, client, project)
    assert (await service.call(client, "GET", path)).status_code == 200
    other = actors.client(staff.org_id)
    for method, where in (("GET", ""), ("POST", ""), ("GET", f"/{path.rpartition('/')[2]}")):
        asked = []
        for each in (project.id, new_id()):
            before = len(neighbours.asked)
            body = {"json": {}} if method == "POST" else {}
            answer = await service.call(other, method, f"/api/projects/{each}/conversations{where}", **body)
            assert answer.status_code == 404
            asked.append(len(neighbours.asked) - before)
        assert asked == [1, 1]
    before = len(neighbours.asked)
    assert (await service.call(client, "GET", path)).status_code == 200
    assert len(neighbours.asked) == before
