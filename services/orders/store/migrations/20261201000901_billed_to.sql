-- migrate:up

set local lock_timeout = '5s';

-- What a client is billed by, as identity has it; null where the copy is older than this column.
alter table clients add column billing jsonb;

-- To whom an order is billed: as they were when it was made, never rewritten.
alter table orders add column billed_to jsonb;

-- A client as an order is billed to them now; what the copy does not have is null.
create function billed_to_of(client clients) returns jsonb language sql stable as $$
  select jsonb_build_object(
    'name', btrim(client.name_f || ' ' || client.name_l), 'email', client.email, 'company', client.company,
    'tax_id', client.billing -> 'tax_id', 'address', client.billing -> 'address')
$$;

select set_config('app.across', 'on', true);
update orders set billed_to = billed_to_of(clients) from clients
where clients.org_id = orders.org_id and clients.id = orders.client_id;

-- The release before this one writes orders without it, on the same schema.
create function bill_to_client() returns trigger language plpgsql as $$
begin
  select billed_to_of(clients) into new.billed_to from clients
  where clients.org_id = new.org_id and clients.id = new.client_id;
  return new;
end $$;
create trigger orders_billed before insert on orders
for each row when (new.billed_to is null) execute function bill_to_client();

-- Places an order, as `place_order_unless_closing` does it, and says to whom it is billed.
create function place_order_billed(
  p_client uuid, p_org uuid, p_client_version int, p_name_f text, p_name_l text, p_email text,
  p_company text, p_phone text, p_key text, p_delivery uuid, p_refused json, p_placed json, p_order uuid,
  p_number text, p_engagement uuid, p_proposal uuid, p_status smallint, p_price numeric, p_currency text,
  p_quantity int, p_service text, p_service_id uuid, p_metadata json, p_at timestamptz, p_saga uuid,
  p_event uuid, p_subject text, p_type text, p_body json, p_traceparent text, p_billing jsonb, p_billed_to jsonb
) returns table (reply json, is_placed boolean) language plpgsql as $$
#variable_conflict use_column
begin
  perform set_config('app.org', p_org::text, true);
  return query
  with known as materialized (
    select is_deleted as is_gone, is_closed and not is_deleted as is_closing from clients
    where org_id = p_org and id = p_client and version >= p_client_version for share
  ), learned as (
    insert into clients (id, org_id, version, name_f, name_l, email, company, phone, billing)
    select p_client, p_org, p_client_version, p_name_f, p_name_l, p_email, p_company, p_phone, p_billing
    where not exists (select from known)
    on conflict (id) do update set version = greatest(clients.version, excluded.version),
      name_f = case when clients.version < excluded.version then excluded.name_f else clients.name_f end,
      name_l = case when clients.version < excluded.version then excluded.name_l else clients.name_l end,
      email = case when clients.version < excluded.version then excluded.email else clients.email end,
      company = case when clients.version < excluded.version then excluded.company else clients.company end,
      phone = case when clients.version < excluded.version then excluded.phone else clients.phone end,
      billing = case when clients.version < excluded.version then excluded.billing else clients.billing end,
      is_closed = clients.is_closed and clients.version >= excluded.version,
      is_deleted = clients.is_deleted and clients.version >= excluded.version
    returning is_deleted as is_gone, is_closed and not is_deleted as is_closing
  ), client as (
    select is_gone, is_closing from known union all select is_gone, is_closing from learned
  ), claimed as (
    insert into inbox (key, delivery, reply)
    select p_key, p_delivery, case when is_gone then p_refused else p_placed end from client
    where not is_closing or exists (select from inbox where key = p_key)
    on conflict (key) do update set key = excluded.key
    returning reply, delivery = p_delivery as is_first
  ), placed as (
    insert into orders (id, org_id, number, client_id, engagement_id, proposal_id, status, price, currency, quantity,
      service, service_id, metadata, created_at, updated_at, saga_id, billed_to)
    select p_order, p_org, p_number, p_client, p_engagement, p_proposal, p_status, p_price, p_currency, p_quantity,
      p_service, p_service_id, p_metadata, p_at, p_at, p_saga, p_billed_to
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

drop function place_order_billed;
drop trigger orders_billed on orders;
drop function bill_to_client();
drop function billed_to_of(clients);
-- squawk-ignore ban-drop-column
alter table orders drop column billed_to;
-- squawk-ignore ban-drop-column
alter table clients drop column billing;
