-- migrate:up

set local lock_timeout = '5s';

-- What the sign flow writes here: the order, once.
-- One round trip each: the function names its organisation to row-level security, and the call commits by itself.
-- A function that has been released is not changed: a new one takes its place, so that old and new replicas get on.

-- The client's row is locked first (whoever closes a client locks it too, and then counts); the inbox row decides
-- whether this is the first delivery; everything else hangs on its RETURNING. A command knows its client at some
-- version, open: where that is newer than what is known here, it is kept. A duplicate gets the reply that was kept.
create function place_order(
  p_client uuid, p_org uuid, p_client_version int, p_name_f text, p_name_l text, p_email text,
  p_company text, p_phone text, p_key text, p_delivery uuid, p_refused json, p_placed json, p_order uuid,
  p_number text, p_engagement uuid, p_proposal uuid, p_status smallint, p_price numeric, p_currency text,
  p_quantity int, p_service text, p_service_id uuid, p_metadata json, p_at timestamptz, p_saga uuid,
  p_event uuid, p_subject text, p_type text, p_body json, p_traceparent text
) returns table (reply json, is_placed boolean) language plpgsql as $$
#variable_conflict use_column
begin
  perform set_config('app.org', p_org::text, true);
  return query
  with client as (
    insert into clients (id, org_id, version, name_f, name_l, email, company, phone)
    values (p_client, p_org, p_client_version, p_name_f, p_name_l, p_email, p_company, p_phone)
    on conflict (id) do update set version = greatest(clients.version, excluded.version),
      name_f = case when clients.version < excluded.version then excluded.name_f else clients.name_f end,
      name_l = case when clients.version < excluded.version then excluded.name_l else clients.name_l end,
      email = case when clients.version < excluded.version then excluded.email else clients.email end,
      company = case when clients.version < excluded.version then excluded.company else clients.company end,
      phone = case when clients.version < excluded.version then excluded.phone else clients.phone end,
      is_closed = clients.is_closed and clients.version >= excluded.version,
      is_deleted = clients.is_deleted and clients.version >= excluded.version
    returning is_closed or is_deleted as is_gone
  ), claimed as (
    insert into inbox (key, delivery, reply)
    select p_key, p_delivery, case when is_gone then p_refused else p_placed end from client
    on conflict (key) do update set key = excluded.key
    returning reply, delivery = p_delivery as is_first
  ), placed as (
    insert into orders (id, org_id, number, client_id, engagement_id, proposal_id, status, price, currency, quantity,
      service, service_id, metadata, created_at, updated_at, saga_id)
    select p_order, p_org, p_number, p_client, p_engagement, p_proposal, p_status, p_price, p_currency, p_quantity,
      p_service, p_service_id, p_metadata, p_at, p_at, p_saga
    from claimed, client where is_first and not is_gone
    returning id
  ), told as (
    insert into outbox (id, subject, type, body, traceparent)
    select p_event, p_subject, p_type, p_body, p_traceparent from placed
  )
  select reply, is_first and not is_gone as is_placed from claimed, client;
end $$;

-- What the engagement service says, unless something newer is known.
create function keep_engagement(
  p_engagement uuid, p_org uuid, p_version int, p_client uuid, p_is_cancelled boolean
) returns setof boolean language plpgsql as $$
#variable_conflict use_column
begin
  perform set_config('app.org', p_org::text, true);
  return query
  insert into engagements (id, org_id, version, client_id, is_cancelled)
  values (p_engagement, p_org, p_version, p_client, p_is_cancelled)
  on conflict (id) do update set
    version = excluded.version, client_id = excluded.client_id, is_cancelled = excluded.is_cancelled
  where engagements.version < excluded.version
  returning true;
end $$;

-- migrate:down

set local lock_timeout = '5s';

drop function place_order;
drop function keep_engagement;
