"""What callers send."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated, Final
from urllib.parse import unquote_to_bytes
from uuid import UUID

import msgspec
from msgspec import Meta

from services.proposals.domain.proposals import NewItem, NewProposal
from shared.errors import InvalidInput
from shared.money import Money

MAX_SIGNATURE_BYTES: Final = 256 * 1024
_PNG: Final = b"\x89PNG\r\n\x1a\n"

Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"\S", description="1 to 100 characters.")]
Email = Annotated[str, Meta(max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", description="An e-mail address.")]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217.")]
Time = Annotated[datetime, Meta(tz=True, description="RFC 3339.")]


class ItemBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\S")]
    description: Annotated[str, Meta(max_length=20_000)]
    price: Money
    service_id: UUID | None = None


class ProposalBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    client_email: Email
    client_name_f: Name
    client_name_l: Name
    client_company: Annotated[str, Meta(max_length=255)] | None = None
    notes: Annotated[str, Meta(max_length=20_000)] | None = None
    currency: Currency = "USD"
    valid_until: Time | None = None
    items: Annotated[list[ItemBody], Meta(min_length=1, max_length=100)]

    def proposal(self) -> NewProposal:
        """What the domain makes a proposal of."""
        items = tuple(
            NewItem(name=item.name, description=item.description, price=item.price, service_id=item.service_id)
            for item in self.items
        )
        return NewProposal(
            client_email=self.client_email,
            client_name_f=self.client_name_f,
            client_name_l=self.client_name_l,
            client_company=self.client_company,
            notes=self.notes,
            currency=self.currency,
            valid_until=self.valid_until,
            items=items,
        )


class SignBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    signer_name: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    signature: Annotated[str, Meta(description="A data URL, PNG or SVG, at most 256 KiB.")] | None = None

    def check(self) -> None:
        """Raises InvalidInput when `signature` is no PNG or SVG data URL of at most 256 KiB."""
        if self.signature is not None and (fault := _fault_of(self.signature)):
            raise InvalidInput({"signature": [fault]})


def _fault_of(url: str) -> str | None:
    if len(url) > MAX_SIGNATURE_BYTES:
        return "Expected at most 256 KiB."
    head, comma, payload = url.partition(",")
    media_type, *parameters = head.removeprefix("data:").lower().split(";")
    if not head.startswith("data:") or not comma or media_type not in ("image/png", "image/svg+xml"):
        return "Expected a data URL with a PNG or SVG image."
    try:
        is_base64 = "base64" in parameters
        content = base64.b64decode(payload, validate=True) if is_base64 else unquote_to_bytes(payload)
    except binascii.Error:
        return "The base64 of the data URL cannot be decoded."
    if media_type == "image/png" and not content.startswith(_PNG):
        return "The data URL does not hold a PNG image."
    if media_type == "image/svg+xml" and b"<svg" not in content:
        return "The data URL does not hold an SVG image."
    return None
