"""The sign flow's four writes: T1, T_c, T3, T_u; one statement each, every part fed by the RETURNING before it.

T1 and T3 are stored functions (see the migrations): one round trip each, committed when they return. A CTE whose
second half matches nothing commits its first half: so each tests the proposal *and* the saga in its first. Only the key
leads to the row: a status is compared so that no index on it serves (see the migrations).
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from services.proposals.model.proposals import Ids, Plan, Proposal, SignCall
from services.proposals.store.known import KNOWN_MARKS, KNOWN_REPLIES
from shared.database import Tx
from shared.messaging.journal import Run
from shared.messaging.outbox import Event

LEASE_SECONDS = 2.0

BEGIN = """
select begin_signing_by_new_key($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) as plan
"""
COMPLETE = """
select complete_signing_of_client($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
"""
COMPENSATE = f"""
update sagas set status = 'compensating', cause = $5, replies = {KNOWN_REPLIES}, marks = {KNOWN_MARKS},
  attempt = attempt + 1, is_parked = false, due_at = now() + make_interval(secs => $6)
where org_id = $1 and id = $2 and status || '' = 'running' returning true
"""
REJECT = """
with finished as (
  update sagas set status = 'rejected', replies = $3, marks = $4, finished_at = $5
  where org_id = $1 and id = $2 and status || '' = 'compensating' and exists (
    select from proposals p
    where p.org_id = $1 and p.id = sagas.proposal_id and p.status + 0 = 4 and p.saga_id = sagas.id)
  returning proposal_id, cause
), reopened as (
  update proposals p set status = 1, saga_id = null, refusal = finished.cause, updated_at = $5, version = p.version + 1
  from finished where p.org_id = $1 and p.id = finished.proposal_id
  returning finished.cause
)
select cause from reopened
"""
# Of a negative control: makes T3 match whatever became of the run and its proposal.
PULL_DOWN_THE_FENCE = """
with opened as (
  update sagas set status = 'running' where org_id = $1 and id = $2 returning proposal_id
)
update proposals p set status = 4, saga_id = $2 from opened where p.org_id = $1 and p.id = opened.proposal_id
"""


class PlanRow(msgspec.Struct, frozen=True):
    """The plan column."""

    plan: bytes


async def begin(
    tx: Tx,
    org: UUID,
    call: SignCall,
    *,
    ids: Ids,
    only_of: UUID | None,
    traceparent: str,
    at: datetime,
) -> Plan | None:
    """T1: Sent → Signing by this saga, with its signature, its row and its key.

    None when it could not be signed, or when the key is used.
    """
    signature, key = call.signature, call.key
    row = await tx.row(
        PlanRow,
        BEGIN,
        org,
        call.proposal,
        ids.saga,
        at,
        only_of,
        signature.signer_name,
        signature.signature,
        signature.address,
        signature.user_agent,
        key.name if key else None,
        key.fingerprint if key else None,
        msgspec.json.encode(ids),
        LEASE_SECONDS,
        traceparent,
        None if call.versions is None else sorted(call.versions),
    )
    return None if row is None else plan_of(row.plan)


async def complete(tx: Tx, run: Run[Plan], signed: Proposal, result: bytes, told: Event) -> bool:
    """T3: saga running → completed, its proposal Signing → Signed; False when it was over already."""
    done = await tx.value(
        COMPLETE,
        signed.org_id,
        run.id,
        msgspec.json.encode(run.progress.replies),
        msgspec.json.encode(run.marks),
        result,
        signed.updated_at,
        signed.signed_at,
        signed.version,
        signed.converted_engagement_id,
        signed.converted_order_id,
        told.id,
        told.subject,
        told.type,
        told.body,
        told.traceparent,
        signed.client_id,
    )
    if done:
        tx.said.append(told)
    return bool(done)


async def compensate(tx: Tx, run: Run[Plan], cause: str) -> bool:
    """T_c: saga running → compensating; False when it was not running any more."""
    replies, marks = msgspec.json.encode(run.progress.replies), msgspec.json.encode(run.marks)
    org = run.plan.proposal.org_id
    return bool(await tx.value(COMPENSATE, org, run.id, replies, marks, cause, LEASE_SECONDS))


async def reject(tx: Tx, run: Run[Plan], at: datetime) -> str | None:
    """T_u: saga compensating → rejected, its proposal Signing → Sent; the cause, or None when it was over already.

    A proposal without a client is bound as `send` does it (the trigger `bind_proposal`).
    """
    replies, marks = msgspec.json.encode(run.progress.replies), msgspec.json.encode(run.marks)
    return await tx.value(REJECT, run.plan.proposal.org_id, run.id, replies, marks, at)


async def pull_down_the_fence(tx: Tx, run: Run[Plan]) -> None:
    """Let any driver of the run complete it, as if T3 were no fence."""
    await tx.run(PULL_DOWN_THE_FENCE, run.plan.proposal.org_id, run.id)


def plan_of(stored: bytes) -> Plan:
    """The plan as its column holds it."""
    return msgspec.json.decode(stored, type=Plan)
