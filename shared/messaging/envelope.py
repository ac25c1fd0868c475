"""The envelope: CloudEvents 1.0 in binary mode (attributes in NATS headers, the data in the body), with `traceparent`.

A type is `<name>.v<version>`. Unknown fields are ignored, unknown versions are poison.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

from shared.telemetry import REQUEST_ID

REPLY_TO: Final = "serx-reply-to"
MESSAGE_KEY: Final = "serx-key"
MESSAGE_ID: Final = "Nats-Msg-Id"
MAX_KEY_LENGTH: Final = 255


class Undecodable(Exception):
    """The message can never be read: a header is missing, or its type or version is not known here."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """The attributes of one message."""

    id: str
    type: str
    source: str
    time: str
    traceparent: str = ""
    key: str = ""
    """What makes two deliveries the same message for the receiver (`saga.step`); the id when not given."""
    reply_to: str = ""
    request_id: str = ""

    def headers(self, message_id: str = "") -> dict[str, str]:
        """NATS headers; `message_id` is what the stream deduplicates by (the id when not given)."""
        headers = {
            "ce-specversion": "1.0",
            "ce-id": self.id,
            "ce-type": self.type,
            "ce-source": self.source,
            "ce-time": self.time,
            "content-type": "application/json",
            MESSAGE_ID: message_id or self.id,
        }
        optional = {
            "traceparent": self.traceparent,
            MESSAGE_KEY: self.key,
            REPLY_TO: self.reply_to,
            REQUEST_ID: self.request_id,
        }
        return headers | {name: value for name, value in optional.items() if value}


def read_envelope(headers: Mapping[str, str] | None) -> Envelope:
    """The envelope in NATS headers. Raises Undecodable."""
    told = headers or {}
    key = told_key(told)
    if key is None:
        raise Undecodable(f"the header ce-id or {MESSAGE_KEY} is missing or unusable")
    try:
        return Envelope(
            id=told["ce-id"],
            type=told["ce-type"],
            source=told["ce-source"],
            time=told["ce-time"],
            traceparent=told.get("traceparent", ""),
            key=key,
            reply_to=told.get(REPLY_TO, ""),
            request_id=told.get(REQUEST_ID, ""),
        )
    except KeyError as error:
        raise Undecodable(f"the header {error.args[0]} is missing") from error


def told_key(headers: Mapping[str, str]) -> str | None:
    """What makes two deliveries the same message; None when the headers give nothing that a database could keep."""
    key = headers.get(MESSAGE_KEY) or headers.get("ce-id") or ""
    return key if 0 < len(key) <= MAX_KEY_LENGTH and "\0" not in key else None


def spell_time(at: datetime) -> str:
    """RFC 3339 in UTC, as `ce-time` has it."""
    return at.isoformat().replace("+00:00", "Z")
