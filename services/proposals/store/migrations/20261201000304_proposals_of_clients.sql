-- migrate:up

set local lock_timeout = '5s';

-- A proposal belongs to a client by id, from the moment the client is known; an address decides that once, and never
-- again. A Draft has no client. A Sent or Rejected one without a client is visible to no client.
-- (docs/sign-flow.md, Whose a proposal is.)
alter table proposals add column client_id uuid;

-- Of an organisation and an address: whoever binds a proposal holds it, and whoever writes the copy of a client.
create function address_lock(p_org uuid, p_key text) returns bigint
language sql immutable strict parallel safe
return hashtextextended(p_org::text || p_key, 3);

-- The one client who has the address and is neither closed nor deleted; null when there is none, or several.
create function client_of_address(p_org uuid, p_key text) returns uuid language plpgsql as $$
begin
  return (
    select case when count(*) = 1 then (array_agg(c.id))[1] end from clients c
    where c.org_id = p_org and c.email_key = p_key and not c.is_closed and not c.is_deleted);
end $$;

-- A proposal that becomes Sent, from Draft or because its flow was undone, is bound to the client of its address. One
-- that a release without `client_id` has Signed gets the client of its engagement. Each statement here has a snapshot of
-- its own, so that it sees what was committed while the lock was waited for.
create function bind_proposal() returns trigger language plpgsql as $$
begin
  if new.status = 2 then
    new.client_id := (
      select (s.result -> 'engagement' ->> 'client_id')::uuid from sagas s
      where s.org_id = new.org_id and s.id = new.saga_id);
    return new;
  end if;
  -- A generated column is not made yet when this runs.
  perform pg_advisory_xact_lock(address_lock(new.org_id, email_key_of(new.client_email)));
  new.client_id := client_of_address(new.org_id, email_key_of(new.client_email));
  return new;
end $$;
create trigger bind_proposal before update of status on proposals for each row
  when (new.client_id is null and ((new.status = 1 and old.status in (0, 4)) or (new.status = 2 and old.status = 4)))
  execute function bind_proposal();

-- Binds what was sent to these addresses and belongs to nobody yet. Neither version nor time of change moves.
create function bind_proposals_to(p_org uuid, p_keys text[]) returns void language plpgsql as $$
begin
  -- In one order, so that two never wait for each other.
  perform pg_advisory_xact_lock(each.lock) from (
    select distinct address_lock(p_org, named.key) as lock from unnest(p_keys) as named (key) order by 1) each;
  update proposals p set client_id = client_of_address(p_org, p.client_email_key)
  where p.org_id = p_org and p.client_email_key = any(p_keys) and p.deleted_at is null and p.client_id is null
    and p.status + 0 in (1, 3);
end $$;

-- Writes the copy of a client, unless something newer is there, and binds what was sent to the address that the client
-- has now, and to the one that they had: another may be the only one there now.
create function write_client(
  p_id uuid, p_org uuid, p_version int, p_name_f text, p_name_l text, p_email text, p_company text, p_phone text,
  p_is_enabled boolean, p_is_closed boolean, p_is_deleted boolean
) returns void language plpgsql as $$
declare
  keys text[];
begin
  -- The client's own lock comes first: the address that they had cannot change any more.
  perform pg_advisory_xact_lock(hashtextextended(p_id::text, 4));
  keys := array(select c.email_key from clients c where c.org_id = p_org and c.id = p_id) || email_key_of(p_email);
  perform pg_advisory_xact_lock(each.lock) from (
    select distinct address_lock(p_org, named.key) as lock from unnest(keys) as named (key) order by 1) each;
  insert into clients (id, org_id, version, name_f, name_l, email, company, phone, is_enabled, is_closed, is_deleted)
  values (p_id, p_org, p_version, p_name_f, p_name_l, p_email, p_company, p_phone, p_is_enabled, p_is_closed,
    p_is_deleted)
  on conflict (id) do update set
    version = excluded.version, name_f = excluded.name_f, name_l = excluded.name_l, email = excluded.email,
    company = excluded.company, phone = excluded.phone, is_enabled = excluded.is_enabled,
    is_closed = excluded.is_closed, is_deleted = excluded.is_deleted
  where clients.version < excluded.version;
  perform bind_proposals_to(p_org, keys);
end $$;

-- What is there: signed ones belong to the client of their engagement, as their flow answered it; open and rejected ones
-- to the one client who has their address and is enabled. What nobody can be named for stays without one.
lock table proposals, clients in share row exclusive mode;
select set_config('app.across', 'on', true);
update proposals p set client_id = coalesce(
  s.result -> 'engagement' ->> 'client_id', s.replies -> 'client' -> 'result' -> 'client' ->> 'id',
  s.plan -> 'client' ->> 'id')::uuid
from sagas s where s.org_id = p.org_id and s.id = p.saga_id and s.status = 'completed' and p.status = 2;
update proposals p set client_id = sole.id from (
  select org_id, email_key, (array_agg(id))[1] as id from clients
  where is_enabled and not is_closed and not is_deleted group by org_id, email_key having count(*) = 1
) sole
where p.org_id = sole.org_id and p.client_email_key = sole.email_key and p.status in (1, 3);

-- squawk-ignore require-concurrent-index-creation
create index proposals_of_client on proposals (org_id, client_id, created_at desc, id)
where deleted_at is null and client_id is not null;

-- migrate:down

set local lock_timeout = '5s';

-- squawk-ignore require-concurrent-index-deletion
drop index proposals_of_client;
drop trigger bind_proposal on proposals;
drop function write_client, bind_proposals_to, bind_proposal, client_of_address, address_lock;
-- squawk-ignore ban-drop-column
alter table proposals drop column client_id;
