"""The headers and bodies that every call of a kind has in common, as the OpenAPI document tells them."""

from __future__ import annotations

from typing import Any, Final

from shared.web.heads import HEAD_BYTES
from shared.web.patterns import IDEMPOTENCY_KEY

Document = dict[str, Any]

PARAMETERS: Final[Document] = {
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": (
            "1 to 255 printable ASCII characters, quoted or bare. A key belongs to its caller, method and path. "
            "For 24 hours the same body under the same key is given the first answer again, but for a secret in it; "
            "a call that was refused burns no key."
        ),
        "schema": {
            "type": "string",
            "pattern": IDEMPOTENCY_KEY,
        },
    },
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "description": "An `ETag` of the resource, or `*`; 412 when it has changed since.",
        "schema": {"type": "string", "maxLength": HEAD_BYTES},
    },
    "IfNoneMatch": {
        "name": "If-None-Match",
        "in": "header",
        "description": (
            "An `ETag` of the resource, or `*`. Of a GET: 304 when the caller would see the same again. Of a change: "
            "412 when the resource is at the version that it names, or is there at all (`*`)."
        ),
        "schema": {"type": "string", "maxLength": HEAD_BYTES},
    },
}
HEADERS: Final[Document] = {
    "ETag": {
        "description": "The version of the resource, and what the caller sees of it.",
        "schema": {"type": "string"},
    },
    "IdempotentReplayed": {
        "description": "The first answer under the Idempotency-Key, given again.",
        "schema": {"type": "string", "const": "true"},
    },
}
_KEY_REFUSALS: Final[Document] = {
    "409": {"description": "The first request under the Idempotency-Key is still running"},
    "422": {"description": "The Idempotency-Key was used with another body"},
}
_NOT_MODIFIED: Final[Document] = {"304": {"description": "The caller has it already"}}


def with_manners(operation: Document, method: str, *, is_public: bool, can_change: bool) -> Document:
    """`operation` with what any call of its kind understands and says.

    `can_change` is whether what the path names can be `PUT`: only then it has an ETag.
    """
    responses = {status: _without_nothing(status, told) for status, told in operation.get("responses", {}).items()}
    parameters = [_plain(parameter) for parameter in operation.get("parameters", [])]
    if method == "post" and not is_public:
        parameters.append(_parameter("IdempotencyKey"))
        responses = _KEY_REFUSALS | {
            status: _saying(told, "Idempotent-Replayed", "IdempotentReplayed") for status, told in responses.items()
        }
    if method == "get" and can_change:
        parameters.append(_parameter("IfNoneMatch"))
        responses |= _NOT_MODIFIED
    if "412" in responses:
        parameters += [_parameter("IfMatch"), _parameter("IfNoneMatch")]
    tagged = {"200", "304"} if can_change else {"201"}
    responses |= {status: _saying(responses[status], "ETag", "ETag") for status in tagged & set(responses)}
    told: Document = {**operation, "responses": responses}
    if parameters:
        told["parameters"] = parameters
    if "requestBody" in operation:
        told["requestBody"] = _optional(operation["requestBody"])
    return told


def _without_nothing(status: str, told: Document) -> Document:
    """An answer without a body has no content, whatever a framework makes of None."""
    return {key: value for key, value in told.items() if key != "content" or status != "204"}


def _saying(told: Document, name: str, header: str) -> Document:
    return told | {"headers": {**told.get("headers", {}), name: {"$ref": f"#/components/headers/{header}"}}}


def _parameter(name: str) -> Document:
    return {"$ref": f"#/components/parameters/{name}"}


def _plain(parameter: Document) -> Document:
    """A parameter that may be left out cannot be null for that."""
    schema = parameter.get("schema", {})
    kinds = [kind for kind in schema.get("oneOf", []) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return parameter
    return parameter | {"schema": kinds[0] | {key: value for key, value in schema.items() if key != "oneOf"}}


def _optional(body: Document) -> Document:
    """A body that may be null may be left out."""
    content = body.get("content", {})
    is_optional = any({"type": "null"} in told.get("schema", {}).get("oneOf", []) for told in content.values())
    return body | {"required": False} if is_optional else body
