"""The `Idempotency-Key` header (IETF draft-ietf-httpapi-idempotency-key-header), on every POST.

The first answer is kept with a fingerprint of its request, in the transaction of its effect, and given again byte for
byte for 24 hours. A refusal has no effect: it is kept on its own, when it is answered, wherever in the application it
was decided.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Request, Response
from litestar.types import Message, Scope, Send

from shared.database import Database, DatabaseBusy, Tx
from shared.database.errors import DatabaseAway
from shared.errors import InvalidInput, KeyInUse, KeyReused
from shared.telemetry import log
from shared.web import problems
from shared.web.bodies import look_for_resource
from shared.web.patterns import IDEMPOTENCY_KEY

HEADER: Final = "idempotency-key"
REPLAYED: Final = "idempotent-replayed"
MAX_LENGTH: Final = 255
_SPELLING: Final = re.compile(IDEMPOTENCY_KEY)
_KEPT_HEADERS: Final = ("etag", "location")
_NOT_KEPT: Final = frozenset({202, 401, 403, 429})
_KEY: Final = "idempotency_key"
_RAW_HEADER: Final = HEADER.encode()

_log = log(__name__)

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
    spelled = _SPELLING.match(told)
    if spelled is None:
        raise InvalidInput({"Idempotency-Key": [f"Expected 1 to {MAX_LENGTH} printable ASCII characters."]})
    digest = hashlib.sha256(f"{request.method} {request.url.path}\n".encode())
    digest.update(await request.raw_body())  # pyright: ignore[reportAttributeAccessIssue]  # JsonRequest's
    text = spelled[1]
    return Key(text[1:-1] if text.startswith('"') else text, digest.digest())


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
    request.state[_KEY] = key
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

    Raises KeyInUse, KeyReused, DatabaseAway or DatabaseBusy, and what `effect` raises.
    """
    key: Key | None = request.state.get(_KEY)
    async with database.transaction(org) as tx:
        if key is not None and (earlier := await _claim(tx, org, key)) is not None:
            return earlier
        answer = await effect(tx)
        if key is not None:
            headers = {name: value for name, value in answer.headers.items() if name in _KEPT_HEADERS}
            told = (answer.status_code or 200, headers, str(answer.media_type), bytes(answer.content))
            await tx.run(KEEP, org, key.text, key.fingerprint, *told)
        return answer


def keeping_refusals(scope: Scope, send: Send) -> Send:
    """`send`, which keeps the refusal of a request with a key before it says it.

    Not what says only how the key stands, or that the caller may not, or what the next try may find otherwise.
    """
    if scope["type"] != "http" or scope["method"] != "POST" or all(name != _RAW_HEADER for name, _ in scope["headers"]):
        return send
    start: Any = None

    async def keep(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start" and _is_to_keep(scope, message["status"]):
            start = message
            return
        if start is not None and message["type"] == "http.response.body":
            await _keep_refusal(scope, start["status"], message["body"])
            await send(start)
            start = None
        await send(message)

    return keep


def _is_to_keep(scope: Scope, status: int) -> bool:
    state = scope["state"]
    refusal = state.get(problems.REFUSAL)
    is_about_the_key = isinstance(refusal, KeyInUse | KeyReused)
    is_known = _KEY in state and "actor" in state
    return is_known and refusal is not None and not is_about_the_key and status < 500 and status not in _NOT_KEPT


async def _keep_refusal(scope: Scope, status: int, body: bytes) -> None:
    """Unless a request under the same key is running: then the answer is that one's."""
    key, org, app = scope["state"][_KEY], scope["state"]["actor"].org_id, scope["litestar_app"]
    try:
        async with app.state.database.transaction(org) as tx:
            if await tx.value(CLAIM, org, key.text):
                await tx.run(KEEP, org, key.text, key.fingerprint, status, {}, problems.MEDIA_TYPE, body)
    except (DatabaseAway, DatabaseBusy) as error:
        # It is the right answer all the same, and had no effect that a second time could double.
        _log.warning("a refusal was not kept", status=status, cause=repr(error))


async def _claim(tx: Tx, org: UUID, key: Key) -> Response[Any] | None:
    """Become the one who runs under this key, or get the answer of the one who has. Raises KeyInUse, KeyReused."""
    if not await tx.value(CLAIM, org, key.text):
        raise KeyInUse
    kept = await tx.row(_Kept, FIND, org, key.text)
    if kept is not None and kept.fingerprint != key.fingerprint:
        raise KeyReused
    return None if kept is None or kept.status is None else _again(kept)


def _again(kept: _Kept) -> Response[Any]:
    headers = {**(kept.headers or {}), REPLAYED: "true"}
    return Response(kept.body, status_code=kept.status, media_type=kept.media_type, headers=headers)
