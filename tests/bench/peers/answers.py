"""What the monolith answers: the fields of the unified API, so that its answers are of the same shape and size."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class View(BaseModel):
    """Read straight from a row and what it is related to."""

    model_config = ConfigDict(from_attributes=True)


class ItemView(View):
    id: UUID
    name: str
    description: str
    price: Decimal
    quantity: int
    total: Decimal
    service_id: UUID | None
    created_at: datetime


class ProposalView(View):
    id: UUID
    org_id: UUID
    client_email: str
    client_name: str
    client_name_f: str
    client_name_l: str
    client_company: str | None
    status: str = Field(validation_alias="status_label")
    status_id: int = Field(validation_alias="status")
    total: Decimal
    currency: str
    notes: str | None
    valid_until: datetime | None
    created_at: datetime
    updated_at: datetime
    sent_at: datetime | None
    signed_at: datetime | None
    converted_order_id: UUID | None
    converted_engagement_id: UUID | None
    items: list[ItemView]


class ClientOfEngagement(View):
    id: UUID
    name: str
    email: str


class EngagementView(View):
    id: UUID
    org_id: UUID
    client_id: UUID
    client: ClientOfEngagement
    name: str
    status: str = Field(validation_alias="status_label")
    status_id: int = Field(validation_alias="status")
    proposal_id: UUID | None
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None


class EngagementOfProject(View):
    id: UUID
    name: str
    client_id: UUID
    status: str = Field(validation_alias="status_label")


class ServiceOfProject(View):
    id: UUID
    name: str


class ProjectSummary(View):
    id: UUID
    engagement_id: UUID
    org_id: UUID
    name: str
    description: str | None
    status: str = Field(validation_alias="status_label")
    status_id: int = Field(validation_alias="status")
    phase: str = Field(validation_alias="phase_label")
    phase_id: int = Field(validation_alias="phase")
    service_id: UUID | None
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None


class ProjectView(ProjectSummary):
    engagement: EngagementOfProject
    service: ServiceOfProject | None


class ClientOfOrder(View):
    id: UUID
    name: str
    name_f: str
    name_l: str
    email: str
    company: str | None
    phone: str | None


class OrderView(View):
    id: UUID
    org_id: UUID
    number: str
    user_id: UUID = Field(validation_alias="client_id")
    client: ClientOfOrder
    engagement_id: UUID | None
    status: str = Field(validation_alias="status_label")
    status_id: int = Field(validation_alias="status")
    price: Decimal
    currency: str
    quantity: int
    service: str
    service_id: UUID | None
    note: str | None
    details: dict[str, Any] = Field(serialization_alias="metadata")
    form_data: dict[str, Any]
    tags: list[str]
    employee_ids: list[UUID] = Field(serialization_alias="employees")
    created_at: datetime
    updated_at: datetime
    date_started: datetime | None
    date_completed: datetime | None
    date_due: datetime | None


class Signed(View):
    proposal: ProposalView
    engagement: EngagementView
    projects: list[ProjectView]
    order: OrderView


class Links(BaseModel):
    first: str
    last: str
    prev: str | None
    next: str | None


class Meta(BaseModel):
    current_page: int
    from_: int = Field(serialization_alias="from")
    to: int
    last_page: int
    per_page: int
    total: int
    path: str


class ProjectPage(BaseModel):
    data: list[ProjectSummary]
    links: Links
    meta: Meta


def links_of(path: str, *, page: int, limit: int, total: int) -> Links:
    last = max(1, -(-total // limit))
    return Links(
        first=f"{path}?page=1&limit={limit}",
        last=f"{path}?page={last}&limit={limit}",
        prev=f"{path}?page={page - 1}&limit={limit}" if page > 1 else None,
        next=f"{path}?page={page + 1}&limit={limit}" if page < last else None,
    )


def meta_of(path: str, *, page: int, limit: int, total: int, count: int) -> Meta:
    offset = (page - 1) * limit
    return Meta(
        current_page=page,
        from_=offset + 1 if count else 0,
        to=offset + count,
        last_page=max(1, -(-total // limit)),
        per_page=limit,
        total=total,
        path=path,
    )
