"""Runs of the sign flow: taken over, kept, looked at."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from services.proposals.model.proposals import Plan
from services.proposals.store.known import KNOWN_MARKS, KNOWN_REPLIES
from services.proposals.store.signing import LEASE_SECONDS, PlanRow, plan_of
from shared.contracts.reply import Reply
from shared.database import Tx
from shared.messaging.journal import Mark, Outcome, Run
from shared.messaging.saga import Progress, SagaStatus

CLAIM = """
with due as (
  select id from sagas
  where status in ('running', 'compensating') and not is_parked and due_at <= now()
  order by due_at limit $1 for update skip locked
)
update sagas set attempt = attempt + 1, due_at = now() + make_interval(secs => $2)
from due where sagas.id = due.id
returning sagas.id, plan, status, replies, marks, attempt, traceparent
"""
RECORD = f"""
update sagas set replies = {KNOWN_REPLIES}, marks = {KNOWN_MARKS}, is_parked = $5,
  due_at = now() + make_interval(secs => least(2.0, 0.05 * power(2, least(attempt, 10))))
where org_id = $1 and id = $2 and status || '' = $6
"""
OUTCOME = """
select status, result, cause from sagas where id = $1 and status in ('completed', 'rejected')
"""
IS_THERE = """
select plan from sagas where org_id = $1 and id = $2
"""
LATEST = """
select id, plan, status, replies, marks, attempt, is_parked, cause, started_at, finished_at
from sagas where org_id = $1 and proposal_id = $2 order by started_at desc, id desc limit 1
"""
STANDING = """
select id, org_id, status from sagas
"""
# The partial index of one open saga a proposal has just these rows.
OPEN = """
select status, is_parked, count(*) as flows, extract(epoch from now() - min(started_at))::float8 as oldest_seconds
from sagas where status in ('running', 'compensating') group by status, is_parked
"""


class OpenFlows(msgspec.Struct, frozen=True):
    """How many runs are not over, by how they stand, and how old the oldest is."""

    status: SagaStatus
    is_parked: bool
    flows: int
    oldest_seconds: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A run as its row tells it."""

    id: UUID
    plan: Plan
    progress: Progress
    marks: Mapping[str, Mark]
    attempt: int
    is_parked: bool
    cause: str | None
    started_at: datetime
    finished_at: datetime | None


class SagaRow(msgspec.Struct, frozen=True, kw_only=True):
    """A run as its row holds it; those columns that a statement asks for."""

    id: UUID
    plan: bytes
    status: SagaStatus
    replies: bytes
    marks: bytes
    attempt: int
    traceparent: str = ""
    is_parked: bool = False
    cause: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


class _Ending(msgspec.Struct, frozen=True):
    status: SagaStatus
    result: bytes | None
    cause: str | None


async def claim(tx: Tx, limit: int) -> list[Run[Plan]]:
    """Take over runs that are due, each under a lease, over all organisations."""
    return [run_of(row) for row in await tx.rows(SagaRow, CLAIM, limit, LEASE_SECONDS)]


async def record(tx: Tx, run: Run[Plan], *, is_parked: bool) -> None:
    """Keep what is known so far, and make the run due again after a back-off; nothing if it has moved on."""
    replies, marks = msgspec.json.encode(run.progress.replies), msgspec.json.encode(run.marks)
    await tx.run(RECORD, run.plan.proposal.org_id, run.id, replies, marks, is_parked, run.progress.status)


async def outcome(tx: Tx, saga: UUID) -> Outcome | None:
    """How the run ended, if it has."""
    row = await tx.row(_Ending, OUTCOME, saga)
    return None if row is None else Outcome(status=row.status, result=row.result or b"", cause=row.cause or "")


async def open_flows(tx: Tx) -> list[OpenFlows]:
    """What is not over, of all organisations."""
    return await tx.rows(OpenFlows, OPEN)


async def find(tx: Tx, org: UUID, saga: UUID) -> Plan | None:
    """The plan of a run, if its T1 has committed."""
    row = await tx.row(PlanRow, IS_THERE, org, saga)
    return None if row is None else plan_of(row.plan)


async def latest(tx: Tx, org: UUID, proposal: UUID) -> Report | None:
    """The newest run for a proposal."""
    row = await tx.row(SagaRow, LATEST, org, proposal)
    return None if row is None else report_of(row)


def run_of(row: SagaRow) -> Run[Plan]:
    """The run that the row holds."""
    return Run(
        id=row.id,
        plan=plan_of(row.plan),
        progress=_progress(row),
        marks=_marks(row),
        attempt=row.attempt,
        traceparent=row.traceparent,
    )


def report_of(row: SagaRow) -> Report:
    """What the row tells of its run; it holds `started_at`."""
    assert row.started_at is not None
    return Report(
        id=row.id,
        plan=plan_of(row.plan),
        progress=_progress(row),
        marks=_marks(row),
        attempt=row.attempt,
        is_parked=row.is_parked,
        cause=row.cause,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def _progress(row: SagaRow) -> Progress:
    return Progress(row.status, msgspec.json.decode(row.replies, type=dict[str, Reply]))


def _marks(row: SagaRow) -> dict[str, Mark]:
    return msgspec.json.decode(row.marks, type=dict[str, Mark])
