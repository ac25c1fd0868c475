"""What reaches a service, and what comes back."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from shared import clock
from shared.web.actor import verify_gateway
from tests.component.test_gateway.neighbours import Heard, World, reply, world
from tests.support.actors import KEY
from tests.support.servers import Broker

ID = "01970000-0000-7000-8000-000000000001"


async def test_a_call_arrives_as_it_came_in_the_callers_name(here: World) -> None:
    target = f"/api/projects/{ID}/conversations?status=1&sort=subject%3Aasc&x=a+b"
    answer = await here.caller.post(
        target,
        content=b'{"subject": "x"}',
        headers={
            "content-type": "application/json",
            "idempotency-key": '"k"',
            "prefer": "wait=3",
            "user-agent": "a browser",
            "x-request-id": "mine",
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        },
    )
    assert answer.json() == {"service": "conversations"}
    heard = here.conversations.last
    assert (heard.method, heard.target, heard.body) == ("POST", target.encode(), b'{"subject": "x"}')
    assert heard.actor("conversations") == here.actor
    assert heard.header("serx-public-url") == here.url
    assert heard.header("serx-client-address") == "127.0.0.1"
    assert heard.header("x-request-id") == "mine"
    assert (heard.header("traceparent") or "").startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert heard.header("authorization") is None
    for name, value in {"idempotency-key": '"k"', "prefer": "wait=3", "user-agent": "a browser"}.items():
        assert heard.header(name) == value


async def test_nobody_can_speak_for_the_gateway(here: World) -> None:
    spoofed = {
        "serx-identity": "forged",
        "serx-public-url": "http://evil.example",
        "serx-client-address": "6.6.6.6",
        "x-forwarded-for": "6.6.6.6",
        "x-forwarded-host": "evil.example",
        "connection": "x-hop",
        "x-hop": "1",
        "te": "trailers",
    }
    await here.caller.get("/api/orders", headers=spoofed)
    heard = here.orders.last
    assert heard.actor("orders") == here.actor
    assert heard.header("serx-public-url") == here.url
    assert heard.header("serx-client-address") == "127.0.0.1"
    names = [name for name, _ in heard.headers]
    assert len(names) == len(set(names))
    assert not {b"x-forwarded-for", b"x-forwarded-host", b"x-hop", b"te"} & set(names)


async def test_a_trusted_proxy_names_the_callers_address(shared_broker: Broker) -> None:
    proxy = {"trusted_proxies": ("127.0.0.0/8",), "public_url": "https://api.example"}
    async with world(shared_broker.url("gateway"), **proxy) as here:
        await here.caller.get("/api/orders", headers={"x-forwarded-for": "6.6.6.6, 203.0.113.7"})
        assert here.orders.last.header("serx-client-address") == "203.0.113.7"
        assert here.orders.last.header("serx-public-url") == "https://api.example"


async def test_login_needs_no_credential_and_carries_the_gateways_own_identity(here: World) -> None:
    here.identity.answers["/api/auth/login"] = reply(401, {"title": "no"})
    async with httpx.AsyncClient(base_url=here.url, trust_env=False) as caller:
        answer = await caller.post("/api/auth/login", json={"email": "a", "password": "b"})
    assert answer.status_code == 401
    heard = here.identity.last
    verify_gateway(heard.header("serx-identity") or "", audience="identity", keys=[KEY], at=clock.now())
    assert heard.header("serx-client-address") == "127.0.0.1"


async def test_identity_alone_sees_the_credential(here: World) -> None:
    await here.caller.post("/api/auth/logout")
    assert here.identity.last.header("authorization") == "Bearer serx_admin"
    await here.caller.get("/api/clients")
    await here.caller.get("/api/orders")
    assert here.orders.last.header("authorization") is None


@pytest.mark.parametrize("status", [200, 201, 202, 400, 403, 404, 405, 409, 412, 415, 422, 500])
async def test_whatever_a_service_says_is_the_answer(here: World, status: int) -> None:
    headers = {
        "etag": '"v1"',
        "location": "/api/orders/1",
        "deprecation": "@1",
        "retry-after": "7",
        "cache-control": "a",
    }
    here.orders.answers["/api/orders"] = reply(status, {"a": 1}, headers)
    answer = await here.caller.put("/api/orders", json={})
    assert answer.status_code == status
    assert answer.json() == {"a": 1}
    for name, value in headers.items():
        assert answer.headers[name] == value


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_a_body(here: World, status: int) -> None:
    async def bare(_: Heard, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": [(b"etag", b'"v1"')]})
        await send({"type": "http.response.body", "body": b""})

    here.orders.answers["/api/orders"] = bare
    answer = await here.caller.delete("/api/orders")
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (status, b"", '"v1"')
    assert "content-length" not in answer.headers
    assert (await here.caller.get("/api/users")).status_code == 200


async def test_a_head_has_no_body_and_disturbs_nobody(here: World) -> None:
    for _ in range(3):
        answer = await here.caller.head("/api/orders")
        assert (answer.status_code, answer.content) == (200, b"")
        assert (await here.caller.get("/api/orders")).json() == {"service": "orders"}


@pytest.mark.parametrize("is_chunked", [True, False])
async def test_a_long_answer_arrives_whole(here: World, is_chunked: bool) -> None:  # noqa: FBT001
    size = 5 * 1024 * 1024

    async def long(_heard: Heard, send: Any) -> None:
        headers = [] if is_chunked else [(b"content-length", str(size).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for _chunk in range(size // 65536):
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    here.orders.answers["/api/orders"] = long
    for _ in range(2):
        assert (await here.caller.get("/api/orders")).content == b"x" * size


async def test_a_short_chunked_answer_arrives_whole(here: World) -> None:
    async def chunked(_: Heard, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ab", "more_body": True})
        await send({"type": "http.response.body", "body": b"cd"})

    here.orders.answers["/api/orders"] = chunked
    assert (await here.caller.get("/api/orders")).content == b"abcd"


async def test_many_calls_at_once_get_each_their_own_answer(here: World) -> None:
    async def echo(heard: Heard, send: Any) -> None:
        await reply(200, {"target": heard.target.decode()})(heard, send)

    here.orders.answers["/api/orders"] = echo
    targets = [f"/api/orders?page={number}" for number in range(200)]
    answers = await asyncio.gather(*(here.caller.get(target) for target in targets))
    assert [answer.json()["target"] for answer in answers] == targets
