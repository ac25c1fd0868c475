"""The `Idempotency-Key` header (IETF draft-ietf-httpapi-idempotency-key-header), on every POST.

The first answer is kept with a fingerprint of its request, in the transaction of its effect, and given again byte for
byte for 24 hours. A refusal has no effect: it is kept on its own, when it is answered.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Request, Response

from shared.database import Database, Tx
from shared.errors import DomainError, InvalidInput, KeyInUse, KeyReused
from shared.web import problems
from shared.web.bodies import look_for_resource

HEADER: Final = "idempotency-key"
REPLAYED: Final = "idempotent-replayed"
MAX_LENGTH: Final = 255
_BARE: Final = re.compile(r"^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$")
_KEPT_HEADERS: Final = ("etag", "location")
_NOT_KEPT: Final = frozenset({202, 401, 403, 429})

# Whoever does not get the lock knows that the first request under the key is still running.
CLAIM = """
select pg_try_advisory_xact_lock(hashtextextended($1::uuid::text || $2, 0))
"""
FIND = """
select fingerprint, saga_id, status, headers, media_type, body from idempotency_keys where org_id = $1 and key = $2
"""
KEEP = """
insert into idempotency_keys (org_id, key, fingerprint, status, headers, media_type, body)
values ($1, $2, $3, $4, $5, $6, $7) on conflict (org_id, key) do nothing
"""


class Key(msgspec.Struct, frozen=True):
    """A key, and a fingerprint of the request that was sent under it (SHA-256 of method, path and body)."""

    text: str
    fingerprint: bytes


class _Kept(msgspec.Struct, frozen=True):
    fingerprint: bytes
    saga_id: UUID | None
    status: int | None
    headers: Mapping[str, str] | None
    media_type: str | None
    body: bytes | None


async def key_of(request: Request[Any, Any, Any]) -> Key | None:
    """The request's key, if it sent one; 1–255 printable characters, quoted or bare.

    Raises InvalidInput for anything else.
    """
    told = request.headers.get(HEADER)
    if told is None or request.method != "POST":
        return None
    text = told.strip()
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = text[1:-1]
    if not 1 <= len(text) <= MAX_LENGTH or not _BARE.match(text):
        raise InvalidInput({"Idempotency-Key": [f"Expected 1 to {MAX_LENGTH} printable ASCII characters."]})
    digest = hashlib.sha256(f"{request.method} {request.url.path}\n".encode())
    digest.update(await request.raw_body())  # pyright: ignore[reportAttributeAccessIssue]  # JsonRequest's
    return Key(text, digest.digest())


async def replay(request: Request[Any, Any, Any], database: Database, org: UUID) -> Response[Any] | None:
    """The kept answer of an earlier request under the same key; None for a new one, and for a flow's own.

    Raises NotFound as the handler's `resource` does, InvalidInput for a bad key, KeyReused for another request's.
    """
    try:
        key = await key_of(request)
    except InvalidInput:
        await look_for_resource(request)
        raise
    if key is None:
        return None
    request.state["idempotency_key"] = key
    async with database.transaction(org) as tx:
        kept = await tx.row(_Kept, FIND, org, key.text)
    if kept is None:
        return None
    if kept.fingerprint != key.fingerprint:
        await look_for_resource(request)
        raise KeyReused
    return None if kept.status is None else _again(kept)


async def once(
    request: Request[Any, Any, Any], database: Database, org: UUID, effect: Callable[[Tx], Awaitable[Response[Any]]]
) -> Response[Any]:
    """Run `effect` in a transaction, and keep its answer in the same one when the request has a key.

    A refusal by the domain becomes its problem here. Raises DatabaseAway or DatabaseBusy.
    """
    key: Key | None = request.state.get("idempotency_key")
    try:
        async with database.transaction(org) as tx:
            if key is not None and (earlier := await _claim(tx, org, key)) is not None:
                return earlier
            answer = await effect(tx)
            if key is not None:
                await _keep(tx, org, key, answer)
            return answer
    except DomainError as error:
        return await refused(request, database, org, error)


async def refused(request: Request[Any, Any, Any], database: Database, org: UUID, error: Exception) -> Response[Any]:
    """The problem that `error` is; kept when the request has a key and the status is one that is kept."""
    answer = problems.answer(request, error)
    key: Key | None = request.state.get("idempotency_key")
    status = answer.status_code or 500
    if key is not None and status < 500 and status not in _NOT_KEPT and not isinstance(error, KeyInUse | KeyReused):
        async with database.transaction(org) as tx:
            await _keep(tx, org, key, answer)
    return answer


async def _claim(tx: Tx, org: UUID, key: Key) -> Response[Any] | None:
    """Become the one who runs under this key, or get the answer of the one who has. Raises KeyInUse."""
    if not await tx.value(CLAIM, org, key.text):
        raise KeyInUse
    kept = await tx.row(_Kept, FIND, org, key.text)
    return None if kept is None or kept.status is None else _again(kept)


async def _keep(tx: Tx, org: UUID, key: Key, answer: Response[Any]) -> None:
    headers = {name: value for name, value in answer.headers.items() if name in _KEPT_HEADERS}
    await tx.run(
        KEEP, org, key.text, key.fingerprint, answer.status_code, headers, str(answer.media_type), bytes(answer.content)
    )


def _again(kept: _Kept) -> Response[Any]:
    headers = {**(kept.headers or {}), REPLAYED: "true"}
    return Response(kept.body, status_code=kept.status, media_type=kept.media_type, headers=headers)
