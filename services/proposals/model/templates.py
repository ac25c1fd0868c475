"""What service templates are: what the agency sells, to be picked from when a proposal or an order is written."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import IntEnum
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace


class Recurring(IntEnum):
    """How a service is charged, as the contract numbers it."""

    ONE_OFF = 0
    RECURRING = 1
    TRIAL = 2


class TemplateFields(msgspec.Struct, frozen=True, kw_only=True):
    """What staff say of a service."""

    name: str
    description: str | None
    price: Decimal
    currency: str
    recurring: Recurring
    is_public: bool
    deadline_days: int | None
    sort_order: int
    metadata: bytes
    """The JSON of an object, as it was sent."""


class Template(TemplateFields, frozen=True, kw_only=True):
    """A service template; a deleted one is still known by those who named it."""

    id: UUID
    org_id: UUID
    version: int
    created_at: datetime
    updated_at: datetime
    is_deleted: bool = False

    def changed(self, fields: dict[str, Any], at: datetime) -> Template:
        """The template with these fields (of TemplateFields); the very same when nothing differs."""
        after = replace(self, **fields)
        return self if after == self else replace(after, updated_at=at, version=self.version + 1)

    def deleted(self, at: datetime) -> Template:
        return replace(self, is_deleted=True, updated_at=at, version=self.version + 1)
