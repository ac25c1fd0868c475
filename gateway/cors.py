"""Cross-origin calls (the Fetch standard's CORS protocol), for the front ends that the operator names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.answers import Answer, Headers

MAX_AGE_SECONDS: Final = 600
_METHODS: Final = b"GET, HEAD, POST, PUT, DELETE"
_ASKED_HEADERS: Final = (
    b"authorization, content-type, idempotency-key, if-match, if-none-match, prefer, x-request-id, traceparent"
)
_SHOWN_HEADERS: Final = (
    b"deprecation, etag, idempotent-replayed, link, location, ratelimit, ratelimit-policy, retry-after, x-request-id"
)


class Cors:
    """Says to browsers which origins may call; `*` is any. Credentials travel in a header, never in cookies."""

    def __init__(self, origins: tuple[str, ...]) -> None:
        self._origins = frozenset(origin.encode() for origin in origins)

    def preflight(self, method: str, named: Mapping[bytes, bytes]) -> Answer | None:
        """The answer to a browser's question before the call, which carries no credential; None for anything else."""
        if method != "OPTIONS" or b"access-control-request-method" not in named:
            return None
        if not self.headers(named):
            return None
        headers = [  # the rest of what the caller is told stands in every answer
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _ASKED_HEADERS),
            (b"access-control-max-age", str(MAX_AGE_SECONDS).encode()),
        ]
        return Answer(204, headers, b"")

    def headers(self, named: Mapping[bytes, bytes]) -> Headers:
        """What an answer to this caller says; nothing for a caller that is no page of an origin that may call."""
        origin = named.get(b"origin")
        if origin is None or not (origin in self._origins or b"*" in self._origins):
            return []
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", _SHOWN_HEADERS),
            (b"vary", b"Origin"),
        ]
