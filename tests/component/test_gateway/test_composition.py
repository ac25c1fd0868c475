"""An engagement with its conversations."""

from __future__ import annotations

from typing import Any

import pytest

from tests.component.test_gateway.neighbours import World, reply

ID = "01970000-0000-7000-8000-000000000001"
PATH = f"/api/engagements/{ID}"
ASKED = f"/internal/engagements/{ID}/conversations"
SUMMARY = {"id": ID, "project_id": ID, "subject": "S", "status": "Open", "status_id": 1, "message_count": 2}


def _tell(here: World, conversations: Any) -> None:
    engagement = {"id": ID, "name": "Jane Roe – Engagement", "total": "8500.00", "projects": [], "conversations": []}
    here.engagements.answers[PATH] = reply(200, engagement, {"etag": '"v1"'})
    here.conversations.answers[ASKED] = reply(200, conversations)


async def test_the_conversations_are_joined_in(here: World) -> None:
    _tell(here, [SUMMARY])
    answer = await here.caller.get(PATH)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body["conversations"] == [SUMMARY]
    assert list(body) == ["id", "name", "total", "projects", "conversations"]
    assert (body["name"], body["total"]) == ("Jane Roe – Engagement", "8500.00")


async def test_both_services_are_asked_in_the_callers_name(here: World) -> None:
    _tell(here, [])
    await here.caller.get(PATH, headers={"x-request-id": "mine"})
    assert here.engagements.last.actor("engagements") == here.conversations.last.actor("conversations") == here.actor
    assert here.conversations.last.header("x-request-id") == "mine"
    assert here.conversations.last.method == "GET"


@pytest.mark.parametrize("status", [403, 404, 400, 500])
async def test_whatever_else_the_engagement_service_says_is_the_answer(here: World, status: int) -> None:
    _tell(here, [])
    here.engagements.answers[PATH] = reply(status, {"title": "no"})
    answer = await here.caller.get(PATH)
    assert (answer.status_code, answer.json()) == (status, {"title": "no"})


@pytest.mark.parametrize("status", [404, 500, 401])
async def test_an_engagement_without_its_conversations_is_never_shown(here: World, status: int) -> None:
    _tell(here, [])
    here.conversations.answers[ASKED] = reply(status, {})
    answer = await here.caller.get(PATH)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


async def test_conversations_that_are_away_make_it_503(here: World) -> None:
    _tell(here, [])
    await here.conversations.stop()
    assert (await here.caller.get(PATH)).status_code == 503
    await here.conversations.start()
    assert (await here.caller.get(PATH)).status_code == 200


async def test_conversations_that_cannot_be_read_make_it_503(here: World) -> None:
    _tell(here, [])
    here.conversations.answers[ASKED] = reply(200, {"not": "a list"})
    assert (await here.caller.get(PATH)).status_code == 503


async def test_what_the_caller_has_seen_is_not_sent_again(here: World) -> None:
    _tell(here, [SUMMARY])
    seen = (await here.caller.get(PATH)).headers["etag"]
    for told in (seen, f'"other", W/{seen}', "*"):
        answer = await here.caller.get(PATH, headers={"if-none-match": told})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", seen)
    _tell(here, [SUMMARY | {"message_count": 3}])
    answer = await here.caller.get(PATH, headers={"if-none-match": seen})
    assert answer.status_code == 200
    assert answer.headers["etag"] != seen


async def test_a_new_message_does_not_make_the_engagement_stale(here: World) -> None:
    _tell(here, [SUMMARY])
    seen = (await here.caller.get(PATH)).headers["etag"]
    await here.caller.put(PATH, json={"name": "x"}, headers={"if-match": seen})
    assert here.engagements.last.header("if-match") == '"v1"'
    await here.caller.delete(PATH, headers={"if-match": f'{seen}, "v0"'})
    assert here.engagements.last.header("if-match") == '"v1", "v0"'


async def test_only_reading_one_engagement_asks_for_conversations(here: World) -> None:
    for method, path in (("GET", "/api/engagements"), ("PUT", PATH), ("GET", "/api/engagements/nothing")):
        await here.caller.request(method, path)
    assert here.conversations.heard == []
