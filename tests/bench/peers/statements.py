"""The floor's statements: each finds the API token, does all of the work and makes the answer, in one round trip."""

from __future__ import annotations

READY = "select 'ready'"

_CALLER = """
caller as (
  select u.org_id from api_tokens t join users u on u.id = t.user_id
  where t.secret_hash = $1 and u.is_enabled and (t.expires_at is null or t.expires_at > now())
)
"""
_PROJECT_STATUS = "(array['Active', 'Paused', 'Completed', 'Cancelled'])[p.status]"
_PHASE = "(array['Kickoff', 'Setup', 'Build', 'Testing', 'Deployment', 'Handoff'])[p.phase]"
_PROJECT = f"""
'id', p.id, 'engagement_id', p.engagement_id, 'org_id', p.org_id, 'name', p.name, 'description', p.description,
'status', {_PROJECT_STATUS}, 'status_id', p.status, 'phase', {_PHASE}, 'phase_id', p.phase,
'service_id', p.service_id, 'created_at', p.created_at, 'updated_at', p.updated_at, 'completed_at', p.completed_at
"""

RETRIEVE = f"""
with {_CALLER}
select json_build_object({_PROJECT},
  'engagement', json_build_object('id', e.id, 'name', e.name, 'client_id', e.client_id,
    'status', (array['Active', 'Paused', 'Closed'])[e.status]),
  'service', case when s.id is not null then json_build_object('id', s.id, 'name', s.name) end)::text
from caller c join projects p on p.org_id = c.org_id join engagements e on e.id = p.engagement_id
left join services s on s.id = p.service_id
where p.id = $2 and p.deleted_at is null
"""

LIST = f"""
with {_CALLER}, total as (
  select count(*) as total from caller c join projects p on p.org_id = c.org_id where p.deleted_at is null
), page as (
  select p.* from caller c join projects p on p.org_id = c.org_id where p.deleted_at is null
  order by p.created_at desc, p.id limit $2
)
select json_build_object(
  'data', (select json_agg(json_build_object({_PROJECT}) order by p.created_at desc, p.id) from page p),
  'links', json_build_object('first', '/api/projects?page=1&limit=' || $2, 'last', '/api/projects?page='
    || greatest(1, (total + $2 - 1) / $2) || '&limit=' || $2, 'prev', null,
    'next', '/api/projects?page=2&limit=' || $2),
  'meta', json_build_object('current_page', 1, 'from', 1, 'to', $2, 'last_page', greatest(1, (total + $2 - 1) / $2),
    'per_page', $2, 'total', total, 'path', '/api/projects'))::text
from total
"""

SIGN = f"""
with {_CALLER}, proposal as (
  select p.* from caller c join proposals p on p.org_id = c.org_id
  where p.id = $2 and p.status = 1 and (p.valid_until is null or p.valid_until > now())
  for update of p
), items as (
  select i.*, uuidv7() as project_id from proposal p join proposal_items i on i.proposal_id = p.id
), client as (
  insert into clients (id, org_id, name_f, name_l, email, company, created_at)
  select uuidv7(), org_id, client_name_f, client_name_l, client_email, client_company, now() from proposal
  on conflict (org_id, lower(email)) do update set email = clients.email
  returning *
), engagement as (
  insert into engagements (id, org_id, client_id, proposal_id, name, status, created_at, updated_at)
  select uuidv7(), p.org_id, c.id, p.id, p.client_name_f || ' ' || p.client_name_l || ' - Engagement', 1, now(), now()
  from proposal p, client c
  returning *
), made as (
  insert into projects (id, org_id, engagement_id, name, description, status, phase, service_id, created_at, updated_at)
  select i.project_id, e.org_id, e.id, i.name, i.description, 1, 1, i.service_id, now(), now()
  from items i, engagement e
  returning *
), placed as (
  insert into orders (id, org_id, number, client_id, engagement_id, proposal_id, status, price, currency, service,
    service_id, metadata, created_at, updated_at)
  select uuidv7(), p.org_id,
    upper(substr(translate(encode(decode(md5(p.id::text), 'hex'), 'base64'), '+/', 'XY'), 1, 8)),
    c.id, e.id, p.id, 0, p.total, p.currency, i.name,
    i.service_id, jsonb_build_object('proposal_id', p.id, 'engagement_id', e.id, 'proposal_items',
      (select jsonb_agg(jsonb_build_object('name', name, 'description', description, 'price', price::text,
        'service_id', service_id) order by position) from items)), now(), now()
  from proposal p, client c, engagement e, (select * from items order by position limit 1) i
  returning *
), signed as (
  update proposals p set status = 2, signed_at = now(), updated_at = now(), signer_address = $3,
    signer_user_agent = $4, converted_engagement_id = e.id, converted_order_id = o.id
  from proposal old, engagement e, placed o where p.id = old.id
  returning p.*
)
select json_build_object(
  'proposal', json_build_object('id', p.id, 'org_id', p.org_id, 'client_email', p.client_email,
    'client_name', p.client_name_f || ' ' || p.client_name_l, 'client_name_f', p.client_name_f,
    'client_name_l', p.client_name_l, 'client_company', p.client_company, 'status', 'Signed', 'status_id', p.status,
    'total', p.total::text, 'currency', p.currency, 'notes', p.notes, 'valid_until', p.valid_until,
    'created_at', p.created_at, 'updated_at', p.updated_at, 'sent_at', p.sent_at, 'signed_at', p.signed_at,
    'converted_order_id', p.converted_order_id, 'converted_engagement_id', p.converted_engagement_id,
    'items', (select json_agg(json_build_object('id', id, 'name', name, 'description', description,
      'price', price::text, 'quantity', 1, 'total', price::text, 'service_id', service_id, 'created_at', created_at)
      order by position) from items)),
  'engagement', json_build_object('id', e.id, 'org_id', e.org_id, 'client_id', e.client_id,
    'client', json_build_object('id', c.id, 'name', c.name_f || ' ' || c.name_l, 'email', c.email), 'name', e.name,
    'status', 'Active', 'status_id', e.status, 'proposal_id', e.proposal_id, 'created_at', e.created_at,
    'updated_at', e.updated_at, 'closed_at', e.closed_at),
  'projects', (select json_agg(json_build_object({_PROJECT},
    'engagement', json_build_object('id', e.id, 'name', e.name, 'client_id', e.client_id, 'status', 'Active'),
    'service', null) order by p.id) from made p),
  'order', json_build_object('id', o.id, 'org_id', o.org_id, 'number', o.number, 'user_id', o.client_id,
    'client', json_build_object('id', c.id, 'name', c.name_f || ' ' || c.name_l, 'name_f', c.name_f,
      'name_l', c.name_l, 'email', c.email, 'company', c.company, 'phone', c.phone),
    'engagement_id', o.engagement_id, 'status', 'Unpaid', 'status_id', o.status, 'price', o.price::text,
    'currency', o.currency, 'quantity', o.quantity, 'service', o.service, 'service_id', o.service_id, 'note', o.note,
    'metadata', o.metadata, 'form_data', o.form_data, 'tags', o.tags, 'employees', o.employee_ids,
    'created_at', o.created_at, 'updated_at', o.updated_at, 'date_started', o.date_started,
    'date_completed', o.date_completed, 'date_due', o.date_due))::text
from signed p, client c, engagement e, placed o
"""
