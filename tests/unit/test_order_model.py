"""The rules of orders and tasks, without a database."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from services.orders.model import (
    Client,
    Order,
    OrderChange,
    OrderStatus,
    SignedAmountsStay,
    Task,
    TaskChange,
    draw_number,
)
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


@pytest.mark.parametrize("change", [{"price": Decimal(1)}, {"currency": "EUR"}, {"quantity": 2}])
def test_signed_amounts_stay(change: dict[str, Any]):
    signed = replace(ORDER, proposal_id=new_id())
    with pytest.raises(SignedAmountsStay) as refused:
        signed.changed(OrderChange(**change, note="x"), LATER)
    assert set(refused.value.errors) == set(change)
    assert ORDER.changed(OrderChange(**change), LATER).version == 2


def test_signed_amounts_may_be_said_again():
    signed = replace(ORDER, proposal_id=new_id())
    same = OrderChange(price=Decimal("9.5"), currency="USD", quantity=1, status=OrderStatus.COMPLETED)
    assert signed.changed(same, LATER).status is OrderStatus.COMPLETED


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
