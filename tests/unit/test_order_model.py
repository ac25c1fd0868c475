"""The rules of orders and tasks, without a database."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from services.orders.model import (
    SIGNED_FIELDS,
    Client,
    Order,
    OrderChange,
    OrderStatus,
    SignedOrderNotDeletable,
    SignedStays,
    Task,
    TaskChange,
    draw_number,
)
from shared.contracts.orders import BilledTo
from shared.ids import new_id

AT = datetime(2026, 2, 8, 12, tzinfo=UTC)
LATER = AT + timedelta(hours=1)
CLIENT = Client(id=new_id(), name_f="Jane", name_l="Roe", email="jane@roe.example", company=None, phone=None)
ORDER = Order(
    id=new_id(),
    org_id=new_id(),
    version=1,
    number="ABCDEFG1",
    client=CLIENT,
    billed_to=BilledTo(name="Jane Roe", email="jane@roe.example", company=None, tax_id=None, address=None),
    engagement_id=None,
    proposal_id=None,
    status=OrderStatus.UNPAID,
    price=Decimal("9.50"),
    currency="USD",
    quantity=1,
    service="SEO",
    service_id=None,
    note="n",
    metadata=b"{}",
    form_data=b"{}",
    tags=(),
    employees=(),
    created_at=AT,
    updated_at=AT,
    date_started=None,
    date_completed=None,
    date_due=None,
)
TASK = Task(
    id=new_id(),
    org_id=ORDER.org_id,
    version=1,
    order_id=ORDER.id,
    name="Brief",
    description=None,
    sort_order=0,
    is_public=False,
    for_client=False,
    deadline=None,
    due_at=None,
    employees=(),
    completed_by=None,
    completed_at=None,
    created_at=AT,
)


def test_statuses_have_the_contracts_numbers_and_labels():
    labels = ["Unpaid", "In Progress", "Completed", "Cancelled", "On Hold"]
    assert [(status.value, status.label) for status in OrderStatus] == list(enumerate(labels))


def test_a_number_is_eight_of_the_alphabet():
    assert all(re.fullmatch("[A-Z0-9]{8}", draw_number()) for _ in range(200))


def test_a_change_sets_what_it_names_and_counts_the_version():
    changed = ORDER.changed(OrderChange(note=None, price=Decimal(7)), LATER)
    assert changed == replace(ORDER, note=None, price=Decimal(7), version=2, updated_at=LATER)


def test_a_change_to_what_is_there_already_is_none():
    assert ORDER.changed(OrderChange(note="n", price=Decimal("9.5"), client=CLIENT), LATER) is ORDER
    assert ORDER.changed(OrderChange(), LATER) is ORDER


SIGNED = replace(
    ORDER,
    proposal_id=new_id(),
    engagement_id=new_id(),
    service_id=new_id(),
    metadata=b'{"proposal_id":"p","engagement_id":"e","proposal_items":[{"name":"Site","price":"9.50"}],"own":1e400}',
)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"price": Decimal(1)}, "price"),
        ({"currency": "EUR"}, "currency"),
        ({"quantity": 2}, "quantity"),
        ({"client": replace(CLIENT, id=new_id())}, "user_id"),
        ({"engagement_id": new_id()}, "engagement_id"),
        ({"engagement_id": None}, "engagement_id"),
        ({"service": "Other"}, "service"),
        ({"service_id": None}, "service_id"),
        ({"number": "OTHER001"}, "number"),
    ],
)
def test_what_was_signed_stays_and_can_be_changed_in_an_order_made_by_hand(change: dict[str, Any], field: str):
    with pytest.raises(SignedStays) as refused:
        SIGNED.changed(OrderChange(**change, note="x"), LATER)
    assert set(refused.value.errors) == {field}
    assert replace(SIGNED, proposal_id=None).changed(OrderChange(**change), LATER).version == 2


@pytest.mark.parametrize(
    ("metadata", "fields"),
    [
        (b"{}", {"metadata.proposal_id", "metadata.engagement_id", "metadata.proposal_items"}),
        (b'{"proposal_id":"p","engagement_id":"e"}', {"metadata.proposal_items"}),
        (b'{"proposal_id":"x","engagement_id":null,"proposal_items":[{"name":"Site","price":"9.50"}]}', None),
        (
            b'{"proposal_id":"p","engagement_id":"e","proposal_items":[{"name":"Site","price":9.50}]}',
            {"metadata.proposal_items"},
        ),
        (
            b'{"proposal_id":"p","engagement_id":"e","proposal_items":[{"name":"Site","price":"9.50","x":1e999}]}',
            {"metadata.proposal_items"},
        ),
    ],
)
def test_the_keys_of_metadata_that_a_signature_wrote_stay(metadata: bytes, fields: set[str] | None):
    with pytest.raises(SignedStays) as refused:
        SIGNED.changed(OrderChange(metadata=metadata), LATER)
    assert set(refused.value.errors) == (fields or {"metadata.proposal_id", "metadata.engagement_id"})
    assert replace(SIGNED, proposal_id=None).changed(OrderChange(metadata=metadata), LATER).metadata == metadata


@pytest.mark.parametrize("own", [b"", b',"own":2e400', b',"own":null,"purchase_order":{"number":17}'])
def test_other_keys_of_metadata_are_added_changed_and_removed(own: bytes):
    items = b'"proposal_items":[ {"price":"9.50", "name":"Site"} ]'
    metadata = b'{"engagement_id":"e","proposal_id":"p",' + items + own + b"}"
    assert SIGNED.changed(OrderChange(metadata=metadata), LATER).metadata == metadata


def test_what_was_signed_may_be_sent_again():
    same = {name: getattr(SIGNED, name) for name in (*SIGNED_FIELDS, "metadata")}
    assert SIGNED.changed(OrderChange(**same), LATER) is SIGNED
    changed = SIGNED.changed(OrderChange(**same, status=OrderStatus.CANCELLED), LATER)
    assert changed == replace(SIGNED, status=OrderStatus.CANCELLED, version=2, updated_at=LATER)


def test_a_signed_order_is_not_deleted():
    with pytest.raises(SignedOrderNotDeletable):
        SIGNED.require_deletable()
    ORDER.require_deletable()


def test_entering_completed_says_when_where_that_is_empty():
    entered = ORDER.changed(OrderChange(status=OrderStatus.COMPLETED), LATER)
    assert entered.date_completed == LATER
    own = ORDER.changed(OrderChange(status=OrderStatus.COMPLETED, date_completed=AT), LATER)
    assert own.date_completed == AT
    left = entered.changed(OrderChange(status=OrderStatus.ON_HOLD), LATER)
    assert left.date_completed == LATER
    again = left.changed(OrderChange(status=OrderStatus.COMPLETED), LATER + timedelta(hours=1))
    assert again.date_completed == LATER


def test_a_completed_order_may_lose_its_time_and_other_statuses_have_none():
    entered = ORDER.changed(OrderChange(status=OrderStatus.COMPLETED), LATER)
    assert entered.changed(OrderChange(date_completed=None), LATER).date_completed is None
    for status in set(OrderStatus) - {OrderStatus.COMPLETED}:
        assert replace(ORDER, status=status).dated(LATER).date_completed is None


def test_a_task_is_due_once():
    due = TASK.changed(TaskChange(deadline=5)).changed(TaskChange(due_at=AT))
    assert (due.deadline, due.due_at, due.version) == (None, AT, 3)
    assert due.changed(TaskChange(deadline=0)).due_at is None
    assert due.changed(TaskChange(deadline=None)) is due


def test_completing_twice_keeps_who_was_first():
    first, second = new_id(), new_id()
    done = TASK.completed(first, AT)
    assert (done.completed_by, done.completed_at, done.version) == (first, AT, 2)
    assert done.completed(second, LATER) is done
    assert done.reopened() == replace(TASK, version=3)
    assert TASK.reopened() is TASK
