"""What operators look for and do: runs listed over all organisations, locked, made due now; who, when and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from services.proposals.model.interventions import Intervention
from services.proposals.model.proposals import Plan
from services.proposals.store.sagas import Report, SagaRow, report_of, run_of
from shared.database import Tx
from shared.ids import new_id
from shared.messaging.journal import Run

COLUMNS = """
id, plan, status, replies, marks, attempt, traceparent, is_parked, cause, started_at, finished_at
"""
# Oldest first, by keyset: what has waited longest is what an operator looks for. Each state by its own part of the
# index, which is in order: of a million finished flows only a page is read.
LIST = f"""
select {COLUMNS} from unnest($1::text[]) as wanted (state) cross join lateral (
  select {COLUMNS} from sagas
  where status = wanted.state and ($2::boolean is null or is_parked = $2)
    and ($3::uuid is null or org_id = $3) and ($4::timestamptz is null or started_at <= $4)
    and ($5::timestamptz is null or (started_at, id) > ($5, $6::uuid))
  order by started_at, id limit $7
) as found order by started_at, id limit $7
"""
OF_SAGA_OR_PROPOSAL = f"""
select {COLUMNS} from sagas where id = $1 or proposal_id = $1 order by started_at desc, id desc limit 1
"""
LOCK = f"""
select {COLUMNS} from sagas where id = $1 for update
"""
MAKE_DUE = """
update sagas set replies = $3, marks = $4, is_parked = false, due_at = now()
where org_id = $1 and id = $2 and status || '' in ('running', 'compensating')
"""
NOTE = """
insert into saga_interventions (id, org_id, saga_id, action, step, actor, reason, at)
values ($1, $2, $3, $4, $5, $6, $7, $8)
"""
OF_SAGA = """
select action, step, actor, reason, at from saga_interventions where org_id = $1 and saga_id = $2 order by at, id
"""


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of runs is narrowed to."""

    statuses: Sequence[str]
    is_parked: bool | None = None
    org_id: UUID | None = None
    started_before: datetime | None = None


async def page(tx: Tx, filters: Filters, *, after: Report | None, limit: int) -> list[Report]:
    """Runs over all organisations, oldest first, those that come after `after`."""
    rows = await tx.rows(
        SagaRow,
        LIST,
        filters.statuses,
        filters.is_parked,
        filters.org_id,
        filters.started_before,
        after.started_at if after else None,
        after.id if after else None,
        limit,
    )
    return [report_of(row) for row in rows]


async def find(tx: Tx, saga_or_proposal: UUID) -> Report | None:
    """The run of that id, or the newest one of the proposal of that id."""
    row = await tx.row(SagaRow, OF_SAGA_OR_PROPOSAL, saga_or_proposal)
    return None if row is None else report_of(row)


async def lock(tx: Tx, saga: UUID) -> Run[Plan] | None:
    """The run, which nobody writes until the transaction ends."""
    row = await tx.row(SagaRow, LOCK, saga)
    return None if row is None else run_of(row)


async def make_due(tx: Tx, run: Run[Plan]) -> None:
    """The run as given (with its replies and marks) is due now, and no longer parked."""
    replies, marks = msgspec.json.encode(run.progress.replies), msgspec.json.encode(run.marks)
    await tx.run(MAKE_DUE, run.plan.proposal.org_id, run.id, replies, marks)


async def note(tx: Tx, org: UUID, saga: UUID, done: Intervention) -> None:
    """Keep what was done to the run."""
    await tx.run(NOTE, new_id(), org, saga, done.action, done.step, done.actor, done.reason, done.at)


async def of_saga(tx: Tx, org: UUID, saga: UUID) -> list[Intervention]:
    """What was done to the run, oldest first."""
    return await tx.rows(Intervention, OF_SAGA, org, saga)
