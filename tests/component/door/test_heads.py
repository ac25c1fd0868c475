"""What a request may be: how large its head, how framed its body; and that whatever is refused has the one shape."""

from __future__ import annotations

import pytest

from shared.web.heads import FIELDS_MOST, HEAD_BYTES, LINE_BYTES
from tests.component.door.wire import GET, LAST, Answer, Server

HOST = b"Host: serx\r\n"
CHUNKED = b"POST /chunked HTTP/1.1\r\nHost: serx\r\nTransfer-Encoding: chunked\r\n\r\n"


def assert_refused(answer: Answer, status: int) -> None:
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"
    assert answer.headers["x-request-id"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert set(answer.json) == {"type", "title", "status", "detail", "instance"}
    assert answer.json["status"] == status


def of_line(size: int) -> bytes:
    """A request whose target has `size` bytes."""
    return b"GET /" + b"a" * (size - 1) + b" HTTP/1.1\r\n" + HOST + b"\r\n"


def of_head(size: int) -> bytes:
    """A request whose head has `size` bytes, by one long field."""
    begin = b"GET / HTTP/1.1\r\n" + HOST + b"X-Long: "
    return begin + b"a" * (size - len(begin) - 4) + b"\r\n\r\n"


def of_fields(count: int) -> bytes:
    return b"GET / HTTP/1.1\r\n" + HOST + b"".join(b"X-%d: 1\r\n" % number for number in range(count - 1)) + b"\r\n"


@pytest.mark.parametrize(
    "request_bytes", [of_line(LINE_BYTES), of_head(HEAD_BYTES), of_fields(FIELDS_MOST)], ids=["line", "head", "fields"]
)
async def test_a_head_of_just_the_limit_is_taken(here: Server, request_bytes: bytes):
    assert (await here.ask(request_bytes)).status == 200


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (of_line(LINE_BYTES + 1), 414),
        (of_line(10 * LINE_BYTES), 414),
        (of_head(HEAD_BYTES + 1), 431),
        (of_fields(FIELDS_MOST + 1), 431),
    ],
    ids=["line", "long line", "head", "fields"],
)
async def test_a_head_over_the_limit_is_refused(here: Server, request_bytes: bytes, status: int):
    assert_refused(await here.ask(request_bytes), status)
    assert here.heard == []


@pytest.mark.parametrize(
    ("begin", "part", "status"),
    [
        (b"GET /", b"a" * 65_536, 414),
        (b"GET / HTTP/1.1\r\nX-A: ", b"a" * 65_536, 431),
        (b"GET / HTTP/1.1\r\nX-A:", b" " * 65_536, 431),
        (b"GET / HTTP/1.1\r\n", b"a" * 65_536, 431),
        (b"GET / HTTP/1.1\r\n", b"a: b\r\n" * 10_000, 431),
        (b"", b"\r\n" * 30_000, 431),
        (b"", b"G" * 65_536, 400),
    ],
    ids=["line", "value", "blanks", "name", "fields", "nothing", "method"],
)
async def test_a_head_without_end_is_refused_when_it_is_over_the_limit(
    here: Server, begin: bytes, part: bytes, status: int
):
    caller = await here.caller()
    caller.write(begin)
    await caller.pour(part, 4)
    assert_refused(await caller.answer(), status)
    assert here.heard == []


@pytest.mark.parametrize(
    "body",
    [
        b"1;" + b"x" * 70_000 + b"\r\na\r\n0\r\n\r\n",
        b"".join(b"1;" + b"x" * 100 + b"\r\na\r\n" for _ in range(1000)),
        b"1\r\na\r\n0\r\nX-Trailer: " + b"x" * 70_000 + b"\r\n\r\n",
        b"1\r\na\r\n0\r\n" + b"X-Trailer: x\r\n" * 6000 + b"\r\n",
    ],
    ids=["an extension", "extensions", "a trailer", "trailers"],
)
async def test_what_stands_around_the_chunks_counts_as_head(here: Server, body: bytes):
    assert_refused(await here.ask(CHUNKED, body), 431)


async def test_many_small_chunks_are_a_body_like_any_other(here: Server):
    answer = await here.ask(CHUNKED, b"1\r\na\r\n" * 50_000, b"0\r\n\r\n")
    assert answer.json["length"] == 50_000


async def test_trailers_are_dropped(here: Server):
    trailers = b"X-Forwarded-For: 198.51.100.1\r\nAuthorization: Bearer x\r\nHost: evil\r\nX-New: 1\r\n"
    answer = await here.ask(CHUNKED, b"1\r\na\r\n0\r\n", trailers, b"\r\n")
    assert answer.json["headers"] == [["host", "serx"], ["transfer-encoding", "chunked"]]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST * 2 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: me@serx\r\n\r\n",
        b"GET / HTTP/1.0\r\n" + HOST * 2 + b"\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"get / http/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.9\r\n" + HOST + b"\r\n",
        b"GET a:443 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"CONNECT a:443 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET ftp://a/b HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /\xc3\xa9 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : serx\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: identity\r\n\r\n",
        b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        CHUNKED + b"zz\r\n",
        CHUNKED + b"ffffffffffffffffff\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/2.0\r\n" + HOST + b"\r\n",
        b"GET / HTTP/0.9\r\n" + HOST + b"\r\n",
        b"GET /\r\n\r\n",
        b"GET http://me@serx/ HTTP/1.1\r\n" + HOST + b"\r\n",
    ],
)
async def test_what_cannot_be_read_is_400_and_ends_the_connection(here: Server, request_bytes: bytes):
    caller = await here.caller()
    caller.write(request_bytes)
    assert_refused(await caller.answer(), 400)
    assert await caller.until_closed() == b""


async def test_a_refusal_carries_the_callers_own_request_id(here: Server):
    answer = await here.ask(b"GET /place?q HTTP/1.1\r\nX-Request-Id: mine-1\r\nX-A: a\r\n b\r\n\r\n")
    assert answer.headers["x-request-id"] == "mine-1"
    assert answer.json["instance"] == "/place"


async def test_an_old_caller_needs_no_host(here: Server):
    assert (await here.ask(b"GET / HTTP/1.0\r\n\r\n")).status == 200


async def test_an_absolute_target_names_path_and_host(here: Server):
    answer = await here.ask(b"GET http://other.example:81/a?b=c HTTP/1.1\r\n" + HOST + b"\r\n")
    assert answer.json["path"] == "/a"
    assert answer.json["headers"] == [["host", "other.example:81"]]
    assert (await here.ask(b"GET http://other.example HTTP/1.1\r\n" + HOST + b"\r\n")).json["path"] == "/"


@pytest.mark.parametrize("count", [2, 300])
async def test_requests_that_arrive_together_are_answered_in_turn(here: Server, count: int):
    caller = await here.caller()
    caller.write(*(b"GET /%d HTTP/1.1\r\n" % number + HOST + b"\r\n" for number in range(count)), LAST)
    assert [(await caller.answer()).json["path"] for _ in range(count)] == [f"/{number}" for number in range(count)]
    assert (await caller.answer()).status == 200
    assert await caller.until_closed() == b""


async def test_bodies_that_arrive_together_go_to_their_requests(here: Server):
    def post(length: int) -> bytes:
        return b"POST /%d HTTP/1.1\r\n" % length + HOST + b"Content-Length: %d\r\n\r\n" % length + b"x" * length

    lengths = [10, 5000, 0, 200_000, 1, 70_000]
    caller = await here.caller()
    caller.write(*map(post, lengths))
    assert [(await caller.answer()).json["length"] for _ in lengths] == lengths


async def test_what_cannot_be_read_is_answered_after_what_came_before(here: Server):
    caller = await here.caller()
    caller.write(b"GET /wait HTTP/1.1\r\n" + HOST + b"\r\n", GET, b"nonsense\r\n\r\n")
    here.go.set()
    assert (await caller.answer()).json["path"] == "/wait"
    assert (await caller.answer()).json["path"] == "/"
    assert_refused(await caller.answer(), 400)
    assert await caller.until_closed() == b""


async def test_a_body_that_breaks_the_rules_ends_its_request(here: Server):
    caller = await here.caller()
    caller.write(CHUNKED, b"1\r\na\r\n")
    caller.write(b"nonsense\r\n")
    assert_refused(await caller.answer(), 400)
    assert await caller.until_closed() == b""
    assert here.heard == ["/chunked", "gone"]


@pytest.mark.parametrize(
    ("method", "framing", "body", "length"),
    [
        (b"GET", b"", b"", 0),
        (b"POST", b"Content-Length: 9000\r\n", b"x" * 9000, 9000),
        (b"POST", b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n", 5),
    ],
)
async def test_who_asks_for_another_protocol_is_answered_in_this_one(
    here: Server, method: bytes, framing: bytes, body: bytes, length: int
):
    asks = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    answer = await here.ask(method, b" /up HTTP/1.1\r\n", HOST, asks, framing, b"\r\n", body)
    assert (answer.status, answer.json["length"]) == (200, length)


async def test_a_body_behind_an_upgrade_is_never_taken_for_a_request(here: Server):
    caller = await here.caller()
    asks = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
    caller.write(b"POST /up HTTP/1.1\r\n", HOST, asks, b"Content-Length: %d\r\n\r\n" % len(GET), GET)
    assert (await caller.answer()).json["length"] == len(GET)
    assert await caller.until_closed() == b""
    assert here.heard == ["/up"]


async def test_who_waits_for_100_is_told_to_go_on(here: Server):
    caller = await here.caller()
    caller.write(b"POST / HTTP/1.1\r\n", HOST, b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    assert (await caller.answer()).status == 100
    caller.write(b"hello")
    assert (await caller.answer()).json["length"] == 5


async def test_a_body_that_was_not_waited_for_is_never_taken_for_a_request(here: Server):
    caller = await here.caller()
    caller.write(b"POST /early HTTP/1.1\r\n", HOST, b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(GET))
    answer = await caller.answer()
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    caller.write(GET)
    assert await caller.until_closed() == b""
    assert here.heard == ["/early"]


async def test_a_short_body_that_is_answered_early_leaves_the_connection_open(here: Server):
    caller = await here.caller()
    caller.write(b"POST /early HTTP/1.1\r\n", HOST, b"Content-Length: 100000\r\n\r\n")
    assert (await caller.answer()).json["path"] == "/early"
    caller.write(b"x" * 100_000, GET)
    assert (await caller.answer()).json["path"] == "/"


async def test_a_long_body_that_is_answered_early_is_read_until_the_answer_is_there(here: Server):
    caller = await here.caller()
    caller.write(b"POST /early HTTP/1.1\r\n", HOST, b"Content-Length: 5000000\r\n\r\n")
    await caller.pour(b"x" * 50_000, 100)
    answer = await caller.answer()
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert await caller.until_closed() == b""
