"""Conversations and their messages under their project, as staff call them; the test plays the engagement service."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from shared.contracts.engagements import ProjectState
from shared.database import Database
from shared.ids import new_id
from shared.web.actor import Actor
from tests.component.conversations.playing import Neighbours, opens, path_of, posts, reads, tells
from tests.support import actors
from tests.support.commands import Orchestrator
from tests.support.services import Service


@pytest.fixture
def project(neighbours: Neighbours, staff: Actor) -> ProjectState:
    return neighbours.project(staff.org_id)


def base(project: ProjectState) -> str:
    return f"/api/projects/{project.id}/conversations"


async def test_a_conversation_is_opened_empty_with_its_project(service: Service, staff: Actor, project: ProjectState):
    answer = await service.call(staff, "POST", base(project), json={"subject": "Kickoff"})
    assert answer.status_code == 201, answer.text
    opened = answer.json()
    assert opened | {"id": "", "created_at": ""} == {
        "id": "",
        "project_id": str(project.id),
        "org_id": str(staff.org_id),
        "subject": "Kickoff",
        "status": "Open",
        "status_id": 1,
        "message_count": 0,
        "created_at": "",
        "updated_at": opened["created_at"],
        "last_message_at": None,
        "project": {"id": str(project.id), "name": "SEO", "engagement_id": str(project.engagement_id)},
        "messages": [],
    }
    again = await service.call(staff, "GET", path_of(opened))
    assert (again.json(), again.headers["etag"]) == (opened, answer.headers["etag"])


async def test_a_subject_may_be_left_out(service: Service, staff: Actor, project: ProjectState):
    answer = await service.call(staff, "POST", base(project), json={})
    assert (answer.status_code, answer.json()["subject"]) == (201, None)


async def test_a_project_that_is_not_known_is_asked_for_once(
    service: Service, neighbours: Neighbours, staff: Actor, project: ProjectState
):
    for _ in range(2):
        await opens(service, staff, project)
    assert neighbours.asked.count(project.id) == 1


async def test_a_project_that_nobody_has_is_404_each_time_it_is_asked_for(
    service: Service, neighbours: Neighbours, staff: Actor
):
    absent = new_id()
    for _ in range(2):
        assert (await service.call(staff, "GET", f"/api/projects/{absent}/conversations")).status_code == 404
    assert neighbours.asked.count(absent) == 2


async def test_a_project_that_was_renamed_shows_its_new_name(
    service: Service, orchestrator: Orchestrator, database: Database, staff: Actor, project: ProjectState
):
    path = await opens(service, staff, project)
    await tells(orchestrator, database, "changed", replace(project, version=2, name="Search"))
    assert (await reads(service, staff, path))["project"]["name"] == "Search"


async def test_a_deleted_projects_conversations_are_gone_from_everywhere(
    service: Service, orchestrator: Orchestrator, database: Database, staff: Actor, project: ProjectState
):
    path = await opens(service, staff, project)
    message = await posts(service, staff, path)
    await tells(orchestrator, database, "deleted", replace(project, version=2, is_deleted=True))
    id = path.rpartition("/")[2]
    for method, gone, body in (
        ("GET", base(project), None),
        ("POST", base(project), {}),
        ("GET", path, None),
        ("PUT", path, {}),
        ("DELETE", path, None),
        ("GET", f"{path}/messages", None),
        ("POST", f"{path}/messages", {"content": "x"}),
        ("DELETE", f"{path}/messages/{message['id']}", None),
        ("GET", f"/api/conversations/{id}", None),
        ("GET", f"/api/conversations/{id}/messages", None),
    ):
        assert (await service.call(staff, method, gone, json=body)).status_code == 404, (method, gone)
    assert (await reads(service, staff, "/api/conversations"))["data"] == []


async def test_a_message_counts_at_once_and_does_not_move_updated_at(
    service: Service, staff: Actor, project: ProjectState
):
    path = await opens(service, staff, project)
    before = await reads(service, staff, path)
    attachments = [{"name": "brief.pdf", "url": "https://files.example/brief.pdf", "size": 7}]
    message = await posts(service, staff, path, "The brief", attachments=attachments)
    assert message | {"id": "", "created_at": ""} == {
        "id": "",
        "conversation_id": before["id"],
        "sender_id": str(staff.id),
        "sender": {"id": str(staff.id), "name": staff.name, "email": staff.email, "type": "staff"},
        "content": "The brief",
        "is_internal": False,
        "attachments": attachments,
        "created_at": "",
        "updated_at": message["created_at"],
    }
    after = await reads(service, staff, path)
    assert after == before | {
        "message_count": 1,
        "last_message_at": message["created_at"],
        "messages": [message],
    }


async def test_messages_are_told_oldest_first_in_the_conversation_and_page_by_page(
    service: Service, staff: Actor, project: ProjectState
):
    path = await opens(service, staff, project)
    written = [(await posts(service, staff, path, f"{n}", is_internal=n == 2))["id"] for n in range(5)]
    assert [each["id"] for each in (await reads(service, staff, path))["messages"]] == written
    paged: list[str] = []
    for number in (1, 2, 3):
        page = await reads(service, staff, f"{path}/messages?limit=2&page={number}")
        paged += [each["id"] for each in page["data"]]
        assert page["meta"]["total"] == 5
    assert paged == written
    without = await reads(service, staff, f"{path}/messages?include_internal=false")
    assert [each["id"] for each in without["data"]] == written[:2] + written[3:]
    assert without["meta"]["total"] == 4
    whole = await reads(service, staff, f"{path}?include_internal=false")
    assert (len(whole["messages"]), whole["message_count"]) == (4, 5)


async def test_a_deleted_message_leaves_counts_and_times_as_if_it_had_never_been(
    service: Service, staff: Actor, project: ProjectState
):
    path = await opens(service, staff, project)
    states = [await reads(service, staff, path)]
    messages: list[dict[str, Any]] = []
    for n in range(3):
        messages.append(await posts(service, staff, path, is_internal=n == 1))
        states.append(await reads(service, staff, path))
    while messages:
        assert await reads(service, staff, path) == states.pop()
        answer = await service.call(staff, "DELETE", f"{path}/messages/{messages.pop()['id']}")
        assert (answer.status_code, answer.content) == (204, b"")
    assert await reads(service, staff, path) == states.pop()


async def test_a_message_is_deleted_once_and_only_in_its_own_conversation(
    service: Service, staff: Actor, project: ProjectState
):
    path, other = await opens(service, staff, project), await opens(service, staff, project)
    message = (await posts(service, staff, path))["id"]
    for wrong in (f"{other}/messages/{message}", f"{path}/messages/{new_id()}", f"{path}/messages/rubbish"):
        assert (await service.call(staff, "DELETE", wrong)).status_code == 404
    answers = await asyncio.gather(*(service.call(staff, "DELETE", f"{path}/messages/{message}") for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [204, 404, 404, 404]
    assert (await reads(service, staff, path))["message_count"] == 0


async def test_concurrent_messages_are_all_counted(service: Service, staff: Actor, project: ProjectState):
    path = await opens(service, staff, project)
    written = await asyncio.gather(*(posts(service, staff, path, is_internal=bool(n % 2)) for n in range(10)))
    found = await reads(service, staff, path)
    assert (found["message_count"], len(found["messages"])) == (10, 10)
    assert found["last_message_at"] == max(each["created_at"] for each in written)


async def test_counts_and_times_stay_true_while_messages_come_and_go(
    service: Service, staff: Actor, project: ProjectState
):
    path = await opens(service, staff, project)
    written = [await posts(service, staff, path, is_internal=bool(n % 2)) for n in range(6)]
    deletions = [service.call(staff, "DELETE", f"{path}/messages/{each['id']}") for each in written]
    await asyncio.gather(*deletions, *(posts(service, staff, path, is_internal=bool(n % 2)) for n in range(6)))
    for actor in (staff, actors.client(staff.org_id, id=project.client_id)):
        found = await reads(service, actor, path)
        left = [each["created_at"] for each in found["messages"]]
        assert (found["message_count"], found["last_message_at"]) == (len(left), max(left))
        assert len(left) == (6 if actor is staff else 3)


async def test_what_is_sent_changes_and_the_rest_stays(service: Service, staff: Actor, project: ProjectState):
    path = await opens(service, staff, project)
    before = await reads(service, staff, path)
    closed = (await service.call(staff, "PUT", path, json={"status": 2})).json()
    assert closed == before | {"status": "Closed", "status_id": 2, "updated_at": closed["updated_at"]}
    assert closed["updated_at"] > before["updated_at"]
    renamed = (await service.call(staff, "PUT", path, json={"subject": "Later", "status": 1})).json()
    assert (renamed["subject"], renamed["status"]) == ("Later", "Open")
    cleared = (await service.call(staff, "PUT", path, json={"subject": None})).json()
    assert (cleared["subject"], cleared["status"]) == (None, "Open")
    assert await reads(service, staff, path) == cleared


async def test_a_put_that_changes_nothing_moves_nothing(service: Service, staff: Actor, project: ProjectState):
    path = await opens(service, staff, project)
    before = await service.call(staff, "GET", path)
    for body in ({}, {"subject": "Kickoff", "status": 1}):
        answer = await service.call(staff, "PUT", path, json=body)
        assert (answer.status_code, answer.json()) == (200, before.json())
        assert answer.headers["etag"] == before.headers["etag"]


async def test_a_closed_conversation_takes_no_message_until_it_is_open_again(
    service: Service, staff: Actor, project: ProjectState
):
    path = await opens(service, staff, project)
    written = await posts(service, staff, path)
    for _ in range(2):
        closed = await service.call(staff, "DELETE", path)
        assert (closed.status_code, closed.content) == (204, b"")
    assert (await reads(service, staff, path))["status"] == "Closed"
    refused = await service.call(staff, "POST", f"{path}/messages", json={"content": "x"})
    assert refused.status_code == 409
    assert (await service.call(staff, "DELETE", f"{path}/messages/{written['id']}")).status_code == 204
    await service.call(staff, "PUT", path, json={"status": 1})
    await posts(service, staff, path)


async def test_if_match_asks_for_the_conversations_own_version(service: Service, staff: Actor, project: ProjectState):
    path = await opens(service, staff, project)
    first = await service.call(staff, "GET", path)
    await posts(service, staff, path)
    # A message is seen, but makes no version stale.
    seen = {"if-none-match": first.headers["etag"]}
    assert (await service.call(staff, "GET", path, headers=seen)).status_code == 200
    match = {"if-match": first.headers["etag"]}
    assert (await service.call(staff, "PUT", path, json={"subject": "B"}, headers=match)).status_code == 200
    for method, body in (("PUT", {"subject": "C"}), ("DELETE", None)):
        stale = await service.call(staff, method, path, json=body, headers=match)
        assert stale.status_code == 412, method
    now = await service.call(staff, "GET", path)
    assert (now.json()["subject"], now.json()["status"]) == ("B", "Open")
    tag = {"if-none-match": now.headers["etag"]}
    same = await service.call(staff, "GET", path, headers=tag)
    assert (same.status_code, same.content) == (304, b"")


async def test_the_same_key_opens_one_conversation_and_posts_one_message(
    service: Service, staff: Actor, project: ProjectState
):
    key = {"idempotency-key": "k"}
    first, again = [
        await service.call(staff, "POST", base(project), json={"subject": "A"}, headers=key) for _ in range(2)
    ]
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    path, key = path_of(first.json()), {"idempotency-key": "m"}
    answers = [
        await service.call(staff, "POST", f"{path}/messages", json={"content": "x"}, headers=key) for _ in range(2)
    ]
    assert answers[0].content == answers[1].content
    assert (await reads(service, staff, path))["message_count"] == 1
    other = await service.call(staff, "POST", f"{path}/messages", json={"content": "y"}, headers=key)
    assert other.status_code == 422


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["content"]),
        ({"content": ""}, ["content"]),
        ({"content": None}, ["content"]),
        ({"content": "x", "surprise": 1}, ["surprise"]),
        ({"content": "x", "is_internal": None}, ["is_internal"]),
        ({"content": "x", "is_internal": "yes"}, ["is_internal"]),
        ({"content": "x", "attachments": None}, ["attachments"]),
        ({"content": "x", "attachments": [{}]}, ["attachments.0.name", "attachments.0.url"]),
        ({"content": "x", "attachments": [{"name": "", "url": "https://a.example/b"}]}, ["attachments.0.name"]),
        *(
            ({"content": "x", "attachments": [{"name": "n", "url": url}]}, ["attachments.0.url"])
            for url in ("ftp://a.example/b", "javascript:alert(1)", "https://", "a.example", "https://a.example/b\n")
        ),
        (
            {"content": "x", "attachments": [{"name": "n", "url": "http://a.example", "size": -1}]},
            ["attachments.0.size"],
        ),
    ],
)
async def test_a_bad_message_names_its_fields(
    service: Service, staff: Actor, project: ProjectState, body: dict[str, Any], fields: list[str]
):
    path = await opens(service, staff, project)
    answer = await service.call(staff, "POST", f"{path}/messages", json=body)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, fields)
    assert (await reads(service, staff, path))["message_count"] == 0


@pytest.mark.parametrize(
    ("method", "body", "field"),
    [
        ("POST", {"subject": "x" * 256}, "subject"),
        ("POST", {"subject": 1}, "subject"),
        ("POST", {"status": 1}, "status"),
        ("PUT", {"subject": "x" * 256}, "subject"),
        ("PUT", {"status": None}, "status"),
        ("PUT", {"status": 3}, "status"),
        ("PUT", {"status": "Open"}, "status"),
        ("PUT", {"project_id": str(new_id())}, "project_id"),
    ],
)
async def test_a_bad_conversation_names_its_fields(
    service: Service, staff: Actor, project: ProjectState, method: str, body: dict[str, Any], field: str
):
    path = base(project) if method == "POST" else await opens(service, staff, project)
    answer = await service.call(staff, method, path, json=body)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


async def test_absent_foreign_and_malformed_ids_look_alike_and_another_projects_path_is_none(
    service: Service, neighbours: Neighbours, staff: Actor, project: ProjectState
):
    path = await opens(service, staff, project)
    id = path.rpartition("/")[2]
    elsewhere = neighbours.project(staff.org_id)
    stranger = actors.admin()
    for actor, wrong in (
        (staff, f"{base(elsewhere)}/{id}"),
        (staff, f"{base(project)}/{new_id()}"),
        (staff, f"{base(project)}/rubbish"),
        (staff, f"/api/projects/rubbish/conversations/{id}"),
        (stranger, path),
    ):
        for method, tail, body in (
            ("GET", "", None),
            ("PUT", "", {"rubbish": 1}),
            ("DELETE", "", None),
            ("GET", "/messages", None),
            ("GET", "/messages?page=0", None),
            ("GET", "?rubbish=1", None),
            ("POST", "/messages", {"rubbish": 1}),
            ("DELETE", f"/messages/{new_id()}", None),
        ):
            answer = await service.call(actor, method, wrong + tail, json=body)
            assert answer.status_code == 404, (method, wrong + tail, answer.text)
    for method in ("GET", "POST"):
        assert (await service.call(stranger, method, base(project), json={})).status_code == 404
    assert (await reads(service, staff, path))["message_count"] == 0


async def test_a_missing_conversation_is_told_before_a_body_that_is_not_json(
    service: Service, staff: Actor, project: ProjectState
):
    path = await opens(service, staff, project)
    plain = {"content": b"{}", "headers": {"content-type": "text/plain"}}
    assert (await service.call(staff, "POST", f"{path}/messages", **plain)).status_code == 415
    assert (
        await service.call(staff, "PUT", path, content=b"{", headers={"content-type": "application/json"})
    ).status_code == 400
    absent = f"{base(project)}/{new_id()}"
    assert (await service.call(staff, "POST", f"{absent}/messages", **plain)).status_code == 404


async def test_the_list_of_a_project_is_filtered_sorted_and_paged(
    service: Service, neighbours: Neighbours, staff: Actor, project: ProjectState
):
    paths = [await opens(service, staff, project, subject) for subject in ("b", "a", None, "c")]
    await opens(service, staff, neighbours.project(staff.org_id), "elsewhere")
    for index in (1, 0):
        await posts(service, staff, paths[index])
    await service.call(staff, "DELETE", paths[3])

    async def subjects(query: str) -> list[str | None]:
        return [each["subject"] for each in (await reads(service, staff, base(project) + query))["data"]]

    assert await subjects("") == ["b", "a", None, "c"]
    assert await subjects("?sort=last_message_at:asc") == ["a", "b", None, "c"]
    assert await subjects("?sort=subject:asc") == ["a", "b", "c", None]
    assert await subjects("?sort=subject:desc") == ["c", "b", "a", None]
    assert await subjects("?sort=status:desc") == ["c", "b", "a", None]
    assert await subjects("?sort=created_at:desc") == ["c", None, "a", "b"]
    assert (await subjects("?sort=updated_at:desc"))[0] == "c"
    assert await subjects("?sort=id:asc") == ["b", "a", None, "c"]
    assert await subjects("?status=2") == ["c"]
    assert await subjects("?limit=3&page=2") == ["c"]
    listed = await reads(service, staff, f"{base(project)}?status=1&limit=2")
    assert listed["meta"]["total"] == 3
    assert listed["links"]["next"].startswith(f"http://service{base(project)}?status=1&limit=2&page=2&after=")
    assert set(listed["data"][0]).isdisjoint({"messages", "project"})


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("page=0&limit=101&status=x", {"page", "limit", "status"}),
        ("sort=name:asc", {"sort"}),
        ("status=0", {"status"}),
        ("colour=red", {"colour"}),
    ],
)
async def test_a_bad_query_names_what_is_wrong(
    service: Service, staff: Actor, project: ProjectState, query: str, fields: set[str]
):
    for path in (base(project), "/api/conversations"):
        answer = await service.call(staff, "GET", f"{path}?{query}")
        assert (answer.status_code, set(answer.json()["errors"])) == (400, fields)


async def test_a_bad_query_of_messages_names_what_is_wrong(service: Service, staff: Actor, project: ProjectState):
    path = await opens(service, staff, project)
    for query in ("sort=created_at:asc", "include_internal=rubbish", "limit=0"):
        answer = await service.call(staff, "GET", f"{path}/messages?{query}")
        assert (answer.status_code, list(answer.json()["errors"])) == (400, [query.partition("=")[0]])
    assert (await service.call(staff, "GET", f"{path}?include_internal=rubbish")).status_code == 400


async def test_what_happens_is_told_without_a_word_of_what_was_written(
    service: Service, orchestrator: Orchestrator, staff: Actor, project: ProjectState
):
    path = await opens(service, staff, project, "a secret")
    message = await posts(service, staff, path, "a secret", is_internal=True)
    await service.call(staff, "DELETE", f"{path}/messages/{message['id']}")
    await service.call(staff, "PUT", path, json={"subject": "a secret still"})
    told = {name: body for name, _, body in await orchestrator.hears(staff.org_id, 4)}
    assert set(told) == {"conversation.opened", "message.posted", "message.deleted", "conversation.changed"}
    assert "secret" not in str(told)
    assert (told["conversation.opened"]["version"], told["conversation.changed"]["version"]) == (1, 2)
    assert told["message.posted"] == {
        "org_id": str(staff.org_id),
        "id": message["id"],
        "version": 1,
        "conversation_id": message["conversation_id"],
        "project_id": str(project.id),
        "sender_id": str(staff.id),
        "is_from_client": False,
        "is_internal": True,
        "created_at": message["created_at"],
        "is_deleted": False,
    }
    assert (told["message.deleted"]["version"], told["message.deleted"]["is_deleted"]) == (2, True)


async def test_a_message_may_be_its_attachments_alone(service: Service, staff: Actor, project: ProjectState):
    path = await opens(service, staff, project)
    brief = {"name": "brief.pdf", "url": "https://files.example/brief.pdf", "size": None}
    answer = await service.call(staff, "POST", f"{path}/messages", json={"attachments": [brief]})
    assert (answer.status_code, answer.json()["content"]) == (201, "")
    assert answer.json()["attachments"] == [brief]
    assert (await reads(service, staff, path))["messages"] == [answer.json()]


@pytest.mark.parametrize("content", ["", " ", "\t\n\u00a0", "\u3000", None])
@pytest.mark.parametrize("attached", [True, False])
async def test_a_blank_message_is_refused(
    service: Service, staff: Actor, project: ProjectState, content: str | None, *, attached: bool
):
    path = await opens(service, staff, project)
    attachments = [{"name": "brief.pdf", "url": "https://files.example/brief.pdf"}] if attached else []
    body = {"content": content, "attachments": attachments}
    answer = await service.call(staff, "POST", f"{path}/messages", json=body)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["content"])
    assert (await reads(service, staff, path))["message_count"] == 0


@pytest.mark.parametrize("body", [{}, {"attachments": []}, {"is_internal": True}])
async def test_a_message_of_nothing_is_refused(
    service: Service, staff: Actor, project: ProjectState, body: dict[str, Any]
):
    path = await opens(service, staff, project)
    answer = await service.call(staff, "POST", f"{path}/messages", json=body)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["content"])


async def test_a_conversation_brings_its_newest_hundred_messages_oldest_first(
    service: Service, staff: Actor, project: ProjectState
):
    path, me = await opens(service, staff, project), actors.client(staff.org_id, id=project.client_id)
    for number in range(103):
        await posts(service, staff, path, str(number), is_internal=number == 101)
    for reader, shown in ((staff, range(3, 103)), (me, (*range(2, 101), 102))):
        read = await reads(service, reader, path)
        assert [message["content"] for message in read["messages"]] == [str(number) for number in shown]
        assert read["message_count"] == (103 if reader is staff else 102)
        pages = [await reads(service, reader, f"{path}/messages?limit=100&page={page}") for page in (1, 2)]
        assert sum(len(page["data"]) for page in pages) == read["message_count"]
    changed = (await service.call(staff, "PUT", path, json={"subject": "x"})).json()
    assert len(changed["messages"]) == 100


async def test_a_conversation_brings_at_most_eight_mebibytes_of_messages(
    service: Service, database: Database, staff: Actor, project: ProjectState
):
    path = await opens(service, staff, project)
    for number in range(12):
        await posts(service, staff, path, str(number))
    async with database.transaction(staff.org_id) as tx:
        await tx.run("update messages set content = content || repeat('x', 1048576) where org_id = $1", staff.org_id)
    read = await reads(service, staff, path)
    assert [message["content"].rstrip("x") for message in read["messages"]] == [str(number) for number in range(4, 12)]
    assert read["message_count"] == 12
    async with database.transaction(staff.org_id) as tx:
        await tx.run("update messages set content = repeat('x', 9437184) where org_id = $1", staff.org_id)
    assert len((await reads(service, staff, path))["messages"]) == 1
