"""What callers send."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from services.proposals.domain.proposals import NewItem, NewProposal, ProposalChanges
from services.proposals.http.pictures import MAX_URL_BYTES, NoPicture, check_picture
from services.proposals.model.proposals import MOST_ITEMS, total_of
from shared.currency import Currency
from shared.errors import InvalidInput
from shared.money import Money
from shared.web.patterns import NOT_BLANK
from shared.web.texts import FirstName, LastName, email, long_text

_IMAGE: Final = r"^data:image/(png|svg\+xml)[;,]"

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
    list[ItemBody],
    Meta(min_length=1, max_length=MOST_ITEMS, description=f"1 to {MOST_ITEMS}; each becomes a project of its own."),
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
                description="A data URL, at most 256 KiB: a PNG (4096 pixels a side) or an SVG of svg, g, path.",
                examples=["data:image/svg+xml,%3Csvg%20xmlns='http://www.w3.org/2000/svg'/%3E"],
                extra_json_schema={"extra": {"maxLength": MAX_URL_BYTES, "pattern": _IMAGE}},
            ),
        ]
        | None
    ) = None

    def check(self) -> None:
        """Raises InvalidInput when `signature` is no picture that is taken (see `pictures`)."""
        if self.signature is None:
            return
        try:
            check_picture(self.signature)
        except NoPicture as error:
            raise InvalidInput({"signature": [str(error)]}) from error


def _items(items: list[ItemBody]) -> tuple[NewItem, ...]:
    return tuple(
        NewItem(name=item.name, description=item.description, price=item.price, service_id=item.service_id)
        for item in items
    )
