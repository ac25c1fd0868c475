"""Proposals: what they may become, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from services.proposals.model.proposals import (
    DraftHasExpired,
    Ids,
    Item,
    OnlyTheTimeChanges,
    Plan,
    Proposal,
    ProposalNotChangeable,
    ProposalNotDeletable,
    ProposalNotRejectable,
    ProposalNotSendable,
    ProposalNotSignable,
    ProposalStatus,
    total_of,
)
from services.proposals.sign_flow import SIGN_FLOW, open_engagement, place_order
from shared.contracts.identity import ClientState
from shared.errors import InvalidInput
from shared.ids import new_id
from shared.messaging.saga import Command

NOW = datetime(2026, 2, 8, 12, tzinfo=UTC)
ORG, CLIENT = new_id(), new_id()


def proposal(status: ProposalStatus = ProposalStatus.DRAFT, *, names: tuple[str, ...] = ("Website", "SEO"), **more):
    items = more.pop("items", None) or tuple(
        Item(id=new_id(), name=name, description="", price=Decimal("10.10"), created_at=NOW) for name in names
    )
    fields = {
        "id": new_id(),
        "org_id": ORG,
        "version": 1,
        "client_email": "jane@roe.example",
        "client_name_f": "Jane",
        "client_name_l": "Roe",
        "client_company": None,
        "status": status,
        "currency": "USD",
        "notes": None,
        "total": total_of([item.price for item in items]),
        "valid_until": None,
        "created_at": NOW,
        "updated_at": NOW,
        "sent_at": None,
        "signed_at": None,
        "converted_engagement_id": None,
        "converted_order_id": None,
        "items": items,
    }
    return Proposal(**(fields | more))


def body(command: Command) -> Any:
    return command.body


def plan(of: Proposal, *, is_client_known: bool = True) -> Plan:
    client = ClientState(org_id=ORG, id=CLIENT, version=1, name_f="Jane", name_l="Roe", email="jane@roe.example")
    ids = Ids(
        saga=new_id(),
        client=new_id(),
        engagement=new_id(),
        order=new_id(),
        first_project=new_id(),
        first_event=new_id(),
    )
    return Plan(ids=ids, proposal=of, client=client if is_client_known else None, at=NOW)


def test_a_draft_is_changed_field_by_field():
    before = proposal()
    item = Item(id=new_id(), name="n", description="", price=Decimal("0.10"), created_at=NOW)
    later = NOW + timedelta(hours=1)
    after = before.changed({"notes": "n"}, (item, item, item), later)
    assert after == replace(before, notes="n", items=(item,) * 3, total=Decimal("0.30"), updated_at=later, version=2)


def test_a_change_to_what_is_there_already_is_none():
    before = proposal()
    assert before.changed({"currency": "USD", "notes": None}, None, NOW + timedelta(hours=1)) is before


def test_items_that_say_the_same_stay_and_others_or_another_order_replace_all():
    first, second = (Item(id=new_id(), name=name, description="", price=Decimal(1), created_at=NOW) for name in "ab")
    before = proposal(items=(first, second))
    again = tuple(replace(item, id=new_id(), created_at=NOW + timedelta(hours=1)) for item in before.items)
    assert before.changed({}, again, NOW) is before
    for items in (again[::-1], again[:1], (*again, again[0]), (again[0], replace(again[1], service_id=new_id()))):
        assert before.changed({}, items, NOW).items == items


@pytest.mark.parametrize("status", [ProposalStatus.SIGNING, ProposalStatus.SIGNED, ProposalStatus.REJECTED])
@pytest.mark.parametrize("fields", [{}, {"notes": "n"}, {"valid_until": NOW}])
def test_what_is_being_signed_is_signed_or_was_rejected_cannot_be_changed(
    status: ProposalStatus, fields: dict[str, Any]
):
    with pytest.raises(ProposalNotChangeable, match=status.label):
        proposal(status).changed(fields, None, NOW)


@pytest.mark.parametrize(("valid_until", "label"), [(None, "Sent"), (NOW, "Expired")])
def test_of_what_was_sent_only_the_time_can_be_changed_and_alone(valid_until: datetime | None, label: str):
    sent = proposal(ProposalStatus.SENT, valid_until=valid_until)
    assert sent.changed({}, None, NOW) is sent
    assert sent.changed({"valid_until": valid_until}, None, NOW) is sent
    later = NOW + timedelta(hours=1)
    assert sent.changed({"valid_until": later}, None, NOW) == replace(
        sent, valid_until=later, updated_at=NOW, version=2
    )
    for fields, items in (({"notes": None}, None), ({"notes": "n", "valid_until": later}, None), ({}, sent.items)):
        with pytest.raises(OnlyTheTimeChanges, match=label):
            sent.changed(fields, items, NOW)


def test_a_draft_whose_time_has_passed_cannot_be_sent():
    with pytest.raises(DraftHasExpired):
        proposal(valid_until=NOW).sent(NOW)
    assert proposal(valid_until=NOW + timedelta(microseconds=1)).sent(NOW).status is ProposalStatus.SENT


@pytest.mark.parametrize("status", ProposalStatus)
def test_only_what_is_sent_and_not_expired_can_be_rejected(status: ProposalStatus):
    if status is ProposalStatus.SENT:
        rejected = proposal(status, valid_until=NOW + timedelta(seconds=1)).rejected("Too dear", NOW)
        assert (rejected.status, rejected.updated_at, rejected.version) == (ProposalStatus.REJECTED, NOW, 2)
        assert (rejected.rejected_at, rejected.rejection_reason) == (NOW, "Too dear")
    else:
        with pytest.raises(ProposalNotRejectable, match=status.label):
            proposal(status).rejected("Too dear", NOW)


def test_an_expired_proposal_cannot_be_rejected():
    with pytest.raises(ProposalNotRejectable, match="Expired"):
        proposal(ProposalStatus.SENT, valid_until=NOW).rejected("Too dear", NOW)


@pytest.mark.parametrize("status", ProposalStatus)
def test_what_is_being_signed_or_signed_cannot_be_deleted(status: ProposalStatus):
    if status in (ProposalStatus.SIGNING, ProposalStatus.SIGNED):
        with pytest.raises(ProposalNotDeletable, match=status.label):
            proposal(status).deleted(NOW)
    else:
        assert proposal(status).deleted(NOW).version == 2


def test_a_draft_can_be_sent():
    sent = proposal().sent(NOW)
    assert (sent.status, sent.sent_at, sent.version) == (ProposalStatus.SENT, NOW, 2)


@pytest.mark.parametrize("status", [status for status in ProposalStatus if status is not ProposalStatus.DRAFT])
def test_nothing_else_can_be_sent(status: ProposalStatus):
    with pytest.raises(ProposalNotSendable, match=status.label):
        proposal(status).sent(NOW)


def test_a_sent_proposal_reads_as_expired_from_the_moment_that_it_was_valid_until():
    sent = proposal(ProposalStatus.SENT, valid_until=NOW)
    assert sent.status_at(NOW - timedelta(microseconds=1)) is ProposalStatus.SENT
    assert sent.status_at(NOW) is ProposalStatus.EXPIRED


@pytest.mark.parametrize("status", [ProposalStatus.DRAFT, ProposalStatus.SIGNED, ProposalStatus.SIGNING])
def test_only_a_sent_proposal_expires(status: ProposalStatus):
    assert proposal(status, valid_until=NOW).status_at(NOW) is status


def test_signing_a_signed_proposal_again_names_what_came_of_it():
    made = {"engagement": UUID(int=1), "order": UUID(int=2)}
    signed = proposal(ProposalStatus.SIGNING).signed(client=CLIENT, **made, signed_at=NOW, at=NOW)
    assert str(UUID(int=1)) in str(ProposalNotSignable(signed, NOW))
    assert str(UUID(int=2)) in str(ProposalNotSignable(signed, NOW))


def test_sums_are_exact():
    assert total_of([Decimal("0.10")] * 3) == Decimal("0.30")
    assert total_of([Decimal("9999999999.98"), Decimal("0.01")]) == Decimal("9999999999.99")


def test_a_sum_has_at_most_ten_digits_before_the_point():
    with pytest.raises(InvalidInput) as caught:
        total_of([Decimal("9999999999.99"), Decimal("0.01")])
    assert list(caught.value.errors) == ["items"]


def test_the_engagement_has_one_project_for_each_item_in_their_order():
    carried = body(open_engagement(plan(proposal(names=("A", "B", "C"))), {}))
    assert [project.name for project in carried.projects] == ["A", "B", "C"]
    ids = [project.id for project in carried.projects]
    assert ids == sorted(ids)
    assert len(set(ids)) == 3


def test_no_two_things_of_a_flow_share_an_event_id():
    carried = plan(proposal(names=tuple("ABC")))
    opened, placed = body(open_engagement(carried, {})), body(place_order(carried, {}))
    events = [opened.event_id, placed.event_id, *(project.event_id for project in opened.projects)]
    assert len(set(events)) == len(events)


def test_the_engagements_name_is_cut_to_255():
    long = proposal(client_name_f="F" * 100, client_name_l="L" * 100)
    assert body(open_engagement(plan(long), {})).name == f"{'F' * 100} {'L' * 100} - Engagement"
    longer = replace(long, client_name_f="F" * 300)
    assert len(body(open_engagement(plan(longer), {})).name) == 255


def test_a_flow_says_the_same_each_time_it_is_asked():
    carried = plan(proposal())
    assert open_engagement(carried, {}) == open_engagement(carried, {})
    assert body(place_order(carried, {})) == body(place_order(carried, {}))


def test_identity_is_asked_only_when_the_client_is_not_known():
    assert [step.name for step in SIGN_FLOW.of(plan(proposal())).steps] == ["engagement", "order"]
    unknown = plan(proposal(), is_client_known=False)
    assert [step.name for step in SIGN_FLOW.of(unknown).steps] == ["client", "engagement", "order"]
