"""What callers send to `/api/services`."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from services.proposals.model.templates import Recurring, TemplateFields
from shared.currency import Currency
from shared.money import Money
from shared.web.patterns import NOT_BLANK
from shared.web.shapes import JsonObject
from shared.web.texts import long_text

FREE: Final = Decimal("0.00")

Name = Annotated[
    str,
    Meta(min_length=1, max_length=255, pattern=NOT_BLANK, description="1 to 255 characters.", examples=["SEO audit"]),
]
Description = Annotated[str, long_text(examples=["What search engines see, and what they miss."])]
RecurringNumber = Annotated[Literal[0, 1, 2], Meta(description="0 one-off, 1 recurring, 2 trial.", examples=[0])]
IsPublic = Annotated[bool, Meta(description="Whether it is shown to clients.", examples=[True])]
Days = Annotated[
    int,
    Meta(
        ge=0,
        le=36_500,
        description="How many days it takes.",
        examples=[14],
        extra_json_schema={"extra": {"minimum": 0}},  # Litestar leaves out a bound that is zero
    ),
]
SortNumber = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1, description="Where it stands in a list.", examples=[10])]
Metadata = Annotated[JsonObject, Meta(examples=[{"team": "search"}])]


class ServiceBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Name
    description: Description | None = None
    price: Money | UnsetType = UNSET
    """Nothing, unless it is sent."""
    currency: Currency = Currency.USD
    recurring: RecurringNumber = 0
    public: IsPublic = True
    deadline: Days | None = None
    sort_order: SortNumber = 0
    metadata: Metadata = JsonObject(b"{}")

    def fields(self) -> TemplateFields:
        """What the domain makes a template of."""
        return TemplateFields(
            name=self.name,
            description=self.description,
            price=FREE if self.price is UNSET else Decimal(self.price),
            currency=self.currency.value,
            recurring=Recurring(self.recurring),
            is_public=self.public,
            deadline_days=self.deadline,
            sort_order=self.sort_order,
            metadata=bytes(self.metadata),
        )


class ServiceChanges(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Name | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    price: Money | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    recurring: RecurringNumber | UnsetType = UNSET
    public: IsPublic | UnsetType = UNSET
    deadline: Days | UnsetType | None = UNSET
    sort_order: SortNumber | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET

    def fields(self) -> dict[str, Any]:
        """The fields that were sent, as the model calls them."""
        told = {
            "name": self.name,
            "description": self.description,
            "price": UNSET if self.price is UNSET else Decimal(self.price),
            "currency": UNSET if self.currency is UNSET else self.currency.value,
            "recurring": UNSET if self.recurring is UNSET else Recurring(self.recurring),
            "is_public": self.public,
            "deadline_days": self.deadline,
            "sort_order": self.sort_order,
            "metadata": UNSET if self.metadata is UNSET else bytes(self.metadata),
        }
        return {name: value for name, value in told.items() if value is not UNSET}
