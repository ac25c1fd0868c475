"""The peers' tables as SQLAlchemy maps them; schema.sql makes them. Nothing is loaded that was not asked for."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Numeric, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

PROPOSAL_STATUS = ("Draft", "Sent", "Signed", "Rejected", "Signing")
ENGAGEMENT_STATUS = ("", "Active", "Paused", "Closed")
PROJECT_STATUS = ("", "Active", "Paused", "Completed", "Cancelled")
PHASE = ("", "Kickoff", "Setup", "Build", "Testing", "Deployment", "Handoff")
ORDER_STATUS = ("Unpaid", "In Progress", "Completed", "Cancelled", "On Hold")


class Row(DeclarativeBase):
    type_annotation_map = {
        datetime: TIMESTAMP(timezone=True),
        Decimal: Numeric(14, 2),
        dict[str, Any]: JSONB,
        list[str]: ARRAY(Text),
        list[UUID]: ARRAY(Uuid),
    }

    id: Mapped[UUID] = mapped_column(primary_key=True)


class User(Row):
    __tablename__ = "users"

    org_id: Mapped[UUID]
    role: Mapped[str]
    is_enabled: Mapped[bool]


class ApiToken(Row):
    __tablename__ = "api_tokens"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    secret_hash: Mapped[bytes]
    expires_at: Mapped[datetime | None]


class Client(Row):
    __tablename__ = "clients"

    org_id: Mapped[UUID]
    name_f: Mapped[str]
    name_l: Mapped[str]
    email: Mapped[str]
    company: Mapped[str | None]
    phone: Mapped[str | None]
    created_at: Mapped[datetime]

    @property
    def name(self) -> str:
        return f"{self.name_f} {self.name_l}"


class Service(Row):
    __tablename__ = "services"

    org_id: Mapped[UUID]
    name: Mapped[str]


class Engagement(Row):
    __tablename__ = "engagements"

    org_id: Mapped[UUID]
    client_id: Mapped[UUID] = mapped_column(ForeignKey("clients.id"))
    proposal_id: Mapped[UUID | None]
    name: Mapped[str]
    status: Mapped[int]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]

    client: Mapped[Client] = relationship(lazy="raise")

    @property
    def status_label(self) -> str:
        return ENGAGEMENT_STATUS[self.status]


class Project(Row):
    __tablename__ = "projects"

    org_id: Mapped[UUID]
    engagement_id: Mapped[UUID] = mapped_column(ForeignKey("engagements.id"))
    name: Mapped[str]
    description: Mapped[str | None]
    status: Mapped[int]
    phase: Mapped[int]
    service_id: Mapped[UUID | None] = mapped_column(ForeignKey("services.id"))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    completed_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]

    engagement: Mapped[Engagement] = relationship(lazy="raise")
    service: Mapped[Service | None] = relationship(lazy="raise")

    @property
    def status_label(self) -> str:
        return PROJECT_STATUS[self.status]

    @property
    def phase_label(self) -> str:
        return PHASE[self.phase]


class Order(Row):
    __tablename__ = "orders"

    org_id: Mapped[UUID]
    number: Mapped[str]
    client_id: Mapped[UUID] = mapped_column(ForeignKey("clients.id"))
    engagement_id: Mapped[UUID | None] = mapped_column(ForeignKey("engagements.id"))
    proposal_id: Mapped[UUID | None]
    status: Mapped[int]
    price: Mapped[Decimal]
    currency: Mapped[str]
    quantity: Mapped[int]
    service: Mapped[str]
    service_id: Mapped[UUID | None]
    note: Mapped[str | None]
    details: Mapped[dict[str, Any]] = mapped_column("metadata")
    form_data: Mapped[dict[str, Any]]
    tags: Mapped[list[str]]
    employee_ids: Mapped[list[UUID]]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    date_started: Mapped[datetime | None]
    date_completed: Mapped[datetime | None]
    date_due: Mapped[datetime | None]

    client: Mapped[Client] = relationship(lazy="raise")
    engagement: Mapped[Engagement | None] = relationship(lazy="raise")

    @property
    def status_label(self) -> str:
        return ORDER_STATUS[self.status]


class ProposalItem(Row):
    __tablename__ = "proposal_items"

    proposal_id: Mapped[UUID] = mapped_column(ForeignKey("proposals.id"))
    position: Mapped[int]
    name: Mapped[str]
    description: Mapped[str]
    price: Mapped[Decimal]
    service_id: Mapped[UUID | None] = mapped_column(ForeignKey("services.id"))
    created_at: Mapped[datetime]

    service: Mapped[Service | None] = relationship(lazy="raise")

    @property
    def quantity(self) -> int:
        return 1

    @property
    def total(self) -> Decimal:
        return self.price


class Proposal(Row):
    __tablename__ = "proposals"

    org_id: Mapped[UUID]
    client_email: Mapped[str]
    client_name_f: Mapped[str]
    client_name_l: Mapped[str]
    client_company: Mapped[str | None]
    status: Mapped[int]
    currency: Mapped[str]
    notes: Mapped[str | None]
    total: Mapped[Decimal]
    valid_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    signed_at: Mapped[datetime | None]
    signer_address: Mapped[str | None]
    signer_user_agent: Mapped[str | None]
    converted_engagement_id: Mapped[UUID | None] = mapped_column(ForeignKey("engagements.id"))
    converted_order_id: Mapped[UUID | None] = mapped_column(ForeignKey("orders.id"))

    items: Mapped[list[ProposalItem]] = relationship(lazy="raise", order_by=ProposalItem.position)

    @property
    def client_name(self) -> str:
        return f"{self.client_name_f} {self.client_name_l}"

    @property
    def status_label(self) -> str:
        return PROPOSAL_STATUS[self.status]
