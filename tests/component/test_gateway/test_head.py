"""HEAD is GET without the body, and `Allow` names it."""

from __future__ import annotations

import pytest

from tests.component.test_gateway.neighbours import World, reply

LONG = {"text": "again and " * 500}


@pytest.mark.parametrize("accepted", ["identity", "gzip"])
@pytest.mark.parametrize("path", ["/api/orders", "/api/orders?page=2", "/api/projects/1/conversations", "/api/health"])
async def test_head_has_the_headers_of_get_and_no_body(here: World, path: str, accepted: str) -> None:
    here.orders.answers["/api/orders"] = reply(200, LONG, {"etag": '"1"'})
    headers = {"accept-encoding": accepted, "x-request-id": "one"}
    got = await here.caller.get(path, headers=headers)
    head = await here.caller.head(path, headers=headers)
    assert head.status_code == got.status_code == 200
    assert head.content == b""
    assert dict(head.headers) == dict(got.headers)


async def test_a_service_is_asked_by_get(here: World) -> None:
    await here.caller.head("/api/orders")
    assert here.orders.last.method == "GET"


async def test_head_of_a_long_answer_takes_none_of_it(here: World) -> None:
    here.orders.answers["/api/orders"] = reply(200, "x" * 2_000_000)
    for _ in range(3):
        head = await here.caller.head("/api/orders")
        assert (head.status_code, head.headers["content-length"]) == (200, "2000002")


@pytest.mark.parametrize(("path", "status"), [("/api/nothing", 404), ("/api/orders", 401), ("/api/orders", 503)])
async def test_a_refusal_of_head_has_no_body_either(here: World, path: str, status: int) -> None:
    headers = {"authorization": "Bearer nobody"} if status == 401 else {}
    if status == 503:
        await here.orders.stop()
    head = await here.caller.head(path, headers=headers)
    assert (head.status_code, head.content) == (status, b"")
    assert head.headers["content-type"] == "application/problem+json"
    assert (await here.caller.get("/api/health")).status_code == 200, "the connection is still in step"


async def test_allow_names_head_wherever_it_names_get(here: World) -> None:
    here.orders.answers["/api/orders"] = reply(405, {}, {"allow": "GET, POST, OPTIONS"})
    here.orders.answers["/api/orders/1"] = reply(405, {}, {"allow": "POST"})
    assert (await here.caller.put("/api/orders")).headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert (await here.caller.put("/api/orders/1")).headers["allow"] == "POST"
    assert "HEAD" in (await here.caller.post("/api/health")).headers["allow"]
