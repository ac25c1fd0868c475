"""The stream's word that it has kept what was published (PubAck), for many messages at once.

nats-py makes a task, a timer and a JetStream context for each; an outbox publishes several messages per commit.
"""

from __future__ import annotations

import asyncio
from itertools import count
from secrets import token_hex

import msgspec
from nats.aio.msg import Msg


class _PubAck(msgspec.Struct, frozen=True):
    stream: str = ""
    duplicate: bool = False
    """The stream has seen the id. That it has the message does not follow: the disk may have been full just then."""
    error: msgspec.Raw | None = None
    """A stream that refuses a message names itself too."""


class Acks:
    """Hands out reply subjects below `prefix`, and knows which of them have been answered with a PubAck.

    Nobody can guess one: they lie below a random token.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = f"{prefix}.{token_hex(16)}"
        self._numbers = count()
        self._expected: dict[str, asyncio.Future[bool]] = {}

    @property
    def subject(self) -> str:
        """What to subscribe to."""
        return f"{self._prefix}.*"

    def expect(self) -> tuple[str, asyncio.Future[bool]]:
        """A reply subject, and what becomes of it: whether the message is kept."""
        reply = f"{self._prefix}.{next(self._numbers)}"
        future = self._expected[reply] = asyncio.get_running_loop().create_future()
        return reply, future

    async def hear(self, message: Msg) -> None:
        """An answer has come: a PubAck, the stream's refusal, or the server's word that there is no stream (503)."""
        future = self._expected.pop(message.subject, None)
        if future is not None and not future.done():
            future.set_result(_is_kept(message.data))

    def give_up(self) -> None:
        """The connection is gone, and with it every answer; what was kept after all will be there twice."""
        for future in self._expected.values():
            if not future.done():
                future.set_result(False)
        self._expected.clear()

    def forget(self, reply: str) -> None:
        """Nobody waits for this answer any more."""
        self._expected.pop(reply, None)


def _is_kept(answer: bytes) -> bool:
    try:
        word = msgspec.json.decode(answer, type=_PubAck)
    except msgspec.DecodeError:  # the server's own word has no body
        return False
    return bool(word.stream) and not word.duplicate and word.error is None
