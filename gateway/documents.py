"""Fetches the services' own OpenAPI documents, once each process life, and keeps what they make together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from gateway.openapi import GATEWAY, Document, merge
from gateway.refusals import ServiceAway
from gateway.routes import Service
from gateway.streams import ConnectionLost
from gateway.upstream import Upstream

_PATH: Final = b"/schema/openapi.json"
_PATIENCE_SECONDS: Final = 5.0


class Documents:
    """The API's document; `own` gives the part that describes the gateway's own pages."""

    def __init__(
        self, upstreams: Mapping[Service, Upstream], own: Callable[[], Document], *, version: str, server: str
    ) -> None:
        self._upstreams = upstreams
        self._own = own
        self._version = version
        self._server = server
        self._merged: bytes | None = None

    async def merged(self) -> bytes:
        """The document as JSON. Raises ServiceAway while any service is: half an API is never shown, nor kept."""
        if self._merged is None:
            fetched = await asyncio.gather(*(_fetched(upstream) for upstream in self._upstreams.values()))
            documents: dict[str, Any] = {GATEWAY: self._own()}
            documents |= dict(zip(self._upstreams, fetched, strict=True))
            self._merged = msgspec.json.encode(merge(documents, version=self._version, server=self._server))
        return self._merged


async def _fetched(upstream: Upstream) -> Document:
    answer = await upstream.exchange("GET", _PATH, [], patience_seconds=_PATIENCE_SECONDS)
    try:
        content = await answer.read()
        if answer.status == 200:
            return msgspec.json.decode(content, type=dict[str, Any])
    except (ConnectionLost, msgspec.DecodeError) as error:
        raise ServiceAway(upstream.service, f"cannot read its document: {error}") from error
    raise ServiceAway(upstream.service, f"its document answered {answer.status}")
