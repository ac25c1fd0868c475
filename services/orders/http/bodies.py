"""What callers send."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar
from uuid import UUID

import msgspec
from litestar.openapi.spec import OpenAPIType, Reference, Schema
from msgspec import UNSET, Meta, UnsetType

from services.orders.domain.tasks import NewTask, TaskFields
from services.orders.domain.writing import OrderFields
from services.orders.model import MOST_OF_A_LIST, NUMBER_LENGTH, OrderStatus
from services.orders.store.replicas import Named
from shared.currency import Currency
from shared.money import Money
from shared.web.patterns import NOT_BLANK, ORDER_NUMBER
from shared.web.shapes import JsonObject
from shared.web.texts import LongText


def _given(*fields: str) -> Schema:
    """For the OpenAPI document: objects with these fields, each followed by its type."""
    kinds: dict[str, Reference | Schema] = {
        name: Schema(type=OpenAPIType(kind)) for name, kind in zip(fields[::2], fields[1::2], strict=True)
    }
    return Schema(required=list(kinds), properties=kinds)


INT_MIN, INT_MAX = -(2**31), 2**31 - 1

ClientId = Annotated[UUID, Meta(description="The client; 422 when there is none, or it is being deleted.")]
Service = Annotated[
    str,
    Meta(
        min_length=1, max_length=255, pattern=NOT_BLANK, description="What is ordered; overrides the template's name."
    ),
]
TemplateId = Annotated[UUID, Meta(description="The service template; 422 when there is none.")]
EngagementId = Annotated[UUID, Meta(description="An engagement of the same client; 422 when there is none.")]
Quantity = Annotated[int, Meta(ge=1, le=INT_MAX)]
Note = LongText
Number = Annotated[
    str,
    Meta(
        pattern=ORDER_NUMBER,
        max_length=NUMBER_LENGTH,
        description="8 of A-Z and 0-9; unique in the organisation: else 409.",
    ),
]
Tags = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=255)]],
    # Of what is in a list, Litestar tells the type only.
    Meta(
        max_length=MOST_OF_A_LIST,
        extra_json_schema={"extra": {"items": {"type": "string", "minLength": 1, "maxLength": 255}}},
    ),
]
StaffIds = Annotated[
    list[UUID], Meta(max_length=MOST_OF_A_LIST, description="Members of staff; 422 when one is unknown.")
]
Time = Annotated[datetime, Meta(tz=True, description="RFC 3339.")]
Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=NOT_BLANK)]
Description = LongText
Position = Annotated[int, Meta(ge=INT_MIN, le=INT_MAX)]
Hours = Annotated[
    int,
    Meta(
        ge=0,
        le=INT_MAX,
        description="Hours. Not together with `due_at`; the one that is set replaces the other.",
        extra_json_schema={"extra": {"minimum": 0}},  # a 0 that Litestar leaves out
    ),
]
DueAt = Annotated[
    datetime,
    Meta(tz=True, description="RFC 3339. Not together with `deadline`; the one that is set replaces the other."),
]


class ChangedOrderBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields that shall change."""

    user_id: ClientId | UnsetType = UNSET
    service: Service | UnsetType = UNSET
    service_id: TemplateId | UnsetType | None = UNSET
    price: Money | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    quantity: Quantity | UnsetType = UNSET
    status: OrderStatus | UnsetType = UNSET
    engagement_id: EngagementId | UnsetType | None = UNSET
    note: Note | UnsetType | None = UNSET
    number: Number | UnsetType = UNSET
    metadata: JsonObject | UnsetType = UNSET
    form_data: JsonObject | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    employees: StaffIds | UnsetType = UNSET
    date_started: Time | UnsetType | None = UNSET
    date_completed: Time | UnsetType | None = UNSET
    date_due: Time | UnsetType | None = UNSET

    def said(self) -> OrderFields:
        """What the domain changes an order by."""
        return OrderFields(**_values(self, OrderFields))

    def named(self) -> list[Named]:
        """What of other services' it names."""
        single = {"client": self.user_id, "template": self.service_id, "engagement": self.engagement_id}
        return [Named(kind, id) for kind, id in single.items() if id] + _staff(self.employees)


class OrderBody(ChangedOrderBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An order; `service` or `service_id` is required. The price and the currency are the template's if not given."""

    rules_between: ClassVar = {"any_of": [_given("service", "string"), _given("service_id", "string")]}

    user_id: ClientId  # pyright: ignore[reportGeneralTypeIssues]  # fields are by keyword, so order is free

    @classmethod
    def faults_between(cls, sent: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        if "service" not in sent and sent.get("service_id") is None:
            yield "service", "Give service or service_id."


class _DueOnce:
    rules_between: ClassVar = {"schema_not": _given("deadline", "integer", "due_at", "string")}

    @classmethod
    def faults_between(cls, sent: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        if sent.get("deadline") is not None and sent.get("due_at") is not None:
            yield "due_at", "Give deadline or due_at, not both."


class TaskBody(_DueOnce, msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A task, with a deadline in hours or a due date, or neither."""

    name: Name
    description: Description | None = None
    employee_ids: StaffIds = []
    sort_order: Position = 0
    is_public: bool = False
    for_client: bool = False
    deadline: Hours | None = None
    due_at: DueAt | None = None

    def task(self) -> NewTask:
        """What the domain makes a task of."""
        return NewTask(**_values(self, NewTask))

    def named(self) -> list[Named]:
        """What of other services' it names."""
        return _staff(self.employee_ids)


class ChangedTaskBody(_DueOnce, msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields that shall change."""

    name: Name | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    employee_ids: StaffIds | UnsetType = UNSET
    sort_order: Position | UnsetType = UNSET
    is_public: bool | UnsetType = UNSET
    for_client: bool | UnsetType = UNSET
    deadline: Hours | UnsetType | None = UNSET
    due_at: DueAt | UnsetType | None = UNSET

    def said(self) -> TaskFields:
        """What the domain changes a task by."""
        return TaskFields(**_values(self, TaskFields))

    def named(self) -> list[Named]:
        """What of other services' it names."""
        return _staff(self.employee_ids)


def _staff(ids: list[UUID] | UnsetType) -> list[Named]:
    return [Named("user", id) for id in dict.fromkeys(ids)] if ids else []


def _values(body: msgspec.Struct, shape: type[msgspec.Struct]) -> dict[str, Any]:
    """The fields of `shape`, as the body has them, in plain types."""
    return {name: _plain(getattr(body, name)) for name in shape.__struct_fields__}


def _plain(value: Any) -> Any:
    match value:
        case list():
            return tuple(value)
        case Money():
            return Decimal(value)
        case JsonObject():
            return bytes(value)
        case Currency():
            return value.value
        case _:
            return value
