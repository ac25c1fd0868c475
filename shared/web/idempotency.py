"""The `Idempotency-Key` header (IETF draft-ietf-httpapi-idempotency-key-header), on every POST.

A key belongs to its caller (the user or client that the credential stands for, in its organisation), method and path:
the row is named by a digest of all of them, so no other caller ever meets it. Whether the caller may make the call at
all is found out first, each time (the handler's guards, then its `resource`); then the key, before anything is said of
the body. The first answer is stored in the transaction of its effect, and given again byte for byte for 24 hours; a
refusal has no effect, and leaves the key as it was.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Request, Response

from shared.database import Database, Tx
from shared.errors import InvalidInput, KeyInUse, KeyOutdated, KeyReused
from shared.web.actor import Actor
from shared.web.bodies import CHECK_KEY, look_for_resource
from shared.web.patterns import IDEMPOTENCY_KEY

HEADER: Final = "idempotency-key"
REPLAYED: Final = "idempotent-replayed"
MAX_LENGTH: Final = 255
_SPELLING: Final = re.compile(IDEMPOTENCY_KEY)
_STORED_HEADERS: Final = ("etag", "location")
_KEY: Final = "idempotency_key"

# Whoever does not get the lock knows that the caller's first request under the key is still running.
CLAIM = """
select pg_try_advisory_xact_lock(hashtextextended($1::uuid::text || $2, 0))
"""
# A row of the release before this one has the bare key ($3). Whose it was is not known: nobody is given its answer.
FIND = """
select fingerprint, key = $3 as is_outdated, saga_id, status, headers, media_type, body from idempotency_keys
where org_id = $1 and key in ($2, $3)
  and (key = $2 or fingerprint = $4 and (saga_id is not null or status between 200 and 299))
order by key = $3 limit 1
"""
STORE = """
insert into idempotency_keys (org_id, key, fingerprint, status, headers, media_type, body)
values ($1, $2, $3, $4, $5, $6, $7)
"""


class Key(msgspec.Struct, frozen=True):
    """A caller's key for one method and path: the name of its row, and a fingerprint of the body sent under it."""

    name: str
    """SHA-256 of caller, method, path and key, in hex."""
    fingerprint: bytes
    """SHA-256 of the body."""
    outdated_name: str
    outdated_fingerprint: bytes


class _Stored(msgspec.Struct, frozen=True):
    fingerprint: bytes
    is_outdated: bool
    saga_id: UUID | None
    status: int | None
    headers: Mapping[str, str] | None
    media_type: str | None
    body: bytes | None


async def key_of(request: Request[Any, Any, Any], actor: Actor) -> Key | None:
    """The caller's key, if the request has one; 1–255 printable characters, quoted or bare.

    A handler whose calls belong to less than the caller names it as `opt={"key_scope": …}` (logout, to its session).
    Raises InvalidInput for anything else, and for several.
    """
    lines = request.headers.getall(HEADER, [])
    if not lines or request.method != "POST":
        return None
    if len(lines) > 1:
        raise InvalidInput({"Idempotency-Key": ["This header may be given once."]})
    spelled = _SPELLING.match(lines[0])
    if spelled is None:
        raise InvalidInput({"Idempotency-Key": [f"Expected 1 to {MAX_LENGTH} printable ASCII characters."]})
    text = spelled[1][1:-1] if spelled[1].startswith('"') else spelled[1]
    narrower = request.route_handler.opt.get("key_scope")
    scope = [actor.caller, narrower(request) if narrower else "", request.method, request.url.path, text]
    body = await request.raw_body()  # pyright: ignore[reportAttributeAccessIssue]  # JsonRequest's
    outdated = hashlib.sha256(f"{request.method} {request.url.path}\n".encode() + body)
    return Key(_digest(msgspec.json.encode(scope)).hex(), _digest(body), text, outdated.digest())


async def replay(request: Request[Any, Any, Any], database: Database, actor: Actor) -> Response[Any] | None:
    """The stored answer of an earlier request under the same key; None for a new one.

    Raises what the handler's `resource` raises, InvalidInput for a bad key, KeyReused for another body's, KeyInUse for
    a flow that is still running, KeyOutdated.
    """
    try:
        key = await key_of(request, actor)
    except InvalidInput:
        await look_for_resource(request)
        raise
    if key is None:
        return None
    request.state[_KEY] = key
    request.state[CHECK_KEY] = partial(_check, database, actor.org_id, key)
    async with database.transaction(actor.org_id) as tx:
        stored = await _find(tx, actor.org_id, key)
    return None if stored is None else await _again(request, key, stored)


async def once(
    request: Request[Any, Any, Any],
    database: Database,
    org: UUID,
    effect: Callable[[Tx], Awaitable[Response[Any]]],
    *,
    without_secret: Callable[[bytes], bytes] = bytes,
) -> Response[Any]:
    """Run `effect` in a transaction, and store its answer in the same one when the request has a key.

    `without_secret` makes the body that is stored of one that shows a secret. Raises KeyInUse, KeyReused, DatabaseAway
    or DatabaseBusy, what the handler's `resource` raises, and what `effect` raises.
    """
    key: Key | None = request.state.get(_KEY)
    async with database.transaction(org) as tx:
        is_ours = key is None or await tx.value(CLAIM, org, key.name)
        stored = await _find(tx, org, key) if key is not None and is_ours else None
        if is_ours and stored is None:
            answer = await effect(tx)
            if key is not None:
                headers = {name: value for name, value in answer.headers.items() if name in _STORED_HEADERS}
                content = without_secret(bytes(answer.content))
                first = (answer.status_code or 200, headers, str(answer.media_type), content)
                await tx.run(STORE, org, key.name, key.fingerprint, *first)
            return answer
    if key is None or stored is None:
        await look_for_resource(request)
        raise KeyInUse
    return await _again(request, key, stored)


async def used_key(request: Request[Any, Any, Any], database: Database, actor: Actor) -> Response[Any] | None:
    """The answer of whoever used the request's key since `replay` looked; None when nobody has. Raises as it does."""
    key: Key | None = request.state.get(_KEY)
    if key is None:
        return None
    async with database.transaction(actor.org_id) as tx:
        stored = await _find(tx, actor.org_id, key)
    return None if stored is None else await _again(request, key, stored)


def key_sent(request: Request[Any, Any, Any]) -> Key | None:
    """The key that `replay` found in the request, for a flow that stores it with its own rows."""
    return request.state.get(_KEY)


async def _check(database: Database, org: UUID, key: Key) -> None:
    """Look once more, for a request that is about to be refused. Raises KeyInUse, KeyReused.

    Not before each request: whoever looks holds the key's lock meanwhile.
    """
    async with database.transaction(org) as tx:
        is_free = await tx.value(CLAIM, org, key.name)
        stored = await _find(tx, org, key) if is_free else None
    if stored is not None and stored.fingerprint != key.fingerprint:
        raise KeyReused
    if stored is not None or not is_free:
        raise KeyInUse


async def _find(tx: Tx, org: UUID, key: Key) -> _Stored | None:
    return await tx.row(_Stored, FIND, org, key.name, key.outdated_name, key.outdated_fingerprint)


async def _again(request: Request[Any, Any, Any], key: Key, stored: _Stored) -> Response[Any]:
    """What is stored, once more, for a caller who may still make the call."""
    await look_for_resource(request)
    if stored.is_outdated:
        raise KeyOutdated
    if stored.fingerprint != key.fingerprint:
        raise KeyReused
    if stored.saga_id is not None:
        return await request.route_handler.opt["answer_of_flow"](request, stored.saga_id)
    headers = {**(stored.headers or {}), REPLAYED: "true"}
    return Response(stored.body, status_code=stored.status, media_type=stored.media_type, headers=headers)


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
