-- migrate:up

set local lock_timeout = '5s';

-- Opens an engagement with its projects, as `open_engagement_beside_others` does it, but for a client who is
-- about to be deleted it does nothing and returns no row: whether they are deleted or stay is not decided yet, and the
-- command is delivered again. Only a client who is deleted is a cause to refuse. A duplicate still gets the stored reply.
create function open_engagement_unless_closing(
  p_client uuid, p_org uuid, p_client_version int, p_name_f text, p_name_l text, p_email text, p_key text,
  p_delivery uuid, p_refused json, p_opened json, p_engagement uuid, p_proposal uuid, p_name text,
  p_status smallint, p_at timestamptz, p_saga uuid, p_services uuid[], p_service_names text[],
  p_project_status smallint, p_phase smallint, p_projects uuid[], p_project_names text[],
  p_descriptions text[], p_traceparent text, p_events uuid[], p_subjects text[], p_types text[],
  p_bodies json[]
) returns table (reply json, is_opened boolean) language plpgsql as $$
#variable_conflict use_column
begin
  perform set_config('app.org', p_org::text, true);
  return query
  with known as materialized (
    select is_deleted as is_gone, is_closed and not is_deleted as is_closing from clients
    where org_id = p_org and id = p_client and version >= p_client_version for share
  ), learned as (
    insert into clients (id, org_id, version, name_f, name_l, email)
    select p_client, p_org, p_client_version, p_name_f, p_name_l, p_email
    where not exists (select from known)
    on conflict (id) do update set version = greatest(clients.version, excluded.version),
      name_f = case when clients.version < excluded.version then excluded.name_f else clients.name_f end,
      name_l = case when clients.version < excluded.version then excluded.name_l else clients.name_l end,
      email = case when clients.version < excluded.version then excluded.email else clients.email end,
      is_closed = clients.is_closed and clients.version >= excluded.version,
      is_deleted = clients.is_deleted and clients.version >= excluded.version
    returning is_deleted as is_gone, is_closed and not is_deleted as is_closing
  ), client as (
    select is_gone, is_closing from known union all select is_gone, is_closing from learned
  ), claimed as (
    insert into inbox (key, delivery, reply)
    select p_key, p_delivery, case when is_gone then p_refused else p_opened end from client
    where not is_closing or exists (select from inbox where key = p_key)
    on conflict (key) do update set key = excluded.key
    returning reply, delivery = p_delivery as is_first
  ), opened as (
    insert into engagements (id, org_id, client_id, proposal_id, name, status, created_at, updated_at, saga_id)
    select p_engagement, p_org, p_client, p_proposal, p_name, p_status, p_at, p_at, p_saga from claimed,
      client where is_first and not is_gone
    returning id
  ), named as (
    insert into templates (id, org_id, version, name)
    select distinct on (service_id) service_id, p_org, 0, service_name
    from opened, unnest(p_services, p_service_names) as item (service_id, service_name)
    where service_id is not null and service_name is not null
    on conflict (id) do nothing
  ), made as (
    insert into projects (id, org_id, engagement_id, client_id, name, description, status, phase, service_id,
      created_at,
      updated_at, saga_id)
    select item.id, p_org, opened.id, p_client, item.name, item.description, p_project_status, p_phase,
      item.service_id, p_at, p_at, p_saga
    from opened, unnest(p_projects, p_project_names, p_descriptions, p_services) as item (id, name, description,
      service_id)
  ), told as (
    insert into outbox (id, subject, type, body, traceparent)
    select event.id, event.subject, event.type, event.body, p_traceparent
    from opened, unnest(p_events, p_subjects, p_types, p_bodies) as event (id, subject, type, body)
  )
  select reply, is_first and not is_gone as is_opened from claimed, client;
end $$;

-- migrate:down

set local lock_timeout = '5s';

drop function open_engagement_unless_closing;
