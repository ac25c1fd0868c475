-- migrate:up

set local lock_timeout = '5s';

-- T1, as `begin_signing_billed` does it, but not under a key that is used: a flow that was refused has made its proposal Sent
-- again, and the unique index would refuse the second row of its key, with an error in the log.
create function begin_signing_by_new_key(
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
      and (p_key is null or not exists (
        select from idempotency_keys used where used.org_id = p_org and used.key = p_key))
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
    select c.id, c.org_id, c.version, c.name_f, c.name_l, c.email, c.company, c.phone, c.billing, c.is_enabled,
      c.is_closed, c.is_deleted
    from signing s join clients c on c.org_id = s.org_id and c.id = s.client_id
    where c.is_enabled and not c.is_closed and not c.is_deleted
    union all
    select c.id, c.org_id, c.version, c.name_f, c.name_l, c.email, c.company, c.phone, c.billing, c.is_enabled,
      c.is_closed, c.is_deleted
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
      'client', case when (select count(*) from known) = 1 then (
        select row_to_json(known) from known where billing is not null) end,
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

-- migrate:down

set local lock_timeout = '5s';

drop function begin_signing_by_new_key;
