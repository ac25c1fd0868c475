"""The error answers of every operation in the OpenAPI document: one shape, one table."""

from __future__ import annotations

from typing import Any, Final

from shared.web import problems
from shared.web.problems import Kind

_KINDS: Final[dict[int, Kind]] = {
    kind.status: kind
    for kind in (
        problems.INVALID,
        problems.UNAUTHENTICATED,
        problems.FORBIDDEN,
        problems.NOT_FOUND,
        problems.CONFLICT,
        problems.STALE,
        problems.TOO_LARGE,
        problems.NOT_JSON,
        problems.UNPROCESSABLE,
        problems.RATE_LIMITED,
        problems.BROKEN,
        problems.AWAY,
    )
}
_DETAILS: Final = {
    400: "The request has invalid fields.",
    401: "The request needs a valid bearer credential.",
    403: "Only staff may do this.",
    404: "There is no such resource.",
    409: "The state of the resource does not allow this now.",
    412: "The resource has changed since it was read.",
    413: "The body is over 1 MiB.",
    415: "The body must be sent as application/json.",
    422: "The request refers to a resource that does not exist.",
    429: "The credential has used up its rate limit.",
    500: "The request could not be completed. The request id helps to find out why.",
    503: "A part of the system is away for a moment. Try again.",
}
_PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Problem",
    "description": "An error, as RFC 9457 has it.",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "What kind of problem it is; stable."},
        "title": {"type": "string", "description": "The kind, for people."},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "This occurrence, for people."},
        "instance": {"type": "string", "description": "The path that was called."},
        "errors": {
            "type": "object",
            "description": "What is wrong with each field, by its dotted path.",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
    },
}
COMPONENTS: Final[dict[str, Any]] = {
    "schemas": {"Problem": _PROBLEM},
    "headers": {
        "RequestId": {
            "description": "Names this request in the logs; the caller's own if it sent one.",
            "schema": {"type": "string"},
        },
        "RetryAfter": {"description": "Seconds to wait before the next try.", "schema": {"type": "integer"}},
        "Authenticate": {"description": "How to authenticate.", "schema": {"type": "string", "const": "Bearer"}},
    },
    "securitySchemes": {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API token (`serx_…`) or a session token from `POST /api/auth/login`.",
        }
    },
}


def document_errors(operation: dict[str, Any], *, path: str, is_public: bool) -> dict[str, Any]:
    """The answers of an operation: those that its service documents, and the errors that any such call can get."""
    documented: dict[str, Any] = operation.get("responses", {})
    responses = {status: _with_request_id(answer) for status, answer in documented.items() if not _is_error(status)}
    told = {int(status) for status in documented if _is_error(status) and status.isdecimal()}
    for status in sorted(told | _always(operation, path=path, is_public=is_public)):
        own = documented.get(str(status), {})
        responses[str(status)] = _error(status, own, path=path)
    return responses


def _always(operation: dict[str, Any], *, path: str, is_public: bool) -> set[int]:
    """The errors that follow from what kind of call it is."""
    if is_public and "requestBody" not in operation:
        return set()
    statuses = {429, 503} if is_public else {400, 401, 429, 503}
    if "{" in path:
        statuses.add(404)
    if "requestBody" in operation:
        statuses |= {400, 413, 415}
    return statuses


def _is_error(status: str) -> bool:
    return status[:1] in ("4", "5")


def _error(status: int, own: dict[str, Any], *, path: str) -> dict[str, Any]:
    """One error answer; a description is the service's own when it says more than the status does."""
    kind = _KINDS.get(status, problems.INVALID if status < 500 else problems.BROKEN)
    headers = {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}}
    if status == 401:
        headers["WWW-Authenticate"] = {"$ref": "#/components/headers/Authenticate"}
    if status in (429, 503):
        headers["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
    return {
        "description": own.get("description") or kind.title,
        "headers": headers,
        "content": {
            problems.MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "example": _example(kind, status, path),
            }
        },
    }


def _example(kind: Kind, status: int, path: str) -> dict[str, Any]:
    example: dict[str, Any] = {
        "type": f"urn:serx:problem:{kind.slug}",
        "title": kind.title,
        "status": status,
        "detail": _DETAILS.get(status, kind.title),
        "instance": path,
    }
    return example | ({"errors": {"name": ["This field is required."]}} if status == 400 else {})


def _with_request_id(answer: dict[str, Any]) -> dict[str, Any]:
    return answer | {
        "headers": {**answer.get("headers", {}), "X-Request-Id": {"$ref": "#/components/headers/RequestId"}}
    }
