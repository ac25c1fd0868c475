"""The answers to questions that this process has asked: each at a subject of its own, which nobody can guess.

nats-py counts on from one question's inbox to the next: whoever was asked one thing could answer another.
"""

from __future__ import annotations

import asyncio
from secrets import token_hex

from nats.aio.msg import Msg

_NOBODY = "503"
_TOKEN_BYTES = 16


class NobodyAnswers(Exception):
    """Nobody hears the question, or the connection went away with it."""


class Answers:
    """Hands out reply subjects below `prefix`, and what arrives there."""

    def __init__(self, prefix: str) -> None:
        self._prefix = f"{prefix}.{token_hex(_TOKEN_BYTES)}"
        self._expected: dict[str, asyncio.Future[bytes]] = {}

    @property
    def subject(self) -> str:
        """What to subscribe to."""
        return f"{self._prefix}.*"

    def expect(self) -> tuple[str, asyncio.Future[bytes]]:
        """A reply subject, and the answer that will come there; it raises NobodyAnswers when none can come."""
        reply = f"{self._prefix}.{token_hex(_TOKEN_BYTES)}"
        future = self._expected[reply] = asyncio.get_running_loop().create_future()
        return reply, future

    async def hear(self, message: Msg) -> None:
        """An answer has come, or the server's word that nobody hears the question."""
        future = self._expected.pop(message.subject, None)
        if future is None or future.done():
            return
        if not message.data and (message.headers or {}).get("Status") == _NOBODY:
            future.set_exception(NobodyAnswers("nobody hears it"))
        else:
            future.set_result(message.data)

    def give_up(self) -> None:
        """The connection is gone, and with it every answer."""
        for future in self._expected.values():
            if not future.done():
                future.set_exception(NobodyAnswers("the connection was lost"))
        self._expected.clear()

    def forget(self, reply: str) -> None:
        """Nobody waits for this answer any more."""
        self._expected.pop(reply, None)
