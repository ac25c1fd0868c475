"""Signing: what the sign flow writes here, and what its report says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import msgspec
from msgspec.structs import replace

from services.proposals import views
from services.proposals.model.interventions import Intervention
from services.proposals.model.proposals import (
    Ids,
    Plan,
    Proposal,
    ProposalNotSignable,
    SignCall,
)
from services.proposals.sign_flow import SIGN_FLOW, client_of
from services.proposals.store import interventions, sagas, signing
from services.proposals.store import proposals as proposals_store
from services.proposals.store.sagas import Report
from services.proposals.views import InterventionView, SignReport, StepView, TryView
from shared.contracts.engagements import EngagementOpened
from shared.contracts.orders import OrderPlaced
from shared.contracts.proposals import ProposalSigned
from shared.database import Tx
from shared.errors import NotFound, Stale
from shared.ids import new_id
from shared.messaging import topology
from shared.messaging.journal import Mark, Run
from shared.messaging.outbox import Event, event
from shared.messaging.saga import CANCEL_SUFFIX, Progress, SagaStatus
from shared.web.actor import Actor

WAITS_FOR_AN_OPERATOR: Final = "The step waits for an operator."


class Ending(msgspec.Struct, frozen=True):
    """The end of a completed run: the proposal as it is then, what others are told, and the whole answer."""

    signed: Proposal
    told: Event
    result: bytes


def allocate_ids() -> Ids:
    """Every id that the flow will write, before anything happens."""
    return Ids(
        saga=new_id(),
        client=new_id(),
        engagement=new_id(),
        order=new_id(),
        first_project=new_id(),
        first_event=new_id(),
    )


async def begin(
    tx: Tx,
    actor: Actor,
    call: SignCall,
    *,
    ids: Ids,
    traceparent: str,
    at: datetime,
) -> Plan | None:
    """T1: the proposal is Signing by this saga; None when it could not be signed (`begun_or_why` tells)."""
    return await signing.begin(
        tx,
        actor.org_id,
        call,
        ids=ids,
        only_of=actor.client_id,
        traceparent=traceparent,
        at=at,
    )


async def begun_or_why(tx: Tx, actor: Actor, call: SignCall, saga: UUID, at: datetime) -> Plan:
    """The plan, if this saga's T1 committed and only its answer was lost.

    Raises NotFound, Stale, ProposalNotSignable.
    """
    if (ours := await sagas.find(tx, actor.org_id, saga)) is not None:
        return ours
    found = await proposals_store.get(tx, actor.org_id, call.proposal, only_of=actor.client_id)
    if found is None:
        raise NotFound("proposal")
    if call.versions is not None and found.version not in call.versions:
        raise Stale
    raise ProposalNotSignable(found, at)


async def complete(tx: Tx, run: Run[Plan], at: datetime) -> bytes | None:
    """T3: the proposal is Signed. Returns the whole answer, or None when the run was over already."""
    end = ending_of(run, at)
    return end.result if await signing.complete(tx, run, end.signed, end.result, end.told) else None


def ending_of(run: Run[Plan], at: datetime) -> Ending:
    """What T3 writes of a run whose steps have all answered `done`."""
    plan, ids = run.plan, run.plan.ids
    client = client_of(plan, run.progress.replies).id
    signed = plan.proposal.signed(client=client, engagement=ids.engagement, order=ids.order, signed_at=plan.at, at=at)
    told = event(
        new_id(),
        topology.event_subject(signed.org_id, "proposal", "signed"),
        "proposal.signed.v1",
        ProposalSigned(
            org_id=signed.org_id,
            id=signed.id,
            saga_id=run.id,
            client_id=client,
            engagement_id=ids.engagement,
            order_id=ids.order,
            project_ids=[ids.project(position) for position in range(len(signed.items))],
            total=signed.total,
            currency=signed.currency,
            signed_at=plan.at,
        ),
    )
    return Ending(signed, told, _answer(run, signed, at))


async def report(tx: Tx, actor: Actor, proposal: UUID | None) -> SignReport:
    """How the newest flow of a proposal stands. Raises NotFound, also when nothing was ever signed."""
    found = await proposals_store.get(tx, actor.org_id, proposal, only_of=actor.client_id) if proposal else None
    newest = await sagas.latest(tx, actor.org_id, found.id) if found else None
    if newest is None:
        raise NotFound("signing of this proposal" if found else "proposal")
    done = await interventions.of_saga(tx, actor.org_id, newest.id) if actor.is_staff else []
    shown = report_of(newest, done)
    return shown if actor.is_staff else for_client(shown)


def for_client(report: SignReport) -> SignReport:
    """The report without what only an operator can make use of: how a message could not be handled."""
    return replace(report, steps=[_without_fault(step) for step in report.steps])


def _without_fault(step: StepView) -> StepView:
    return replace(step, error=WAITS_FOR_AN_OPERATOR, tries=[]) if step.status == "parked" else step


def report_of(newest: Report, done: Sequence[Intervention]) -> SignReport:
    """The report as callers read it: the steps that the flow takes, and the cancels once it turns back.

    Operators and their reasons are the agency's affair: a client is not told of them.
    """
    flow = SIGN_FLOW.of(newest.plan)
    steps = [_step(newest, step.name, step.service) for step in flow.steps]
    if newest.progress.status in (SagaStatus.COMPENSATING, SagaStatus.REJECTED):
        steps += [_step(newest, step.name + CANCEL_SUFFIX, step.service) for step in flow.steps if step.undo]
    return SignReport(
        saga_id=newest.id,
        status=newest.progress.status.value,
        started_at=newest.started_at,
        finished_at=newest.finished_at,
        steps=steps,
        interventions=[
            InterventionView(action=each.action, step=each.step, by=each.actor, reason=each.reason, at=each.at)
            for each in done
        ],
    )


def _step(newest: Report, name: str, service: str) -> StepView:
    reply, mark = newest.progress.replies.get(name), newest.marks.get(name)
    return StepView(
        name=name,
        service=service,
        status=reply.outcome if reply else _unanswered(newest.progress, name),
        attempts=mark.attempts if mark else 0,
        started_at=mark.started_at if mark else None,
        finished_at=mark.finished_at if mark else None,
        error=(reply.cause or None) if reply else None,
        tries=_tries(mark) if mark and mark.attempts > 1 else [],
    )


def _unanswered(progress: Progress, step: str) -> Literal["waiting", "cancelled"]:
    """How a step stands that has no reply: it waits for one until its cancel bars it, or until the flow is undone."""
    cancel = progress.replies.get(step + CANCEL_SUFFIX)
    is_barred = cancel is not None and cancel.outcome == "cancelled"
    return "cancelled" if is_barred or progress.status is SagaStatus.REJECTED else "waiting"


def _tries(mark: Mark) -> list[TryView]:
    first = mark.attempts - len(mark.tries) + 1
    return [
        TryView(
            number=number,
            sent_at=each.sent_at,
            answered_at=each.answered_at,
            duration_ms=round((each.answered_at - each.sent_at).total_seconds() * 1000) if each.answered_at else None,
            error=each.error or None,
        )
        for number, each in enumerate(mark.tries, first)
    ]


def _answer(run: Run[Plan], signed: Proposal, at: datetime) -> bytes:
    replies = run.progress.replies
    opened = msgspec.json.decode(replies["engagement"].result, type=EngagementOpened)
    placed = msgspec.json.decode(replies["order"].result, type=OrderPlaced)
    return msgspec.json.encode(
        views.Signed(
            proposal=views.view(signed, at), engagement=opened.engagement, projects=opened.projects, order=placed.order
        )
    )
