"""The `Idempotency-Key` header (IETF draft-ietf-httpapi-idempotency-key-header)."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

import msgspec
from litestar import Request

from shared.errors import InvalidInput

HEADER: Final = "idempotency-key"
REPLAYED: Final = "idempotent-replayed"
_BARE = re.compile(r"^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$")
MAX_LENGTH: Final = 255


class Key(msgspec.Struct, frozen=True):
    """A key, and a fingerprint of the request that was sent under it (SHA-256 of method, path and body)."""

    text: str
    fingerprint: bytes


async def key_of(request: Request[Any, Any, Any]) -> Key | None:
    """The request's key, if it sent one; 1–255 printable characters, quoted or bare.

    Raises InvalidInput for anything else.
    """
    told = request.headers.get(HEADER)
    if told is None:
        return None
    text = told.strip()
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = text[1:-1]
    if not 1 <= len(text) <= MAX_LENGTH or not _BARE.match(text):
        raise InvalidInput({"Idempotency-Key": [f"Expected 1 to {MAX_LENGTH} printable ASCII characters."]})
    digest = hashlib.sha256(f"{request.method} {request.url.path}\n".encode())
    digest.update(await request.body())
    return Key(text, digest.digest())
