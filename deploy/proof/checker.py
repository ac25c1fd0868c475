"""Exactly once, checked: the promises of docs/sign-flow.md as rules over the evidence. Pure; each rule has a test."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from uuid import UUID

from deploy.proof.evidence import COPIES, Engagement, Event, Evidence, Order, Project, Proposal
from deploy.proof.history import Line
from deploy.proof.told import SIGNED, answers_are_true, keyed_answers_are_one, reports_are_true
from deploy.proof.violations import Found, Kind, Violation

SIGNING: Final = 4
HANDLED: Final = "no command waits for a service"


Poisoned = Mapping[str, frozenset[str]]
"""Message keys that were made impossible to handle on purpose, and the services that have to park each."""


def check(
    evidence: Evidence,
    history: Sequence[Line] = (),
    *,
    poison: Poisoned | None = None,
    is_in_use: bool = False,
) -> list[Violation]:
    """Every broken promise. `is_in_use`: a project may have been renamed since, and a client's e-mail changed."""
    poison = poison or {}
    rules: dict[str, Callable[[], Found]] = {
        "a Signed proposal has one of each": lambda: signed_has_one_of_each(evidence, is_in_use=is_in_use),
        "one that is not Signed has none": lambda: unsigned_has_none(evidence),
        "no flow is unfinished": lambda: no_flow_is_unfinished(evidence),
        "sums of items are totals": lambda: sums_are_totals(evidence),
        "organisations and clients agree": lambda: owners_agree(evidence, is_in_use=is_in_use),
        "a client is one": lambda: clients_are_one(evidence),
        "all that was said is published": lambda: all_is_published(evidence),
        HANDLED: lambda: all_is_handled(evidence),
        "each event is told, and told once": lambda: events_are_told_once(evidence, poison),
        "copies are at the newest version": lambda: copies_are_newest(evidence),
        "lists are as long as they say": lambda: lists_are_as_long_as_they_say(evidence),
        "only poison is parked": lambda: only_poison_is_parked(evidence, poison),
        "answers are true": lambda: answers_are_true(evidence, history),
        "answers under one key are one": lambda: keyed_answers_are_one(history),
        "reports are true": lambda: reports_are_true(evidence, history),
    }
    return [Violation(name, kind, sentence) for name, rule in rules.items() for kind, sentence in rule()]


def signed_has_one_of_each(evidence: Evidence, *, of: Proposal | None = None, is_in_use: bool = False) -> Found:
    """Of all proposals, or of one."""
    engagements, orders = _active_of(evidence.engagements), _active_of(evidence.orders)
    projects: dict[UUID, list[Project]] = defaultdict(list)
    for project in evidence.projects:
        if project.cancelled_at is None:
            projects[project.engagement_id].append(project)
    for proposal in evidence.proposals if of is None else (of,):
        if proposal.status != SIGNED:
            continue
        yield from _one(proposal, "engagement", engagements[proposal.id], proposal.engagement_id)
        yield from _one(proposal, "order", orders[proposal.id], proposal.order_id)
        if proposal.engagement_id is not None:
            yield from _a_project_each(proposal, projects[proposal.engagement_id], is_in_use=is_in_use)


def unsigned_has_none(evidence: Evidence) -> Found:
    signed = {proposal.id for proposal in evidence.proposals if proposal.status in (SIGNED, SIGNING)}
    for made in (*evidence.engagements, *evidence.orders):
        if made.saga_id is not None and made.cancelled_at is None and made.proposal_id not in signed:
            yield Kind.DOUBLED, f"{_what(made)} {made.id} is there, and proposal {made.proposal_id} is not Signed"
    cancelled = {made.id for made in evidence.engagements if made.cancelled_at is not None}
    for project in evidence.projects:
        if project.engagement_id in cancelled and project.cancelled_at is None and not project.is_deleted:
            yield Kind.DOUBLED, f"project {project.id} outlives its cancelled engagement {project.engagement_id}"


def no_flow_is_unfinished(evidence: Evidence) -> Found:
    for saga in evidence.sagas:
        if saga.status in ("running", "compensating"):
            parked = ", parked" if saga.is_parked else ""
            yield Kind.STUCK, f"the flow {saga.id} of proposal {saga.proposal_id} is {saga.status}{parked}"
    for proposal in evidence.proposals:
        if proposal.status == SIGNING:
            yield Kind.STUCK, f"proposal {proposal.id} is Signing"
    completed = Counter(saga.proposal_id for saga in evidence.sagas if saga.status == "completed")
    for proposal in evidence.proposals:
        if completed[proposal.id] != (proposal.status == SIGNED):
            yield Kind.UNTRUE, f"proposal {proposal.id} has {completed[proposal.id]} completed flows"


def sums_are_totals(evidence: Evidence) -> Found:
    orders = {order.id: order for order in evidence.orders}
    for proposal in evidence.proposals:
        if proposal.total != proposal.item_sum:
            yield Kind.UNTRUE, f"proposal {proposal.id} says {proposal.total}, its items {proposal.item_sum}"
        order = orders.get(proposal.order_id) if proposal.order_id else None
        if order and (order.price, order.currency) != (proposal.total, proposal.currency):
            yield Kind.UNTRUE, f"order {order.id} says {order.price} {order.currency}, its proposal {proposal.total}"


def owners_agree(evidence: Evidence, *, is_in_use: bool = False) -> Found:
    proposals = {proposal.id: proposal for proposal in evidence.proposals}
    engagements = {engagement.id: engagement for engagement in evidence.engagements}
    for proposal in evidence.proposals:
        if not proposal.items_are_its_own:
            yield Kind.UNTRUE, f"proposal {proposal.id} has items of another organisation"
    for saga in evidence.sagas:
        if (proposal := proposals.get(saga.proposal_id)) and proposal.org_id != saga.org_id:
            yield Kind.UNTRUE, f"the flow {saga.id} is of another organisation than its proposal"
    yield from _owners_of_made_agree(evidence, proposals, is_in_use=is_in_use)
    for part in (*evidence.projects, *(order for order in evidence.orders if order.engagement_id)):
        whole = engagements.get(part.engagement_id) if part.engagement_id else None
        is_of_it = whole is not None and (whole.org_id, whole.client_id) == (part.org_id, part.client_id)
        # The flow's order may be cancelled without its engagement ever having come.
        if not is_of_it and not (isinstance(part, Order) and part.cancelled_at is not None):
            yield Kind.UNTRUE, f"{_what(part)} {part.id} is not of its engagement's organisation and client"


def clients_are_one(evidence: Evidence) -> Found:
    seen = Counter((client.org_id, client.email) for client in evidence.clients if client.stage != "deleted")
    for (org, email), count in seen.items():
        if count > 1:
            yield Kind.DOUBLED, f"organisation {org} has {count} clients with the e-mail {email}"


def all_is_published(evidence: Evidence) -> Found:
    for event in evidence.events:
        if not event.is_published:
            yield Kind.STUCK, f"{event.service} has not published {event.type} {event.id}"


def all_is_handled(evidence: Evidence) -> Found:
    if evidence.commands_left:
        yield Kind.STUCK, f"{evidence.commands_left} commands are not handled"


def events_are_told_once(evidence: Evidence, poison: Poisoned) -> Found:
    said = Counter((event.subject.split(".")[2], event.about, event.version) for event in evidence.events)
    for (resource, about, version), count in said.items():
        if count > 1 and (version is not None or resource == "proposal"):
            yield Kind.DOUBLED, f"{count} events tell of {resource} {about} at version {version}"
    for event in evidence.events:
        if event.org_id is not None and event.subject.split(".")[1] != event.org_id:
            yield Kind.UNTRUE, f"the event {event.id} is told to another organisation"
    yield from _lost_or_invented(evidence, poison)


def copies_are_newest(evidence: Evidence) -> Found:
    for copy, owner in COPIES.items():
        for about, version in evidence.versions[owner].items():
            kept = evidence.versions[copy].get(about, 0)
            if kept != version:
                kind = Kind.LOST if kept < version else Kind.UNTRUE
                yield kind, f"{copy[0]} has {owner[1]} {about} at version {kept}, its owner at {version}"


def lists_are_as_long_as_they_say(evidence: Evidence) -> Found:
    for list in evidence.miscounts:
        said = f"{list.service} says of some of the {list.table} of organisation {list.org_id} that there are"
        yield Kind.UNTRUE, f"{said} {list.tallied}, and there are {list.counted}"


def only_poison_is_parked(evidence: Evidence, poison: Poisoned) -> Found:
    parked = {(message.service, message.key): message for message in evidence.parked}
    expected = {(service, key) for key, services in poison.items() for service in services}
    for service, key in expected - parked.keys():
        yield Kind.LOST, f"the poison {key} is not parked at {service}"
    for place in parked.keys() - expected:
        message = parked[place]
        yield Kind.STUCK, f"{message.service} has parked {message.subject} {message.key}: {message.error}"


def _owners_of_made_agree(evidence: Evidence, proposals: Mapping[UUID, Proposal], *, is_in_use: bool) -> Found:
    clients = {client.id: client for client in evidence.clients}
    for made in (*evidence.engagements, *evidence.orders):
        if made.cancelled_at is not None and is_in_use:
            continue  # a restore may have lost its client with its flow
        client = clients.get(made.client_id)
        if client is None or client.org_id != made.org_id:
            yield Kind.UNTRUE, f"{_what(made)} {made.id} has a client whom its organisation does not have"
        proposal = proposals.get(made.proposal_id) if made.proposal_id else None
        is_anothers = client is not None and proposal is not None and client.email != proposal.email and not is_in_use
        if proposal is not None and made.saga_id == proposal.saga_id is not None and proposal.client_id is not None:
            is_anothers = is_anothers or proposal.client_id != made.client_id
        if proposal and (proposal.org_id != made.org_id or is_anothers):
            yield Kind.UNTRUE, f"{_what(made)} {made.id} is of another organisation or client than its proposal"


def _one(proposal: Proposal, what: str, made: Sequence[Engagement | Order], expected: UUID | None) -> Found:
    ids = [each.id for each in made]
    if not ids:
        yield Kind.LOST, f"proposal {proposal.id} is Signed and has no {what}"
    elif len(ids) > 1:
        yield Kind.DOUBLED, f"proposal {proposal.id} has {len(ids)} {what}s"
    elif ids != [expected] or made[0].saga_id != proposal.saga_id:
        yield Kind.UNTRUE, f"proposal {proposal.id} names another {what} than its flow made"


def _a_project_each(proposal: Proposal, projects: Sequence[Project], *, is_in_use: bool) -> Found:
    of_flow = [project.name for project in projects if project.saga_id is not None]
    if len(of_flow) > len(proposal.item_names):
        yield Kind.DOUBLED, f"proposal {proposal.id} has {len(of_flow)} projects"
    elif len(of_flow) < len(proposal.item_names):
        yield Kind.LOST, f"proposal {proposal.id} has {len(of_flow)} projects for {len(proposal.item_names)} items"
    elif of_flow != proposal.item_names and not is_in_use:
        yield Kind.UNTRUE, f"the projects of proposal {proposal.id} are not its items"


def _lost_or_invented(evidence: Evidence, poison: Poisoned) -> Found:
    if evidence.told is None:
        return
    decided: dict[UUID, Event] = {event.id: event for event in evidence.events}
    for event_id in decided.keys() - evidence.told:
        yield Kind.LOST, f"the event {decided[event_id].type} {event_id} is not in the stream"
    for event_id in evidence.told - decided.keys():
        if str(event_id) not in poison:
            yield Kind.UNTRUE, f"the stream has an event {event_id} that nobody decided to tell"


def _active_of(made: Sequence[Engagement] | Sequence[Order]) -> dict[UUID | None, list[Engagement | Order]]:
    """By proposal: what a flow made and nobody cancelled."""
    found: dict[UUID | None, list[Engagement | Order]] = defaultdict(list)
    for each in made:
        if each.saga_id is not None and each.cancelled_at is None:
            found[each.proposal_id].append(each)
    return found


def _what(made: Engagement | Order | Project) -> str:
    return type(made).__name__.lower()
