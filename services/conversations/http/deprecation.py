"""How the paths of the first engagement model answer: as their successors do, with `Deprecation` and `Link`."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Request
from litestar.datastructures import MutableScopeHeaders, ResponseHeader
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from services.conversations.domain.conversations import Place
from services.conversations.http.places import project_of
from shared.errors import NotFound
from shared.ids import parse_id
from shared.web.inputs import IdInPath

DEPRECATED_SINCE: Final = "@1767225600"
"""2026-01-01 00:00 UTC, as RFC 9745 spells it."""
TOLD: Final = (
    ResponseHeader(
        name="Deprecation",
        value=DEPRECATED_SINCE,  # a value gives the header a schema in the OpenAPI document; `Deprecated` sends it
        description="Since when, as RFC 9745 spells it.",
        required=True,
        documentation_only=True,
    ),
    ResponseHeader(
        name="Link",
        value='</api/projects/…>; rel="successor-version"',
        description='The path that takes its place, as `rel="successor-version"`.',
        required=True,
        documentation_only=True,
    ),
)
_SUCCESSOR: Final = "successor"
_PROJECT: Final = "project"


class Deprecated(ASGIMiddleware):
    """Says `Deprecation` (RFC 9745), and the successor as `Link` (RFC 8288), in every answer, refusals included."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableScopeHeaders.from_message(message)
                headers["deprecation"] = DEPRECATED_SINCE
                if successor := scope["state"].get(_SUCCESSOR):
                    headers["link"] = f'<{successor}>; rel="successor-version"'
            await send(message)

        await next_app(scope, receive, tell)


class _Named(msgspec.Struct, frozen=True):
    project_id: UUID


async def find_successor_by_body(request: Request[Any, Any, Any]) -> Any:
    """`before_request`: the successor is of the project that the body names, if it can be read."""
    try:
        project = msgspec.json.decode(await request.raw_body(), type=_Named).project_id  # pyright: ignore[reportAttributeAccessIssue]  # JsonRequest's
        request.state[_SUCCESSOR] = f"/api/projects/{project}/conversations"
    except (msgspec.DecodeError, UnicodeDecodeError):
        request.state[_SUCCESSOR] = None  # what is wrong with the body is told when it is read in earnest
    return await _as_everywhere(request)


async def find_successor_by_path(request: Request[Any, Any, Any]) -> Any:
    """`before_request`: the successor is in the project of the path's conversation, if the caller may see it."""
    conversation = parse_id(request.path_params["conversation_id"])
    project = await project_of(request, conversation) if conversation else None
    request.state[_PROJECT] = project
    if project is not None:
        request.state[_SUCCESSOR] = f"/api/projects/{project}/conversations/{conversation}{_rest(request)}"
    return await _as_everywhere(request)


def _rest(request: Request[Any, Any, Any]) -> str:
    """What follows the conversation in the path; only what a header can carry."""
    message = parse_id(request.path_params.get("message_id", ""))
    if message is not None:
        return f"/messages/{message}"
    return "/messages" if request.url.path.split("/")[4:5] == ["messages"] else ""


async def _as_everywhere(request: Request[Any, Any, Any]) -> Any:
    """The application's own `before_request`, in whose place that of a controller stands."""
    return await request.app.before_request(request) if request.app.before_request else None


async def old_place(request: Request[Any, Any, Any], conversation_id: IdInPath) -> Place:
    """The conversation of the path. Raises NotFound unless the caller may see it."""
    conversation, project = parse_id(conversation_id), request.state.get(_PROJECT)
    if conversation is None or project is None:
        raise NotFound("conversation")
    return Place(project=project, conversation=conversation)


async def old_place_is_there(request: Request[Any, Any, Any]) -> None:
    """Raises NotFound unless the caller may see the conversation of the path."""
    await old_place(request, request.path_params["conversation_id"])
