-- migrate:up

set local lock_timeout = '5s';

-- Places an order, as `place_order` does it, but shares the lock of the client's row: signatures of one
-- client do not wait for each other's commit, and a row that says all there is is not written. Whoever closes a client
-- has the row for themselves, so they still wait for each create, and each create for them.
-- A command that knows its client at a newer version writes that, and has the row for itself too.
create function place_order_beside_others(
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
  with known as materialized (
    select is_closed or is_deleted as is_gone from clients
    where org_id = p_org and id = p_client and version >= p_client_version for share
  ), learned as (
    insert into clients (id, org_id, version, name_f, name_l, email, company, phone)
    select p_client, p_org, p_client_version, p_name_f, p_name_l, p_email, p_company, p_phone
    where not exists (select from known)
    on conflict (id) do update set version = greatest(clients.version, excluded.version),
      name_f = case when clients.version < excluded.version then excluded.name_f else clients.name_f end,
      name_l = case when clients.version < excluded.version then excluded.name_l else clients.name_l end,
      email = case when clients.version < excluded.version then excluded.email else clients.email end,
      company = case when clients.version < excluded.version then excluded.company else clients.company end,
      phone = case when clients.version < excluded.version then excluded.phone else clients.phone end,
      is_closed = clients.is_closed and clients.version >= excluded.version,
      is_deleted = clients.is_deleted and clients.version >= excluded.version
    returning is_closed or is_deleted as is_gone
  ), client as (
    select is_gone from known union all select is_gone from learned
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

-- migrate:down

set local lock_timeout = '5s';

drop function place_order_beside_others;
