-- migrate:up

set local lock_timeout = '5s';

-- T1 and T3 of the sign flow, for proposals that belong to a client by id.

-- T1, as `begin_signing_matching` does it. A client signs what is theirs; a condition on the row that is updated, which
-- PostgreSQL looks at again after it has waited for the row. The client of a proposal that has one is taken from the copy,
-- if they may have anything new; without one, whoever alone has its address. If nobody is found, identity is asked.
create function begin_signing_of_client(
  p_org uuid, p_proposal uuid, p_saga uuid, p_at timestamptz, p_only_of uuid, p_signer_name text,
  p_signature text, p_address text, p_user_agent text, p_key text, p_fingerprint bytea, p_ids json,
  p_lease_seconds float8, p_traceparent text, p_versions int[]
) returns setof json language plpgsql as $$
#variable_conflict use_column
begin
  perform set_config('app.org', p_org::text, true);
  return query
  with signing as (
    update proposals set status = 4, saga_id = p_saga, refusal = null, updated_at = p_at, version = version + 1
    where org_id = p_org and id = p_proposal and deleted_at is null and status + 0 = 1
      and (valid_until is null or valid_until > p_at) and (p_only_of is null or client_id = p_only_of)
      and (p_versions is null or version = any(p_versions))
    returning id, org_id, version, client_id, client_email, client_email_key, client_name_f, client_name_l,
      client_company, status, currency, notes, total, valid_until, created_at, updated_at, sent_at, signed_at,
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
    from signing s join clients c on c.org_id = s.org_id and c.id = s.client_id
    where c.is_enabled and not c.is_closed and not c.is_deleted
    union all
    select c.id, c.org_id, c.version, c.name_f, c.name_l, c.email, c.company, c.phone, c.is_enabled, c.is_closed,
      c.is_deleted
    from signing s join clients c on c.org_id = s.org_id and c.email_key = s.client_email_key
    where s.client_id is null and c.is_enabled and not c.is_closed and not c.is_deleted
  ), kept as (
    insert into signatures (saga_id, org_id, proposal_id, signer_name, signature, address, user_agent, signed_at)
    select p_saga, org_id, id, p_signer_name, p_signature, p_address, p_user_agent, p_at from signing
  ), keyed as (
    insert into idempotency_keys (org_id, key, fingerprint, saga_id)
    select org_id, p_key, p_fingerprint, p_saga from signing where p_key is not null
  )
  insert into sagas (id, org_id, proposal_id, status, plan, due_at, traceparent, started_at)
  select p_saga, s.org_id, s.id, 'running',
    json_build_object(
      'ids', p_ids, 'at', p_at,
      'client', case when (select count(*) from known) = 1 then (select row_to_json(known) from known) end,
      'proposal', json_build_object(
        'id', s.id, 'org_id', s.org_id, 'version', s.version, 'client_id', s.client_id,
        'client_email', s.client_email,
        'client_name_f', s.client_name_f, 'client_name_l', s.client_name_l, 'client_company', s.client_company,
        'status', s.status, 'currency', s.currency, 'notes', s.notes, 'total', s.total, 'valid_until', s.valid_until,
        'created_at', s.created_at, 'updated_at', s.updated_at, 'sent_at', s.sent_at, 'signed_at', s.signed_at,
        'converted_engagement_id', null, 'converted_order_id', null, 'items', items.list)),
    now() + make_interval(secs => p_lease_seconds), p_traceparent, p_at
  from signing s, items
  returning sagas.plan;
end $$;

-- T3, as `complete_signing_by_key` does it; the proposal belongs to the client for whom it was signed.
create function complete_signing_of_client(
  p_org uuid, p_saga uuid, p_replies json, p_marks json, p_result json, p_finished_at timestamptz,
  p_signed_at timestamptz, p_version int, p_engagement uuid, p_order uuid, p_event uuid, p_subject text,
  p_type text, p_body json, p_traceparent text, p_client uuid
) returns setof boolean language plpgsql as $$
#variable_conflict use_column
begin
  perform set_config('app.org', p_org::text, true);
  return query
  with finished as (
    update sagas set status = 'completed', replies = p_replies, marks = p_marks, result = p_result,
      finished_at = p_finished_at
    where org_id = p_org and id = p_saga and status || '' = 'running' and exists (
      select from proposals p
      where p.org_id = p_org and p.id = sagas.proposal_id and p.status + 0 = 4 and p.saga_id = sagas.id)
    returning proposal_id
  ), signed as (
    update proposals p set status = 2, signed_at = p_signed_at, updated_at = p_finished_at, version = p_version,
      converted_engagement_id = p_engagement, converted_order_id = p_order, client_id = p_client
    from finished where p.org_id = p_org and p.id = finished.proposal_id
    returning p.id
  )
  insert into outbox (id, subject, type, body, traceparent)
  select p_event, p_subject, p_type, p_body, p_traceparent from signed returning true;
end $$;

-- migrate:down

set local lock_timeout = '5s';

drop function begin_signing_of_client;
drop function complete_signing_of_client;
