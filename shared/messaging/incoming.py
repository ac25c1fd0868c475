"""A message as whoever hears it has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nats.aio.msg import Msg

from shared.messaging.topology import is_for_answers

_NOBODY = "503"


class Incoming:
    """One message that has arrived: from a stream, which keeps it until it is acked, or directly, kept by nobody."""

    __slots__ = ("_again", "_message", "_times")

    def __init__(self, message: Msg, again: Callable[[Incoming, float], None]) -> None:
        self._message = message
        self._again = again
        self._times = 1

    @property
    def subject(self) -> str:
        return self._message.subject

    @property
    def body(self) -> bytes:
        return self._message.data

    @property
    def headers(self) -> Mapping[str, str]:
        return self._message.headers or {}

    @property
    def is_kept(self) -> bool:
        """Whether a stream has it."""
        return self._message.reply.startswith("$JS.ACK")

    @property
    def is_unheard(self) -> bool:
        """Whether this is the server's word, in place of an answer, that nobody has heard what was said."""
        return not self._message.data and self.headers.get("Status") == _NOBODY

    @property
    def deliveries(self) -> int:
        """How often this message has been delivered, this time included."""
        return self._message.metadata.num_delivered if self.is_kept else self._times

    async def answer(self, body: bytes) -> None:
        """Answer a question; nothing is published where a question names another place than an inbox of answers."""
        if is_for_answers(self._message.reply):
            await self._message.respond(body)

    async def ack(self) -> None:
        """Handled: a stream that keeps it forgets it."""
        if self.is_kept:
            await self._message.ack()

    async def later(self, seconds: float) -> None:
        """Not now: deliver it again after `seconds`. What no stream keeps is lost if the process ends before that."""
        if self.is_kept:
            await self._message.nak(delay=seconds)
        else:
            self._times += 1
            self._again(self, seconds)

    async def term(self) -> None:
        """Never again: it is kept elsewhere."""
        if self.is_kept:
            await self._message.term()
