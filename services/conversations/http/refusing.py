"""How calls on messages can be refused, the same under both of their paths."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Request

from services.conversations.http.deprecation import old_place_is_there
from services.conversations.http.places import conversation_is_there
from shared.errors import Forbidden
from shared.web.actor import Actor
from shared.web.openapi import refusals

MESSAGE_REFUSALS: Final = refusals(
    404,
    because={
        403: "A client cannot write an internal message",
        409: "The conversation is Closed, and staff have to open it again",
    },
)
DELETE_REFUSALS: Final = refusals(404, because={403: "The message is somebody else's"})


class _Audience(msgspec.Struct, frozen=True):
    is_internal: Any = False


async def may_post(request: Request[Any, Any, Any]) -> None:
    """Raises NotFound as `conversation_is_there`, and Forbidden for a client's internal message."""
    await conversation_is_there(request)
    await _refuse_clients_internal_message(request)


async def may_post_at_old_place(request: Request[Any, Any, Any]) -> None:
    """Raises NotFound as `old_place_is_there`, and Forbidden for a client's internal message."""
    await old_place_is_there(request)
    await _refuse_clients_internal_message(request)


async def _refuse_clients_internal_message(request: Request[Any, Any, Any]) -> None:
    """So that it is refused whatever else is wrong with the body, and before any Idempotency-Key."""
    actor: Actor = request.state["actor"]
    if actor.is_staff:
        return
    try:
        audience = msgspec.json.decode(await request.raw_body(), type=_Audience)  # pyright: ignore[reportAttributeAccessIssue]  # JsonRequest's
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return  # what is wrong with the body is told when it is read in earnest
    if audience.is_internal is True:
        raise Forbidden("Only staff may post internal messages.")
