"""A change is refused because of rows only while their server is still the primary.

A primary that is cut off goes on showing its rows. To refuse a change because of them (no such proposal, signed before)
would be untrue, once the other side has gone on without it. So a refusal goes out when a small write, made after it was
decided, has reached the standby; else the answer is 503. Where commits wait for no standby nothing is written.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from litestar import Request
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from shared.database import Database, DatabaseAway, DatabaseBusy
from shared.web import problems

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
BY_ROWS: Final = frozenset({404, 409, 412, 422})
"""Refusals that depend on rows; all others depend on the request and its caller alone."""


def true_refusals(app: ASGIApp) -> ASGIApp:
    """A middleware of Litestar's, for an application whose state has a `database`."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in SAFE:
            await app(scope, receive, send)
            return
        database: Database = scope["litestar_app"].state.database
        confirm, is_replaced = partial(database.confirm, database.moves), False

        async def send_if_true(message: Message) -> None:
            nonlocal is_replaced
            if is_replaced:
                return
            if message["type"] == "http.response.start" and message["status"] in BY_ROWS:
                try:
                    await confirm()
                except (DatabaseAway, DatabaseBusy) as error:
                    is_replaced = True
                    await _answer(error, scope, receive, send)
                    return
            await send(message)

        await app(scope, receive, send_if_true)

    return call


async def _answer(error: Exception, scope: HTTPScope, receive: Receive, send: Send) -> None:
    request = Request[Any, Any, Any](scope, receive)
    response = problems.answer(request, error).to_asgi_response(app=None, request=request)
    await response(scope, receive, send)
