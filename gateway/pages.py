"""What the gateway answers by itself: the index, health, the API's document and its page."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from importlib import resources
from typing import Annotated, Any, Final

import msgspec
from litestar import MediaType, Response, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.types import ControllerRouterHandler

from gateway.routes import LOGIN, OWNERS
from shared import clock
from shared.metrics import version

_INLINE: Final = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)


class Index(msgspec.Struct, frozen=True):
    """What is where."""

    name: str
    version: str
    endpoints: Annotated[dict[str, str], msgspec.Meta(description="Path of each resource, by name.")]


class Health(msgspec.Struct, frozen=True):
    """The gateway answers."""

    status: str
    version: str
    timestamp: datetime


def pages(
    probes: Sequence[ControllerRouterHandler], document: Callable[[], Awaitable[bytes]]
) -> list[ControllerRouterHandler]:
    """The gateway's own routes, `probes` among them, all public; `document` gives the whole API's OpenAPI document."""
    return [*_introduction(), *_documentation(document), *probes]


def _introduction() -> list[ControllerRouterHandler]:
    index = _index()

    @get("/api", summary="Index", tags=["API"])
    async def read_index() -> Index:
        """Name, version, and where everything is."""
        return index

    @get("/", summary="Index", tags=["API"])
    async def read_root() -> Index:
        """The index, as at `/api`."""
        return index

    @get("/api/health", summary="Health", tags=["API"])
    async def read_health() -> Health:
        """Whether the API answers at all."""
        return Health("healthy", index.version, clock.now().astimezone(UTC))

    return [read_index, read_root, read_health]


def _documentation(document: Callable[[], Awaitable[bytes]]) -> list[ControllerRouterHandler]:
    page = resources.files("gateway").joinpath("docs.html").read_text(encoding="utf-8")
    policy = content_security_policy(page)

    told = {
        200: ResponseSpec(dict[str, Any], description="An OpenAPI 3.1 document", generate_examples=False),
        503: ResponseSpec(dict[str, Any], description="A service whose part it is is away", generate_examples=False),
    }

    @get("/api/openapi.json", summary="The API's OpenAPI document", tags=["API"], responses=told)
    async def read_document() -> Response[bytes]:
        """The document of the whole API, made of the services' own."""
        return Response(await document(), media_type=MediaType.JSON)

    @get("/api/docs", summary="The API's documentation", tags=["API"], media_type=MediaType.HTML)
    async def read_docs() -> Response[str]:
        """The OpenAPI document as a page to read."""
        return Response(page, media_type=MediaType.HTML, headers={"content-security-policy": policy})

    return [read_document, read_docs]


def content_security_policy(page: str) -> str:
    """Only the script and the style that are in `page`, by their hashes, and calls to this API."""
    allowed: dict[str, list[str]] = {"script": [], "style": []}
    for kind, text in _INLINE.findall(page):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        allowed[kind].append(f"'sha256-{digest}'")
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(allowed['script'])}",
            f"style-src {' '.join(allowed['style'])}",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )


def _index() -> Index:
    own = {"health": "/api/health", "openapi": "/api/openapi.json", "docs": "/api/docs", "login": LOGIN}
    lists = {name: f"/api/{name}" for name in OWNERS if name not in ("auth", "order-tasks")}
    return Index("Service-Engine-X", version(), own | {"me": "/api/auth/me"} | lists)
