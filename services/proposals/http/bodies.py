"""What callers send."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import unquote_to_bytes
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from services.proposals.domain.proposals import NewItem, NewProposal, ProposalChanges
from services.proposals.model.proposals import total_of
from shared.currency import Currency
from shared.errors import InvalidInput
from shared.money import Money
from shared.web.patterns import NOT_BLANK
from shared.web.texts import FirstName, LastName, email, long_text

MAX_SIGNATURE_BYTES: Final = 256 * 1024
_IMAGE: Final = r"^data:image/(png|svg\+xml)[;,]"
_PNG: Final = b"\x89PNG\r\n\x1a\n"

Email = Annotated[str, email("The address that the proposal is for.")]
Company = Annotated[str, Meta(max_length=255, examples=["Roe & Daughters"])]
Notes = Annotated[str, long_text(examples=["Half on signature, half on delivery."])]
Time = Annotated[datetime, Meta(tz=True, description="RFC 3339.", examples=["2026-12-31T23:59:59Z"])]
ItemName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        pattern=NOT_BLANK,
        description="1 to 255 characters.",
        examples=["Website Redesign"],
    ),
]
ItemDescription = Annotated[str, long_text(examples=["Ten pages, with a content system."])]
ServiceId = Annotated[UUID, Meta(description="The service template that the item was made of.")]


class ItemBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: ItemName
    description: ItemDescription
    price: Money
    service_id: ServiceId | None = None


Items = Annotated[
    list[ItemBody], Meta(min_length=1, max_length=100, description="1 to 100; each becomes a project of its own.")
]


class ProposalBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    client_email: Email
    client_name_f: FirstName
    client_name_l: LastName = ""
    client_company: Company | None = None
    notes: Notes | None = None
    currency: Currency = Currency.USD
    valid_until: Time | None = None
    items: Items

    def proposal(self) -> NewProposal:
        """What the domain makes a proposal of."""
        return NewProposal(
            client_email=self.client_email,
            client_name_f=self.client_name_f,
            client_name_l=self.client_name_l,
            client_company=self.client_company,
            notes=self.notes,
            currency=self.currency.value,
            valid_until=self.valid_until,
            items=_items(self.items),
        )


class ProposalChangesBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    client_email: Email | UnsetType = UNSET
    client_name_f: FirstName | UnsetType = UNSET
    client_name_l: LastName | UnsetType = UNSET
    client_company: Company | UnsetType | None = UNSET
    notes: Notes | UnsetType | None = UNSET
    currency: Currency | UnsetType = UNSET
    valid_until: Time | UnsetType | None = UNSET
    items: Items | UnsetType = UNSET

    def changes(self) -> ProposalChanges:
        """What is to be different. Raises InvalidInput for a sum of the items that is too large."""
        told: dict[str, Any] = {
            "client_email": self.client_email,
            "client_name_f": self.client_name_f,
            "client_name_l": self.client_name_l,
            "client_company": self.client_company,
            "notes": self.notes,
            "currency": UNSET if self.currency is UNSET else self.currency.value,
            "valid_until": self.valid_until,
        }
        items = None
        if self.items is not UNSET:
            total_of([item.price for item in self.items])
            items = _items(self.items)
        return ProposalChanges(fields={name: value for name, value in told.items() if value is not UNSET}, items=items)


class RejectBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: Annotated[str, long_text(examples=["We found someone closer to us."])] | None = None


class SignBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    signer_name: Annotated[str, Meta(min_length=1, max_length=255, pattern=NOT_BLANK, examples=["Jane Roe"])] | None = (
        None
    )
    signature: (
        Annotated[
            str,
            Meta(
                description="A data URL, PNG or SVG, at most 256 KiB.",
                examples=["data:image/svg+xml,%3Csvg%20xmlns='http://www.w3.org/2000/svg'/%3E"],
                extra_json_schema={"extra": {"maxLength": MAX_SIGNATURE_BYTES, "pattern": _IMAGE}},
            ),
        ]
        | None
    ) = None

    def check(self) -> None:
        """Raises InvalidInput when `signature` is no PNG or SVG data URL of at most 256 KiB."""
        if self.signature is not None and (fault := _fault_of(self.signature)):
            raise InvalidInput({"signature": [fault]})


def _items(items: list[ItemBody]) -> tuple[NewItem, ...]:
    return tuple(
        NewItem(name=item.name, description=item.description, price=item.price, service_id=item.service_id)
        for item in items
    )


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
