"""Sees every request of a process from outside: counts it, times it, ends its span. Around the application, once."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any, Final

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from shared import telemetry
from shared.metrics import LOOP_DELAY, request_noted

LOOK_AT_LOOP_SECONDS: Final = 0.5
UNKNOWN_ROUTE: Final = "other"
NOT_ANSWERED: Final = "none"
_OURSELVES: Final = ("/health", "/metrics")
"""Asked by machines, all the time: counted, and in no trace."""


class Watched:
    """An ASGI application as it is served; routes are told apart by the `path_template` that it leaves in the scope."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._loop_watch: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._live(scope, receive, send)
            return
        answer = _Answer(send)
        began = perf_counter()
        try:
            await self._app(scope, receive, answer)
        finally:
            _note(scope, answer.status, perf_counter() - began)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The process's life: its loop is watched, and what it has recorded is sent before it says that it is done."""

        async def sent(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                self._loop_watch = asyncio.create_task(_watch_loop())
            elif message["type"].startswith("lifespan.shutdown"):
                await self._end()
            await send(message)

        await self._app(scope, receive, sent)

    async def _end(self) -> None:
        if self._loop_watch is not None:
            self._loop_watch.cancel()
        if telemetry.spans is not None:
            await asyncio.to_thread(telemetry.spans.close)


class _Answer:
    """Passes an answer on, and knows its status afterwards."""

    __slots__ = ("_send", "status")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0

    def __call__(self, message: Message) -> Any:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        return self._send(message)


def _note(scope: Any, status: int, seconds: float) -> None:
    route = scope.get("path_template") or UNKNOWN_ROUTE
    time, count = request_noted(scope["method"], route, str(status) if status else NOT_ANSWERED)
    time(seconds)
    count()
    if telemetry.spans is not None and not scope["path"].startswith(_OURSELVES):
        facts: dict[str, str | int] = {
            "http.request.method": scope["method"],
            "http.route": route,
            "url.path": scope["path"],
            "http.response.status_code": status,
        }
        telemetry.end_trace(
            f"{scope['method']} {route}", error=f"status {status}" if status >= 500 else "", facts=facts
        )


async def _watch_loop() -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LOOK_AT_LOOP_SECONDS
        await asyncio.sleep(LOOK_AT_LOOP_SECONDS)
        LOOP_DELAY.observe(max(0.0, loop.time() - due))
