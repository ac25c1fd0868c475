"""Every route of the document × {no credential, a bad one, an expired one, another organisation, client, wrong method}.

The routes come from the document that the gateway serves, so that a new one cannot be forgotten.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest_asyncio

from shared.ids import new_id
from shared.web import problems
from tests.support.builders import proposal_body
from tests.support.installation import Installation
from tests.support.servers import until

METHODS = ("get", "post", "put", "delete")
PUBLIC = {
    ("get", "/"),
    ("get", "/api"),
    ("get", "/api/health"),
    ("get", "/api/openapi.json"),
    ("get", "/api/docs"),
    ("post", "/api/auth/login"),
}
OF_THE_CREDENTIAL = {("get", "/api/auth/me"), ("post", "/api/auth/logout")}
"""Calls about whoever calls: there is nothing of another organisation in them."""
PROBLEM = {"type", "title", "status", "detail", "instance"}


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    operation: dict[str, Any]

    def filled(self, ids: dict[str, str]) -> str:
        """The path with real ids in it."""
        path = self.path
        for name, value in ids.items():
            path = path.replace("{" + name + "}", value)
        assert "{" not in path, f"no id for {path}"
        return path

    @property
    def refuses_clients(self) -> bool:
        """Whether the document says that this role may never make the call (other words for 403 name the condition)."""
        return self.operation["responses"].get("403", {}).get("description") == problems.FORBIDDEN.title

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"


@dataclass(frozen=True)
class World:
    document: dict[str, Any]
    routes: list[Route]
    ids: dict[str, str]
    """Ids of the demo organisation, by the name of their path parameter."""
    another: str


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(installation: Installation) -> AsyncIterator[World]:
    document = (await installation.call("GET", "/api/openapi.json")).json()
    routes = [
        Route(method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]
    ids = await ids_of_everything(installation, installation.ready["demo"]["admin_token"])
    yield World(document, routes, ids, await installation.another_organisation())


async def ids_of_everything(installation: Installation, admin: str) -> dict[str, str]:
    """One thing of each kind, in the organisation of that administrator."""

    async def done(path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = await installation.call_as(admin, "POST", path, json=body)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    async def made(path: str, body: dict[str, Any]) -> str:
        return (await done(path, body))["id"]

    proposal = await made("/api/proposals", proposal_body(client_email=f"{new_id()}@roe.example"))
    await done(f"/api/proposals/{proposal}/send")
    signed = await done(f"/api/proposals/{proposal}/sign")
    project, order = signed["projects"][0]["id"], signed["order"]["id"]
    conversation = await made(f"/api/projects/{project}/conversations", {"subject": "Hello"})
    messages = f"/api/projects/{project}/conversations/{conversation}/messages"
    person = {"name_f": "Max", "name_l": "Muster", "email": f"{new_id()}@agency.example"}
    return {
        "proposal_id": proposal,
        "engagement_id": signed["engagement"]["id"],
        "project_id": project,
        "order_id": order,
        "client_id": signed["engagement"]["client_id"],
        "conversation_id": conversation,
        "message_id": await made(messages, {"content": "Hello"}),
        "user_id": await made("/api/users", person | {"role": "member"}),
        "service_id": await made("/api/services", {"name": "Website"}),
        "task_id": await made(f"/api/orders/{order}/tasks", {"name": "Invoice"}),
        "token_id": await made("/api/tokens", {"name": "Matrix", "role": "member"}),
    }


def is_problem(answer: httpx.Response) -> bool:
    return answer.headers["content-type"] == "application/problem+json" and set(answer.json()) >= PROBLEM


async def wrong(installation: Installation, world: World, expected: dict[str, set[int]], **how: Any) -> dict[str, int]:
    """The routes whose answer to `how` is not as expected; `expected` by route, `*` for all others."""
    found = {}
    for route in world.routes:
        if (route.method, route.path) in PUBLIC:
            continue
        answer = await installation.call_as(how["credential"], route.method.upper(), route.filled(world.ids))
        statuses = expected.get(str(route), expected["*"])
        if answer.status_code not in statuses or (answer.status_code >= 400 and not is_problem(answer)):
            found[str(route)] = answer.status_code
    return found


async def test_without_a_good_credential_every_route_is_401(installation: Installation, world: World):
    assert len(world.routes) > 50
    for credential in (None, "nonsense", "serx_unknown", "a.b.c", "two words"):
        assert await wrong(installation, world, {"*": {401}}, credential=credential) == {}


async def test_an_expired_credential_is_401_at_every_route(installation: Installation, world: World):
    end = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    made = await installation.call("POST", "/api/tokens", json={"name": "Brief", "role": "admin", "expires_at": end})
    expired = made.json()["token"]

    async def is_over() -> bool:
        return (await installation.call_as(expired, "GET", "/api/auth/me")).status_code == 401

    await until(is_over)
    assert await wrong(installation, world, {"*": {401}}, credential=expired) == {}


async def test_another_organisation_finds_nothing_through_any_route(installation: Installation, world: World):
    found: dict[str, Any] = {}
    for route in world.routes:
        if (route.method, route.path) in PUBLIC | OF_THE_CREDENTIAL:
            continue
        answer = await installation.call_as(world.another, route.method.upper(), route.filled(world.ids))
        if "{" in route.path:
            is_right = answer.status_code == 404 and is_problem(answer)
        elif route.method == "get":
            is_right = answer.status_code == 200 and all(value not in answer.text for value in world.ids.values())
        else:
            is_right = answer.status_code == 400 and is_problem(answer)  # a create without a body
        if not is_right:
            found[str(route)] = (answer.status_code, answer.text[:200])
    assert found == {}


async def test_what_no_client_may_do_is_403_and_says_so_in_the_document(installation: Installation, world: World):
    client = installation.ready["demo"]["client_token"]
    found = {}
    for route in world.routes:
        if (route.method, route.path) in PUBLIC | OF_THE_CREDENTIAL:
            continue
        answer = await installation.call_as(client, route.method.upper(), route.filled(world.ids))
        if route.refuses_clients != (answer.status_code == 403):
            found[str(route)] = answer.status_code
    assert found == {}


async def test_a_method_that_a_path_does_not_know_is_405(installation: Installation, world: World):
    admin = installation.ready["demo"]["admin_token"]
    known: dict[str, set[str]] = {}
    for route in world.routes:
        known.setdefault(route.path, set()).add(route.method)
    found = {}
    for path, methods in known.items():
        route = next(route for route in world.routes if route.path == path)
        for method in sorted({*METHODS, "patch"} - methods):
            answer = await installation.call_as(admin, method.upper(), route.filled(world.ids))
            if answer.status_code != 405 or not is_problem(answer):
                found[f"{method.upper()} {path}"] = answer.status_code
    assert found == {}


async def test_an_id_that_is_none_is_404_before_anything_about_the_body(installation: Installation, world: World):
    admin = installation.ready["demo"]["admin_token"]
    found = {}
    for route in world.routes:
        if "{" not in route.path:
            continue
        for value in (str(new_id()), "nonsense", "7"):
            path = route.filled(dict.fromkeys(world.ids, value))
            answer = await installation.call_as(
                admin, route.method.upper(), path, content=b"" if route.method == "get" else b"{"
            )
            if answer.status_code != 404 or not is_problem(answer):
                found[f"{route} {value[:8]}"] = answer.status_code
    assert found == {}
