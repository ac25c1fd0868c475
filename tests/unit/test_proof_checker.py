"""The checker sees what is wrong: honest evidence, broken by hand in one place at a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest
from msgspec.structs import replace

from deploy.proof.checker import check
from deploy.proof.evidence import (
    COPIES,
    Client,
    Engagement,
    Event,
    Evidence,
    Order,
    Parked,
    Project,
    Proposal,
    Saga,
)
from deploy.proof.history import History, Line, Reported, Told
from deploy.proof.lists import Miscount
from deploy.proof.violations import Kind

AT = datetime(2026, 2, 8, 12, tzinfo=UTC)
ORG, OTHER = UUID(int=1), UUID(int=2)
CLIENT, SIGNED, SENT = UUID(int=3), UUID(int=4), UUID(int=5)
SAGA, UNDONE, ENGAGEMENT, ORDER = UUID(int=6), UUID(int=7), UUID(int=8), UUID(int=9)
PROJECTS = (UUID(int=10), UUID(int=11))
NEW = UUID(int=99)
POISON = {"k": frozenset({"orders"})}


def honest() -> Evidence:
    """One proposal that was signed, with two items; one whose flow was refused and undone."""
    email = "jane@roe.example"
    common = {"org_id": ORG, "email": email, "currency": "USD", "items_are_its_own": True}
    signed = Proposal(
        id=SIGNED,
        status=2,
        total=Decimal("9.50"),
        item_sum=Decimal("9.50"),
        item_names=["A", "B"],
        saga_id=SAGA,
        engagement_id=ENGAGEMENT,
        order_id=ORDER,
        **common,
    )
    sent = replace(signed, id=SENT, status=1, saga_id=None, engagement_id=None, order_id=None)
    engagement = Engagement(
        id=ENGAGEMENT, org_id=ORG, proposal_id=SIGNED, client_id=CLIENT, saga_id=SAGA, cancelled_at=None
    )
    order = Order(
        id=ORDER,
        org_id=ORG,
        proposal_id=SIGNED,
        engagement_id=ENGAGEMENT,
        client_id=CLIENT,
        saga_id=SAGA,
        price=Decimal("9.50"),
        currency="USD",
        cancelled_at=None,
    )
    projects = [
        Project(
            id=id,
            org_id=ORG,
            engagement_id=ENGAGEMENT,
            client_id=CLIENT,
            name=name,
            saga_id=SAGA,
            cancelled_at=None,
            is_deleted=False,
        )
        for id, name in zip(PROJECTS, "AB", strict=True)
    ]
    events = [event(UUID(int=20), "engagement", ENGAGEMENT), event(UUID(int=21), "client", CLIENT)]
    owners = {("identity", "clients"): {CLIENT: 1}, ("engagements", "engagements"): {ENGAGEMENT: 1}}
    versions = {place: owners.get(place, {}) for place in COPIES.values()}
    return Evidence(
        proposals=[signed, sent],
        sagas=[saga(SAGA, SIGNED, "completed"), saga(UNDONE, SENT, "rejected")],
        clients=[Client(id=CLIENT, org_id=ORG, email=email, stage="open")],
        engagements=[engagement],
        projects=projects,
        orders=[order],
        events=events,
        parked=[],
        versions=versions | {copy: dict(versions[owner]) for copy, owner in COPIES.items()},
        miscounts=[],
        commands_left=0,
        told={each.id for each in events},
    )


def saga(id: UUID, proposal: UUID, status: str) -> Saga:
    return Saga(id=id, org_id=ORG, proposal_id=proposal, status=status, is_parked=False, started_at=AT)


def event(id: UUID, resource: str, about: UUID, *, version: int = 1, is_published: bool = True) -> Event:
    return Event(
        id=id,
        service="engagements",
        subject=f"evt.{ORG}.{resource}.changed",
        type=f"{resource}.changed.v1",
        org_id=str(ORG),
        about=str(about),
        version=version,
        is_published=is_published,
    )


def told(**changes: object) -> list[Line]:
    """A client who was told that the proposal is signed."""
    history = History()
    history.tell(
        history.invoke(str(ORG), str(SIGNED), "key"),
        Told.OK,
        status=200,
        engagement=str(ENGAGEMENT),
        order=str(ORDER),
        projects=tuple(str(project) for project in PROJECTS),
        digest="d",
    )
    return [history.lines[0], msgspec.structs.replace(history.lines[1], **changes)]


def reported(
    *changes: tuple[str, str], saga: UUID = UNDONE, proposal: UUID = SENT, status: str = "rejected"
) -> list[Line]:
    """What a client read of a flow; of the undone one, unless said otherwise: refused before anything was sent."""
    undone = {"client": "refused", "engagement": "cancelled", "order": "cancelled"}
    cancels = {"engagement.cancel": "cancelled", "order.cancel": "cancelled"}
    told = {"client": "done", "engagement": "done", "order": "done"} if status == "completed" else undone | cancels
    history = History()
    history.tell_report(str(ORG), str(proposal), Reported(str(saga), status, told | dict(changes)))
    return history.lines


def changed(field: str, number: int, **changes: object) -> Callable[[Evidence], Evidence]:
    """The evidence with one row changed."""

    def change(evidence: Evidence) -> Evidence:
        rows = list(getattr(evidence, field))
        rows[number] = replace(rows[number], **changes)
        return replace(evidence, **{field: rows})

    return change


def added(field: str, number: int, **changes: object) -> Callable[[Evidence], Evidence]:
    """The evidence with a row more, like that one."""

    def add(evidence: Evidence) -> Evidence:
        rows = getattr(evidence, field)
        return replace(evidence, **{field: [*rows, replace(rows[number], **changes)]})

    return add


def gone(field: str, number: int) -> Callable[[Evidence], Evidence]:
    """The evidence without that row."""

    def remove(evidence: Evidence) -> Evidence:
        rows = list(getattr(evidence, field))
        del rows[number]
        return replace(evidence, **{field: rows})

    return remove


def at_version(copy: tuple[str, str], version: int) -> Callable[[Evidence], Evidence]:
    def change(evidence: Evidence) -> Evidence:
        return replace(evidence, versions={**evidence.versions, copy: {CLIENT: version}})

    return change


BROKEN = {
    "no engagement": (gone("engagements", 0), "a Signed proposal has one of each", Kind.LOST),
    "two engagements": (added("engagements", 0, id=NEW), "a Signed proposal has one of each", Kind.DOUBLED),
    "another engagement": (changed("engagements", 0, id=NEW), "a Signed proposal has one of each", Kind.UNTRUE),
    "no order": (changed("orders", 0, cancelled_at=AT), "a Signed proposal has one of each", Kind.LOST),
    "two orders": (added("orders", 0, id=NEW), "a Signed proposal has one of each", Kind.DOUBLED),
    "an order of another flow": (changed("orders", 0, saga_id=NEW), "a Signed proposal has one of each", Kind.UNTRUE),
    "a project too few": (gone("projects", 1), "a Signed proposal has one of each", Kind.LOST),
    "a project too many": (added("projects", 1, id=NEW), "a Signed proposal has one of each", Kind.DOUBLED),
    "a project of no item": (changed("projects", 0, name="C"), "a Signed proposal has one of each", Kind.UNTRUE),
    "a Sent one with an engagement": (
        added("engagements", 0, id=NEW, proposal_id=SENT),
        "one that is not Signed has none",
        Kind.DOUBLED,
    ),
    "a Sent one with an order": (
        added("orders", 0, id=NEW, proposal_id=SENT),
        "one that is not Signed has none",
        Kind.DOUBLED,
    ),
    "a project of what was cancelled": (
        changed("engagements", 0, cancelled_at=AT),
        "one that is not Signed has none",
        Kind.DOUBLED,
    ),
    "a running flow": (changed("sagas", 1, status="running"), "no flow is unfinished", Kind.STUCK),
    "a compensating flow": (changed("sagas", 1, status="compensating"), "no flow is unfinished", Kind.STUCK),
    "a proposal that is Signing": (changed("proposals", 1, status=4), "no flow is unfinished", Kind.STUCK),
    "two completed flows": (added("sagas", 0, id=NEW), "no flow is unfinished", Kind.UNTRUE),
    "a total that is no sum": (
        changed("proposals", 0, item_sum=Decimal(9)),
        "sums of items are totals",
        Kind.UNTRUE,
    ),
    "an order at another price": (changed("orders", 0, price=Decimal(9)), "sums of items are totals", Kind.UNTRUE),
    "an order in another currency": (changed("orders", 0, currency="EUR"), "sums of items are totals", Kind.UNTRUE),
    "items of another organisation": (
        changed("proposals", 0, items_are_its_own=False),
        "organisations and clients agree",
        Kind.UNTRUE,
    ),
    "a flow of another organisation": (
        changed("sagas", 0, org_id=OTHER),
        "organisations and clients agree",
        Kind.UNTRUE,
    ),
    "an engagement of another organisation": (
        changed("engagements", 0, org_id=OTHER),
        "organisations and clients agree",
        Kind.UNTRUE,
    ),
    "a client who is not there": (gone("clients", 0), "organisations and clients agree", Kind.UNTRUE),
    "another client than the proposal's": (
        changed("clients", 0, email="joe@roe.example"),
        "organisations and clients agree",
        Kind.UNTRUE,
    ),
    "a project of another client": (
        changed("projects", 0, client_id=NEW),
        "organisations and clients agree",
        Kind.UNTRUE,
    ),
    "an order of another engagement": (
        changed("orders", 0, engagement_id=NEW),
        "organisations and clients agree",
        Kind.UNTRUE,
    ),
    "two clients with one e-mail": (added("clients", 0, id=NEW), "a client is one", Kind.DOUBLED),
    "an event that waits": (changed("events", 0, is_published=False), "all that was said is published", Kind.STUCK),
    "commands that wait": (
        lambda evidence: replace(evidence, commands_left=1),
        "no command waits for a service",
        Kind.STUCK,
    ),
    "two events of one change": (
        added("events", 0, id=NEW),
        "each event is told, and told once",
        Kind.DOUBLED,
    ),
    "an event to another organisation": (
        changed("events", 0, org_id=str(OTHER)),
        "each event is told, and told once",
        Kind.UNTRUE,
    ),
    "an event that the stream has not": (
        lambda evidence: replace(evidence, told=set()),
        "each event is told, and told once",
        Kind.LOST,
    ),
    "an event that nobody decided": (gone("events", 0), "each event is told, and told once", Kind.UNTRUE),
    "an old copy": (at_version(("orders", "clients"), 0), "copies are at the newest version", Kind.LOST),
    "a copy from the future": (
        at_version(("proposals", "clients"), 2),
        "copies are at the newest version",
        Kind.UNTRUE,
    ),
    "a total that is no count": (
        lambda evidence: replace(evidence, miscounts=[Miscount("orders", "orders", ORG, 2, 1)]),
        "lists are as long as they say",
        Kind.UNTRUE,
    ),
    "a parked message": (
        lambda evidence: replace(
            evidence, parked=[Parked(service="orders", key="k", subject="cmd.orders.place", error="poison")]
        ),
        "only poison is parked",
        Kind.STUCK,
    ),
}


def test_honest_evidence_is_right():
    assert check(honest(), told()) == []


@pytest.mark.parametrize("fault", BROKEN)
def test_what_is_broken_is_seen(fault: str):
    breaks, rule, kind = BROKEN[fault]
    assert (rule, kind) in {(violation.rule, violation.kind) for violation in check(breaks(honest()))}


@pytest.mark.parametrize(
    ("lie", "kind"),
    [
        ({"proposal": str(SENT)}, Kind.LOST),
        ({"engagement": str(NEW)}, Kind.UNTRUE),
        ({"order": str(NEW)}, Kind.UNTRUE),
        ({"projects": (str(PROJECTS[1]), str(PROJECTS[0]))}, Kind.UNTRUE),
        ({"told": Told.FAIL, "status": 500, "engagement": None}, Kind.UNTRUE),
    ],
)
def test_an_answer_that_is_not_so_is_seen(lie: dict[str, object], kind: Kind):
    assert [violation.kind for violation in check(honest(), told(**lie))] == [kind]


def test_honest_reports_are_right():
    running = reported(("engagement", "done"), ("order", "waiting"), saga=SAGA, proposal=SIGNED, status="running")
    completed = reported(saga=SAGA, proposal=SIGNED, status="completed")
    assert check(honest(), [*running, *completed, *reported()]) == []


@pytest.mark.parametrize(
    "lie",
    [
        reported(("engagement", "waiting")),
        reported(("client", "waiting")),
        reported(("order.cancel", "waiting")),
        reported(("order.cancel", "parked")),
        reported(("order", "waiting"), saga=SAGA, proposal=SIGNED, status="completed"),
        reported(("order", "parked"), saga=SAGA, proposal=SIGNED, status="completed"),
        reported(("engagement", "done")),
        reported(("order", "done"), status="compensating"),
        reported(("engagement", "cancelled"), ("order", "cancelled"), status="completed"),
        reported(saga=SAGA, proposal=SIGNED),
        reported(saga=NEW),
        reported(proposal=SIGNED),
    ],
)
def test_a_report_that_is_not_so_is_seen(lie: list[Line]):
    assert {(violation.rule, violation.kind) for violation in check(honest(), lie)} == {
        ("reports are true", Kind.UNTRUE)
    }


def test_two_answers_under_one_key_are_seen():
    assert [violation.kind for violation in check(honest(), [*told(), *told(digest="another")])] == [Kind.DOUBLED]


def test_poison_has_to_be_parked():
    assert [violation.kind for violation in check(honest(), poison=POISON)] == [Kind.LOST]
    parked = BROKEN["a parked message"][0](honest())
    assert check(parked, poison=POISON) == []
    at_two = {"k": frozenset({"orders", "engagements"})}
    assert [violation.kind for violation in check(parked, poison=at_two)] == [Kind.LOST]


def test_poison_in_the_stream_is_no_event_that_nobody_decided():
    evidence = honest()
    assert evidence.told is not None
    with_poison = replace(
        evidence,
        told=evidence.told | {NEW},
        parked=[Parked(service="orders", key=str(NEW), subject="evt.1.client.changed", error="poison")],
    )
    assert check(with_poison, poison={str(NEW): frozenset({"orders"})}) == []
