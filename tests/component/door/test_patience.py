"""How long a caller is waited for, and what callers may make a process hold meanwhile."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import generate_latest

from shared import metrics
from shared.web.bounds import Bounds, derived_most, place_of
from tests.component.door.test_heads import CHUNKED, assert_refused
from tests.component.door.wire import GET, Caller, Server, served
from tests.support.servers import until

DRIP_SECONDS = 0.05
"""The pace of a caller who sends a byte at a time."""
QUICK = Bounds(still_seconds=0.5, transfer_seconds=3.0, idle_seconds=0.5)
HALF_BODY = b"POST / HTTP/1.1\r\nHost: serx\r\nContent-Length: 100\r\n\r\nhalf"


def counted(line: str) -> float:
    """What our metrics say of `line`."""
    told = generate_latest(metrics._registry).decode().splitlines()
    return sum(float(each.rpartition(" ")[2]) for each in told if each.startswith(line))


async def test_a_connection_that_says_nothing_is_closed():
    before = counted('serx_connections_ended_total{cause="silent"}')
    async with served(QUICK) as here:
        assert await (await here.caller()).until_closed() == b""
    assert counted('serx_connections_ended_total{cause="silent"}') == before + 1


async def test_a_connection_that_says_no_more_after_an_answer_is_closed():
    async with served(QUICK) as here:
        caller = await here.caller()
        caller.write(GET)
        assert (await caller.answer()).status == 200
        assert await caller.until_closed() == b""


@pytest.mark.parametrize(
    "half", [b"G", b"GET / HTTP/1.1\r\nHost: se", HALF_BODY, CHUNKED, CHUNKED + b"5\r\nhel", CHUNKED + b"1\r\na\r\n"]
)
async def test_half_a_request_is_408(half: bytes):
    async with served(QUICK) as here:
        caller = await here.caller()
        caller.write(half)
        assert_refused(await caller.answer(), 408)
        assert await caller.until_closed() == b""


async def test_blank_lines_are_no_request():
    async with served(QUICK) as here:
        caller = await here.caller()
        drip = asyncio.create_task(dripping(caller, b"\r\n"))
        assert await caller.until_closed() == b""
        await drip


async def test_a_head_that_drips_in_is_408():
    async with served(QUICK) as here:
        caller = await here.caller()
        caller.write(b"GET / HTTP/1.1\r\nX-Drip: ")
        drip = asyncio.create_task(dripping(caller, b"x"))
        assert_refused(await caller.answer(), 408)
        await caller.until_closed()
        await drip


async def test_a_body_may_be_slow_but_not_for_ever():
    async with served(QUICK) as here:
        caller = await here.caller()
        caller.write(b"POST / HTTP/1.1\r\nHost: serx\r\nContent-Length: 1000000\r\n\r\n")
        drip = asyncio.create_task(dripping(caller, b"x"))
        started = asyncio.get_running_loop().time()
        assert_refused(await caller.answer(), 408)
        assert asyncio.get_running_loop().time() - started > QUICK.transfer_seconds - 1
        await caller.until_closed()
        await drip


async def dripping(caller: Caller, drop: bytes) -> None:
    """Send `drop` again and again until the connection is ended."""
    while not caller.writer.transport.is_closing() and not caller.reader.at_eof():
        caller.write(drop)
        await asyncio.sleep(DRIP_SECONDS)


async def test_an_answer_may_take_its_time():
    async with served(QUICK) as here:
        caller = await here.caller()
        caller.write(b"GET /wait HTTP/1.1\r\nHost: serx\r\n\r\n")
        silent = await here.caller()
        assert await silent.until_closed() == b"", "longer than any caller would be waited for"
        here.go.set()
        assert (await caller.answer()).status == 200


async def test_an_answer_that_nobody_reads_is_given_up():
    before = counted('serx_connections_ended_total{cause="unread"}')
    async with served(QUICK) as here:
        caller = await here.caller(buffer_bytes=1024)
        caller.writer.transport.pause_reading()  # pyright: ignore[reportAttributeAccessIssue]
        caller.write(b"GET /long?50000000 HTTP/1.1\r\nHost: serx\r\n\r\n")
        await until(lambda: counted('serx_connections_ended_total{cause="unread"}') > before)


async def test_an_answer_that_is_read_slowly_arrives():
    async with served(Bounds(still_seconds=3.0, transfer_seconds=60.0)) as here:
        caller = await here.caller(buffer_bytes=65_536)
        caller.write(b"GET /long?20000000 HTTP/1.1\r\nHost: serx\r\nConnection: close\r\n\r\n")
        taken = 0
        while part := await caller.reader.read(1_000_000):
            taken += len(part)
            await asyncio.wait([asyncio.create_task(asyncio.sleep(0.03))])
        assert taken > 20_000_000


async def test_unread_answers_take_so_much_memory_and_no_more():
    """Who has not read for longest goes."""
    async with served(Bounds(unread_bytes=40_000_000)) as here:
        callers = []
        for _ in range(6):
            caller = await here.caller(buffer_bytes=1024)
            caller.writer.transport.pause_reading()  # pyright: ignore[reportAttributeAccessIssue]
            caller.write(b"GET /long?20000000 HTTP/1.1\r\nHost: serx\r\n\r\n")
            await until(lambda: len(here.heard) == len(callers) + 1)
            callers.append(caller)
        good = await here.ask(b"GET /long?20000000 HTTP/1.1\r\nHost: serx\r\n\r\n")
        assert len(good.body) == 20_000_000
        for caller in callers:
            caller.writer.transport.resume_reading()  # pyright: ignore[reportAttributeAccessIssue]
        whole = [len(await caller.until_closed_or(20_000_000)) >= 20_000_000 for caller in callers]
        assert whole.count(True) <= 2


async def test_bodies_under_way_take_so_much_memory_and_no_more():
    """Who stands still goes first; who moves is served."""
    async with served(Bounds(taken_bytes=1_000_000, still_seconds=30)) as here:
        stalled = [await here.caller() for _ in range(3)]
        for caller in stalled:
            caller.write(b"POST / HTTP/1.1\r\nHost: serx\r\nContent-Length: 1000000\r\n\r\n", b"x" * 300_000)
        await until(lambda: len(here.heard) == 3)
        clock = await here.caller()
        async with asyncio.timeout(20):
            while clock.writer.transport.is_closing() is False:
                answer = await here.ask(
                    b"POST / HTTP/1.1\r\nHost: serx\r\nContent-Length: 400000\r\n\r\n", b"x" * 400_000
                )
                if answer.status == 200:
                    break
                assert_refused(answer, 503)
                assert answer.headers["retry-after"]
        refused = [caller for caller in stalled if caller.reader._buffer]  # pyright: ignore[reportAttributeAccessIssue]
        assert refused
        for caller in refused:
            assert_refused(await caller.answer(), 503)


async def test_over_the_cap_a_caller_is_told_so_and_others_go_on():
    async with served(Bounds(most=4, of_an_address=4)) as here:
        working = [await here.caller() for _ in range(4)]
        for caller in working:
            caller.write(b"GET /wait HTTP/1.1\r\nHost: serx\r\n\r\n")
        await until(lambda: len(here.heard) == 4)
        answer = await here.ask(GET)
        assert_refused(answer, 503)
        assert answer.headers["retry-after"]
        here.go.set()
        assert [(await caller.answer()).status for caller in working] == [200] * 4


@pytest.mark.parametrize("half", [b"", b"GET / HTTP/1.1\r\n", HALF_BODY], ids=["silent", "half a head", "half a body"])
async def test_callers_who_only_wait_make_room(half: bytes):
    async with served(Bounds(most=20, of_an_address=20)) as here:
        waiting = [await here.caller() for _ in range(20)]
        for caller in waiting:
            caller.write(half)

        async def is_served() -> bool:
            return (await here.ask(GET)).status == 200

        await until(is_served)
        assert sum(caller.reader.at_eof() for caller in waiting) < 20


async def test_one_address_takes_its_share_and_another_is_served():
    async with served(Bounds(most=8, of_an_address=3)) as here:
        for _ in range(3):
            (await here.caller()).write(b"GET /wait HTTP/1.1\r\nHost: serx\r\n\r\n")
        await until(lambda: len(here.heard) == 3)
        assert_refused(await here.ask(GET), 503)
        other = await here.caller("127.0.0.2")
        other.write(GET)
        assert (await other.answer()).status == 200


async def test_a_trusted_proxy_has_no_share():
    from gateway.headers import networks

    async with served(Bounds(most=8, of_an_address=1, trusted=networks(["127.0.0.0/30"]))) as here:
        for _ in range(3):
            (await here.caller()).write(b"GET /wait HTTP/1.1\r\nHost: serx\r\n\r\n")
        await until(lambda: len(here.heard) == 3)
        assert (await here.ask(GET)).status == 200


def test_the_cap_follows_from_the_descriptors():
    assert [derived_most(count) for count in (-1, 64, 256, 1024, 20_000)] == [4096, 16, 96, 480, 4096]


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", ""),
    ],
)
def test_one_caller_is_one_address_or_one_network(address: str, place: str):
    assert place_of(address) == place


async def test_what_has_to_go_is_counted_by_cause(here: Server):
    before = counted('serx_requests_refused_total{status="431"}')
    assert_refused(await here.ask(b"GET / HTTP/1.1\r\nHost: serx\r\nX: ", b"x" * 70_000), 431)
    assert counted('serx_requests_refused_total{status="431"}') == before + 1
