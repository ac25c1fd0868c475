"""A parked message as it is shown: its body as text where it is text, and whose it is where it says so."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec

from shared.messaging.parking import Parked, Settled


class MessageView(msgspec.Struct, frozen=True, kw_only=True):
    """One message in one service; `status` is `parked`, or what an operator did to it: then who, why and when."""

    key: str
    service: str
    status: Literal["parked", "retried", "dropped"]
    subject: str
    type: str | None
    org_id: str | None
    error: str
    deliveries: int
    parked_at: datetime
    headers: Mapping[str, str]
    body: str
    is_body_base64: bool
    by: str | None = None
    reason: str | None = None
    at: datetime | None = None


class _OfOrganisation(msgspec.Struct):
    org_id: str


def view(service: str, message: Parked) -> MessageView:
    """The message as it is shown."""
    text = _text(message.body)
    over = message if isinstance(message, Settled) else None
    return MessageView(
        key=message.key,
        service=service,
        status="parked" if over is None else "retried" if over.action == "retry" else "dropped",
        subject=message.subject,
        type=message.headers.get("ce-type"),
        org_id=organisation_of(message),
        error=message.error,
        deliveries=message.deliveries,
        parked_at=message.parked_at,
        headers=message.headers,
        body=b64encode(message.body).decode() if text is None else text,
        is_body_base64=text is None,
        by=over.actor if over else None,
        reason=over.reason if over else None,
        at=over.at if over else None,
    )


def organisation_of(message: Parked) -> str | None:
    """Whose it is, by its subject (an event's) or its body; None when neither can be read."""
    first, _, rest = message.subject.partition(".")
    if first == "evt":
        return rest.partition(".")[0]
    try:
        return msgspec.json.decode(message.body, type=_OfOrganisation).org_id
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        return None


def _text(body: bytes) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None
