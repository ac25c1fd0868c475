"""The sign flow's four writes: T1, T_c, T3, T_u; one statement each, every part fed by the RETURNING before it.

A CTE whose second half matches nothing commits its first half: so each tests the proposal *and* the saga in its first.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from services.proposals.model.proposals import Ids, Plan, Proposal, Signature
from shared.database import Tx
from shared.messaging.journal import Run
from shared.messaging.outbox import Event
from shared.web.idempotency import Key

LEASE_SECONDS = 2.0

BEGIN = """
with signing as (
  update proposals set status = 4, saga_id = $3, refusal = null, updated_at = $4, version = version + 1
  where org_id = $1 and id = $2 and deleted_at is null and status = 1
    and (valid_until is null or valid_until > $4) and ($5::text is null or client_email_key = $5)
  returning id, org_id, version, client_email, client_email_key, client_name_f, client_name_l, client_company, status,
    currency, notes, total, valid_until, created_at, updated_at, sent_at, signed_at,
    converted_engagement_id, converted_order_id
), items as (
  select coalesce(json_agg(json_build_object(
    'id', i.id, 'name', i.name, 'description', i.description, 'price', i.price, 'service_id', i.service_id,
    'created_at', i.created_at, 'service_name', t.name) order by i.position), '[]') as list
  from signing s
  join proposal_items i on i.org_id = s.org_id and i.proposal_id = s.id
  left join templates t on t.org_id = i.org_id and t.id = i.service_id
), known as (
  select c.id, c.org_id, c.version, c.name_f, c.name_l, c.email, c.company, c.phone, c.is_enabled, c.is_closed,
    c.is_deleted
  from signing s join clients c on c.org_id = s.org_id and c.email_key = s.client_email_key
  where c.is_enabled and not c.is_closed and not c.is_deleted
), kept as (
  insert into signatures (saga_id, org_id, proposal_id, signer_name, signature, address, user_agent, signed_at)
  select $3, org_id, id, $6, $7, $8, $9, $4 from signing
), keyed as (
  insert into idempotency_keys (org_id, key, fingerprint, saga_id)
  select org_id, $10, $11, $3 from signing where $10::text is not null
)
insert into sagas (id, org_id, proposal_id, status, plan, due_at, traceparent, started_at)
select $3, s.org_id, s.id, 'running',
  json_build_object(
    'ids', $12::json, 'at', $4::timestamptz,
    'client', case when (select count(*) from known) = 1 then (select row_to_json(known) from known) end,
    'proposal', json_build_object(
      'id', s.id, 'org_id', s.org_id, 'version', s.version, 'client_email', s.client_email,
      'client_name_f', s.client_name_f, 'client_name_l', s.client_name_l, 'client_company', s.client_company,
      'status', s.status, 'currency', s.currency, 'notes', s.notes, 'total', s.total, 'valid_until', s.valid_until,
      'created_at', s.created_at, 'updated_at', s.updated_at, 'sent_at', s.sent_at, 'signed_at', s.signed_at,
      'converted_engagement_id', null, 'converted_order_id', null, 'items', items.list)),
  now() + make_interval(secs => $13), $14, $4
from signing s, items
returning plan
"""
COMPLETE = """
with finished as (
  update sagas set status = 'completed', replies = $3, marks = $4, result = $5, finished_at = $6
  where org_id = $1 and id = $2 and status = 'running' and exists (
    select from proposals p where p.org_id = $1 and p.id = sagas.proposal_id and p.status = 4 and p.saga_id = sagas.id)
  returning proposal_id
), signed as (
  update proposals p set status = 2, signed_at = $7, updated_at = $6, version = $8,
    converted_engagement_id = $9, converted_order_id = $10
  from finished where p.org_id = $1 and p.id = finished.proposal_id
  returning p.id
)
insert into outbox (id, subject, type, body, traceparent)
select $11, $12, $13, $14, $15 from signed returning true
"""
COMPENSATE = """
update sagas set status = 'compensating', cause = $3, replies = $4, marks = $5, attempt = attempt + 1,
  due_at = now() + make_interval(secs => $6)
where org_id = $1 and id = $2 and status = 'running' returning true
"""
REJECT = """
with finished as (
  update sagas set status = 'rejected', replies = $3, marks = $4, finished_at = $5
  where org_id = $1 and id = $2 and status = 'compensating' and exists (
    select from proposals p where p.org_id = $1 and p.id = sagas.proposal_id and p.status = 4 and p.saga_id = sagas.id)
  returning proposal_id, cause
), reopened as (
  update proposals p set status = 1, saga_id = null, refusal = finished.cause, updated_at = $5, version = p.version + 1
  from finished where p.org_id = $1 and p.id = finished.proposal_id
  returning finished.cause
)
select cause from reopened
"""
OF_KEY = """
select fingerprint, saga_id from idempotency_keys where org_id = $1 and key = $2
"""


class PlanRow(msgspec.Struct, frozen=True):
    """The plan column."""

    plan: bytes


class _UsedKey(msgspec.Struct, frozen=True):
    fingerprint: bytes
    saga_id: UUID | None


async def begin(
    tx: Tx,
    org: UUID,
    proposal: UUID,
    *,
    ids: Ids,
    signature: Signature,
    only_sent_to: str | None,
    key: Key | None,
    traceparent: str,
    at: datetime,
) -> Plan | None:
    """T1: Sent → Signing by this saga, with its signature, its row and its key; None when it could not be signed."""
    row = await tx.row(
        PlanRow,
        BEGIN,
        org,
        proposal,
        ids.saga,
        at,
        only_sent_to,
        signature.signer_name,
        signature.signature,
        signature.address,
        signature.user_agent,
        key.text if key else None,
        key.fingerprint if key else None,
        msgspec.json.encode(ids),
        LEASE_SECONDS,
        traceparent,
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
    )
    if done:
        tx.said.append(told)
    return bool(done)


async def compensate(tx: Tx, run: Run[Plan], cause: str) -> bool:
    """T_c: saga running → compensating; False when it was not running any more."""
    replies, marks = msgspec.json.encode(run.progress.replies), msgspec.json.encode(run.marks)
    org = run.plan.proposal.org_id
    return bool(await tx.value(COMPENSATE, org, run.id, cause, replies, marks, LEASE_SECONDS))


async def reject(tx: Tx, run: Run[Plan], at: datetime) -> str | None:
    """T_u: saga compensating → rejected, its proposal Signing → Sent; the cause, or None when it was over already."""
    replies, marks = msgspec.json.encode(run.progress.replies), msgspec.json.encode(run.marks)
    return await tx.value(REJECT, run.plan.proposal.org_id, run.id, replies, marks, at)


async def of_key(tx: Tx, org: UUID, key: str) -> tuple[bytes, UUID | None] | None:
    """The fingerprint and the run that an Idempotency-Key stands for."""
    row = await tx.row(_UsedKey, OF_KEY, org, key)
    return None if row is None else (row.fingerprint, row.saga_id)


def plan_of(stored: bytes) -> Plan:
    """The plan as its column holds it."""
    return msgspec.json.decode(stored, type=Plan)
