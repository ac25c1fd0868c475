"""A revocation is answered once every gateway has it: when the broker has taken it, or all beliefs have run out.

A gateway believes what identity vouched for as long as identity said (`believed_seconds`), and only while the broker
lets it hear of revocations. Identity says nothing of the kind while it could not announce a revocation itself. So one
that cannot be announced is true everywhere BELIEVED_SECONDS after its commit, whatever the broker does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import ContextVar
from functools import partial
from typing import Any, Final
from uuid import UUID

from litestar import Response

from shared.database import Database
from shared.messaging.bus import Bus
from shared.telemetry import log

BELIEVED_SECONDS: Final = 5.0
PATIENCE_SECONDS: Final = BELIEVED_SECONDS + 0.5
"""Longer than a belief that was given in the moment of the commit, its way to the gateway included."""
REVOKED: Final = "credential.revoked.v1"

_log = log(__name__)
_made_here: ContextVar[tuple[asyncio.Future[None], ...]] = ContextVar("revocations made by this request", default=())


class Announcements:
    """Which revocations have been committed here, and not been taken by the broker yet."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._bus = bus
        self._tell_outbox = database.on_commit
        self._open: dict[UUID, asyncio.Future[None]] = {}
        database.on_commit = self._committed

    def believed_seconds(self) -> float:
        """How long a gateway may believe what is true now; 0 while a revocation could not be announced."""
        return BELIEVED_SECONDS if self._bus.is_connected else 0.0

    def published(self, events: Sequence[UUID]) -> None:
        """Told by the outbox: the broker has these events."""
        for event in events:
            made = self._open.pop(event, None)
            if made is not None and not made.done():
                made.set_result(None)

    async def announced(self, answer: Response[Any]) -> Response[Any]:
        """The answer of a request, once what it has revoked is known to every gateway."""
        made = _made_here.get()
        if made:
            _, waiting = await asyncio.wait(made, timeout=PATIENCE_SECONDS)
            if waiting:
                _log.warning("a revocation was not announced: waited until nobody believes", count=len(waiting))
        return answer

    def _forget(self, event: UUID, _: asyncio.Future[None]) -> None:
        self._open.pop(event, None)

    def _committed(self, said: list[Any]) -> None:
        for event in said:
            if event.type == REVOKED:
                made = self._open[event.id] = asyncio.get_running_loop().create_future()
                made.add_done_callback(partial(self._forget, event.id))
                asyncio.get_running_loop().call_later(2 * PATIENCE_SECONDS, made.cancel)  # nobody waits for so long
                _made_here.set((*(other for other in _made_here.get() if not other.done()), made))
        self._tell_outbox(said)
