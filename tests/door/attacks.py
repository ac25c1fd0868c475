"""What strangers and bad callers do at the door: each bounded in count and time, on loopback alone.

`python -m tests.door.attacks NAME PORT TOKEN CONVERSATION SECONDS SHARE` runs one; SHARE scales its counts.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

ADDRESS = "127.0.0.2"
"""Another one than the good caller's."""
PIECE = b"a" * 65_536


@dataclass(frozen=True)
class Target:
    port: int
    token: str
    conversation: str
    """The path of one that is long."""
    share: float

    def count(self, whole: int) -> int:
        return max(1, int(whole * self.share))

    async def connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, local_addr=(ADDRESS, 0), limit=4096)


async def big_heads(target: Target) -> None:
    """Sixteen at once send one header of 64 MB each."""

    async def send() -> None:
        _, writer = await target.connected()
        writer.write(b"GET /api HTTP/1.1\r\nHost: x\r\nX-A: ")
        for _ in range(target.count(1024)):
            writer.write(PIECE)
            await writer.drain()

    await _again(send, 16)


async def small_headers(target: Target) -> None:
    """Eight at once send 600,000 small headers each."""

    async def send() -> None:
        _, writer = await target.connected()
        writer.write(b"GET /api HTTP/1.1\r\nHost: x\r\n")
        for _ in range(target.count(600)):
            writer.write(b"a: b\r\n" * 1000)
            await writer.drain()

    await _again(send, 8)


async def silence(target: Target) -> None:
    """3,000 connections that say nothing, or half a head."""
    await _held(target, 3000, lambda number: b"" if number % 2 else b"GET /api HTTP/1.1\r\nHost: x\r\nX-A: ")


async def half_bodies(target: Target) -> None:
    """500 requests whose bodies stop short of a MiB: logins, and orders of somebody who is let in."""
    order = f"POST /api/orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {target.token}\r\n".encode()
    login = b"POST /api/auth/login HTTP/1.1\r\nHost: x\r\n"
    rest = b"Content-Type: application/json\r\nContent-Length: 1048576\r\n\r\n" + b" " * 1_000_000
    await _held(target, 500, lambda number: (login if number % 2 else order) + rest)


async def random_tokens(target: Target) -> None:
    """1,100 connections, each of which tries one token after another."""

    async def guess() -> None:
        reader, writer = await target.connected()
        while True:
            token = secrets.token_hex(20)
            writer.write(f"GET /api/orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer serx_{token}\r\n\r\n".encode())
            await _answer(reader)

    await _again(guess, target.count(1100))


async def large_messages(target: Target) -> None:
    """64 at once post messages of nearly 1 MiB, again and again, as somebody who is let in."""
    body = b'{"content":"' + b"x" * 1_040_000 + b'"}'
    head = (
        f"POST {target.conversation}/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {target.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()

    async def post() -> None:
        reader, writer = await target.connected()
        while True:
            writer.write(head)
            writer.write(body)
            await writer.drain()
            await _answer(reader)

    await _again(post, target.count(64))


async def unread_answers(target: Target) -> None:
    """200 connections ask for a long conversation, and read nothing of it."""
    ask = f"GET {target.conversation} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {target.token}\r\n\r\n".encode()
    await _held(target, 200, lambda _: ask)


ATTACKS: dict[str, Callable[[Target], Awaitable[None]]] = {
    attack.__name__: attack
    for attack in (big_heads, small_headers, silence, half_bodies, random_tokens, large_messages, unread_answers)
}


async def _answer(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
    await reader.readexactly(int(length or 0))


async def _again(do: Callable[[], Awaitable[None]], at_once: int) -> None:
    """Each of them again and again, whatever becomes of it."""

    async def repeat() -> None:
        while True:
            try:
                await do()
            except (OSError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.05)

    await asyncio.gather(*(repeat() for _ in range(at_once)))


async def _held(target: Target, count: int, first: Callable[[int], bytes]) -> None:
    """So many connections that say `first` and read nothing; one that is ended is made again."""

    async def hold(number: int) -> None:
        reader, writer = await target.connected()
        writer.transport.pause_reading()  # pyright: ignore[reportAttributeAccessIssue]
        writer.write(first(number))
        await writer.drain()
        await asyncio.sleep(1.0)
        writer.transport.resume_reading()  # pyright: ignore[reportAttributeAccessIssue]
        while await reader.read(1) and not reader.at_eof():
            writer.transport.pause_reading()  # pyright: ignore[reportAttributeAccessIssue]
            await asyncio.sleep(5.0)
            return

    numbers = iter(range(10_000_000))
    await _again(lambda: hold(next(numbers)), target.count(count))


async def _run(name: str, target: Target, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await ATTACKS[name](target)
    except TimeoutError:
        return


if __name__ == "__main__":
    _name, _port, _token, _conversation, _seconds, _share = sys.argv[1:]
    asyncio.run(_run(_name, Target(int(_port), _token, _conversation, float(_share)), float(_seconds)))
