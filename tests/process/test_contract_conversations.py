"""The contract's table of conversations, row by row, at the project-scoped paths, in the inbox and at the old paths."""

from __future__ import annotations

from typing import Any

import pytest

from shared.ids import new_id
from tests.support.contract import Body, List, Stage, names, walk_body, walk_list
from tests.support.contract_roles import walk_roles

CONVERSATION = (
    "id, project_id, org_id, subject, status, status_id, message_count, created_at, updated_at, last_message_at"
)
MESSAGE = "id, conversation_id, sender_id, sender, content, is_internal, attachments, created_at, updated_at"
ATTACHMENT = {"name": "brief.pdf", "url": "https://files.example/brief.pdf", "size": 7}
SORT = "id, subject, status, created_at, updated_at, last_message_at"
CALLS = {  # admin, member, client, another client
    "GET /api/projects/{project_id}/conversations": "200 200 200 404",
    "POST /api/projects/{project_id}/conversations ← {}": "201 201 201 404",
    "GET {talk}": "200 200 200 404",
    "PUT {talk} ← {}": "200 200 403 403",
    "DELETE /api/projects/{project_id}/conversations/{client_id}": "404 404 403 403",
    "GET {talk}/messages": "200 200 200 404",
    "POST {talk}/messages ← {}": "400 400 400 404",
    "DELETE {talk}/messages/{message_id}": "- - 403 404",
    "GET /api/conversations": "200 200 200 200",
    "POST /api/conversations ← {}": "400 400 400 400",
    "GET /api/conversations/{conversation_id}": "200 200 200 404",
    "PUT /api/conversations/{conversation_id} ← {}": "200 200 403 403",
    "DELETE /api/conversations/{client_id}": "404 404 403 403",
    "GET /api/conversations/{conversation_id}/messages": "200 200 200 404",
    "POST /api/conversations/{conversation_id}/messages ← {}": "400 400 400 404",
    "DELETE /api/conversations/{conversation_id}/messages/{message_id}": "- - 403 404",
}
ALIASES = [
    ("POST /api/conversations", "/api/projects/{project_id}/conversations"),
    ("GET /api/conversations/{conversation_id}", "{talk}"),
    ("PUT /api/conversations/{conversation_id}", "{talk}"),
    ("GET /api/conversations/{conversation_id}/messages", "{talk}/messages"),
    ("POST /api/conversations/{conversation_id}/messages", "{talk}/messages"),
    ("DELETE /api/conversations/{conversation_id}/messages/{message_id}", "{talk}/messages/{message_id}"),
    ("DELETE /api/conversations/{conversation_id}", "{talk}"),
]


def lists(stage: Stage) -> list[List]:
    return [
        List(
            "/api/projects/{project_id}/conversations",
            sort=SORT,
            default="last_message_at:desc",
            filters={"status": (1, "status_id")},
        ),
        List(
            "/api/conversations",
            sort=SORT,
            default="last_message_at:desc",
            filters={
                "status": (1, "status_id"),
                "project_id": (stage.ids["project_id"], "project_id"),
                "engagement_id": (stage.ids["engagement_id"], "project.engagement_id"),
            },
        ),
    ]


def bodies(stage: Stage) -> list[Body]:
    return [
        Body(
            create="POST /api/projects/{project_id}/conversations",
            whole={"subject": "Colours"},
            required="",
            nullable="subject",
            change=f"PUT /api/projects/{stage.ids['project_id']}/conversations/{{id}}",
            bad=[("subject", "s" * 256), ("subject", 1)],
        ),
        Body(
            create="POST /api/conversations",
            whole={"project_id": stage.ids["project_id"], "subject": "Colours"},
            required="project_id",
            nullable="subject",
            bad=[("project_id", "x"), ("subject", "s" * 256)],
        ),
        Body(
            create="POST {talk}/messages",
            whole={"content": "Which blue?", "is_internal": True, "attachments": [ATTACHMENT]},
            required="content",
            bad=[
                ("content", ""),
                ("content", 1),
                ("is_internal", 1),
                ("attachments", {}),
                ("attachments.0.name", [{"url": "https://a.example"}]),
                ("attachments.0.url", [{"name": "a"}]),
                ("attachments.0.url", [{"name": "a", "url": "ftp://a.example"}]),
                ("attachments.0.url", [{"name": "a", "url": "javascript:alert(1)"}]),
                ("attachments.1.size", [ATTACHMENT, ATTACHMENT | {"size": -1}]),
                ("attachments.0.type", [ATTACHMENT | {"type": "pdf"}]),
            ],
        ),
    ]


async def test_each_call_answers_each_role_as_the_table_says(stage: Stage):
    await walk_roles(stage, CALLS)


@pytest.mark.parametrize("which", [0, 1, 2], ids=["conversation", "old conversation", "message"])
async def test_a_body_holds_what_the_table_says(stage: Stage, which: int):
    await walk_body(stage, bodies(stage)[which])


@pytest.mark.parametrize("which", [0, 1], ids=["of a project", "inbox"])
async def test_a_list_sorts_filters_and_pages_as_the_table_says(stage: Stage, document: dict[str, Any], which: int):
    await walk_list(stage, lists(stage)[which], document)


async def test_each_answer_has_the_fields_of_the_table(stage: Stage):
    shown = await stage.got("client", "GET {talk}")
    assert set(shown) == names(CONVERSATION) | {"project", "messages"}
    assert set(shown["project"]) == names("id, name, engagement_id")
    assert {frozenset(each) for each in shown["messages"]} == {frozenset(names(MESSAGE))}
    assert {frozenset(each["sender"]) for each in shown["messages"]} == {frozenset(names("id, name, email, type"))}
    listed = (await stage.got("client", "GET /api/projects/{project_id}/conversations"))["data"]
    assert {frozenset(each) for each in listed} == {frozenset(names(CONVERSATION))}
    inbox = (await stage.got("client", "GET /api/conversations?limit=100"))["data"]
    assert {frozenset(each) for each in inbox} == {frozenset(names(CONVERSATION) | {"project", "messages"})}
    messages = (await stage.got("client", "GET {talk}/messages"))["data"]
    assert {frozenset(each) for each in messages} == {frozenset(names(MESSAGE))}


async def test_a_conversation_opens_and_closes(stage: Stage):
    talk = await _opened(stage, "client")
    shown = await stage.got("client", f"GET {talk}")
    assert (shown["status"], shown["status_id"], shown["message_count"], shown["last_message_at"]) == (
        *("Open", 1, 0),
        None,
    )
    posted = await stage.made(f"POST {talk}/messages", {"content": "Hello"})
    after = await stage.got("client", f"GET {talk}")
    assert (after["updated_at"], after["last_message_at"]) == (shown["updated_at"], posted["created_at"])
    closed = await stage.got("admin", f"PUT {talk}", {"status": 2})
    assert (closed["status"], closed["updated_at"] > shown["updated_at"]) == ("Closed", True)
    for who in ("admin", "member"):
        await stage.got(who, f"POST {talk}/messages", {"content": "Too late"}, 409)
        assert (await stage.got(who, f"GET {talk}"))["status"] == "Closed"
    await stage.got("client", f"POST {talk}/messages", {"content": "One more thing"}, 201)
    assert (await stage.got("admin", f"GET {talk}"))["status"] == "Open"
    for number, label in ((2, "Closed"), (1, "Open")):
        assert (await stage.got("admin", f"PUT {talk}", {"status": number}))["status"] == label
    await stage.got("admin", f"DELETE {talk}", status=204)
    assert (await stage.got("client", f"GET {talk}"))["status"] == "Closed"
    for wrong in (0, 3, "Open", None):
        assert await stage.errors(f"PUT {talk}", {"status": wrong}) == {"status"}


async def test_messages_are_oldest_first_and_internal_ones_are_for_staff(stage: Stage):
    talk = await _opened(stage)
    for number in range(4):
        await stage.made(f"POST {talk}/messages", {"content": str(number), "is_internal": number == 2})
    for call in (f"GET {talk}", f"GET {talk}/messages"):
        for who, query, expected in (
            ("admin", "", "0123"),
            ("admin", "?include_internal=true", "0123"),
            ("member", "?include_internal=false", "013"),
            ("client", "", "013"),
            ("client", "?include_internal=true", "013"),
        ):
            answer = await stage.got(who, call + query)
            found = answer.get("messages", answer.get("data"))
            assert "".join(message["content"] for message in found) == expected, (who, call, query)
    page = await stage.got("client", f"GET {talk}/messages?limit=2&page=2")
    assert ([each["content"] for each in page["data"]], page["meta"]["total"]) == (["3"], 3)
    assert await stage.errors(f"GET {talk}/messages?sort=id:asc", None) == {"sort"}
    assert await stage.errors(f"GET {talk}?include_internal=maybe", None) == {"include_internal"}
    await stage.got("client", f"POST {talk}/messages", {"content": "x", "is_internal": True}, 403)


async def test_staff_delete_any_message_and_a_client_their_own(stage: Stage):
    talk = await _opened(stage)
    made = {
        who: (await stage.got(who, f"POST {talk}/messages", {"content": who}, 201))
        for who in ("admin", "client", "member")
    }
    assert {who: each["sender"]["type"] for who, each in made.items()} == {
        "admin": "staff",
        "client": "client",
        "member": "staff",
    }
    assert made["client"]["sender_id"] == stage.ids["client_id"]
    await stage.got("client", f"DELETE {talk}/messages/{made['admin']['id']}", status=403)
    await stage.got("client", f"DELETE {talk}/messages/{made['client']['id']}", status=204)
    await stage.got("client", f"DELETE {talk}/messages/{made['client']['id']}", status=404)
    await stage.got("member", f"DELETE {talk}/messages/{made['admin']['id']}", status=204)
    shown = await stage.got("client", f"GET {talk}")
    assert (shown["message_count"], [each["content"] for each in shown["messages"]]) == (1, ["member"])


async def test_a_conversation_under_another_projects_path_is_404(stage: Stage):
    body = {"engagement_id": stage.ids["engagement_id"], "name": "Other"}
    other = (await stage.made("POST /api/projects", body))["id"]
    path = f"/api/projects/{other}/conversations/{stage.ids['conversation_id']}"
    for call in ("GET {}", "GET {}/messages", "PUT {}", "DELETE {}", "POST {}/messages", "DELETE {}/messages/x"):
        told = {} if call.startswith("P") else None
        await stage.got("admin", call.format(path), told, 404)


async def test_the_inbox_shows_the_newest_message_that_is_not_internal(stage: Stage):
    talk = await _opened(stage)
    conversation = talk.rpartition("/")[2]

    async def newest(who: str) -> list[str]:
        inbox = (await stage.got(who, "GET /api/conversations?limit=100"))["data"]
        return [each["content"] for one in inbox if one["id"] == conversation for each in one["messages"]]

    assert await newest("admin") == []
    await stage.made(f"POST {talk}/messages", {"content": "plain"})
    await stage.made(f"POST {talk}/messages", {"content": "secret", "is_internal": True})
    assert [await newest(who) for who in ("admin", "client", "stranger")] == [["plain"], ["plain"], []]


async def test_the_old_paths_are_the_same_resources_and_say_what_took_their_place(stage: Stage):
    body = {"project_id": stage.ids["project_id"]}
    assert await stage.errors("POST /api/conversations", {"project_id": str(new_id())}, 422) == {"project_id"}
    for call, successor in ALIASES:
        sent: Any = body if call == "POST /api/conversations" else {"content": "x"} if "POST" in call else {}
        answer = await stage.call("admin", call, sent if call[:3] in ("POS", "PUT") else None)
        assert answer.status_code in (200, 201, 204), (call, answer.text)
        assert answer.headers["deprecation"].startswith("@")
        expected = successor.format_map(stage.ids)
        assert answer.headers["link"] == f'<{expected}>; rel="successor-version"', call
        if call.startswith("GET"):
            assert (
                answer.json()["data" if "messages" in call else "id"]
                == ((await stage.got("admin", f"GET {successor}"))["data" if "messages" in call else "id"])
            )
    assert (await stage.got("admin", "GET {talk}"))["status"] == "Closed"


async def _opened(stage: Stage, who: str = "admin") -> str:
    """The path of a new conversation."""
    made = await stage.got(who, "POST /api/projects/{project_id}/conversations", {"subject": "Hello"}, 201)
    return f"/api/projects/{stage.ids['project_id']}/conversations/{made['id']}"
