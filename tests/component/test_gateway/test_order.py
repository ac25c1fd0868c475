"""What is refused, and what is refused first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from time import monotonic

import httpx
import pytest

from gateway.door import STRANGER_SECONDS
from shared.web.bodies import MAX_BODY_BYTES
from tests.component.test_gateway.neighbours import World, world
from tests.support.servers import Broker

TOO_LONG = b"x" * (MAX_BODY_BYTES + 1)


def assert_problem(answer: httpx.Response, status: int, path: str) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    body = answer.json()
    assert set(body) == {"type", "title", "status", "detail", "instance"}
    assert (body["status"], body["instance"]) == (status, path)


async def _chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 65536 + 1):
        yield b"x" * 65536


@pytest.mark.parametrize(
    "credential",
    [
        "",
        "Bearer",
        "Basic serx_admin",
        "serx_admin",
        "Bearer serx_admin extra",
        "Bearer nobody",
        "Bearer a,b",
        "Bearer " + "x" * 5000,
    ],
)
async def test_no_good_credential_is_401_before_anything_else(here: World, credential: str) -> None:
    for path in ("/api/proposals", "/api/nothing", "/nothing", "/api/auth/login"):
        answer = await here.caller.get(path, headers={"authorization": credential})
        assert_problem(answer, 401, path)
        assert answer.headers["www-authenticate"] == "Bearer"
    assert here.heard == 0


async def test_401_comes_before_413(here: World) -> None:
    answer = await here.caller.post("/api/orders", content=TOO_LONG, headers={"authorization": "Bearer nobody"})
    assert_problem(answer, 401, "/api/orders")


async def test_two_credentials_are_none(here: World) -> None:
    told = [("authorization", "Bearer serx_admin"), ("authorization", "Bearer serx_admin")]
    async with httpx.AsyncClient(base_url=here.url, trust_env=False) as caller:
        assert_problem(await caller.get("/api/orders", headers=told), 401, "/api/orders")


async def test_a_body_over_the_limit_is_413(here: World) -> None:
    for path in ("/api/orders", "/api/nothing"):
        assert_problem(await here.caller.post(path, content=TOO_LONG), 413, path)
    assert here.heard == 0


async def test_a_body_that_grows_over_the_limit_is_413(here: World) -> None:
    answer = await here.caller.post("/api/orders", content=_chunks(MAX_BODY_BYTES + 1))
    assert_problem(answer, 413, "/api/orders")
    assert here.heard == 0


async def test_a_body_of_just_the_limit_arrives_whole(here: World) -> None:
    for content in (b"x" * MAX_BODY_BYTES, _chunks(MAX_BODY_BYTES - 65536)):
        assert (await here.caller.post("/api/orders", content=content)).status_code == 200
        assert here.orders.last.body == b"x" * MAX_BODY_BYTES
        assert here.orders.last.header("content-length") == str(MAX_BODY_BYTES)
        assert here.orders.last.header("transfer-encoding") is None


@pytest.mark.parametrize(
    "path",
    [
        "/api/nothing",
        "/nothing",
        "/internal/x",
        "/api%2Forders",
        "/api/%6frders",
        "/api/orders%2f1",
        "/api/orders/%2e%2e/users",
        "/api/orders/..%2fusers",
        "/api/orders//",
        "/api//orders",
        "/api/orders;x",
        "/api%2fhealth",
        "/api/docs//",
        "/health/%6cive",
    ],
)
async def test_an_unknown_path_is_404(here: World, path: str) -> None:
    answer = await here.caller.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert here.heard == 0


async def test_another_spelling_of_a_public_path_is_not_public(here: World) -> None:
    for path in ("/api/auth%2flogin", "/api/auth/%6cogin", "/api/auth/login//"):
        assert (await here.caller.post(path, json={}, headers={"authorization": ""})).status_code == 401
        assert (await here.caller.post(path, json={})).status_code == 404
    assert here.heard == 0


async def test_over_the_rate_is_429_before_413_and_404(shared_broker: Broker) -> None:
    async with world(shared_broker.url("gateway"), rate_limit=0.2) as here:
        assert (await here.caller.get("/api/orders")).status_code == 200
        for path in ("/api/orders", "/api/nothing"):
            answer = await here.caller.post(path, content=TOO_LONG)
            assert_problem(answer, 429, path)
            assert 1 <= int(answer.headers["retry-after"]) <= 5
        here.identity.credentials["serx_other"] = dict(
            here.identity.credentials["serx_admin"], credential_id="01970000-0000-7000-8000-000000000009"
        )
        other = await here.caller.get("/api/orders", headers={"authorization": "Bearer serx_other"})
        assert other.status_code == 200, "each credential has its own allowance"
        assert (await here.caller.get("/api/health")).status_code == 200, "public pages have none"


async def test_a_sane_request_id_comes_back_and_another_is_replaced(here: World) -> None:
    for headers in ({}, {"authorization": "Bearer nobody"}):
        kept = await here.caller.get("/api/orders", headers={"x-request-id": "mine-1", **headers})
        assert kept.headers.get_list("x-request-id") == ["mine-1"]
        made = await here.caller.get("/api/orders", headers={"x-request-id": "not sane!", **headers})
        assert made.headers["x-request-id"] != "not sane!"


async def test_the_wrong_method_on_an_own_page_is_405(here: World) -> None:
    answer = await here.caller.post("/api/health", json={})
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await here.caller.post("/api/health", headers={"authorization": ""})).status_code == 401


async def test_strangers_from_one_address_are_429_and_the_known_go_on(apart: World) -> None:
    assert (await apart.caller.get("/api/orders")).status_code == 200
    for number in range(100):
        answer = await apart.caller.get("/api/orders", headers={"authorization": f"Bearer guess-{number}"})
        assert answer.status_code == 401
    verified = apart.identity.verified
    answer = await apart.caller.get("/api/orders", headers={"authorization": "Bearer another"})
    assert_problem(answer, 429, "/api/orders")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert apart.identity.verified == verified
    for nothing in ("", "Basic x", "Bearer"):
        assert (await apart.caller.get("/api/orders", headers={"authorization": nothing})).status_code == 401
    apart.door._credentials.forget_all()
    assert (await apart.caller.get("/api/orders")).status_code == 200


async def test_those_who_guess_are_not_refused_all_at_one_moment(apart: World) -> None:
    guess = {"authorization": "Bearer guess"}
    for number in range(100):
        await apart.caller.get("/api/orders", headers={"authorization": f"Bearer guess-{number}"})

    async def refused_after() -> float:
        began = monotonic()
        assert (await apart.caller.get("/api/orders", headers=guess)).status_code == 429
        return monotonic() - began

    times = await asyncio.gather(*(refused_after() for _ in range(30)))
    assert min(times) >= STRANGER_SECONDS[0]
    assert max(times) - min(times) > 0.3


async def test_many_strangers_at_once_cost_the_known_nothing(apart: World) -> None:
    assert (await apart.caller.get("/api/orders")).status_code == 200
    async with httpx.AsyncClient(base_url=apart.url, trust_env=False, timeout=30) as stranger:
        guesses = [
            asyncio.create_task(stranger.get("/api/orders", headers={"authorization": f"Bearer guess-{number}"}))
            for number in range(150)
        ]
        for _ in range(10):
            apart.door._credentials.forget_all()
            assert (await apart.caller.get("/api/orders")).status_code == 200
        statuses = [answer.status_code for answer in await asyncio.gather(*guesses)]
    assert set(statuses) == {401, 429}
    assert 100 <= statuses.count(401) <= 108, "those who are being asked about are not counted yet"
