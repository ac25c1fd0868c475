"""Every POST under an Idempotency-Key, in its caller's hands and in others'; every change and move by `If-Match`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio

from shared.ids import new_id
from tests.process.test_matrix import PUBLIC, Route, World, world
from tests.support.builders import proposal_body
from tests.support.contract import Stage, sent

__all__ = ["world"]

REUSED = "urn:serx:problem:idempotency-key-reused"
ACTIONS = {"send", "sign", "reject", "advance", "complete"}
"""What moves a resource: calls that heed the resource's version."""
PASSWORD = "a long pass phrase"
Body = Callable[[Stage], Any]

OF_ADMINS: dict[str, Body] = {
    "/api/clients": lambda _: person(),
    "/api/users": lambda _: person() | {"role": "member"},
    "/api/tokens": lambda _: {"name": "Accounting", "role": "member"},
    "/api/services": lambda _: {"name": "Website"},
    "/api/proposals": lambda _: proposal_body(),
    "/api/engagements": lambda stage: {"client_id": stage.ids["client_id"]},
    "/api/projects": lambda stage: {"engagement_id": stage.ids["engagement_id"], "name": "Website"},
    "/api/orders": lambda stage: {"user_id": stage.ids["client_id"], "service": "Website"},
    "/api/orders/{order_id}/tasks": lambda _: {"name": "Logo"},
    "/api/projects/{project_id}/advance": lambda _: None,
    "/api/proposals/{draft}/send": lambda _: None,
}
OF_CLIENTS: dict[str, Body] = {
    "/api/conversations": lambda stage: {"project_id": stage.ids["project_id"]},
    "/api/conversations/{conversation_id}/messages": lambda _: {"content": "Approved"},
    "/api/projects/{project_id}/conversations": lambda _: {"subject": "Approval"},
    "/api/projects/{project_id}/conversations/{conversation_id}/messages": lambda _: {"content": "Approved"},
    "/api/order-tasks/{task_id}/complete": lambda _: None,
    "/api/proposals/{rejectable}/reject": lambda _: {"reason": "No."},
    "/api/proposals/{signable}/sign": lambda _: {"signer_name": "Jane Roe"},
}
OF_NOBODY = {"/api/auth/logout"}
"""Belongs to a session: `tests/component/identity/test_users_api.py` looks at it."""


def person() -> dict[str, Any]:
    return {"name_f": "Mia", "name_l": "Muster", "email": f"{new_id()}@stage.example"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def staged(stage: Stage) -> Stage:
    """With proposals to be sent, signed and rejected, and a second administrator."""
    stage.ids["draft"] = (await stage.made("POST /api/proposals", proposal_body()))["id"]
    stage.ids["signable"], stage.ids["rejectable"] = await sent(stage), await sent(stage)
    second = person() | {"role": "admin", "password": PASSWORD}
    await stage.made("POST /api/users", second)
    pair = {"email": second["email"], "password": PASSWORD}
    stage.tokens["second"] = (await stage.installation.call_as(None, "POST", "/api/auth/login", json=pair)).json()[
        "token"
    ]
    return stage


def is_replayed(answer: httpx.Response) -> bool:
    return answer.headers.get("idempotent-replayed") == "true"


def test_every_call_that_takes_a_key_is_looked_at(world: World):
    taking = {route.path for route in world.routes if route.method == "post"} - {path for _, path in PUBLIC}
    spelled = {path.replace(name, "proposal_id") for path in {*OF_ADMINS, *OF_CLIENTS} for name in names_in(path)}
    assert spelled | OF_NOBODY == taking


def names_in(path: str) -> list[str]:
    """The stage's own names for a proposal in a path; one that is not in it where there is none."""
    return [name for name in ("draft", "rejectable", "signable") if "{" + name + "}" in path] or ["(none)"]


@pytest.mark.parametrize("path", [*OF_ADMINS, *OF_CLIENTS])
async def test_a_key_is_its_callers_alone_and_comes_after_permission_and_before_all_else(staged: Stage, path: str):
    call, key = f"POST {path}", str(new_id())
    who, other = ("admin", "second") if path in OF_ADMINS else ("client", "admin")
    body = (OF_ADMINS | OF_CLIENTS)[path](staged)
    barred = {403, 404, 422} if path == "/api/conversations" else {403, 404}

    async def stranger() -> None:
        answer = await staged.call("stranger", call, body, idempotency_key=key)
        assert (answer.status_code in barred, is_replayed(answer)) == (True, False), answer.text

    await stranger()
    first = await staged.call(who, call, body, idempotency_key=key)
    assert (first.status_code in (200, 201), is_replayed(first)) == (True, False), first.text
    await stranger()
    theirs = await staged.call(other, call, body, idempotency_key=key)
    assert (theirs.status_code in (200, 201, 409), is_replayed(theirs)) == (True, False), theirs.text
    if theirs.status_code == 201:
        assert theirs.json()["id"] != first.json()["id"]
    as_text = {"content_type": "text/plain", "if_match": '"1.gone"'}
    for headers in ({}, as_text):
        again = await staged.call(who, call, body, idempotency_key=f'"{key}"', **headers)
        assert (again.status_code, is_replayed(again)) == (first.status_code, True), again.text
        assert again.headers.get("etag") == first.headers.get("etag")
        assert without_secret(again) == without_secret(first)
    reused = await staged.call(who, call, {"surprise": 1}, idempotency_key=key, **as_text)
    assert (reused.status_code, reused.json()["type"]) == (422, REUSED), reused.text


def without_secret(answer: httpx.Response) -> Any:
    """The answer's bytes; of one that shows a token, all the rest of it."""
    body = answer.json()
    return {**body, "token": "", "notice": ""} if "token" in body else answer.content


async def test_an_answer_with_a_secret_is_given_again_without_it(staged: Stage):
    key, body = str(new_id()), {"name": "Accounting", "role": "member"}
    first, again = [await staged.call("admin", "POST /api/tokens", body, idempotency_key=key) for _ in range(2)]
    assert (again.status_code, is_replayed(again), again.json()["token"]) == (201, True, None)
    assert first.json()["token"] not in again.text
    assert "shown once" in again.json()["notice"]


def heeds_versions(routes: list[Route]) -> set[str]:
    """What changes a resource that has versions: its PUT and DELETE, and its moves."""
    versioned = {route.path for route in routes if route.method == "put"}
    moved = {route.path for route in routes if route.path.rpartition("/")[2] in ACTIONS}
    changes = {str(route) for route in routes if route.method in ("put", "delete") and route.path in versioned}
    return changes | {str(route) for route in routes if route.method in ("post", "delete") and route.path in moved}


def test_the_document_has_both_preconditions_where_it_has_412(world: World):
    wanted = {f"#/components/parameters/{name}" for name in ("IfMatch", "IfNoneMatch")}
    for route in world.routes:
        if "412" in route.operation["responses"]:
            assert wanted <= {each.get("$ref") for each in route.operation["parameters"]}, route


def test_the_document_has_412_where_a_resource_is_changed_or_moved_and_nowhere_else(world: World):
    documented = {str(route) for route in world.routes if "412" in route.operation["responses"]}
    assert documented == heeds_versions(world.routes)
    assert len(documented) > 20


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("if-match", '"999999999.0123"'),
        ("if-none-match", "*"),
        ("if-none-match", ", ".join(f'W/"{version}.0123"' for version in range(1, 100))),
    ],
    ids=["gone", "none", "none of these"],
)
async def test_a_version_that_is_not_asked_for_changes_nothing_and_comes_before_the_state(
    staged: Stage, world: World, name: str, value: str
):
    """Of the stage's own things: a Signed proposal, a complete task, …; 412 comes before 422 and 409, and after 400."""
    ids = staged.ids
    routes = [route for route in world.routes if str(route) in heeds_versions(world.routes)]

    async def called(route: Route, **options: Any) -> httpx.Response:
        headers = {name: value} | options.pop("headers", {})
        path = route.filled(ids)
        return await staged.installation.call_as(
            staged.tokens["admin"], route.method.upper(), path, headers=headers, **options
        )

    async def seen() -> dict[str, str]:
        single = [route for route in world.routes if route.method == "get" and "304" in route.operation["responses"]]
        return {
            str(route): (await staged.call("admin", f"GET {route.filled(ids)}")).headers.get("etag", "")
            for route in single
        }

    before, found = await seen(), {}
    for route in routes:
        answer = await called(route, **({"json": {}} if route.method == "put" else {}))
        if answer.status_code != 412 or answer.json()["type"] != "urn:serx:problem:precondition-failed":
            found[str(route)] = (answer.status_code, answer.text[:200])
        if "requestBody" in route.operation:
            json = {"content-type": "application/json"}
            wrong = [
                (await called(route, content=b"{", headers=json)).status_code,
                (await called(route, json={"surprise": 1})).status_code,
                (await called(route, content=b"{}", headers={"content-type": "text/plain"})).status_code,
            ]
            if wrong != [400, 400, 415]:
                found[f"{route} (bad body)"] = (0, str(wrong))
    assert found == {}
    assert await seen() == before
    assert len(before) > 8
