"""What operators may do to a run of the sign flow: make it due now, or turn it back. The orchestrator does the rest."""

from __future__ import annotations

from uuid import UUID

from msgspec.structs import replace

from services.proposals.model.interventions import (
    CANCELLED_BY_OPERATOR,
    FlowIsOver,
    FlowTurnsBack,
    Intervention,
)
from services.proposals.model.proposals import Plan
from services.proposals.store import interventions as store
from services.proposals.store import signing
from shared.database import Tx
from shared.errors import NotFound
from shared.messaging.journal import Run
from shared.messaging.saga import CANCEL_SUFFIX, Progress, SagaStatus


async def retry(tx: Tx, saga: UUID, done: Intervention) -> None:
    """Make the run due now; what was parked is asked for again. Raises NotFound, FlowIsOver."""
    run = await _unfinished(tx, saga)
    await store.make_due(tx, _without_parked(run))
    await store.note(tx, run.plan.proposal.org_id, saga, done)


async def cancel(tx: Tx, saga: UUID, done: Intervention) -> None:
    """T_c by an operator's word; the cancels leave by the sweep. Raises NotFound, FlowIsOver, FlowTurnsBack."""
    run = await _unfinished(tx, saga)
    if not await signing.compensate(tx, run, CANCELLED_BY_OPERATOR):
        raise FlowTurnsBack(saga)
    await store.note(tx, run.plan.proposal.org_id, saga, done)


async def retry_parked(tx: Tx, saga: UUID, step: str, done: Intervention) -> None:
    """A parked message of the run is about to be delivered again: the run is due now.

    Raises NotFound, FlowIsOver, and FlowTurnsBack for a forward step of a run that is being undone: what bars a late
    command is kept for a limited time, so none is brought back.
    """
    run = await _unfinished(tx, saga)
    if run.progress.status is SagaStatus.COMPENSATING and not step.endswith(CANCEL_SUFFIX):
        raise FlowTurnsBack(saga)
    await store.make_due(tx, _without_parked(run))
    await store.note(tx, run.plan.proposal.org_id, saga, replace(done, step=step))


async def drop_parked(tx: Tx, saga: UUID, step: str, done: Intervention) -> None:
    """A parked message of the run is dropped: that changes nothing about the run, and its report says so.

    Raises NotFound.
    """
    run = await store.lock(tx, saga)
    if run is None:
        raise NotFound("flow")
    await store.note(tx, run.plan.proposal.org_id, saga, replace(done, step=step))


async def _unfinished(tx: Tx, saga: UUID) -> Run[Plan]:
    run = await store.lock(tx, saga)
    if run is None:
        raise NotFound("flow")
    if run.progress.status in (SagaStatus.COMPLETED, SagaStatus.REJECTED):
        raise FlowIsOver(saga, run.progress.status.value)
    return run


def _without_parked(run: Run[Plan]) -> Run[Plan]:
    """The run without its parked replies, so that the stepper asks for those steps again."""
    kept = {step: reply for step, reply in run.progress.replies.items() if reply.outcome != "parked"}
    marks = {step: mark if step in kept else replace(mark, finished_at=None) for step, mark in run.marks.items()}
    return replace(run, progress=Progress(run.progress.status, kept), marks=marks)
