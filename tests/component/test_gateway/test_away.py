"""When a service is away, breaks off, or talks nonsense."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from gateway.call import begin
from gateway.patience import patience_seconds
from gateway.refusals import ServiceAway
from gateway.routes import Service
from gateway.streams import ConnectionLost
from gateway.upstream import Upstream
from shared.web.actor import UNTRUSTED
from tests.component.test_gateway.neighbours import Heard, World, reply

Talk = Callable[[int, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Wire:
    """A service that says exactly these bytes."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.connections = 0

    @asynccontextmanager
    async def says(self, talk: Talk) -> AsyncIterator[Upstream]:
        async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            try:
                while True:
                    self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                    await talk(len(self.requests), writer)
                    await writer.drain()
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()

        server = await asyncio.start_server(converse, "127.0.0.1", 0)
        upstream = Upstream(Service.ORDERS, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        try:
            yield upstream
        finally:
            upstream.close()
            server.close()
            await server.wait_closed()


def _breaks_on(number: int) -> Talk:
    async def talk(count: int, writer: asyncio.StreamWriter) -> None:
        if count == number:
            writer.transport.abort()
            raise ConnectionResetError
        writer.write(OK)

    return talk


def _always(said: bytes) -> Talk:
    async def talk(_: int, writer: asyncio.StreamWriter) -> None:
        writer.write(said)

    return talk


def assert_away(answer: httpx.Response) -> None:
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) >= 1
    assert "127.0.0.1" not in answer.text
    assert "orders" not in answer.json()["detail"]


async def test_a_service_that_is_away_is_503_and_the_others_serve_on(here: World) -> None:
    await here.orders.stop()
    for method in ("GET", "POST", "PUT", "DELETE"):
        assert_away(await here.caller.request(method, "/api/orders"))
    assert (await here.caller.get("/api/proposals")).status_code == 200


async def test_a_service_that_comes_back_serves_at_once(here: World) -> None:
    assert (await here.caller.get("/api/orders")).status_code == 200
    await here.orders.stop()
    assert_away(await here.caller.get("/api/orders"))
    await here.orders.start()
    assert (await here.caller.get("/api/orders")).status_code == 200


async def test_a_service_that_restarted_between_two_calls_is_not_noticed(here: World) -> None:
    for method in ("GET", "POST"):
        assert (await here.caller.request(method, "/api/orders")).status_code == 200
        await here.orders.stop()
        await here.orders.start()
        assert (await here.caller.request(method, "/api/orders")).status_code == 200


async def test_a_service_that_does_not_take_our_word_is_away(here: World) -> None:
    here.orders.answers["/api/orders"] = reply(401, {})
    assert_away(await here.caller.get("/api/orders"))


async def test_an_identity_service_that_does_not_take_our_word_is_away_and_the_caller_no_stranger(here: World) -> None:
    assert (await here.caller.get("/api/clients")).status_code == 200
    for path, headers in (("/api/clients", {}), ("/internal/credentials/verify", {"authorization": "Bearer serx_new"})):
        here.identity.answers[path] = reply(401, {}, {"www-authenticate": UNTRUSTED})
        assert_away(await here.caller.get("/api/clients", headers=headers))
        del here.identity.answers[path]


async def test_an_answer_that_breaks_off_cannot_be_taken_for_whole(here: World) -> None:
    async def broken(_: Heard, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000000")]})
        await send({"type": "http.response.body", "body": b"x" * 300_000, "more_body": True})

    here.orders.answers["/api/orders"] = broken
    with pytest.raises(httpx.RemoteProtocolError):
        await here.caller.get("/api/orders")


async def test_a_short_answer_that_breaks_off_is_503(here: World) -> None:
    async def broken(_: Heard, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})

    here.orders.answers["/api/orders"] = broken
    assert_away(await here.caller.get("/api/orders"))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_read_is_repeated_once_when_a_used_connection_was_closed(method: str) -> None:
    wire = Wire()
    async with wire.says(_breaks_on(2)) as upstream:
        await upstream.exchange("GET", b"/", [])
        assert (await upstream.exchange(method, b"/", [])).status == 200
    assert (len(wire.requests), wire.connections) == (3, 2)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_a_change_is_never_repeated(method: str) -> None:
    wire = Wire()
    async with wire.says(_breaks_on(2)) as upstream:
        await upstream.exchange("GET", b"/", [])
        with pytest.raises(ServiceAway):
            await upstream.exchange(method, b"/", [])
    assert len(wire.requests) == 2


async def test_a_read_is_not_repeated_on_a_new_connection() -> None:
    wire = Wire()
    async with wire.says(_breaks_on(1)) as upstream:
        with pytest.raises(ServiceAway):
            await upstream.exchange("GET", b"/", [])
    assert len(wire.requests) == 1


@pytest.mark.parametrize(("method", "times"), [("GET", 2), ("POST", 1)])
async def test_silence_is_awaited_for_so_long_and_no_longer(method: str, times: int) -> None:
    wire = Wire()
    async with wire.says(_always(b"")) as upstream:
        with pytest.raises(ServiceAway):
            await upstream.exchange(method, b"/", [], patience_seconds=0.3)
    assert len(wire.requests) == times


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    ],
)
async def test_nonsense_is_no_answer(said: bytes) -> None:
    async with Wire().says(_always(said)) as upstream:
        with pytest.raises(ServiceAway):
            await upstream.exchange("GET", b"/", [], patience_seconds=1)


async def test_an_interim_answer_is_passed_over() -> None:
    async with Wire().says(_always(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + OK)) as upstream:
        for _ in range(2):
            answer = await upstream.exchange("GET", b"/", [])
            assert (answer.status, await answer.read(), answer.header(b"link")) == (200, b"ok", None)


async def test_what_nobody_asked_for_becomes_nobodys_answer() -> None:
    wire = Wire()
    async with wire.says(_always(OK + b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison")) as upstream:
        for _ in range(3):
            assert await (await upstream.exchange("GET", b"/", [])).read() == b"ok"
    assert wire.connections == 3


async def test_a_connection_that_is_not_kept_is_not_used_again() -> None:
    wire = Wire()
    async with wire.says(_always(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")) as upstream:
        for _ in range(3):
            assert await (await upstream.exchange("GET", b"/", [])).read() == b"ok"
    assert wire.connections == 3


async def test_a_body_of_unknown_length_ends_with_its_connection() -> None:
    async def talk(_: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        writer.write_eof()
        raise ConnectionResetError

    async with Wire().says(talk) as upstream:
        assert await (await upstream.exchange("GET", b"/", [])).read() == b"all of it"


async def test_a_chunked_body_that_ends_early_is_broken() -> None:
    async def talk(_: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
        writer.write_eof()
        raise ConnectionResetError

    async with Wire().says(talk) as upstream:
        answer = await upstream.exchange("GET", b"/", [])
        with pytest.raises(ConnectionLost):
            await answer.read()


async def test_a_body_that_stands_still_is_given_up() -> None:
    said = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"
    async with Wire().says(_always(said)) as upstream:
        answer = await upstream.exchange("GET", b"/", [], patience_seconds=0.05)
        with pytest.raises(ConnectionLost):
            await answer.read()


@pytest.mark.parametrize(
    ("method", "path", "prefer", "seconds"),
    [
        ("GET", "/api/orders", b"wait=30", 10),
        ("HEAD", "/api/engagements/1", b"", 10),
        ("OPTIONS", "/api/proposals/1/sign", b"", 10),
        ("GET", "/api/proposals/1/sign", b"", 10),
        ("POST", "/api/orders", b"wait=30", 25),
        ("POST", "/api/proposals/1/sign", b"", 20),
        ("POST", "/api/proposals/1/sign/", b"wait=0", 10),
        ("POST", "/api/proposals/1/sign", b"respond-async, wait=3", 13),
        ("POST", "/api/proposals/1/sign", b"wait=999999", 40),
    ],
)
def test_a_service_has_its_share_of_the_time(method: str, path: str, prefer: bytes, seconds: float) -> None:
    call = begin({"headers": [(b"prefer", prefer)], "method": method, "path": path, "raw_path": path.encode()})
    assert patience_seconds(call) == seconds


async def test_a_service_that_hangs_is_503_and_so_is_what_is_composed_with_it(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = asyncio.Event()

    async def hang(*_: Any) -> None:
        await end.wait()

    monkeypatch.setattr("gateway.patience.READ_SECONDS", 0.2)
    engagement = "0197b3a0-0000-7000-8000-000000000001"
    here.orders.answers["/api/orders"] = hang
    here.conversations.answers[f"/internal/engagements/{engagement}/conversations"] = hang
    for method in ("GET", "HEAD"):
        for path in ("/api/orders", f"/api/engagements/{engagement}"):
            answer = await here.caller.request(method, path)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    end.set()
    assert (await here.caller.get("/api/proposals")).status_code == 200
