"""The AsyncAPI 3.0 document (https://www.asyncapi.com/docs/reference/specification/v3.0.0) of the event stream.

Made of the catalogue in `shared.contracts.events`. `python -m tests.architecture.asyncapi` writes docs/asyncapi.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from shared.contracts.events import CATALOGUE, EventKind
from tests.architecture.schemas import schema_components

PAGE = Path(__file__).resolve().parents[2] / "docs/asyncapi.json"
_INFO = """\
What Service-Engine-X tells whoever listens: events, in the JetStream stream `EVENTS`, kept for 30 days.

An event is told at least once, in no promised order. Its id (`ce-id`) never changes: keep the ids that you have
handled, in one transaction with what you did. A body may have more fields tomorrow: ignore those that you do not know.
`version` only grows: of two states of one thing the greater is the newer. A listener has a user and a durable pull
consumer of its own; docs/operations.md says how they are made, docs/examples/consumer.py is one.
"""
_HEADERS = {
    "type": "object",
    "description": "CloudEvents 1.0 in binary mode: the attributes are NATS headers, the body is the data.",
    "required": ["ce-specversion", "ce-id", "ce-type", "ce-source", "ce-time", "content-type", "Nats-Msg-Id"],
    "properties": {
        "ce-specversion": {"const": "1.0"},
        "ce-id": {"type": "string", "format": "uuid", "description": "Of the event; the same each time it is told."},
        "ce-type": {"type": "string", "description": "`<resource>.<event>.v<version>`."},
        "ce-source": {"type": "string", "description": "The service that tells it."},
        "ce-time": {"type": "string", "format": "date-time", "description": "When it was published."},
        "content-type": {"const": "application/json"},
        "Nats-Msg-Id": {"type": "string", "format": "uuid", "description": "The id again, for the stream."},
        "traceparent": {"type": "string", "description": "W3C Trace Context of what caused it."},
    },
}


def document() -> str:
    """The document, as indented JSON."""
    bodies = list({kind.body: None for kind in CATALOGUE.values()})
    schemas = schema_components(bodies, ref_template="#/components/schemas/{name}")
    told: dict[str, Any] = {
        "asyncapi": "3.0.0",
        "info": {"title": "Service-Engine-X events", "version": "1", "description": _INFO},
        "defaultContentType": "application/json",
        "servers": {
            "broker": {
                "host": "nats:4222",
                "protocol": "nats",
                "description": "The installation's NATS, 2.12 or later, with JetStream.",
                "security": [{"$ref": "#/components/securitySchemes/nkey"}],
            }
        },
        "channels": {name: _channel(name, kind) for name, kind in CATALOGUE.items()},
        "operations": {f"tell.{name}": _operation(name, kind) for name, kind in CATALOGUE.items()},
        "components": {
            "messages": {name: _message(name, kind) for name, kind in CATALOGUE.items()},
            "parameters": {"org": {"description": "Id of the organisation; a listener hears all of them."}},
            "securitySchemes": {
                "nkey": {"type": "asymmetricEncryption", "description": "The nkey that `serx secrets` makes for it."}
            },
            "schemas": {"Headers": _HEADERS, **dict(sorted(schemas.items()))},
        },
    }
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


def _channel(name: str, kind: EventKind) -> dict[str, Any]:
    return {
        "address": f"evt.{{org}}.{name}",
        "summary": kind.summary,
        "parameters": {"org": {"$ref": "#/components/parameters/org"}},
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
    }


def _operation(name: str, kind: EventKind) -> dict[str, Any]:
    """What the application does: it sends; whoever listens receives."""
    return {
        "action": "send",
        "summary": f"The {kind.owner} service tells it: {kind.summary}",
        "channel": {"$ref": f"#/channels/{name}"},
        "messages": [{"$ref": f"#/channels/{name}/messages/{name}"}],
        "tags": [{"name": kind.owner}],
    }


def _message(name: str, kind: EventKind) -> dict[str, Any]:
    return {
        "name": f"{name}.v{kind.version}",
        "summary": kind.summary,
        "contentType": "application/json",
        "headers": {
            "allOf": [
                {"$ref": "#/components/schemas/Headers"},
                {"properties": {"ce-type": {"const": f"{name}.v{kind.version}"}}},
            ]
        },
        "payload": {"$ref": f"#/components/schemas/{kind.body.__name__}"},
    }


if __name__ == "__main__":
    PAGE.write_text(document())
