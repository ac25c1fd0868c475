"""Compression, cross-origin calls, and what an answer says of the rate limit."""

from __future__ import annotations

import pytest

from tests.component.test_gateway.neighbours import World, reply, world
from tests.support.servers import Broker

PAGE = "https://app.example"
LONG = {"text": "again and " * 500}


async def test_a_long_answer_is_compressed_for_whoever_takes_it(here: World) -> None:
    here.orders.answers["/api/orders"] = reply(200, LONG)
    plain = await here.caller.get("/api/orders", headers={"accept-encoding": "identity"})
    small = await here.caller.get("/api/orders", headers={"accept-encoding": "gzip"})
    assert plain.json() == small.json() == LONG
    assert small.headers["content-encoding"] == "gzip"
    assert int(small.headers["content-length"]) < int(plain.headers["content-length"]) / 5
    assert "content-encoding" not in plain.headers
    assert plain.headers["vary"] == small.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("accepted", ["gzip;q=0", "br, gzip; q=0.0", "br"])
async def test_nobody_gets_what_they_do_not_take(here: World, accepted: str) -> None:
    here.orders.answers["/api/orders"] = reply(200, LONG)
    for path in ("/api/orders", "/api/docs"):
        answer = await here.caller.get(path, headers={"accept-encoding": accepted})
        assert "content-encoding" not in answer.headers, path
    taken = await here.caller.get("/api/docs", headers={"accept-encoding": "gzip"})
    assert taken.headers["content-encoding"] == "gzip"


async def test_a_short_answer_is_left_alone(here: World) -> None:
    answer = await here.caller.get("/api/orders", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in answer.headers


async def test_no_page_of_another_origin_may_call_unless_the_operator_says_so(here: World) -> None:
    answer = await here.caller.get("/api/orders", headers={"origin": PAGE})
    assert "access-control-allow-origin" not in answer.headers
    asked = await here.caller.options(
        "/api/orders", headers={"origin": PAGE, "access-control-request-method": "POST", "authorization": ""}
    )
    assert asked.status_code == 401


async def test_a_page_that_may_call_is_told_so_before_and_with_every_answer(broker: Broker) -> None:
    async with world(broker.url("gateway"), cors_origins=(PAGE,)) as here:
        asked = await here.caller.options(
            "/api/orders", headers={"origin": PAGE, "access-control-request-method": "POST", "authorization": ""}
        )
        assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (204, PAGE)
        assert "POST" in asked.headers["access-control-allow-methods"]
        assert "idempotency-key" in asked.headers["access-control-allow-headers"]
        assert here.heard == 0
        for headers in ({}, {"authorization": "Bearer nonsense"}):
            answer = await here.caller.get("/api/orders", headers={"origin": PAGE, **headers})
            assert answer.headers["access-control-allow-origin"] == PAGE
            assert "etag" in answer.headers["access-control-expose-headers"]
        stranger = await here.caller.get("/api/orders", headers={"origin": "https://evil.example"})
        assert "access-control-allow-origin" not in stranger.headers


async def test_answers_say_how_much_is_left(broker: Broker) -> None:
    async with world(broker.url("gateway"), rate_limit=2.0) as here:
        left = []
        # Two more for each second that this takes.
        while (answer := await here.caller.get("/api/orders")).status_code == 200:
            assert answer.headers["ratelimit-policy"] == '"credential";q=10;w=5'
            left.append(int(answer.headers["ratelimit"].partition("r=")[2].partition(";")[0]))
        assert left == sorted(left, reverse=True)
        assert left[0] == 9
        assert len(left) >= 10
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 1
        assert ";r=0;" in answer.headers["ratelimit"]
