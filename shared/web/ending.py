"""How a caller's connection ends: by an answer to what cannot be read, or after its caller was waited for too long."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from shared.web import heads
from shared.web.bodies import MAX_BODY_BYTES
from shared.web.connections import Connections
from shared.web.heads import Fault, Framing
from shared.web.last_words import last_words
from shared.web.together import Together

LINGER_SECONDS: Final = 2.0
DISCARDED_BYTES: Final = 16 * MAX_BODY_BYTES
"""So much of a body is read to its end, though it has been answered already; a longer one ends its connection."""

_NO_BODY: Final = Framing(length=None, is_chunked=False, expects_continue=False)


class BoundedConnection(HttpToolsProtocol):
    """A connection in `connections`, which looks at it again and again; what it takes in, a subclass says."""

    _wire: asyncio.Transport
    _together: Together

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        connections: Connections,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._all = connections
        self.place = ""
        self.is_served = False
        """Whether a request on it was answered."""
        self.free_since = self.began_at = self.moved_at = self._read_at = connections.now
        self._answer_since: float | None = None
        self.ended_at: float | None = None
        self.is_arriving = False
        """Whether a request has begun to arrive and is not complete."""
        self.taken_bytes = 0
        """Of bodies that are not answered yet."""
        self._unread_bytes = 0
        self._is_in_head = True
        self._framing = _NO_BODY
        self._framed_bytes = 0
        """Since the head or the body began, as it arrived."""
        self._uncounted_bytes = 0
        self._is_body_to_come = False
        self._waiting = bytearray()
        self._fault: Fault | None = None

    def pause_writing(self) -> None:
        self._unread_bytes, self._read_at = self.unread_bytes, self._all.now
        if self._answer_since is None:
            self._answer_since = self._all.now
        super().pause_writing()
        self._all.unread_grows(self)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._all.is_read(self)
        if self.cycle is None or self.cycle.response_complete:
            self._answer_since = None

    @property
    def unread_bytes(self) -> int:
        """What is written and has not left yet."""
        return self._wire.get_write_buffer_size()

    @property
    def is_deaf(self) -> bool:
        """Whether nothing more is taken from the caller."""
        return self._fault is not None or self.ended_at is not None

    def refuse(self, fault: Fault) -> None:
        """Answer `fault` when its turn comes, and take in nothing more."""
        if self.is_deaf:
            return
        self._fault = fault
        self._all.refused(fault)
        cycle = self.cycle
        is_of_body = self.is_arriving and not self._is_in_head
        if cycle is None or cycle.response_complete:
            if is_of_body:
                self._together.close()  # the request was answered before all of it had come
            else:
                self._say_and_finish(fault)
        elif is_of_body and self.pipeline:
            self.pipeline.popleft()
        elif is_of_body:
            cycle.disconnected = True
            cycle.body = bytearray()  # nobody takes it any more
            cycle.message_event.set()
            if cycle.response_started:
                self._together.close()
            else:
                self._say_and_finish(fault)

    def end(self, cause: str) -> None:
        """Break off, and count why."""
        self._all.ended(cause)
        self._together.abort()

    def look(self, now: float) -> None:
        """Whether the caller has been waited for long enough: for a request, its rest, or that an answer is read."""
        bounds = self._all.bounds
        if self.flow.write_paused or (self.ended_at is not None and self.unread_bytes):
            self._look_at_reader(now)
        elif self.ended_at is not None:
            if now - self.ended_at > LINGER_SECONDS:
                self._wire.abort()
        elif self.is_arriving:
            self._look_at_request(now)
        elif self.is_free:
            still = now - self.free_since
            if still > bounds.still_seconds and self.unread_bytes:
                self.end("unread")
            elif still > (bounds.idle_seconds if self.is_served else bounds.still_seconds):
                self._all.ended("idle" if self.is_served else "silent")
                self._together.close()

    @property
    def is_free(self) -> bool:
        """Whether nothing is under way."""
        return not self.is_arriving and (self.cycle is None or self.cycle.response_complete)

    def quiet_seconds(self, now: float) -> float:
        """How long it has been waiting for its caller; 0 when it is not."""
        if self.ended_at is not None or self.flow.write_paused:
            return 0.0
        if self.is_free:
            return now - self.free_since
        return now - self.moved_at if self.is_arriving and not self.flow.read_paused else 0.0

    def _look_at_reader(self, now: float) -> None:
        size = self.unread_bytes
        if size < self._unread_bytes:
            self._unread_bytes, self._read_at = size, now
        since = now if self._answer_since is None else self._answer_since
        if now - self._read_at > self._all.bounds.still_seconds or now - since > self._all.bounds.transfer_seconds:
            self.end("unread")

    def _look_at_request(self, now: float) -> None:
        bounds, is_waited_for = self._all.bounds, not self.flow.read_paused
        if self._is_in_head:
            is_late = now - self.began_at > bounds.still_seconds
        else:
            is_waited_for = is_waited_for and not self.cycle.waiting_for_100_continue
            is_late = now - self.moved_at > bounds.still_seconds or now - self.began_at > bounds.transfer_seconds
        if is_late and is_waited_for:
            self.refuse(heads.TOO_SLOW)

    def _say_and_finish(self, fault: Fault) -> None:
        is_known = self.is_arriving and fault is not heads.LINE_TOO_LONG
        self._together.write(last_words(fault, self.url if is_known else b"/", self.headers if is_known else []))
        self.is_arriving = True  # more may be on its way
        self._together.close()

    def _finish(self) -> None:
        """Close; while a request is still arriving, only after the caller had time to read what was answered."""
        self.ended_at = self._read_at = self._all.now
        self._framed_bytes = 0
        if self._wire.is_closing():
            return
        self._unread_bytes = self.unread_bytes
        if self.is_arriving and self._wire.can_write_eof() and self._all.may_linger:
            self._wire.write_eof()
            self.flow.resume_reading()
        else:
            self._wire.close()

    def _discard(self, size: int) -> None:
        self._framed_bytes += size
        if self._framed_bytes > DISCARDED_BYTES:
            self._wire.abort()
