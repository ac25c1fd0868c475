"""Errors as RFC 9457 problems. One table: type of error → status and title; the varying text is always the detail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from shared.database.errors import DatabaseAway, DatabaseBusy
from shared.errors import (
    DomainError,
    Forbidden,
    InvalidInput,
    KeyReused,
    NotFound,
    RefersToNothing,
    Stale,
    StateForbids,
)
from shared.messaging.bus import BrokerAway
from shared.telemetry import log
from shared.web.actor import UntrustedIdentity
from shared.web.faults import sentence

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 1
DATABASE_RETRY_AFTER_SECONDS = 5
"""A process has a second replica; a database that is started again takes about as long as this."""

_log = log(__name__)


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of every error answer (RFC 9457), with `errors` for fields."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: dict[str, list[str]] = {}


class Kind(msgspec.Struct, frozen=True):
    """What one type of error is on the wire."""

    status: int
    slug: str
    title: str


INVALID = Kind(400, "invalid-request", "The request is invalid")
UNAUTHENTICATED = Kind(401, "unauthenticated", "Authentication is required")
FORBIDDEN = Kind(403, "forbidden", "The role does not allow this")
NOT_FOUND = Kind(404, "not-found", "Not found")
WRONG_METHOD = Kind(405, "method-not-allowed", "The method is not allowed here")
TOO_SLOW = Kind(408, "request-timeout", "The request did not arrive in time")
CONFLICT = Kind(409, "conflict", "The state of the resource forbids this")
STALE = Kind(412, "precondition-failed", "The resource has changed")
TOO_LARGE = Kind(413, "body-too-large", "The body is too large")
LINE_TOO_LONG = Kind(414, "request-line-too-long", "The request line is too long")
NOT_JSON = Kind(415, "unsupported-media-type", "The body must be JSON")
UNPROCESSABLE = Kind(422, "unknown-reference", "The request refers to something that does not exist")
KEY_REUSED = Kind(422, "idempotency-key-reused", "The Idempotency-Key was used with another body")
RATE_LIMITED = Kind(429, "rate-limited", "Too many requests")
HEAD_TOO_LARGE = Kind(431, "head-too-large", "The head of the request is too large")
BROKEN = Kind(500, "internal-error", "Something went wrong on our side")
AWAY = Kind(503, "service-unavailable", "The service is temporarily unavailable")

_BY_STATUS = {
    kind.status: kind
    for kind in (INVALID, UNAUTHENTICATED, FORBIDDEN, NOT_FOUND, WRONG_METHOD, TOO_LARGE, NOT_JSON, RATE_LIMITED, AWAY)
}
_BY_ERROR: dict[type[Exception], Kind] = {
    NotFound: NOT_FOUND,
    Forbidden: FORBIDDEN,
    InvalidInput: INVALID,
    StateForbids: CONFLICT,
    RefersToNothing: UNPROCESSABLE,
    UntrustedIdentity: UNAUTHENTICATED,
    DatabaseAway: AWAY,
    DatabaseBusy: AWAY,
    BrokerAway: AWAY,
    Stale: STALE,
    KeyReused: KEY_REUSED,
}
_DETAILS = {
    404: "There is nothing at this path.",
    405: "The resource at this path does not know this method.",
    413: "The body is over 1 MiB.",
}


def kind_of(error: Exception, table: Mapping[type[Exception], Kind] | None = None) -> Kind:
    """The kind of `error`: from the service's own `table`, else by its nearest known base class."""
    for base in type(error).__mro__:
        found = (table or {}).get(base) or _BY_ERROR.get(base)
        if found is not None:
            return found
    if isinstance(error, HTTPException):
        return _BY_STATUS.get(error.status_code, INVALID if error.status_code < 500 else BROKEN)
    return BROKEN


def render(
    kind: Kind,
    detail: str,
    *,
    instance: str,
    errors: Mapping[str, Any] | None = None,
    extensions: Mapping[str, Any] | None = None,
) -> bytes:
    """The JSON of one problem; `extensions` are members of its own (RFC 9457, 3.2)."""
    problem = Problem(
        type=f"urn:serx:problem:{kind.slug}",
        title=kind.title,
        status=kind.status,
        detail=detail,
        instance=instance,
        errors={field: list(messages) for field, messages in (errors or {}).items()},
    )
    return msgspec.json.encode({**msgspec.to_builtins(problem), **extensions} if extensions else problem)


def headers_of(kind: Kind, error: Exception | None = None) -> dict[str, str]:
    """The headers that go with a kind of problem; `error` says more about when to come again."""
    if kind.status == UNAUTHENTICATED.status:
        return {"www-authenticate": "Bearer"}
    if kind.status == AWAY.status:
        is_database = isinstance(error, DatabaseAway)
        return {"retry-after": str(DATABASE_RETRY_AFTER_SECONDS if is_database else RETRY_AFTER_SECONDS)}
    return {}


def answer(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Litestar's exception handler: whatever was raised, as a problem."""
    kind = kind_of(error, request.app.state.get("problems"))
    detail, errors = _explained(error, kind)
    if kind is BROKEN:
        _log.exception("request failed", method=request.method, path=request.url.path, exc_info=error)
    elif kind is AWAY:
        _log.warning("request deferred", method=request.method, path=request.url.path, cause=repr(error))
    return Response(
        render(
            kind,
            detail,
            instance=request.url.path,
            errors=errors,
            extensions=getattr(error, "extensions", None),
        ),
        status_code=kind.status,
        media_type=MEDIA_TYPE,
        headers=headers_of(kind, error) | dict(getattr(error, "headers", None) or {}),
    )


def _explained(error: Exception, kind: Kind) -> tuple[str, Mapping[str, Any]]:
    match error:
        case DomainError():
            return error.detail, error.errors
        case ValidationException():
            return "The request has invalid fields.", _litestar_errors(error)
        case HTTPException():
            return _DETAILS.get(kind.status, error.detail or kind.title), {}
        case _ if kind is AWAY:
            return "A part of the system is away for a moment. Nothing was lost; try again.", {}
        case _ if kind is UNAUTHENTICATED:
            return "The request carries no identity that this service accepts.", {}
        case _:
            return "The request could not be completed. The request id helps to find out why.", {}


def _litestar_errors(error: ValidationException) -> dict[str, list[str]]:
    """Litestar's list of messages for parameters, in our one shape."""
    errors: dict[str, list[str]] = {}
    for item in error.extra if isinstance(error.extra, list) else []:
        if item.get("key") == "data":
            errors.setdefault("body", []).append("A JSON body is required.")
        else:
            message = sentence(str(item.get("message", "Invalid value")))
            errors.setdefault(str(item.get("key", "")), []).append(message)
    return errors
